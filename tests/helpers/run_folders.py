"""Run directories as the store leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ddl_dyn.runs import atomic_files


def make_run(base: Path, run_id: str, *, status: str = "COMPLETED", **entry: Any) -> Path:
    """A run directory as the store leaves it."""
    folder = base / run_id
    folder.mkdir(parents=True)
    stored = {"schema": 1, "id": run_id, "kind": "run", "status": status, "task": "henon", "model": "ddl", "seeds": 2}
    atomic_files.write_json(folder / "run.json", stored | {"start_time": "2026-01-01T00:00:00+00:00"} | entry)
    config = {"task": "henon", "model": "ddl", "seeds": 2, "train": {"lr": 0.1}, "model_args": {"carry": "latent"}}
    atomic_files.write_json(folder / "config.json", config)
    atomic_files.write_json(folder / "result.json", {"test": {"nrmse_short": [0.5, float("inf")]}, "parameters": 7})
    return folder
