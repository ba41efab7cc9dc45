"""Elastic collisions of hard spheres in a box. Axes: N trajectories, n spheres, d dimensions of space, D state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ddl_dyn.metrics.arrays import Array, Index
from ddl_dyn.tasks.base import MapTask, Split
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.hybrid.events import JUMPS, advance, straight, time_into_ball, time_out_of_box
from ddl_dyn.tasks.initial import first_allowed, sphere


@dataclass(frozen=True, kw_only=True)
class HardSpheres(MapTask):
    """Hard spheres in a d-dimensional box: elastic collisions, sampled every dt.

    Equations: ẋᵢ = vᵢ; vᵢ → vᵢ − ((vᵢ − vⱼ)·n) n, vⱼ → vⱼ + ((vᵢ − vⱼ)·n) n when i and j touch, n the unit vector
    between them; a component of vᵢ changes sign at a wall.
    State (x11 … xnd, v11 … vnd): positions and velocities, sphere by sphere; half sides 1, equal masses; mean
    square speed 1. n: spheres; d: dimension; radius: of each.
    Regime: chaotic for d ≥ 2; for d = 1 the velocities are only exchanged, and the rods move as points that pass
    through one another, relabelled.
    Facts: the energy is kept, by collisions of spheres the momentum too. Either collision is one factor with β = 2 and
    v = 0 on the velocities, with k = (n, −n)/√2 or along an axis. Reversing all velocities runs the orbit backwards.
    Initial states: without overlap, x11 < 0 (train), x11 > .05 (ood), velocities in any direction.
    """

    source = "Alder, Wainwright (1959), Studies in molecular dynamics I: general method, doi:10.1063/1.1730376"
    equations = "ẋᵢ = vᵢ; vᵢ → vᵢ − ((vᵢ − vⱼ)·n) n at a collision"
    family = "billiard"
    isotropic = True
    obstruction_reason = JUMPS

    dt: float = 0.1
    n: int = parameter(2, low=2, high=16, doc="number of spheres")
    d: int = parameter(2, low=1, high=8, doc="dimension")
    radius: float = parameter(0.25, low=0.0, high=0.45, open_low=True, doc="radius of each sphere")

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Positions, then velocities; xij is coordinate j of sphere i."""
        spheres, space = range(1, self.n + 1), range(1, self.d + 1)
        mark = "_" if max(self.n, self.d) > 9 else ""
        return tuple(f"{part}{i}{mark}{j}" for part in "xv" for i in spheres for j in space)

    @property
    def timescale(self) -> float:
        """Time in which a sphere at the mean speed crosses half the box."""
        return 1.0

    def _pairs(self, x: Array) -> tuple[Index, Index, Array, Array]:
        """Indices (P,) of either sphere of every pair, their offsets and relative velocities (..., P, d)."""
        i, j = np.triu_indices(self.n, 1)
        place, v = (part.reshape(*x.shape[:-1], self.n, self.d) for part in np.split(x, 2, axis=-1))
        return i, j, place[..., i, :] - place[..., j, :], v[..., i, :] - v[..., j, :]

    def next_event(self, x: Array) -> tuple[Array, Array]:
        """Time to the next collision (N,) of states (N, 2nd), and the states just after it."""
        size = self.n * self.d
        walls = time_out_of_box(x[:, :size], x[:, size:], 1.0 - self.radius)
        i, j, offset, relative = self._pairs(x)
        pairs = time_into_ball(offset, relative, 2.0 * self.radius)
        first = np.concatenate([walls, pairs], axis=1).argmin(axis=1)
        time = np.concatenate([walls, pairs], axis=1).min(axis=1)
        after = straight(x, time)
        rows = np.arange(len(x))
        at_wall, k = first < size, np.maximum(first - size, 0)
        velocity = after[:, size:].reshape(len(x), self.n, self.d)
        touch = (offset + relative * np.where(at_wall, 0.0, time)[:, None, None])[rows, k]
        normal = touch / np.linalg.norm(touch, axis=1, keepdims=True)
        push = (relative[rows, k] * normal).sum(axis=1, keepdims=True) * normal
        push[at_wall] = 0.0
        velocity[rows, i[k]] -= push
        velocity[rows, j[k]] += push
        after[:, size:] = velocity.reshape(len(x), size)
        after[rows[at_wall], size + first[at_wall]] *= -1.0
        return time, after

    def next_state(self, x: Array) -> Array:
        """State after dt, through every collision on the way."""
        flat = np.asarray(x).reshape(-1, self.state_dim)
        return advance(flat, self.dt, motion=straight, next_event=self.next_event).reshape(x.shape)

    def check_states(self, x0: Array, steps: int) -> Array:
        """As for every task; overlapping spheres are refused, or one inside a wall."""
        x = super().check_states(x0, steps)
        gaps = np.linalg.norm(self._pairs(x)[2], axis=-1) - 2.0 * self.radius
        # Spheres that touch overlap by rounding.
        bad = (gaps < -1e-9).any(axis=1) | (np.abs(x[:, : self.n * self.d]) > 1.0 - self.radius + 1e-9).any(axis=1)
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"{self.key()}: spheres must not overlap or reach into a wall, but row {row} is {x[row]}")
        return x

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Uniform positions without overlap, velocities uniform on the sphere of this energy, (n, 2nd)."""
        size = self.n * self.d

        def draw(generator: np.random.Generator) -> Array:
            places, directions = generator.spawn(2)
            place = (1.0 - self.radius) * (2.0 * places.random((n, size)) - 1.0)
            return np.concatenate([place, sphere(n, directions, float(np.sqrt(self.n)), size)], axis=1)

        def allowed(x: Array) -> NDArray[np.bool_]:
            apart = np.linalg.norm(self._pairs(x)[2], axis=-1) > 2.0 * self.radius
            found: NDArray[np.bool_] = apart.all(axis=1) & (x[:, 0] > 0.05 if split == "ood" else x[:, 0] < 0.0)
            return found

        try:
            return first_allowed(rng, draw, allowed)
        except ValueError as error:
            raise ValueError(f"{self.key()}: {self.n} spheres of radius {self.radius} hardly fit; {error}") from error

    def invariants(self, x: Array) -> dict[str, Array]:
        """Kinetic energy per sphere."""
        return {"energy": (x[..., self.n * self.d :] ** 2).sum(axis=-1) / (2 * self.n)}
