"""Dissipative maps of the plane: Hénon, Lozi, Ikeda, Duffing. Axes: N trajectories, K candidates, D = 2 components."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ddl_dyn.metrics.arrays import Array, Mask
from ddl_dyn.tasks.base import MapTask, Split
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.maps.line import e_folding_time, growth_time
from ddl_dyn.tasks.symmetry import change_of_sign

Box = tuple[tuple[float, float], tuple[float, float]]
# An orbit that stays inside the task's ball for this many steps is taken to stay: those that do not belong to the
# attractor leave it, or settle outside it, within some fifty steps.
ESCAPE_STEPS = 500
_CANDIDATES = 64


def first_bounded(task: PlanarMap, candidates: Array, allowed: Mask) -> Array:
    """For each row, the first candidate that is allowed and whose orbit stays bounded.

    Args:
        task: the map that is iterated.
        candidates: (N, K, D), drawn row by row so that the first N of 2N rows are the N.
        allowed: (N, K), True where a candidate lies in the support asked for.
    Returns:
        (N, D).
    Raises:
        ValueError: when a row has no such candidate, as for parameters whose orbits all escape.
    """
    n, count, dim = candidates.shape
    chosen = np.empty((n, dim))
    pending = np.arange(n)
    for attempt in range(count):
        rows = pending[allowed[pending, attempt]]
        good = rows[_stays_bounded(task, candidates[rows, attempt])]
        chosen[good] = candidates[good, attempt]
        pending = np.setdiff1d(pending, good, assume_unique=True)
        if not len(pending):
            return chosen
    raise ValueError(
        f"{task.key()}: expected parameters with bounded orbits, but all {count} initial states tried for a row escape "
        f"for {task}; choose parameters nearer the defaults"
    )


def _stays_bounded(task: PlanarMap, x: Array) -> Mask:
    bounded = np.ones(len(x), dtype=bool)
    for _ in range(ESCAPE_STEPS if len(x) else 0):
        x = task.next_state(x)
        bounded &= np.abs(x).max(axis=1) < task.ball
        x = np.where(bounded[:, None], x, 0.0)
    return bounded


def inside_polygon(x: Array, corners: Array) -> Mask:
    """Mask (...,) of the points x (..., 2) inside the convex polygon with corners (C, 2), taken clockwise."""
    edge = np.roll(corners, -1, axis=0) - corners
    offset = x[..., None, :] - corners
    cross = edge[:, 0] * offset[..., 1] - edge[:, 1] * offset[..., 0]
    return np.asarray((cross <= 0).all(axis=-1))


@dataclass(frozen=True, kw_only=True)
class PlanarMap(MapTask):
    """A map of the plane; initial states are screened so that every orbit stays inside a ball."""

    # Low and high corner of the boxes that candidates are drawn from, and the largest coordinate an orbit may reach.
    train_box: ClassVar[Box]
    ood_box: ClassVar[Box]
    ball: ClassVar[float] = 1e3
    state_names = ("x", "y")
    family = "map"

    def in_training_support(self, x: Array) -> Mask:
        """Mask (...,) of the states x (..., 2) in the training region; no out-of-distribution state is in it."""
        low, high = np.asarray(self.train_box)
        return np.asarray(((x >= low) & (x <= high)).all(axis=-1))

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Uniform draws (n, 2) from the training region, or from the rest of a larger box, with bounded orbits."""
        low, high = np.asarray(self.ood_box if split == "ood" else self.train_box)
        candidates = low + (high - low) * rng.random((n, _CANDIDATES, 2))
        inside = self.in_training_support(candidates)
        return first_bounded(self, candidates, ~inside if split == "ood" else inside)

    @abstractmethod
    def jacobian(self, x: Array) -> Array:
        """∂Φ/∂x, (..., 2) -> (..., 2, 2)."""

    @property
    def timescale(self) -> float:
        """Lyapunov time 1/|λ₁|."""
        return e_folding_time(self)

    @property
    def lyapunov_time(self) -> float | None:
        """1/λ₁ for λ₁ > 0, else None."""
        return growth_time(self)


def _matrix(rows: list[list[Array]]) -> Array:
    """Stack entries that broadcast against each other into matrices (..., 2, 2)."""
    entries = np.broadcast_arrays(*[entry for row in rows for entry in row])
    return np.stack([np.stack(entries[:2], axis=-1), np.stack(entries[2:], axis=-1)], axis=-2)


@dataclass(frozen=True, kw_only=True)
class Henon(PlanarMap):
    """The Hénon map.

    Equations: x⁺ = 1 − a x² + y, y⁺ = b x.
    State (x, y): dimensionless. a: strength of the fold; b: contraction of area.
    Regime: a strange attractor at the defaults.
    Facts: det J = −b, so the exponents (.4188, −1.6228) sum to ln b; fixed points (.631354, .189406) and
    (−1.131354, −.339406), both saddles.
    Initial states: Hénon's quadrilateral with corners (−1.33, .42), (1.32, .133), (1.245, −.14), (−1.06, −.5), which
    the default map carries into itself (train); the rest of [−1.6, 1.6] × [−1, 1] (ood); orbits that escape are passed
    over.
    """

    source = "Hénon (1976), A two-dimensional mapping with a strange attractor, doi:10.1007/BF01608556"
    equations = "x⁺ = 1 − a x² + y, y⁺ = b x"
    obstruction = "orientation_reversing"
    obstruction_reason = "det J = −b < 0 everywhere, while the time-dt map of a flow has det J > 0"
    train_box = ((-1.33, -0.5), (1.32, 0.42))
    ood_box = ((-1.6, -1.0), (1.6, 1.0))
    trapping_corners = ((-1.33, 0.42), (1.32, 0.133), (1.245, -0.14), (-1.06, -0.5))

    a: float = parameter(1.4, low=0.0, high=2.0, open_low=True, doc="strength of the fold")
    b: float = parameter(0.3, low=0.0, high=1.0, open_low=True, doc="contraction of area")

    def in_training_support(self, x: Array) -> Mask:
        """Mask (...,) of the states x (..., 2) in Hénon's quadrilateral."""
        return inside_polygon(x, np.asarray(self.trapping_corners))

    def next_state(self, x: Array) -> Array:
        """(1 − a x² + y, b x)."""
        return np.stack([1.0 - self.a * x[..., 0] ** 2 + x[..., 1], self.b * x[..., 0]], axis=-1)

    def jacobian(self, x: Array) -> Array:
        """[[−2 a x, 1], [b, 0]]."""
        return _matrix([[-2.0 * self.a * x[..., 0], np.array(1.0)], [np.asarray(self.b), np.array(0.0)]])


@dataclass(frozen=True, kw_only=True)
class Lozi(PlanarMap):
    """The Lozi map, Hénon's with a crease for a fold.

    Equations: x⁺ = 1 − a|x| + y, y⁺ = b x.
    State (x, y): dimensionless. a: slope of either side; b: contraction of area.
    Regime: a strange attractor at the defaults, which are Lozi's.
    Facts: det J = −b, so the exponents sum to ln b; fixed points (1/(1 + a − b), b/(1 + a − b)) = (.454545, .227273)
    and (1/(1 − a − b), b/(1 − a − b)) = (−.833333, −.416667).
    Initial states: [−.5, .5] × [−.25, .25] (train); the rest of [−1, 1] × [−.6, .6] (ood); orbits that escape are
    passed over.
    """

    source = "Lozi (1978), Un attracteur étrange du type attracteur de Hénon, doi:10.1051/jphyscol:1978505"
    equations = "x⁺ = 1 − a|x| + y, y⁺ = b x"
    obstruction = "orientation_reversing"
    obstruction_reason = "det J = −b < 0 on both sides of the crease, while the time-dt map of a flow has det J > 0"
    train_box = ((-0.5, -0.25), (0.5, 0.25))
    ood_box = ((-1.0, -0.6), (1.0, 0.6))

    a: float = parameter(1.7, low=0.0, high=2.0, open_low=True, doc="slope of either side")
    b: float = parameter(0.5, low=0.0, high=1.0, open_low=True, doc="contraction of area")

    def next_state(self, x: Array) -> Array:
        """(1 − a|x| + y, b x)."""
        return np.stack([1.0 - self.a * np.abs(x[..., 0]) + x[..., 1], self.b * x[..., 0]], axis=-1)

    def jacobian(self, x: Array) -> Array:
        """[[−a sgn x, 1], [b, 0]]."""
        return _matrix([[-self.a * np.sign(x[..., 0]), np.array(1.0)], [np.asarray(self.b), np.array(0.0)]])


@dataclass(frozen=True, kw_only=True)
class Ikeda(PlanarMap):
    """The Ikeda map: light going round a ring cavity, in real form.

    Equations: z⁺ = 1 + u z exp(i (p₀ − p₁/(1 + |z|²))), z = x + i y.
    State (x, y): real and imaginary part of the field, in units of the input. u: share of the field kept per turn;
    p0: detuning, rad; p1: nonlinear phase, rad.
    Regime: a strange attractor within |z| < 3 at the defaults, beside the attracting fixed point (2.97213, 4.14595).
    Facts: det J = u² everywhere, so the exponents sum to 2 ln u; |z| ≤ 1/(1 − u) in the end.
    Initial states: [−.35, .35]² (train); the rest of [−1, 1.5] × [−1.5, .8] (ood); orbits that settle on the outer
    fixed point are passed over.
    """

    source = "Hammel, Jones, Moloney (1985), Global dynamical behavior of the optical field, doi:10.1364/JOSAB.2.000552"
    equations = "z⁺ = 1 + u z exp(i (p₀ − p₁/(1 + |z|²)))"
    obstruction_reason = (
        "det J = u² > 0 and the map is invertible; whether a flow interpolates it is open, no sign forbids it"
    )
    train_box = ((-0.35, -0.35), (0.35, 0.35))
    ood_box = ((-1.0, -1.5), (1.5, 0.8))
    ball = 4.0

    u: float = parameter(0.9, low=0.0, high=0.95, open_low=True, doc="share of the field kept per turn")
    p0: float = parameter(0.4, low=-10.0, high=10.0, doc="detuning, rad")
    p1: float = parameter(6.0, low=0.0, high=20.0, doc="nonlinear phase, rad")

    def next_state(self, x: Array) -> Array:
        """1 + u R(phase) x."""
        phase = self.p0 - self.p1 / (1.0 + x[..., 0] ** 2 + x[..., 1] ** 2)
        cos, sin = np.cos(phase), np.sin(phase)
        return np.stack(
            [1.0 + self.u * (x[..., 0] * cos - x[..., 1] * sin), self.u * (x[..., 0] * sin + x[..., 1] * cos)], axis=-1
        )

    def jacobian(self, x: Array) -> Array:
        """u R(phase) (1 + Q x ∇phaseᵀ), Q the quarter turn."""
        square = 1.0 + x[..., 0] ** 2 + x[..., 1] ** 2
        phase = self.p0 - self.p1 / square
        cos, sin = np.cos(phase), np.sin(phase)
        image = self.next_state(x)
        turned = np.stack([-image[..., 1], image[..., 0] - 1.0], axis=-1)
        gradient = (2.0 * self.p1 / square**2)[..., None] * x
        return self.u * _matrix([[cos, -sin], [sin, cos]]) + turned[..., :, None] * gradient[..., None, :]


@dataclass(frozen=True, kw_only=True)
class DuffingMap(PlanarMap):
    """The Duffing map (Holmes's cubic map).

    Equations: x⁺ = y, y⁺ = −b x + a y − y³.
    State (x, y): dimensionless. a: slope at the origin; b: contraction of area.
    Regime: a strange attractor at the defaults, odd under (x, y) → −(x, y).
    Facts: det J = b, so the exponents (.4767, −2.0862) sum to ln b; fixed points 0 and ±√(a − b − 1) (1, 1), with √ =
    1.244990; the 2-cycle ±√(a + b + 1) (1, −1), with √ = 1.987461, is isolated.
    Initial states: [−.5, .5]² (train); the rest of [−1, 1]² (ood); orbits that escape are passed over.
    """

    source = "Holmes (1979), A nonlinear oscillator with a strange attractor, doi:10.1098/rsta.1979.0068"
    equations = "x⁺ = y, y⁺ = −b x + a y − y³"
    obstruction = "isolated_cycle"
    obstruction_reason = (
        "±√(a + b + 1) (1, −1) is an isolated 2-cycle, while one of the time-dt map of an autonomous flow "
        "lies on a closed orbit full of them"
    )
    train_box = ((-0.5, -0.5), (0.5, 0.5))
    ood_box = ((-1.0, -1.0), (1.0, 1.0))

    a: float = parameter(2.75, low=0.0, high=3.0, open_low=True, doc="slope at the origin")
    b: float = parameter(0.2, low=0.0, high=1.0, open_low=True, doc="contraction of area")

    def next_state(self, x: Array) -> Array:
        """(y, −b x + a y − y³)."""
        y = x[..., 1]
        return np.stack([y, -self.b * x[..., 0] + self.a * y - y * y * y], axis=-1)

    def jacobian(self, x: Array) -> Array:
        """[[0, 1], [−b, a − 3 y²]]."""
        return _matrix([[np.array(0.0), np.array(1.0)], [-np.asarray(self.b), self.a - 3.0 * x[..., 1] ** 2]])

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)
