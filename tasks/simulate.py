"""Reference trajectories in float64: batched integration, iteration, the horizon up to which they are truth.

Axes: N trajectories, T steps, D state components.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import scipy

from tasks.base import Array, Task

RTOL, ATOL = 1e-10, 1e-12
# Trajectories that share one step size. Larger blocks save calls but every member pays for the stiffest one.
BLOCK = 256
# Agreement of two computations, in training standard deviations, up to which both are called truth.
TRUST = 1e-3

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
        ValueError: when x0 is not a matrix or times do not increase.
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

    # Component by component, so that x[..., i] is contiguous in the vector field.
    def flat(t: float, y: Array) -> Array:
        return vector_field(t, y.reshape(d, n).T).T.reshape(-1)

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


def iterate(next_state: Callable[[Array], Array], x0: Array, steps: int) -> Array:
    """Iterate x⁺ = Φ(x) from x0 (N, D); states (N, steps+1, D), non-finite from where an orbit overflows."""
    states = np.empty((len(x0), steps + 1, x0.shape[1]), dtype=x0.dtype)
    states[:, 0] = x0
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(steps):
            states[:, t + 1] = next_state(states[:, t])
    return states


def settle(vector_field: VectorField, x0: Array, *, time: float, dt: float) -> Array:
    """Carry states (N, D) forward by `time` with classical Runge–Kutta steps of length dt, to forget a transient.

    The step is fixed so that a row depends on nothing but itself: the first n of 2n initial states stay the n.
    """
    x = np.asarray(x0, dtype=np.float64)
    for step in range(max(1, round(time / dt))):
        t = step * dt
        k1 = vector_field(t, x)
        k2 = vector_field(t + dt / 2, x + dt / 2 * k1)
        k3 = vector_field(t + dt / 2, x + dt / 2 * k2)
        k4 = vector_field(t + dt, x + dt * k3)
        x = x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x


def trust_horizon(
    task: Task, x0: Array, steps: int, *, inputs: Array | None = None, states: Array | None = None
) -> int:
    """Number of steps for which two computations of every trajectory agree to 1e-3 σ_d in each component.

    Flows are compared with a hundredth of the tolerance, maps with extended precision, everything else with a
    start one rounding error away; a chaotic system loses agreement after about ln(1e-3 / error) / λ.

    Args:
        task: the system.
        x0: (N, D), initial states.
        steps: number of steps to examine.
        inputs: (N, steps, U), what acts.
        states: (N, steps+1, D), the reference states if already at hand.
    Returns:
        The largest t ≤ steps with agreement at all steps up to t, in [0, steps].
    """
    first = task.simulate(x0, steps, inputs).states if states is None else states
    second = task.second_solution(x0, steps, inputs)
    sigma = first.reshape(-1, first.shape[-1]).std(axis=0)
    # A constant component has no spread of its own; it is held to the scale of the others.
    sigma = np.where(sigma > 0, sigma, sigma.max() or 1.0)
    agree = (np.abs(first - second) <= TRUST * sigma).all(axis=(0, 2))
    return steps if agree.all() else max(int(np.argmin(agree)) - 1, 0)


def cycle_period(
    vector_field: VectorField, x0: Sequence[float], *, component: int, level: float, settle: float, turns: int = 3
) -> float:
    """Period of the limit cycle reached from x0: time between upward crossings of a level, located as events.

    Args:
        vector_field: f(t, x), autonomous.
        x0: (D,), a state in the basin of the cycle.
        component: the component whose crossings are counted.
        level: the level crossed, in the unit of that component; the cycle must cross it upwards once per turn.
        settle: time to let pass first.
        turns: number of turns to average over.
    Returns:
        The mean period, or NaN where no cycle is found within a hundred settling times.
    """

    def field(t: float, x: Array) -> Array:
        return vector_field(t, x)

    def crossing(t: float, x: Array) -> float:  # noqa: ARG001
        return float(x[component] - level)

    crossing.direction = 1.0  # type: ignore[attr-defined]
    crossing.terminal = turns + 1  # type: ignore[attr-defined]
    start = scipy.integrate.solve_ivp(field, (0.0, settle), np.asarray(x0, float), "DOP853", rtol=1e-10, atol=1e-12).y[
        :, -1
    ]
    found = scipy.integrate.solve_ivp(
        field, (0.0, 100 * settle), start, "DOP853", events=crossing, rtol=1e-10, atol=1e-12
    )
    hits = found.t_events[0]
    return float((hits[-1] - hits[0]) / turns) if len(hits) == turns + 1 else math.nan
