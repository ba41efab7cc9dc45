"""Walls of billiards: time of flight to a circle, a disc, a box, a stadium, as roots in closed form.

Axes: N trajectories; every function takes positions x and velocities v of shape (..., 2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ddl_dyn.metrics.arrays import Array


def leave_circle(x: Array, v: Array, radius: float) -> tuple[Array, Array]:
    """Time to the wall of a circle about the origin from inside it, and the inward normal there.

    Args:
        x, v: (..., 2), position and velocity.
        radius: of the circle.
    """
    speed = np.hypot(v[..., 0], v[..., 1])
    forward = (x * v).sum(axis=-1) / speed
    aside = np.abs(x[..., 0] * v[..., 1] - x[..., 1] * v[..., 0]) / speed
    half_chord = np.sqrt(np.maximum((radius - aside) * (radius + aside), 0.0))
    time = np.maximum(half_chord - forward, 0.0) / speed
    hit = x + v * time[..., None]
    return time, -hit / np.hypot(hit[..., 0], hit[..., 1])[..., None]


def enter_circle(x: Array, v: Array, radius: float) -> tuple[Array, Array]:
    """Time to a disc about the origin from outside it (infinite where it is missed), and the outward normal there.

    Args: as for `leave_circle`.
    """
    speed = np.hypot(v[..., 0], v[..., 1])
    forward = (x * v).sum(axis=-1) / speed
    aside = np.abs(x[..., 0] * v[..., 1] - x[..., 1] * v[..., 0]) / speed
    # The product form keeps a grazing hit exact: radius² − aside² would lose half of its digits.
    half_chord = np.sqrt(np.maximum((radius - aside) * (radius + aside), 0.0))
    meets = (aside < radius) & (forward < 0)
    time = np.where(meets, np.maximum(-forward - half_chord, 0.0) / speed, np.inf)
    hit = x + v * np.where(meets, time, 0.0)[..., None]
    return time, hit / np.hypot(hit[..., 0], hit[..., 1])[..., None]


def leave_box(x: Array, v: Array, half: Array) -> tuple[Array, Array]:
    """Time to the wall of a box about the origin from inside it, and the inward normal there.

    Args:
        x, v: (..., 2), position and velocity.
        half: (2,), half sides, infinite where there is no wall.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(v != 0, np.maximum((np.sign(v) * half - x) / v, 0.0), np.inf)
    sideways = times[..., 0] <= times[..., 1]
    normal = -np.sign(v) * np.stack([sideways, ~sideways], axis=-1)
    return times.min(axis=-1), normal


def leave_stadium(x: Array, v: Array, length: float) -> tuple[Array, Array]:
    """Time to the wall of a stadium from inside it, and the inward normal there.

    Args:
        x, v: (..., 2), position and velocity.
        length: half of each straight side |y| = 1, |x| ≤ length; half circles of radius 1 close them.
    """
    strip_time, strip_normal = leave_box(x, v, np.array([np.inf, 1.0]))
    # Where the line leaves the strip decides which wall it meets, so that no gap can open at the junctions.
    with np.errstate(invalid="ignore"):
        leaves_at = np.where(np.isfinite(strip_time), x[..., 0] + v[..., 0] * strip_time, np.sign(v[..., 0]) * np.inf)
    side = np.where(leaves_at >= 0, 1.0, -1.0)
    centre = np.stack([side * length, np.zeros_like(side)], axis=-1)
    cap_time, cap_normal = leave_circle(x - centre, v, 1.0)
    straight = np.abs(leaves_at) <= length
    return np.where(straight, strip_time, cap_time), np.where(straight[..., None], strip_normal, cap_normal)


class TableShape(NamedTuple):
    """One shape: its wall, its inside, its measures, and the proportion that it has unless told otherwise."""

    # (x, v, proportion) -> time to the wall, unit normal there
    wall: Callable[[Array, Array, float], tuple[Array, Array]]
    # (x, proportion) -> distance from the wall, negative outside
    gap: Callable[[Array, float], Array]
    # proportion -> area, perimeter, half sides of the bounding box
    measure: Callable[[float], tuple[float, float, tuple[float, float]]]
    proportion: float | None
    limit: float


def _sinai_wall(x: Array, v: Array, radius: float) -> tuple[Array, Array]:
    box_time, box_normal = leave_box(x, v, np.ones(2))
    disc_time, disc_normal = enter_circle(x, v, radius)
    disc = disc_time < box_time
    return np.where(disc, disc_time, box_time), np.where(disc[..., None], disc_normal, box_normal)


TABLES: dict[str, TableShape] = {
    "circle": TableShape(
        wall=lambda x, v, _: leave_circle(x, v, 1.0),
        gap=lambda x, _: 1.0 - np.hypot(x[..., 0], x[..., 1]),
        measure=lambda _: (np.pi, 2.0 * np.pi, (1.0, 1.0)),
        proportion=None,
        limit=1.0,
    ),
    "rectangle": TableShape(
        wall=lambda x, v, p: leave_box(x, v, np.array([1.0, p])),
        gap=lambda x, p: (np.array([1.0, p]) - np.abs(x)).min(axis=-1),
        measure=lambda p: (4.0 * p, 4.0 * (1.0 + p), (1.0, p)),
        proportion=2.0 / (1.0 + np.sqrt(5.0)),
        limit=1.0,
    ),
    "sinai": TableShape(
        wall=_sinai_wall,
        gap=lambda x, p: np.minimum((1.0 - np.abs(x)).min(axis=-1), np.hypot(x[..., 0], x[..., 1]) - p),
        measure=lambda p: (4.0 - np.pi * p * p, 8.0 + 2.0 * np.pi * p, (1.0, 1.0)),
        proportion=0.5,
        limit=0.95,
    ),
    "stadium": TableShape(
        wall=leave_stadium,
        gap=lambda x, p: 1.0 - np.hypot(np.maximum(np.abs(x[..., 0]) - p, 0.0), x[..., 1]),
        measure=lambda p: (np.pi + 4.0 * p, 2.0 * np.pi + 4.0 * p, (1.0 + p, 1.0)),
        proportion=1.0,
        limit=10.0,
    ),
}
