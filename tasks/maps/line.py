"""Maps of the line that fold and flip: logistic (and its family), tent, Ricker, Gauss, flip-flop.

Axes: N trajectories, D state components (D = 1 here).
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import MapTask, Obstruction, Split
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.flows.families import ConditionedTask
from ddl_dyn.tasks.initial import sphere
from ddl_dyn.tasks.symmetry import change_of_sign

Band = tuple[float, float]


def draw_bands(n: int, rng: np.random.Generator, bands: tuple[Band, ...]) -> Array:
    """Uniform draws from a union of intervals, one uniform number per row.

    Args:
        n: number of rows.
        rng: source of randomness.
        bands: disjoint half-open intervals [low, high).
    Returns:
        (n, 1).
    """
    low, high = np.asarray(bands, dtype=np.float64).T
    ends = np.cumsum(high - low)
    position = rng.random((n, 1)) * ends[-1]
    band = np.minimum(np.searchsorted(ends, position, side="right"), len(bands) - 1)
    places: Array = low[band] + position - (ends[band] - (high - low)[band])
    return places


# An exponent is averaged over this many orbits and steps, after the transient.
_ORBITS, _STEPS, _TRANSIENT = 16, 2000, 200


@functools.lru_cache(maxsize=64)
def largest_exponent(task: MapTask) -> float:
    """Largest Lyapunov exponent λ per step, along orbits from the training support.

    A tangent vector is carried along each orbit by the analytic Jacobian and renormalised at every step.
    """
    x = task.initial_states(_ORBITS, rng=np.random.default_rng(0), split="train")
    tangent, growth = np.ones((_ORBITS, task.state_dim, 1)), np.zeros(_ORBITS)
    for step in range(_TRANSIENT + _STEPS):
        jacobian = task.jacobian(x)
        assert jacobian is not None
        tangent = jacobian @ tangent
        norm = np.linalg.norm(tangent, axis=(1, 2))
        tangent = tangent / np.where(norm > 0, norm, 1.0)[:, None, None]
        if step >= _TRANSIENT:
            growth += np.log(np.maximum(norm, 1e-300))
        x = task.next_state(x)
    return float(growth.mean()) / _STEPS


def e_folding_time(task: MapTask) -> float:
    """1/|λ| in the task's unit of time, at least dt: an error grows e-fold for λ > 0 and shrinks e-fold for λ < 0."""
    return task.dt * max(1.0, 1.0 / max(abs(largest_exponent(task)), 1.0 / _STEPS))


def growth_time(task: MapTask) -> float | None:
    """1/λ in the task's unit of time, at least dt, where λ is positive beyond its sampling error; else None."""
    exponent = largest_exponent(task)
    return task.dt * max(1.0, 1.0 / exponent) if exponent > 10.0 / _STEPS else None


@dataclass(frozen=True, kw_only=True)
class LineMap(MapTask):
    """A map of the line x⁺ = f(x), given by f and f′ and by the intervals that initial states are drawn from."""

    train_bands: ClassVar[tuple[Band, ...]]
    ood_bands: ClassVar[tuple[Band, ...]]
    state_names = ("x",)
    family = "map"
    obstruction: ClassVar[Obstruction] = "non_injective"
    obstruction_reason = "two states share one image, while the time-dt map of a flow is injective"

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Uniform draws (n, 1) from the training intervals, or from the disjoint out-of-distribution ones."""
        return draw_bands(n, rng, self.ood_bands if split == "ood" else self.train_bands)

    @abstractmethod
    def slope(self, x: Array) -> Array:
        """f′(x), (...,) -> (...,)."""

    def jacobian(self, x: Array) -> Array:
        """f′(x) as a matrix, (..., 1) -> (..., 1, 1)."""
        return self.slope(x[..., 0])[..., None, None]

    @property
    def timescale(self) -> float:
        """1/|λ|: the time in which an error grows or shrinks e-fold."""
        return e_folding_time(self)

    @property
    def lyapunov_time(self) -> float | None:
        """1/λ for λ > 0, else None."""
        return growth_time(self)


@dataclass(frozen=True, kw_only=True)
class Logistic(LineMap):
    """The logistic map.

    Equations: x⁺ = r x (1 − x).
    State (x): population as a share of the largest possible one, dimensionless; [0, 1] is carried into itself. r:
    growth rate per generation.
    Regime: chaos with λ = .4956 at the default.
    Facts: r = 4 is conjugate to the tent map of slope 2, λ = ln 2; r = 3.2 has the attracting 2-cycle .513045, .799455
    with λ = ½ ln .16 = −.9163; the cycle's points are (r + 1 ± √((r + 1)(r − 3)))/(2r). An orbit at r = 4 ends in
    0 once rounding brings it to ½, about once in 1e8 steps.
    Initial states: .2 ≤ x < .8 (train); .02 ≤ x < .2 and .8 ≤ x < .98 (ood).
    """

    source = "May (1976), Simple mathematical models with very complicated dynamics, doi:10.1038/261459a0"
    equations = "x⁺ = r x (1 − x)"
    train_bands = ((0.2, 0.8),)
    ood_bands = ((0.02, 0.2), (0.8, 0.98))

    r: float = parameter(3.9, low=0.0, high=4.0, open_low=True, doc="growth rate per generation")

    def next_state(self, x: Array) -> Array:
        """r x (1 − x)."""
        return np.asarray(self.r)[..., None] * x * (1.0 - x)

    def slope(self, x: Array) -> Array:
        """r (1 − 2x)."""
        return self.r * (1.0 - 2.0 * x)


@dataclass(frozen=True, kw_only=True)
class LogisticFamily(ConditionedTask):
    """Logistic maps, an r per trajectory.

    Equations: x⁺ = r x (1 − x); input r. State (x) as in `Logistic`. The training range holds fixed points (r < 3),
    2-cycles (3 < r < 3.449) and the start of the period-doubling cascade; the gap lies among the 2-cycles; the ood
    range is chaotic but for narrow periodic windows (the widest of all, of period 3, begins beyond it, at 1 + √8 =
    3.828).
    Initial states: the training interval of `Logistic`.
    """

    member = Logistic
    conditioned_on = "r"
    state_names = Logistic.state_names
    input_names = ("r",)
    source = Logistic.source
    equations = Logistic.equations
    family = "map"
    obstruction = "non_injective"
    obstruction_reason = "for each r two states share one image, while the time-dt map of a flow is injective"
    dt: float = 1.0
    train_range: tuple[float, float] = (2.6, 3.55)
    gap: tuple[float, float] = (3.1, 3.3)
    ood_range: tuple[float, float] = (3.6, 3.8)


@dataclass(frozen=True, kw_only=True)
class Tent(LineMap):
    """The tent map.

    Equations: x⁺ = μ min(x, 1 − x).
    State (x): dimensionless, [0, 1] is carried into itself. mu: slope of either side.
    Regime: chaos on the whole interval [μ(1 − μ/2), μ/2].
    Facts: λ = ln μ exactly, at every orbit. μ = 2 is refused: doubling shifts a binary fraction to the left, so that
    every double-precision orbit reaches 0 within some 55 steps.
    Initial states: .2 ≤ x < .8 (train); .02 ≤ x < .2 and .8 ≤ x < .98 (ood).
    """

    source = "Strogatz (2015), Nonlinear Dynamics and Chaos, 2nd ed., example 10.5.2, ISBN 978-0-8133-4910-7"
    equations = "x⁺ = μ min(x, 1 − x)"
    train_bands = ((0.2, 0.8),)
    ood_bands = ((0.02, 0.2), (0.8, 0.98))

    mu: float = parameter(1.99, low=0.0, high=1.9999, open_low=True, doc="slope of either side")

    def next_state(self, x: Array) -> Array:
        """μ min(x, 1 − x)."""
        return self.mu * np.minimum(x, 1.0 - x)

    def slope(self, x: Array) -> Array:
        """μ left of ½, −μ right of it."""
        return np.where(x < 0.5, self.mu, -self.mu)


@dataclass(frozen=True, kw_only=True)
class Ricker(LineMap):
    """The Ricker map of stock and recruitment.

    Equations: x⁺ = x exp(r − x).
    State (x): population in units of the one that cuts reproduction to 1/e, positive. r: growth rate per generation.
    Regime: chaos with λ = .4159 at the default; the attractor reaches from exp(2r − 1 − e^(r−1)) to e^(r−1).
    Facts: the fixed point x = r has slope 1 − r and loses stability at r = 2.
    Initial states: .2 ≤ x < 5 (train); .02 ≤ x < .2 and 5 ≤ x < 9 (ood). Radius: x = 5.
    """

    source = "Ricker (1954), Stock and recruitment, J. Fish. Res. Board Can. 11, 559, doi:10.1139/f54-039"
    equations = "x⁺ = x exp(r − x)"
    train_bands = ((0.2, 5.0),)
    ood_bands = ((0.02, 0.2), (5.0, 9.0))

    r: float = parameter(3.3, low=0.0, high=4.5, open_low=True, doc="growth rate per generation")

    def next_state(self, x: Array) -> Array:
        """x exp(r − x)."""
        return x * np.exp(self.r - x)

    def slope(self, x: Array) -> Array:
        """(1 − x) exp(r − x)."""
        return (1.0 - x) * np.exp(self.r - x)

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:  # noqa: ARG002
        """One population beyond the training range, n times, (n, 1)."""
        return np.full((n, 1), 5.0 * radius)


@dataclass(frozen=True, kw_only=True)
class Gauss(LineMap):
    """The Gauss map (mouse map): a bell-shaped fold.

    Equations: x⁺ = exp(−a x²) + b.
    State (x): dimensionless, (b, 1 + b] after one step. a: sharpness of the bell; b: offset.
    Regime: chaos at (6.2, −.5) with λ = .3837, and at (4.9, −.5) with λ = .1763.
    Initial states: |x| < .4 (train); .4 ≤ |x| < .9 (ood). Radius: |x| = .4.
    """

    source = "Hilborn (2000), Chaos and Nonlinear Dynamics, 2nd ed., §5.7, ISBN 978-0-19-850723-9"
    equations = "x⁺ = exp(−a x²) + b"
    train_bands = ((-0.4, 0.4),)
    ood_bands = ((-0.9, -0.4), (0.4, 0.9))

    a: float = parameter(6.2, low=0.0, high=30.0, open_low=True, doc="sharpness of the bell")
    b: float = parameter(-0.5, low=-1.0, high=1.0, doc="offset")

    def next_state(self, x: Array) -> Array:
        """exp(−a x²) + b."""
        return np.exp(-self.a * x * x) + self.b

    def slope(self, x: Array) -> Array:
        """−2 a x exp(−a x²)."""
        return -2.0 * self.a * x * np.exp(-self.a * x * x)

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:
        """Either sign at one distance from 0, (n, 1)."""
        return sphere(n, rng, 0.4 * radius, 1)


@dataclass(frozen=True, kw_only=True)
class FlipFlop(LineMap):
    """Line map whose orbits end in +1, −1, +1, ….

    Equations: x⁺ = −x (1 + c (1 − x²)).
    State (x): dimensionless. c: strength of the pull towards |x| = 1.
    Regime: one attracting 2-cycle {+1, −1}.
    Facts: its multiplier is f′(1) f′(−1) = (2c − 1)² = .16 at the default, so λ = ln|2c − 1| = −.9163; the fixed points
    0 (slope −(1 + c)) and ±√(1 + 2/c) repel. The cycle attracts every |x| < √(1 + 2/c) but 0 and its preimages, and
    √(1 + 2/c) > √3 for every admissible c.
    Initial states: .3 ≤ |x| < 1.5 (train); .05 ≤ |x| < .3 and 1.5 ≤ |x| < 1.7 (ood). Radius:
    |x| = 1.5, inside the basin.
    """

    source = "Strogatz (2015), Nonlinear Dynamics and Chaos, 2nd ed., §10.3 (2-cycles and multipliers of a line map)"
    equations = "x⁺ = −x (1 + c (1 − x²))"
    obstruction = "one_dimensional_nonmonotone"
    obstruction_reason = "the time-dt map of a flow on the line increases; this one decreases at 0 and swaps +1 and −1"
    train_bands = ((-1.5, -0.3), (0.3, 1.5))
    ood_bands = ((-1.7, -1.5), (-0.3, -0.05), (0.05, 0.3), (1.5, 1.7))

    c: float = parameter(0.3, low=0.0, high=0.95, open_low=True, doc="strength of the pull towards |x| = 1")

    def next_state(self, x: Array) -> Array:
        """−x (1 + c (1 − x²))."""
        return -x * (1.0 + self.c * (1.0 - x * x))

    def slope(self, x: Array) -> Array:
        """−(1 + c) + 3 c x²."""
        return -(1.0 + self.c) + 3.0 * self.c * x * x

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array | None:
        """Either sign at one distance from 0, (n, 1); None beyond the basin."""
        size = 1.5 * radius
        return sphere(n, rng, size, 1) if size * size < 1.0 + 2.0 / self.c else None

    @property
    def timescale(self) -> float:
        """Period of the attracting cycle, two steps."""
        return 2.0 * self.dt

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)
