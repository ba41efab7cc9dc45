"""Systems with jumps: motion in closed form between events, each found exactly, never stepped over.

Axes: N trajectories, D state components, d dimensions of space.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ddl_dyn.metrics.arrays import Array

# A trajectory with more events than this in one interval slides or comes to rest in a point; its state becomes NaN.
MAX_EVENTS = 10_000
JUMPS = "volume is preserved and the map invertible, but velocities jump: no smooth field has this flow"


def advance(
    x: Array,
    duration: float,
    *,
    motion: Callable[[Array, Array], Array],
    next_event: Callable[[Array], tuple[Array, Array]],
) -> Array:
    """Carry states forward through every event on the way.

    Args:
        x: (N, D), not changed.
        duration: time to pass.
        motion: states (K, D) and times (K,) -> the states after these times without an event, (K, D).
        next_event: states (K, D) -> time to the next event (K,), infinite where none comes, and the state just after it
            (K, D).
    Returns:
        (N, D); NaN for a trajectory with more than 10,000 events.
    """
    states = np.array(x)
    left = np.full(len(states), duration, dtype=states.dtype)
    moving = np.arange(len(states))
    for _ in range(MAX_EVENTS):
        time, after = next_event(states[moving])
        hits = time <= left[moving]
        free = moving[~hits]
        states[free] = motion(states[free], left[free])
        moving = moving[hits]
        if not len(moving):
            return states
        states[moving] = after[hits]
        left[moving] -= time[hits]
    states[moving] = np.nan
    return states


def straight(x: Array, time: Array) -> Array:
    """Uniform motion of states (..., 2n), positions before velocities, over times (...)."""
    half = x.shape[-1] // 2
    return np.concatenate([x[..., :half] + x[..., half:] * time[..., None], x[..., half:]], axis=-1)


def reflect(v: Array, normal: Array) -> Array:
    """v − 2 (v·n) n, (..., d) -> (..., d): the Delta update with β = 2, k = n and target 0."""
    reflected: Array = v - 2.0 * (v * normal).sum(axis=-1, keepdims=True) * normal
    return reflected


def across(x: Array, v: Array) -> tuple[Array, Array, Array]:
    """Speed |v|, component of x along v, and distance of the line from the origin; x and v (..., d) -> three (...)."""
    speed = np.linalg.norm(v, axis=-1)
    along = (x * v).sum(axis=-1) / speed
    return speed, along, np.linalg.norm(x - (along / speed)[..., None] * v, axis=-1)


def time_into_ball(x: Array, v: Array, radius: float) -> Array:
    """Time until a point enters a ball about the origin from outside, (...); infinite for a miss.

    Args:
        x, v: (..., d), position and velocity.
        radius: of the ball.
    """
    speed, along, aside = across(x, v)
    # The product form keeps a grazing hit exact: radius² − aside² would lose half of its digits.
    half_chord = np.sqrt(np.maximum((radius - aside) * (radius + aside), 0.0))
    return np.where((aside < radius) & (along < 0), np.maximum(-along - half_chord, 0.0) / speed, np.inf)


def time_out_of_ball(x: Array, v: Array, radius: float) -> Array:
    """Time until a point leaves a ball about the origin from inside, (...).

    Args: as for `time_into_ball`.
    """
    speed, along, aside = across(x, v)
    half_chord = np.sqrt(np.maximum((radius - aside) * (radius + aside), 0.0))
    return np.maximum(half_chord - along, 0.0) / speed


def time_out_of_box(x: Array, v: Array, half: float) -> Array:
    """Time until each coordinate reaches a wall of a cube about the origin, (..., d); infinite for one that rests.

    Args:
        x, v: (..., d), position and velocity.
        half: half side of the cube.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(v != 0, np.maximum((np.sign(v) * half - x) / v, 0.0), np.inf)
