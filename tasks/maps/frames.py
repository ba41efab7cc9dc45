"""Common ground of the maps made of reflections: frames, turns, stacks of rank-one factors.

Axes: N trajectories, D state components.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import MapTask, Obstruction, Split
from ddl_dyn.tasks.initial import shell, sphere

# One factor X⁺ = X + β k (v − kᵀX) of a stack: unit direction k (D,), gate β, target v.
Factor = tuple[Array, float, float]
REVERSING = "det J < 0 everywhere, while the time-dt map of a flow has det J > 0"
PRESERVING = "a linear map with det J > 0 and a real logarithm: the time-1 map of a linear flow"


@lru_cache(maxsize=256)
def frame(d: int, count: int, seed: int) -> Array:
    """Orthonormal rows drawn uniformly; the coordinate axes where they fill the space.

    Args:
        d: dimension of the space.
        count: number of rows.
        seed: fixes the draw.
    Returns:
        (count, d).
    """
    if count == d:
        return np.eye(d)
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, count)))
    rows = np.ascontiguousarray((q * np.sign(np.diag(r))).T)
    rows.setflags(write=False)
    return rows


def along(x: Array, k: Array) -> Array:
    """Component kᵀx kept as a column, (..., D) -> (..., 1)."""
    component: Array = (x * k).sum(axis=-1, keepdims=True)
    return component


def rotated_in_plane(x: Array, p: Array, q: Array, angle: Any) -> Array:
    """States rotated in one plane, the rest of the space held.

    Args:
        x: (..., D).
        p, q: (D,), orthonormal; the turn is from p towards q.
        angle: rad, broadcast against x.
    Returns:
        (..., D).
    """
    a, b, c, s = along(x, p), along(x, q), np.cos(angle), np.sin(angle)
    turned: Array = x + (c * a - s * b - a) * p + (s * a + c * b - b) * q
    return turned


@dataclass(frozen=True, kw_only=True)
class GeometryTask(MapTask):
    """A map whose components are coordinates of one Euclidean space; initial states fill spherical shells."""

    family = "reflection"
    isotropic = True

    def relabel(self, obstruction: Obstruction, reason: str) -> None:
        """Give this instance the label its parameters call for; the class keeps the one at the defaults."""
        object.__setattr__(self, "obstruction", obstruction)
        object.__setattr__(self, "obstruction_reason", reason)

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Uniform direction, radius .5–1.5 (train) or 1.6–2.5 (ood), (n, D)."""
        inner, outer = (1.6, 2.5) if split == "ood" else (0.5, 1.5)
        return shell(n, rng, inner, outer, self.state_dim)

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array | None:
        """Uniform direction at distance 1.5 times the radius, (n, D)."""
        return sphere(n, rng, 1.5 * radius, self.state_dim)


@dataclass(frozen=True, kw_only=True)
class StackTask(GeometryTask):
    """A map that equals a stack of rank-one factors X⁺ = X + β k (v − kᵀX) with constant k, β and v."""

    @abstractmethod
    def householder_stack(self) -> list[Factor]:
        """The factors (k (D,), β, v), in order of application, whose product is the map."""

    def jacobian(self, x: Array) -> Array:
        """The linear part of the map, the same at every x."""
        origin = self.next_state(np.zeros((1, self.state_dim)))
        return np.broadcast_to((self.next_state(np.eye(self.state_dim)) - origin).T, (*x.shape, self.state_dim)).copy()


def numbered(d: int) -> tuple[str, ...]:
    """Names x1 … xd."""
    return tuple(f"x{i + 1}" for i in range(d))
