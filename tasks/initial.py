"""Distributions of initial states. Rows are drawn one after another: the first n of 2n are the n. Axes: N, D.

Common arguments: n, number of states; rng, the source of randomness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import FlowTask, Split


def box(n: int, rng: np.random.Generator, low: Sequence[float], high: Sequence[float]) -> Array:
    """Uniform in a box.

    Args:
        low, high: (D,), its corners; the others as above.
    Returns:
        (n, D).
    """
    return rng.uniform(low, high, size=(n, len(low)))


def annulus(n: int, rng: np.random.Generator, inner: float, outer: float) -> Array:
    """Uniform in radius and angle between two circles about the origin.

    Args:
        inner, outer: their radii; the others as above.
    Returns:
        (n, 2).
    """
    radius, angle = rng.uniform((inner, 0.0), (outer, 2 * np.pi), size=(n, 2)).T
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def shell(n: int, rng: np.random.Generator, inner: float, outer: float, dim: int) -> Array:
    """Uniform in direction and in radius between two spheres about the origin.

    Args:
        inner, outer: their radii; the others as above.
        dim: dimension of the space.
    Returns:
        (n, dim).
    """
    # A fixed number of draws per row keeps the stream of a row independent of n.
    draws = rng.random((n, dim + 1))
    direction = scipy.special.ndtri(np.clip(draws[:, 1:], 1e-300, 1.0))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    points: Array = (inner + (outer - inner) * draws[:, :1]) * direction
    return points


def sphere(n: int, rng: np.random.Generator, radius: float, dim: int) -> Array:
    """Uniform in direction at one distance from the origin.

    Args:
        radius: the distance; the others as above.
        dim: dimension of the space.
    Returns:
        (n, dim).
    """
    return shell(n, rng, radius, radius, dim)


def box_surface(n: int, rng: np.random.Generator, low: ArrayLike, high: ArrayLike) -> Array:
    """Uniform on a random face of a box, every face alike.

    Args:
        low, high: (D,), its corners; the others as above.
    Returns:
        (n, D).
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    draws = rng.random((n, len(low) + 1))
    face = (draws[:, -1] * 2 * len(low)).astype(int)
    unit = draws[:, :-1]
    unit[np.arange(n), face // 2] = face % 2
    points: Array = low + (high - low) * unit
    return points


def first_allowed(
    rng: np.random.Generator,
    draw: Callable[[np.random.Generator], Array],
    allowed: Callable[[Array], NDArray[np.bool_]],
) -> Array:
    """Rejection sampling: the first draw of every row that is allowed.

    Args:
        rng: the source of randomness.
        draw: (n, D) from a generator, row by row.
        allowed: (n, D) -> (n,), True where a row is accepted.
    Returns:
        (n, D).
    Raises:
        ValueError: when 1,000 draws do not do for some row.
    """
    states = draw(rng.spawn(1)[0])
    pending = ~allowed(states)
    for _ in range(999):
        if not pending.any():
            return states
        # One stream for each attempt: what a row gets does not depend on how many rows there are.
        again = draw(rng.spawn(1)[0])
        good = pending & allowed(again)
        states[good] = again[good]
        pending &= ~good
    raise ValueError("1,000 random states were tried for one row and none is allowed")


@dataclass(frozen=True, kw_only=True)
class AnnularStarts(FlowTask):
    """A flow of the plane that starts in annuli about the origin."""

    train_radii: ClassVar[tuple[float, float]]
    ood_radii: ClassVar[tuple[float, float]]

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Uniform in radius and angle, (n, 2)."""
        return annulus(n, rng, *(self.ood_radii if split == "ood" else self.train_radii))

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:
        """On a circle about the origin, (n, 2)."""
        return sphere(n, rng, radius * self.train_radii[1], 2)
