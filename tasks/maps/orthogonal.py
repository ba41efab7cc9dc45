"""Orthogonal maps by the number of mirrors they take: Householder chains and permutations of coordinates.

Axes: N trajectories, D state components.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.maps.frames import PRESERVING, REVERSING, Factor, StackTask, along, numbered
from ddl_dyn.tasks.symmetry import change_of_sign


@lru_cache(maxsize=64)
def _normals(count: int, d: int, seed: int) -> Array:
    rows = np.random.default_rng(seed).standard_normal((count, d))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows.setflags(write=False)
    return rows


@dataclass(frozen=True, kw_only=True)
class HouseholderChain(StackTask):
    """A chain of m reflections in random hyperplanes.

    Equations: x⁺ = H_m … H_1 x, H_i = I − 2 kᵢ kᵢᵀ.
    State (x1 … xd): coordinates of one space, dimensionless. m: mirrors, at most d; d: dimension; seed: fixes the unit
    normals, drawn uniformly.
    Regime: quasi-periodic rotation of the span of the normals, with a flip where m is odd; the rest of space is held.
    Facts: exponents 0, det = (−1)^m; exactly m factors with β = 2 and no fewer, the rank of the map minus the identity
    being m (Cartan–Dieudonné, Scherk). The norm is kept, and so is every coordinate across the span.
    Initial states: radius .5–1.5 (train), 1.6–2.5 (ood). Radius: 1.5.
    """

    source = "Householder (1958), Unitary triangularization of a nonsymmetric matrix, doi:10.1145/320941.320947"
    equations = "x⁺ = H_m … H_1 x, H_i = I − 2 kᵢ kᵢᵀ"
    obstruction_reason = PRESERVING

    m: int = parameter(4, low=1, high=1024, doc="number of mirrors")
    d: int = parameter(8, low=2, high=1024, doc="dimension")
    seed: int = parameter(0, low=0, doc="fixes the normals")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.m > self.d:
            raise ValueError(
                f"{self.key()}: m must be at most d = {self.d}, got {self.m}: more mirrors are never needed"
            )
        if self.m % 2:
            self.relabel("orientation_reversing", REVERSING)

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """x1 … xd."""
        return numbered(self.d)

    @property
    def normals(self) -> Array:
        """Unit normals of the mirrors, in the order in which they act, (m, d)."""
        return _normals(self.m, self.d, self.seed)

    @property
    def matrix(self) -> Array:
        """H_m … H_1, (d, d)."""
        return self.next_state(np.eye(self.d)).T

    @property
    def timescale(self) -> float:
        """Period of the slowest rotation, 2π over the smallest angle."""
        angles = np.abs(np.angle(np.linalg.eigvals(self.matrix)))
        return float(2.0 * np.pi / angles[angles > 1e-6].min()) * self.dt

    def next_state(self, x: Array) -> Array:
        """Each mirror in turn."""
        for k in self.normals:
            x = x - 2.0 * k * along(x, k)
        return x

    def exact(self, x0: Array, steps: int) -> Array:
        """Powers of the matrix through its unitary diagonalisation, (N, steps+1, d)."""
        triangle, basis = scipy.linalg.schur(self.matrix, output="complex")
        phases = np.angle(np.diag(triangle)) * np.arange(steps + 1)[:, None]
        inside = x0 @ basis.conj()
        return np.real((inside[:, None] * np.exp(1j * phases)) @ basis.T)

    def householder_stack(self) -> list[Factor]:
        """(kᵢ, 2, 0) for every mirror."""
        return [(k, 2.0, 0.0) for k in self.normals]

    def invariants(self, x: Array) -> dict[str, Array]:
        """Norm, and the norm of the part that no mirror touches where there is one."""
        out = {"norm": np.linalg.norm(x, axis=-1)}
        if self.m < self.d:
            span = np.linalg.qr(self.normals.T)[0]
            out["held"] = np.linalg.norm(x - (x @ span) @ span.T, axis=-1)
        return out

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)


@dataclass(frozen=True, kw_only=True)
class PermutationMap(StackTask):
    """A permutation of the coordinates.

    Equations: x⁺ = P x; within each cycle of length l, x⁺ᵢ₊₁ = xᵢ and the last comes first.
    State (x1 … xd): coordinates of one space, dimensionless; d is the sum of `lengths`, the cycles side by side.
    Regime: every orbit is periodic, with the least common multiple of the lengths.
    Facts: exponents 0, det = Π (−1)^(l−1); exactly Σ (l − 1) factors with β = 2 and k = (eᵢ − eⱼ)/√2, the dimension
    minus the number of cycles. Sum and norm of each cycle are kept.
    Initial states: radius .5–1.5 (train), 1.6–2.5 (ood). Radius: 1.5.
    """

    source = "Dixon, Mortimer (1996), Permutation Groups, §1.2 (cycles), doi:10.1007/978-1-4612-0731-3"
    equations = "x⁺ = P x"
    obstruction = "orientation_reversing"
    obstruction_reason = REVERSING

    lengths: tuple[int, ...] = (3, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.lengths or min(self.lengths) < 1 or max(self.lengths) < 2 or sum(self.lengths) > 1024:
            raise ValueError(
                f"{self.key()}: lengths must be positive, one at least 2, their sum at most 1024, got {self.lengths}"
            )
        if sum(length - 1 for length in self.lengths) % 2 == 0:
            self.relabel("none", PRESERVING)

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """x1 … xd."""
        return numbered(sum(self.lengths))

    def _cycles(self) -> list[Array]:
        """Indices of the components of every cycle."""
        return np.split(np.arange(sum(self.lengths)), np.cumsum(self.lengths)[:-1])

    @property
    def timescale(self) -> float:
        """Period of the orbits."""
        return math.lcm(*self.lengths) * self.dt

    def next_state(self, x: Array) -> Array:
        """Every component to the next place of its cycle."""
        return x[..., np.concatenate([np.roll(cycle, 1) for cycle in self._cycles()])]

    def exact(self, x0: Array, steps: int) -> Array:
        """Every component t places on, (N, steps+1, d)."""
        t = np.arange(steps + 1)[:, None]
        origin = [cycle[0] + (np.arange(len(cycle)) - t) % len(cycle) for cycle in self._cycles()]
        return x0[:, np.concatenate(origin, axis=1)]

    def householder_stack(self) -> list[Factor]:
        """Swaps of neighbours, the last pair of each cycle first."""
        unit = np.eye(sum(self.lengths))
        return [
            ((unit[i] - unit[i + 1]) / np.sqrt(2.0), 2.0, 0.0) for cycle in self._cycles() for i in cycle[:-1][::-1]
        ]

    def invariants(self, x: Array) -> dict[str, Array]:
        """Sum and norm of each cycle."""
        out: dict[str, Array] = {}
        for i, cycle in enumerate(self._cycles(), 1):
            out |= {f"sum_{i}": x[..., cycle].sum(axis=-1), f"norm_{i}": np.linalg.norm(x[..., cycle], axis=-1)}
        return out

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)
