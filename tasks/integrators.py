"""Reference solutions on arrays alone: batched integration of vector fields, iteration of maps.

Axes: N trajectories, T steps, D state components.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import scipy

from ddl_dyn.metrics.arrays import Array

RTOL, ATOL = 1e-10, 1e-12
# Trajectories that share one step size. Larger blocks save calls but every member pays for the stiffest one.
BLOCK = 256
# Evaluations of the vector field allowed for each sampling interval on average, and on top of them.
EVALUATIONS = 5_000
# Over so many evaluations in a row the mean step must exceed this share of the sampling interval.
WATCHED, SMALLEST_STEP = 10_000, 1e-7
_STAGES = 12
VectorField = Callable[[float, Array], Array]


def integrate(vector_field: VectorField, x0: Array, times: Array, *, rtol: float = RTOL, atol: float = ATOL) -> Array:
    """Solve ẋ = f(t, x) for a whole batch as one system, with the tolerance held by the worst trajectory.

    scipy accepts a step when the root mean square of the scaled error over the *whole* vector is at most 1, which lets
    one trajectory of N exceed its tolerance √N times. Both tolerances are divided by √N, so that each
    trajectory meets them by itself; at order 8 this costs N^(1/16) times the steps.

    Args:
        vector_field: f(t, x), (N, D) -> (N, D), each row depending on its own row only.
        x0: (N, D), states at times[0].
        times: (T+1,), strictly increasing.
        rtol: relative tolerance per step of one trajectory.
        atol: absolute tolerance per step of one trajectory, in the unit of the state.
    Returns:
        States (N, T+1, D). Where the solver gives up (blow-up in finite time) that trajectory is NaN from there on; the
        others are unaffected.
    Raises:
        ValueError: when x0 is not a matrix or times do not increase; when the steps shrink below 1e-7 sampling
            intervals or more than 5,000 evaluations per interval are needed, naming the time and the state.
    Source: Hairer, Nørsett, Wanner (1993), Solving Ordinary Differential Equations I, §II.5 (DOP853).
    """
    x0 = np.asarray(x0, dtype=np.float64)
    times = np.asarray(times, dtype=np.float64)
    if x0.ndim != 2:
        raise ValueError(f"x0 must have shape (N, D), got {x0.shape}")
    if times.ndim != 1 or len(times) < 1 or (np.diff(times) <= 0).any():
        raise ValueError("times must be a strictly increasing vector with at least one entry")
    states = np.full((len(x0), len(times), x0.shape[1]), np.nan)
    states[:, 0] = x0
    if len(times) > 1:
        for start in range(0, len(x0), BLOCK):
            rows = slice(start, start + BLOCK)
            states[rows] = _block(vector_field, x0[rows], times, rtol, atol)
    return states


def _block(vector_field: VectorField, x0: Array, times: Array, rtol: float, atol: float) -> Array:
    """One shared-step solve; when it fails, halves are solved apart until the failing trajectory stands alone."""
    n, d = x0.shape
    interval = float(times[-1] - times[0]) / (len(times) - 1)
    done, mark = 0, float(times[0])

    # Component by component, so that x[..., i] is contiguous in the vector field.
    def flat(t: float, y: Array) -> Array:
        nonlocal done, mark
        done += 1
        x = y.reshape(d, n).T
        if done % WATCHED == 0:
            step = _STAGES * (t - mark) / WATCHED
            if step < SMALLEST_STEP * interval:
                _stop(vector_field, t, x, f"with steps of {step:.1e}", interval)
            if done > EVALUATIONS * (len(times) + 3):
                _stop(vector_field, t, x, f"after {done} evaluations", interval)
            mark = t
        return vector_field(t, x).T.reshape(-1)

    shrink = math.sqrt(n)
    # scipy refuses relative tolerances below 100 rounding errors.
    tight = max(rtol / shrink, 100 * np.finfo(float).eps)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        solution = scipy.integrate.solve_ivp(
            flat, (times[0], times[-1]), x0.T.reshape(-1), "DOP853", times, rtol=tight, atol=atol / shrink
        )
    states = np.full((n, len(times), d), np.nan)
    if solution.success:
        states[:] = solution.y.reshape(d, n, len(times)).transpose(1, 2, 0)
        return states
    if n > 1:
        half = n // 2
        parts = (x0[:half], x0[half:])
        return np.concatenate([_block(vector_field, part, times, rtol, atol) for part in parts])
    reached = len(solution.t)
    if reached:
        states[0, :reached] = np.asarray(solution.y).T
    states[0, 0] = x0[0]
    return states


def _stop(vector_field: VectorField, t: float, x: Array, reason: str, interval: float) -> NoReturn:
    """Raise ValueError at the state (of N) whose field changes most over a short way along itself."""
    field = vector_field(t, x)
    change = np.linalg.norm(vector_field(t, x + SMALLEST_STEP * interval * field) - field, axis=1)
    row = int(np.argmax(np.nan_to_num(change, nan=np.inf)))
    state = ", ".join(f"{value:.6g}" for value in x[row, :8]) + (", …" if x.shape[1] > 8 else "")
    raise ValueError(
        f"the integrator stopped at t = {t:.6g} {reason} (sampling interval {interval:.6g}), near the state ({state}): "
        "the vector field jumps there or is too stiff; smooth it, choose a smaller dt, or state a system with jumps as "
        "a map from event to event (docs/adding.md)"
    )


def iterate(next_state: Callable[[Array], Array], x0: Array, steps: int) -> Array:
    """Iterate a map, x⁺ = Φ(x).

    Args:
        next_state: Φ, (N, D) -> (N, D).
        x0: (N, D).
        steps: number of iterations T.
    Returns:
        States (N, T+1, D), non-finite from where an orbit overflows.
    """
    states = np.empty((len(x0), steps + 1, x0.shape[1]), dtype=x0.dtype)
    states[:, 0] = x0
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(steps):
            states[:, t + 1] = next_state(states[:, t])
    return states
