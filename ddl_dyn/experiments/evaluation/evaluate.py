"""One finished model on one dataset: plain numbers, and the arrays that every figure needs.

Axes: R replicas, N trajectories, T steps, D observed state, E validations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ddl_dyn.config.sections import TrainConfig
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.engine.rollout import Status, rollout
from ddl_dyn.experiments.evaluation.phase_space import describe_map
from ddl_dyn.experiments.evaluation.probes import gate_audit, theory_numbers, token_errors, word_tracking
from ddl_dyn.experiments.evaluation.windows import window_intervals
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.metrics.accuracy import nrmse, nrmse_curve, valid_prediction_time
from ddl_dyn.metrics.oscillation import amplitude_error, period_error
from ddl_dyn.metrics.starts import start_errors
from ddl_dyn.models import make_model
from ddl_dyn.runs.result import FLOORS
from ddl_dyn.tasks.base import SPLITS
from ddl_dyn.tasks.dataset import Dataset
from ddl_dyn.tasks.trajectories import Trajectories
from ddl_dyn.training.budget import count_flops
from ddl_dyn.training.result import FitResult
from ddl_dyn.training.timing import milliseconds_per_step
from ddl_dyn.training.trainer import fit

Array = NDArray[Any]


@dataclass(frozen=True)
class Evaluation:
    """Numbers for tables and arrays for figures.

    Args:
        numbers: nested; a list has one entry per replica.   arrays: name -> array, states in physical units.
    """

    numbers: dict[str, Any]
    arrays: dict[str, Array]


def evaluate(setup: Setup, result: FitResult) -> Evaluation:
    """Free runs on the test and out-of-distribution sets, their errors, the floors', and the learned map's portrait.

    Args:
        setup: its replicas trained.   result: of `fit`.
    Returns:
        `Evaluation`; a free run that fails scores infinite errors, and its share is reported.
    """
    config, data, replicas = setup.config, setup.data, setup.replicas
    parts = [setup.of_data_set(g) for g in range(len(setup.data_sets))] if setup.others else [setup]
    categorical = setup.task.state_kind == "categorical"
    floors = [(part, fit_floors(part)) for part in parts] if setup.task.state_kind == "continuous" else []
    last = _last(setup, result)
    numbers: dict[str, Any] = {
        "parameters": replicas.count_parameters(),
        "latent_dim": replicas.template.latent_dim,
        "carried_dim": replicas.template.carried_dim,
        "flops_per_step": count_flops(replicas.model(0)),
        "milliseconds_per_step": milliseconds_per_step(replicas, config.train.batch),
        "training": training_numbers(result, replicas),
        "data": {"trust_steps": int(data.trust_steps), "notes": list(data.notes), "splits": _sizes(data)},
    }
    arrays: dict[str, Array] = history_arrays(result) | {"sigma": setup.sigma, "dt": np.asarray(setup.task.dt)}
    for split in ("test", "ood"):
        truth = getattr(data, split)
        if truth is None:
            numbers[split] = None
            continue
        steps = min(config.eval.long, truth.steps, replicas.max_steps or truth.steps)
        run = free_run(setup, truth, steps, failed=result.untrained)
        true = truth.states[:, : steps + 1]
        numbers[split] = score(setup, run["pred"], true) | failure_shares(run["status"])
        if categorical:
            numbers[split] |= token_errors(setup, run["pred"], true)
        if setup.task.recorded:
            numbers[split]["windows"] = window_intervals(setup, run["pred"], true)
        if last is not None:
            pred = free_run(last, truth, steps, failed=result.untrained)["pred"]
            numbers.setdefault("last", {})[split] = errors(last, pred, true)
        arrays |= {
            f"{split}_times": truth.times[: steps + 1],
            f"{split}_true": true,
            f"{split}_pred": run["pred"].astype(np.float32),
            f"{split}_status": run["status"],
            f"{split}_nrmse": pooled_curve(run["pred"], true, setup.sigma),
        }
        for name in FLOORS if floors else ():
            preds = [(p, free_run(replace(p, replicas=fitted[name]), truth, steps)["pred"]) for p, fitted in floors]
            each = [score(part, pred, true) for part, pred in preds]
            found = numbers.setdefault("floors", {}).setdefault(name, {})
            found[split] = {key: _median([one[key][0] for one in each]) for key in each[0]}
            curves = [pooled_curve(pred, true, part.sigma)[0] for part, pred in preds]
            arrays[f"{split}_nrmse_{name}"] = np.median(curves, axis=0)
    numbers["theory"] = theory_numbers(setup, numbers["test"]["token_error_short" if categorical else "nrmse_short"])
    if categorical:
        numbers["tracking"], tracked = word_tracking(setup, _longest_window(setup, result))
        arrays |= tracked
    numbers["gates"], audited = gate_audit(setup)
    described = describe_map(setup, chosen_replica(result))
    return Evaluation(numbers | described.numbers, arrays | audited | described.arrays)


def _sizes(data: Dataset) -> dict[str, dict[str, int]]:
    """Trajectories and steps of each split; a recorded series may give fewer than were asked for."""
    parts = {name: getattr(data, name) for name in SPLITS}
    return {name: {"trajectories": len(part), "steps": part.steps} for name, part in parts.items() if part is not None}


def _last(setup: Setup, result: FitResult) -> Setup | None:
    """The setup with the last checkpoint instead of the best; None where nothing was trained by updates."""
    if not result.updates:
        return None
    replicas = setup.replicas.select(range(setup.replicas.size))
    replicas.load_state_dict(result.last)
    return replace(setup, replicas=replicas)


def _longest_window(setup: Setup, result: FitResult) -> int:
    """Steps of the longest window that training saw; the whole training split where it was solved at once."""
    return max(row.horizon for row in result.history) if result.updates else setup.data.train.steps


def _median(values: list[float | None]) -> float | None:
    """Median over data sets; None where a data set has no such number."""
    known = [value for value in values if value is not None]
    return float(np.median(known)) if len(known) == len(values) else None


def free_run(setup: Setup, truth: Trajectories, steps: int, *, failed: Array | None = None) -> dict[str, Array]:
    """Free runs from the initial states of a split.

    Args:
        setup: its replicas run.   truth: (N, …), in physical units.   steps: T.
        failed: (R,), replicas without a trained state, whose runs count as diverged from the start.
    Returns:
        pred (R, N, T+1, D) in physical units, and status (R, N).
    """
    return free_run_from(setup, truth.states[:, 0], truth.inputs[:, :steps], failed=failed)


def free_run_from(setup: Setup, x0: Array, inputs: Array, *, failed: Array | None = None) -> dict[str, Array]:
    """As `free_run`, from states x0 (N, D) in physical units under inputs (N, T, U)."""
    replicas, normalizer = setup.replicas, setup.normalizer
    given = torch.as_tensor(inputs).to(device=replicas.device, dtype=replicas.dtype)
    run = rollout(replicas, torch.as_tensor(normalizer.normalize(x0)), inputs.shape[1], given)
    pred = normalizer.denormalize(run.states.double().cpu().numpy())
    # The initial state is given, not predicted: float32 must not blur it.
    pred[:, :, 0] = x0
    status = run.status.cpu().numpy()
    if failed is not None and failed.any():
        pred[failed, :, 1:], status[failed] = np.nan, Status.DIVERGED
    return {"pred": pred, "status": status}


def errors(setup: Setup, pred: Array, true: Array) -> dict[str, list[float]]:
    """NRMSE of R free runs at both horizons: pooled, median over starts, share of starts beyond the threshold.

    Args:
        setup: its training scale, horizons and threshold.
        pred: (R, N, T+1, D) in physical units.   true: (N, T+1, D) in physical units.
    """
    found: dict[str, list[float]] = {}
    for name, steps in (("short", min(setup.config.eval.short, true.shape[1] - 1)), ("long", true.shape[1] - 1)):
        starts = start_errors(pred, true, setup.sigma, steps, setup.config.eval.threshold)
        found[f"nrmse_{name}"] = nrmse(pred, true, setup.sigma, steps).tolist()
        found[f"start_median_{name}"] = starts.median.tolist()
        found[f"start_beyond_{name}"] = starts.beyond.tolist()
    return found


def score(setup: Setup, pred: Array, true: Array) -> dict[str, list[Any]]:
    """Every error of R free runs as lists of R numbers (infinite where a run failed).

    Args:
        setup: its training scale, time step, time scale and horizons are what errors are measured with.
        pred: (R, N, T+1, D) in physical units.   true: (N, T+1, D) in physical units.
    """
    dt, threshold = setup.task.dt, setup.config.eval.threshold
    curve = nrmse_curve(pred, true, setup.sigma)
    time, censored = valid_prediction_time(curve, dt, threshold, trust_steps=setup.data.trust_steps)
    found: dict[str, list[Any]] = {
        **errors(setup, pred, true),
        "vpt": (np.median(time, axis=-1) / setup.timescale).tolist(),
        "vpt_censored": censored.mean(axis=-1).tolist(),
    }
    series, reference = np.moveaxis(pred, -1, -2), np.moveaxis(true, -1, -2)
    found["period_error"] = typical(period_error(series, reference, dt))
    found["amplitude_error"] = typical(amplitude_error(series, reference))
    return found


def typical(error: Array) -> list[float | None]:
    """Median over trajectories and components (R, N, D) of what is defined for the truth; None where nothing is."""
    rows = error.reshape(error.shape[0], -1)
    return [float(np.median(row[~np.isnan(row)])) if (~np.isnan(row)).any() else None for row in rows]


def failure_shares(status: Array) -> dict[str, list[float]]:
    """Share of free runs of each replica that left the finite range, or whose solver gave up."""
    return {
        "diverged": (status == Status.DIVERGED).mean(axis=-1).tolist(),
        "solver_failed": (status == Status.SOLVER_FAILED).mean(axis=-1).tolist(),
    }


def pooled_curve(pred: Array, true: Array, sigma: Array) -> Array:
    """NRMSE (R, T+1) at each step pooled over trajectories; infinite once one of them has failed.

    Args:
        pred: (R, N, T+1, D).   true: (N, T+1, D).   sigma: (D,) or (R, D), the training scale.
    """
    with np.errstate(over="ignore"):
        return np.sqrt(np.square(nrmse_curve(pred, true, sigma)).mean(axis=-2))


def fit_floors(setup: Setup) -> dict[str, Replicas]:
    """The floors, solved on the training split of the same data."""
    train, val, task = setup.scaled("train"), setup.scaled("val"), setup.task
    shape: dict[str, Any] = {"state_dim": task.state_dim, "input_dim": task.input_dim, "dt": task.dt}
    found = {}
    for name in FLOORS:
        replicas = Replicas(lambda name=name: make_model(name, **shape, lift="identity"), [0])  # type: ignore[misc]
        replicas.to(dtype=torch.float64)
        fit(replicas, train, val, TrainConfig(updates=0, horizon=1, compile="off"))
        found[name] = replicas
    return found


def training_numbers(result: FitResult, replicas: Replicas) -> dict[str, Any]:
    """Cost and end of training, per replica where it differs."""
    return {
        "seconds": result.seconds,
        "updates": result.updates,
        "milliseconds_per_update": 1e3 * result.history[-1].seconds / result.updates if result.updates else 0.0,
        "peak_memory_bytes": result.peak_memory_bytes,
        "compiled": result.compiled,
        "best_val": [float(v) for v in result.best_val],
        "best_update": [int(v) for v in result.best_update],
        "diverged": [bool(v) for v in result.diverged],
        "failed_to_train": [bool(v) for v in result.failed_to_train],
        "nfe_total": int(getattr(replicas.model_on_call, "nfe", 0)),
    }


def history_arrays(result: FitResult) -> dict[str, Array]:
    """Training curves: history_update, _horizon and _lr (E,), history_loss and history_val (E, R)."""
    rows = result.history
    return {
        "history_update": np.array([p.update for p in rows]),
        "history_loss": np.array([p.loss for p in rows], dtype=np.float64),
        "history_val": np.array([p.val for p in rows], dtype=np.float64),
        "history_horizon": np.array([p.horizon for p in rows]),
        "history_lr": np.array([p.lr for p in rows]),
    }


def chosen_replica(result: FitResult) -> int:
    """The replica shown where only one can be: the one with the median validation error."""
    return int(np.argsort(result.best_val, kind="stable")[(len(result.best_val) - 1) // 2])
