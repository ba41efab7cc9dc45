"""Trust horizon of reference trajectories, and what is measured along them: settled states, the period of a cycle.

Axes: N trajectories, T steps, D state components.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import scipy

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import FlowTask, Task
from ddl_dyn.tasks.integrators import VectorField

# Agreement of two computations, in training standard deviations, up to which both are called truth.
TRUST = 1e-3
MOST_EVALUATIONS = 500_000


def settle(vector_field: VectorField, x0: Array, *, time: float, dt: float) -> Array:
    """Carry states forward with classical Runge–Kutta steps, to forget a transient.

    The step is fixed so that a row depends on nothing but itself: the first n of 2n initial states stay the n.

    Args:
        vector_field: f(t, x).
        x0: (N, D).
        time: how long, in the task's unit.
        dt: length of a step.
    Returns:
        (N, D).
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


@functools.lru_cache(maxsize=64)
def cycle_period(
    task: FlowTask, x0: tuple[float, ...], *, component: int, level: float, settle: float, turns: int = 3
) -> float:
    """Period of the limit cycle reached from x0: time between upward crossings of a level, located as events.

    Args:
        task: an autonomous flow.
        x0: (D,), a state in the basin of the cycle.
        component: the component whose crossings are counted.
        level: the level crossed, in the unit of that component; the cycle must cross it upwards once per turn.
        settle: time to let pass first.
        turns: number of turns to average over.
    Returns:
        The mean period, or NaN where no cycle is found within a hundred settling times.
    Raises:
        ValueError: when the field is evaluated half a million times before that.
    """
    done = 0

    def field(t: float, x: Array) -> Array:
        nonlocal done
        done += 1
        if done > MOST_EVALUATIONS:
            raise ValueError(f"no period was found within {done} evaluations; choose parameters nearer the defaults")
        return task.vector_field(t, x)

    def crossing(t: float, x: Array) -> float:  # noqa: ARG001
        return float(x[component] - level)

    crossing.direction = 1.0  # type: ignore[attr-defined]
    crossing.terminal = turns + 1  # type: ignore[attr-defined]
    tight = {"method": "DOP853", "rtol": 1e-10, "atol": 1e-12}
    with np.errstate(over="ignore", invalid="ignore"):
        start = scipy.integrate.solve_ivp(field, (0.0, settle), np.asarray(x0, float), **tight).y[:, -1]
        found = scipy.integrate.solve_ivp(field, (0.0, 100 * settle), start, events=crossing, **tight)
    hits = found.t_events[0]
    return float((hits[-1] - hits[0]) / turns) if len(hits) == turns + 1 else math.nan
