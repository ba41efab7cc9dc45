"""Maps of the line that fold and flip: logistic, tent, Ricker, Gauss and the flip-flop.

Axes: N trajectories, D state components (D = 1 here).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tasks.base import Array, MapTask, Obstruction, Split, parameter

Band = tuple[float, float]


def draw_bands(n: int, rng: np.random.Generator, bands: tuple[Band, ...]) -> Array:
    """Uniform draws (n, 1) from a union of disjoint half-open intervals [low, high); one uniform number per row."""
    edges = np.asarray(bands, dtype=np.float64)
    lengths = edges[:, 1] - edges[:, 0]
    ends = np.cumsum(lengths)
    position = rng.random((n, 1)) * ends[-1]
    band = np.minimum(np.searchsorted(ends, position, side="right"), len(bands) - 1)
    return edges[band, 0] + position - (ends[band] - lengths[band])


def lyapunov_time(task: MapTask, *, orbits: int = 16, transient: int = 200, steps: int = 2000) -> float:
    """1/|λ| in the task's unit of time, λ the largest exponent along orbits from the training support; at least dt.

    A positive λ gives the time in which an error grows e-fold, a negative one the time in which it shrinks e-fold.
    A tangent vector is carried along each orbit by the analytic Jacobian and renormalised at every step.
    """
    x = task.initial_states(orbits, rng=np.random.default_rng(0), split="train")
    tangent = np.ones((orbits, task.state_dim, 1))
    growth = np.zeros(orbits)
    for step in range(transient + steps):
        jacobian = task.jacobian(x)
        assert jacobian is not None
        tangent = jacobian @ tangent
        norm = np.linalg.norm(tangent, axis=(1, 2))
        tangent = tangent / np.where(norm > 0, norm, 1.0)[:, None, None]
        if step >= transient:
            growth += np.log(np.maximum(norm, 1e-300))
        x = task.next_state(x)
    exponent = abs(float(growth.mean()) / steps)
    return task.dt * max(1.0, 1.0 / max(exponent, 1.0 / steps))


@dataclass(frozen=True, kw_only=True)
class LineMap(MapTask):
    """A map of the line x⁺ = f(x), given by f and f′ and by the intervals that initial states are drawn from."""

    state_names: ClassVar[tuple[str, ...]] = ("x",)
    family: ClassVar[str] = "maps"
    obstruction: ClassVar[Obstruction] = "non_injective"
    obstruction_reason: ClassVar[str] = "Two states share one image, and the time-dt map of a flow is injective."
    train_bands: ClassVar[tuple[Band, ...]]
    ood_bands: ClassVar[tuple[Band, ...]]

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Uniform draws (n, 1) from the training intervals, or from the disjoint out-of-distribution ones."""
        return draw_bands(n, rng, self.ood_bands if split == "ood" else self.train_bands)

    def slope(self, x: Array) -> Array:
        """f′(x), (...,) -> (...,)."""
        raise NotImplementedError

    def jacobian(self, x: Array) -> Array:
        """f′(x) as a matrix, (..., 1) -> (..., 1, 1)."""
        return self.slope(x[..., 0])[..., None, None]

    @property
    def timescale(self) -> float:
        """1/|λ|: the time in which an error grows or shrinks e-fold."""
        return lyapunov_time(self)


@dataclass(frozen=True, kw_only=True)
class FlipFlop(LineMap):
    """A line map whose every orbit settles on jumping between +1 and −1.

        x⁺ = −x (1 + c (1 − x²))

    Components: x (dimensionless).

    Regime at the default c = .3: one attracting 2-cycle {+1, −1} of multiplier f′(1)f′(−1) = (2c − 1)² = .16, hence
    λ = ln|2c − 1| = −.9163; the fixed point 0 has slope −(1+c) and repels, and so do the fixed points ±√(1 + 2/c).
    The cycle attracts every |x| < √(1 + 2/c) but 0 and its preimages, and √(1 + 2/c) > √3 for every admissible c.

    Initial states: .3 ≤ |x| < 1.5; out of distribution .05 ≤ |x| < .3 and 1.5 ≤ |x| < 1.7.

    Source: an odd cubic map; 2-cycles and their multipliers as in S. H. Strogatz (2015), Nonlinear Dynamics and Chaos
    (2nd ed.), §10.3; the figures above follow by algebra.
    """

    equations: ClassVar[str] = "x⁺ = −x (1 + c (1 − x²))"
    source: ClassVar[str] = "Strogatz (2015), Nonlinear Dynamics and Chaos, 2nd ed., §10.3"
    obstruction: ClassVar[Obstruction] = "one_dimensional_nonmonotone"
    obstruction_reason: ClassVar[str] = (
        "The time-dt map of a flow on the line is increasing; this one decreases through 0 and swaps +1 and −1."
    )
    train_bands: ClassVar[tuple[Band, ...]] = ((-1.5, -0.3), (0.3, 1.5))
    ood_bands: ClassVar[tuple[Band, ...]] = ((-1.7, -1.5), (-0.3, -0.05), (0.05, 0.3), (1.5, 1.7))

    c: float = parameter(0.3, low=0.0, high=0.95, open_low=True, doc="strength of the pull towards |x| = 1")

    def next_state(self, x: Array) -> Array:
        return -x * (1.0 + np.asarray(self.c)[..., None] * (1.0 - x * x))

    def slope(self, x: Array) -> Array:
        return -(1.0 + self.c) + 3.0 * self.c * x * x

    @property
    def timescale(self) -> float:
        """Period of the attracting cycle, two steps."""
        return 2.0 * self.dt
