"""The command line as a process of its own, and the smallest configurations that it can run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ddl_dyn.config.sections import RunConfig
from ddl_dyn.experiments.resolve import resolve_run

ROOT = Path(__file__).resolve().parents[2]


SMALL = {
    "seeds": 3,
    "train": {"updates": 40, "validate_every": 10, "horizon": 5},
    "data": {"n_train": 4, "n_val": 2, "n_test": 2, "n_ood": 0, "steps": 10},
    "eval": {"short": 5, "long": 10},
}


SMALL_ARGUMENTS = [
    *("seeds=3", "train.updates=40", "train.validate_every=10", "train.horizon=5", "data.n_train=4", "data.n_val=2"),
    *("data.n_test=2", "data.n_ood=0", "data.steps=10", "eval.short=5", "eval.long=10"),
]


LONG_ARGUMENTS = [*SMALL_ARGUMENTS, "train.updates=100000"]


def config(**updates: Any) -> RunConfig:
    return resolve_run(SMALL | updates)


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "FAKE_PAGE": "1", **extra}


def command(arguments: list[str], **extra: str) -> subprocess.CompletedProcess[str]:
    full = [sys.executable, "-m", "tests.helpers.fake_runs", *arguments]
    return subprocess.run(full, cwd=ROOT, env=environment(**extra), capture_output=True, text=True, check=False)


def spawn(arguments: list[str], **extra: str) -> subprocess.Popen[str]:
    full = [sys.executable, "-m", "tests.helpers.fake_runs", *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(full, cwd=ROOT, env=environment(**extra), start_new_session=True, **pipes)


def wait_for(condition: Any, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def records(base: Path, run_id: str = "1") -> int:
    path = base / run_id / "metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0
