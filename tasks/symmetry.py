"""Matrices of linear symmetries, S with Φ(S x) = S Φ(x), from which tasks state theirs. Axes: D state components."""

from __future__ import annotations

import numpy as np

from ddl_dyn.metrics.arrays import Array

QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])


def change_of_sign(dim: int) -> dict[str, Array]:
    """−I of (dim, dim): the symmetry of an odd right-hand side."""
    return {"change of sign": -np.eye(dim)}


def cyclic_exchange(dim: int) -> dict[str, Array]:
    """Each of `dim` components to its neighbour's place, (dim, dim)."""
    return {"cyclic exchange": np.roll(np.eye(dim), 1, axis=0)}


def quarter_turn() -> dict[str, Array]:
    """A rotation of the plane by π/2, (2, 2)."""
    return {"quarter turn": QUARTER}


def half_turn_about_z() -> dict[str, Array]:
    """A rotation of space by π about its third axis, (3, 3)."""
    return {"half turn about z": np.diag([-1.0, -1.0, 1.0])}


def third_turn() -> dict[str, Array]:
    """A rotation by 2π/3 of the plane of positions and of that of momenta, (4, 4)."""
    c, s = -0.5, np.sqrt(0.75)
    return {"third turn": np.kron(np.eye(2), np.array([[c, -s], [s, c]]))}
