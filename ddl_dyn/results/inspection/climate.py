"""Free runs beside true ones: errors of the stored runs, and of long ones the state-space divergence and spectra with
their noise floors, verdicts, survival.

Axes: R replicas, N trajectories, T steps, D observed state, M true replicates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ddl_dyn.engine.rollout import rollout
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.experiments.unsuitable import CODES, Unsuitable
from ddl_dyn.metrics import verdict
from ddl_dyn.metrics.accuracy import (
    mase,
    nrmse_curve,
    restricted_mean_time,
    smape,
    survival_curve,
    valid_prediction_time,
)
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.metrics.climate import (
    MAX_DIMENSIONS,
    spectral_floor,
    spectral_hellinger,
    state_space_divergence,
    state_space_floor,
)
from ddl_dyn.metrics.oscillation import phase_error, turning_point_error
from ddl_dyn.runs.stored_result import Tracking

# Independent true runs: one is the reference, the others make the noise floor.
RUNS = 6
# Width of the spectral smoothing, as a share of the task's own frequency.
_SMOOTHING = 0.1
THRESHOLDS = (0.05, 0.4, 0.5)


def long_runs(setup: Setup, steps: int) -> tuple[Array, Array]:
    """Free runs and true runs from the same initial states, after a transient of a quarter of their length.

    Args:
        steps: T of what is returned.
    Returns:
        pred (R, N, T+1, D) and true (N, T+1, D), in physical units.
    Raises:
        Unsuitable: when the truth cannot be simulated or the stack cannot run that long.
    """
    reason = no_long_runs(setup)
    if reason:
        raise Unsuitable(reason)
    x0 = setup.starts(RUNS)
    drop = steps // 4
    true = np.asarray(setup.member.simulate(x0, drop + steps).states)
    z = torch.as_tensor(setup.normalizer.normalize(x0))
    inputs = torch.as_tensor(np.broadcast_to(setup.held, (len(x0), drop + steps, len(setup.held))).copy())
    inputs = inputs.to(device=setup.replicas.device, dtype=setup.replicas.dtype)
    states = rollout(setup.replicas, z, drop + steps, inputs).states.double().cpu().numpy()
    return setup.normalizer.denormalize(states)[:, :, drop:], true[:, drop:]


def no_long_runs(setup: Setup) -> str:
    """Reason against long free runs beside true ones; empty if they are possible."""
    if setup.obstacle:
        return setup.obstacle
    if setup.task.recorded or not hasattr(setup.member, "simulate"):
        return "the series was recorded: there is no more truth than the data"
    count = len(setup.data.test.states)
    return "" if count >= RUNS else f"a noise floor needs {RUNS} test trajectories, got {count}; raise data.n_test"


def accuracy(setup: Setup) -> dict[str, list[float]]:
    """Errors of the stored test runs beyond NRMSE, per replica: the median over trajectories (and components).

    Returns:
        smape [0, 200], mase, and of oscillations phase_drift [rad per time scale, modulus] and turning_timing [time
        scales]; NaN where the truth has no phase or no turning point.
    Raises:
        Unsuitable: when the states are one-hot codes.
    """
    if setup.task.state_kind != "continuous":
        raise Unsuitable(CODES)
    arrays = setup.run.arrays
    pred, true = (np.asarray(arrays[f"test_{name}"], dtype=np.float64) for name in ("pred", "true"))
    steps, unit = true.shape[1] - 1, float(setup.timescale)
    dt = float(setup.task.dt) / unit
    trained = [setup.data_sets[g].train.states for g in setup.replicas.data_sets]
    series, reference = np.moveaxis(pred, -1, -2), np.moveaxis(true, -1, -2)
    # A reversal smaller than a hundredth of σ is no turning point.
    resolution = 0.01 * float(setup.sigma.min())
    found = {
        "smape": smape(pred, true, steps),
        "mase": np.stack([mase(row, true, states, steps) for row, states in zip(pred, trained, strict=True)]),
        "phase_drift": np.abs(phase_error(series, reference, dt).drift),
        "turning_timing": turning_point_error(series, reference, dt, resolution=resolution).timing,
    }
    return {name: [_middle(row) for row in values.reshape(len(pred), -1)] for name, values in found.items()}


def _middle(values: Array) -> float:
    """Median of what is defined; an infinite error counts as such, and between two the larger is taken."""
    known = values[~np.isnan(values)]
    return float(np.quantile(known, 0.5, method="higher")) if known.size else float("nan")


def tracking(setup: Setup) -> Tracking:
    """State-tracking accuracy at every length, as stored at the end of the run.

    Raises:
        Unsuitable: when the states are no one-hot codes, or the run holds no such numbers.
    """
    if setup.task.state_kind != "categorical":
        raise Unsuitable("accuracy is that of one-hot codes, and the states are continuous")
    stored = setup.run.result.get("tracking")
    if not isinstance(stored, dict):
        raise Unsuitable("the run was finished before accuracies at every length were kept; repeat it")
    return stored


def distances(setup: Setup, pred: Array, true: Array) -> dict[str, Any]:
    """D_stsp and D_H of every replica against one true run, with their noise floors over the others.

    Args:
        pred, true: from `long_runs`.
    Raises:
        Unsuitable: when the state has more than three components, or the truth has come to rest.
    """
    if pred.shape[-1] > MAX_DIMENSIONS:
        raise Unsuitable(f"D_stsp takes at most three components, the state has {pred.shape[-1]}")
    reference, copies = true[0], true[1:]
    if at_rest(reference[None]):
        raise Unsuitable("the truth has come to rest, and a point has no climate")
    dt, width = float(setup.task.dt), _SMOOTHING / setup.timescale
    stsp = state_space_divergence(pred, reference)
    hellinger = spectral_hellinger(pred, reference, dt, width)
    floors = state_space_floor(reference, copies), spectral_floor(reference, copies, dt, width)
    return {
        "length": stsp.length,
        "d_stsp": np.mean(stsp.value, axis=-1).tolist(),
        "outside": np.mean(stsp.outside, axis=-1).tolist(),
        "d_stsp_floor": floors[0]._asdict(),
        "d_h": np.mean(hellinger, axis=-1).tolist(),
        "d_h_width": width,
        "d_h_floor": floors[1]._asdict(),
    }


def at_rest(runs: Array) -> bool:
    """True if a component of the first of the runs (N, T+1, D) no longer moves."""
    reference = runs[0]
    return bool((np.ptp(reference, axis=0) <= 1e-9 * np.maximum(np.abs(reference).max(axis=0), 1e-300)).any())


def replica_verdict_shares(setup: Setup, pred: Array, true: Array) -> list[dict[str, float]]:
    """Share of each verdict over the long runs, per replica.

    Args:
        pred, true: from `long_runs`.
    """
    return [
        {str(name): share for name, share in verdict.verdict_shares(row).items()}
        for row in verdict.verdicts(pred, true, setup.sigma)
    ]


def survival(setup: Setup) -> dict[str, Any]:
    """Kaplan–Meier summary of valid prediction times of the stored free runs, over all replicas and trajectories.

    Returns:
        threshold -> restricted_mean and median (None where more than half outlive the runs), in the task's time scale,
        censored (share), and the curve: times, survival, low, high.
    Raises:
        Unsuitable: when the states are one-hot codes.
    """
    if setup.task.state_kind != "continuous":
        raise Unsuitable(CODES)
    arrays = setup.run.arrays
    curve = nrmse_curve(arrays["test_pred"], arrays["test_true"], arrays["sigma"])
    out: dict[str, object] = {"horizon": (curve.shape[-1] - 1) * setup.task.dt / setup.timescale}
    for threshold in THRESHOLDS:
        time, censored = valid_prediction_time(
            curve, setup.task.dt / setup.timescale, threshold, trust_steps=setup.data.trust_steps
        )
        found = survival_curve(time, censored)
        below = np.flatnonzero(found.survival <= 0.5)
        out[f"{threshold:g}"] = {
            "restricted_mean": restricted_mean_time(time, censored),
            "median": float(found.times[below[0]]) if below.size else None,
            "censored": float(np.mean(censored)),
            "times": found.times.tolist(),
            "survival": found.survival.tolist(),
            "low": found.low.tolist(),
            "high": found.high.tolist(),
        }
    return out
