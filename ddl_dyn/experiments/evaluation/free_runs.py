"""Free runs of a setup's replicas from given starts, and their errors.

Axes: R replicas, N trajectories, T steps, D observed state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from ddl_dyn.config.sections import EvalConfig
from ddl_dyn.engine.rollout import Status, rollout
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.metrics.accuracy import nrmse, nrmse_curve, valid_prediction_time
from ddl_dyn.metrics.arrays import Array, Arrays, Mask
from ddl_dyn.metrics.oscillation import amplitude_error, period_error
from ddl_dyn.metrics.starts import start_errors
from ddl_dyn.runs.stored_result import Errors, FailureShares, FloorErrors, ForecastErrors, Horizons
from ddl_dyn.tasks.trajectories import Trajectories


def horizons(config: EvalConfig, steps: int) -> Horizons:
    """Steps of the `short` and the `long` horizon: those asked for, or all that there are.

    Args:
        config: horizons asked for.   steps: of the truth; a recorded window may be shorter than a horizon.
    """
    return {"short": min(config.short, steps), "long": min(config.long, steps)}


def free_run(setup: Setup, truth: Trajectories, steps: int, *, failed: Mask | None = None) -> Arrays:
    """Free runs from the initial states of a split.

    Args:
        setup: its replicas run.   truth: (N, …), in physical units.   steps: T.
        failed: (R,), replicas without a trained state, whose runs count as diverged from the start.
    Returns:
        pred (R, N, T+1, D) in physical units, and status (R, N).
    """
    return free_run_from(setup, truth.states[:, 0], truth.inputs[:, :steps], failed=failed)


def free_run_from(setup: Setup, x0: Array, inputs: Array, *, failed: Mask | None = None) -> Arrays:
    """Free runs from given states; returns as `free_run`.

    Args:
        setup, failed: as for `free_run`.
        x0: (N, D), in physical units.   inputs: (N, T, U).
    """
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


def errors(setup: Setup, pred: Array, true: Array) -> Errors:
    """NRMSE of R free runs at both horizons: pooled, median over starts, share of starts beyond the threshold.

    Args:
        setup: its training scale, horizons and threshold.
        pred: (R, N, T+1, D) in physical units.   true: (N, T+1, D) in physical units.
    """
    steps, threshold = horizons(setup.config.eval, true.shape[1] - 1), setup.config.eval.threshold
    short = start_errors(pred, true, setup.sigma, steps["short"], threshold)
    long = start_errors(pred, true, setup.sigma, steps["long"], threshold)
    return {
        "nrmse_short": nrmse(pred, true, setup.sigma, steps["short"]).tolist(),
        "start_median_short": short.median.tolist(),
        "start_beyond_short": short.beyond.tolist(),
        "nrmse_long": nrmse(pred, true, setup.sigma, steps["long"]).tolist(),
        "start_median_long": long.median.tolist(),
        "start_beyond_long": long.beyond.tolist(),
    }


def score(setup: Setup, pred: Array, true: Array) -> ForecastErrors:
    """Every error of R free runs as lists of R numbers (infinite where a run failed).

    Args:
        setup: its training scale, time step, time scale and horizons are what errors are measured with.
        pred: (R, N, T+1, D) in physical units.   true: (N, T+1, D) in physical units.
    """
    dt, threshold = setup.task.dt, setup.config.eval.threshold
    curve = nrmse_curve(pred, true, setup.sigma)
    time, censored = valid_prediction_time(curve, dt, threshold, trust_steps=setup.data.trust_steps)
    series, reference = np.moveaxis(pred, -1, -2), np.moveaxis(true, -1, -2)
    return {
        **errors(setup, pred, true),
        "vpt": (np.median(time, axis=-1) / setup.timescale).tolist(),
        "vpt_censored": censored.mean(axis=-1).tolist(),
        "period_error": typical(period_error(series, reference, dt)),
        "amplitude_error": typical(amplitude_error(series, reference)),
    }


def typical(error: Array) -> list[float | None]:
    """Median over trajectories and components (R, N, D) of what is defined for the truth; None where nothing is."""
    rows = error.reshape(error.shape[0], -1)
    return [float(np.median(row[~np.isnan(row)])) if (~np.isnan(row)).any() else None for row in rows]


def failure_shares(status: Array) -> FailureShares:
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
        curve: Array = np.sqrt(np.square(nrmse_curve(pred, true, sigma)).mean(axis=-2))
        return curve


def shared_errors(each: Sequence[Errors]) -> FloorErrors:
    """Median over data sets of each error of a model that has one replica a data set; None where one has no number."""
    found: dict[str, float | None] = {}
    for key in each[0]:
        stored: list[list[float | None]] = [dict(one)[key] for one in each]  # type: ignore[misc]
        known = [values[0] for values in stored if values[0] is not None]
        found[key] = float(np.median(known)) if len(known) == len(each) else None
    return cast(FloorErrors, found)
