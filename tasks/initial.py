"""Distributions of initial states. Rows are drawn one after another: the first n of 2n are the n. Axes: N, D."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy

from ddl_dyn.tasks.base import Array


def box(n: int, rng: np.random.Generator, low: Sequence[float], high: Sequence[float]) -> Array:
    """Uniform in the box [low, high], (n, D)."""
    return rng.uniform(low, high, size=(n, len(low)))


def annulus(n: int, rng: np.random.Generator, inner: float, outer: float) -> Array:
    """Uniform in radius and angle between two circles about the origin, (n, 2)."""
    radius, angle = rng.uniform((inner, 0.0), (outer, 2 * np.pi), size=(n, 2)).T
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def shell(n: int, rng: np.random.Generator, inner: float, outer: float, dim: int) -> Array:
    """Uniform in direction and in radius between two spheres about the origin, (n, dim)."""
    # A fixed number of draws per row keeps the stream of a row independent of n.
    draws = rng.random((n, dim + 1))
    direction = scipy.special.ndtri(np.clip(draws[:, 1:], 1e-300, 1.0))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return (inner + (outer - inner) * draws[:, :1]) * direction
