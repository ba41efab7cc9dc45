"""Finished runs made of numbers chosen by a test, written by the store's own writer.

Axes: R replicas, N trajectories, T steps, D state components, G grid points a side, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.runs import COMPLETED, Run
from ddl_dyn.runs.writer import RunWriter

SIDE, STEPS, STARTS = 9, 40, 4


def rotation_arrays(replicas: int, *, error: float, gates: bool, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of a run on a rotation by 0.3 per step, its free runs off by a growing error."""
    rng = np.random.default_rng(seed)
    angle = 0.3 * np.arange(STEPS + 1) + np.linspace(0, 2 * np.pi, STARTS, endpoint=False)[:, None]
    true = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    drift = error * rng.standard_normal((replicas, STARTS, 1, 2)) * np.linspace(0, 1, STEPS + 1)[:, None]
    axis = np.linspace(-1.5, 1.5, SIDE)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    turned = grid @ np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]])
    curve = np.abs(drift).mean(axis=(1, 3)) + 1e-3
    arrays = {
        "sigma": true.reshape(-1, 2).std(axis=0),
        "dt": np.asarray(0.3),
        "portrait_replica": np.asarray(0),
        "portrait_grid": grid,
        "portrait_step_true": turned - grid,
        "portrait_step": np.stack([turned - grid + 0.1 * error] * replicas),
        "history_update": np.array([0, 50, 100]),
        "history_loss": np.geomspace(1, 0.01, 3)[:, None] * np.ones(replicas),
        "history_val": np.geomspace(2, 0.02, 3)[:, None] * np.ones(replicas),
        "history_horizon": np.array([5, 5, 10]),
        "eigen_jacobian": np.exp(1j * rng.random((2, 5, 2))),
    }
    for split in ("test", "ood"):
        arrays |= {
            f"{split}_times": 0.3 * np.arange(STEPS + 1),
            f"{split}_true": true,
            f"{split}_pred": (true + drift).astype(np.float32),
            f"{split}_status": np.zeros((replicas, STARTS), dtype=np.int64),
            f"{split}_nrmse": curve,
            f"{split}_nrmse_persistence": np.linspace(0, 1.4, STEPS + 1),
        }
    if gates:
        arrays["gate_beta"] = np.clip(rng.normal([0.3, 1.6], 0.2, (replicas, SIDE * SIDE, 2)), 0, 2)[..., None]
        arrays["gate_beta"] = np.moveaxis(arrays["gate_beta"], 2, 1)
        arrays["eigen_operator"] = np.ones((2, 5, 2), dtype=complex)
    return arrays


def numbers(scores: Mapping[tuple[str, str], Sequence[float]], *, parameters: int = 1000) -> dict[str, Any]:
    """Contents of result.json from the replicas' NRMSE by split and horizon."""
    count = len(next(iter(scores.values())))
    result: dict[str, Any] = {
        "parameters": parameters,
        "latent_dim": 32,
        "flops_per_step": 2 * parameters,
        "training": {
            "seconds": 12.5,
            "updates": 100,
            "milliseconds_per_update": 125.0,
            "compiled": False,
            "best_val": [0.1] * count,
            "best_update": [100] * count,
            "diverged": [False] * count,
            "nfe_total": 0,
        },
        "data": {"trust_steps": STEPS, "notes": []},
        "budget": {"target": None, "met": True},
        "floors": {"persistence": {}},
    }
    for (split, horizon), values in scores.items():
        part = result.setdefault(split, {"vpt": [1.0] * count, "vpt_censored": [0.5] * count})
        part |= {"period_error": [0.01] * count, "amplitude_error": [None] * count}
        part |= {"diverged": [0.0] * count, "solver_failed": [0.0] * count}
        part[f"nrmse_{horizon}"] = list(values)
        part |= {f"start_median_{horizon}": list(values), f"start_beyond_{horizon}": [0.25] * count}
        floor = result["floors"]["persistence"].setdefault(split, {})
        floor |= {f"nrmse_{horizon}": 0.9, f"start_median_{horizon}": 0.8, f"start_beyond_{horizon}": 1.0}
    return result


def write_run(
    base: Path,
    run_id: str,
    *,
    model: str = "ddl",
    scores: Mapping[tuple[str, str], Sequence[float]] | None = None,
    config: Mapping[str, Any] | None = None,
    entry: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
) -> Run:
    """A run folder on the harmonic oscillator.

    Args:
        scores: NRMSE of each replica by (split, horizon).   config: what differs from the defaults.
        entry, result: added to run.json and result.json, replacing what stands there.
        arrays: by default those of `rotation_arrays`.
    """
    found = scores or {("test", "short"): [0.1, 0.11, 0.12, 0.13, 0.14, 0.15]}
    count = len(next(iter(found.values())))
    updates = {"task": "harmonic", "model": model, "seeds": count, "model_args": {"carry": "latent"}, **(config or {})}
    resolved = resolve_run(updates).model_dump(mode="json")
    story = {
        "kind": "run",
        "task": resolved["task"],
        "model": model,
        "seeds": count,
        "status": COMPLETED,
        "start_time": "2026-01-02T03:04:05.000+00:00",
        "command_line": "ddl-dyn run with task=harmonic",
        "git": {"commit": "0123456789abcdef", "branch": "main", "dirty": False},
        "versions": {"python": "3.11.7", "torch": "2.13.0"},
        "data_hash": "ab" * 32,
        "device": "cpu",
        "resolved": {"task": {"state_names": ["x", "y"], "kind": "flow", "time_unit": "s", "isotropic": True}},
        **(entry or {}),
    }
    writer = RunWriter(base, entry=story, run_id=run_id)
    writer.make()
    writer.save_json("config.json", resolved)
    gates = model == "ddl"
    writer.save_arrays(rotation_arrays(count, error=0.2, gates=gates) if arrays is None else arrays)
    if story["status"] == COMPLETED:
        writer.save_json("result.json", numbers(found) | dict(result or {}))
    writer.save_entry()
    return Run(writer.directory)


def write_comparison(base: Path, run_id: str, members: Sequence[Run], **entry: Any) -> Run:
    """The folder of a comparison whose runs lie beside it."""
    story = {"kind": "compare", "status": COMPLETED, "members": [run.id for run in members], **entry}
    writer = RunWriter(base, entry=story, run_id=run_id)
    writer.make()
    writer.save_json("config.json", {})
    writer.save_json("result.json", {"rows": [], "failed": []})
    writer.save_entry()
    return Run(writer.directory)
