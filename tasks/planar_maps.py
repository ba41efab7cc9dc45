"""Maps of the plane: Hénon, Lozi, Ikeda, the Duffing map and the standard map.

Axes: N trajectories, K candidates, D state components (D = 2, or 4 for the embedded standard map).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.base import Array, MapTask, Obstruction, Split, parameter
from tasks.maps import lyapunov_time

Mask = NDArray[np.bool_]
Box = tuple[tuple[float, float], tuple[float, float]]
# An orbit that stays below this size for this many steps is taken to be bounded: every map here leaves a ball of that
# radius faster than exponentially once it leaves the basin.
ESCAPE_RADIUS = 1e3
ESCAPE_STEPS = 500
CANDIDATES = 64


def first_bounded(task: MapTask, candidates: Array, allowed: Mask) -> Array:
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


def _stays_bounded(task: MapTask, x: Array) -> Mask:
    bounded = np.ones(len(x), dtype=bool)
    for _ in range(ESCAPE_STEPS if len(x) else 0):
        x = task.next_state(x)
        bounded &= np.abs(x).max(axis=1) < ESCAPE_RADIUS
        x = np.where(bounded[:, None], x, 0.0)
    return bounded


def inside_polygon(x: Array, corners: Array) -> Mask:
    """Whether points x (..., 2) lie in the convex polygon with corners (C, 2), taken clockwise; (...,) of bool."""
    edge = np.roll(corners, -1, axis=0) - corners
    offset = x[..., None, :] - corners
    cross = edge[:, 0] * offset[..., 1] - edge[:, 1] * offset[..., 0]
    return np.asarray((cross <= 0).all(axis=-1))


@dataclass(frozen=True, kw_only=True)
class PlanarMap(MapTask):
    """A map of the plane with a chaotic orbit; initial states are screened so that every orbit stays bounded."""

    state_names: ClassVar[tuple[str, ...]] = ("x", "y")
    family: ClassVar[str] = "maps"
    # Low and high corner of the boxes that candidates are drawn from.
    train_box: ClassVar[Box]
    ood_box: ClassVar[Box]

    def in_training_support(self, x: Array) -> Mask:
        """Whether x (..., 2) lies in the training region; no out-of-distribution state does."""
        raise NotImplementedError

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Uniform draws (n, 2) from the training region, or from the rest of a larger box, with bounded orbits."""
        low, high = np.asarray(self.ood_box if split == "ood" else self.train_box)
        candidates = low + (high - low) * rng.random((n, CANDIDATES, 2))
        inside = self.in_training_support(candidates)
        return first_bounded(self, candidates, ~inside if split == "ood" else inside)

    @property
    def timescale(self) -> float:
        """Lyapunov time 1/|λ₁|."""
        return lyapunov_time(self)


@dataclass(frozen=True, kw_only=True)
class Henon(PlanarMap):
    """The Hénon map.

        x⁺ = 1 − a x² + y,   y⁺ = b x

    Components: x, y (dimensionless).

    Regime at the defaults a = 1.4, b = .3: a strange attractor. det J = −b, so the exponents (.4188, −1.6228) sum to
    ln b; fixed points (.631354, .189406) and (−1.131354, −.339406), both saddles.

    Initial states: uniform in Hénon's quadrilateral with corners (−1.33, .42), (1.32, .133), (1.245, −.14) and
    (−1.06, −.5), which the default map carries into itself; out of distribution the part of its basin in
    [−1.6, 1.6] × [−1, 1] that lies outside the quadrilateral. Candidates whose orbit escapes within 500 steps are
    passed over.

    Source: M. Hénon (1976), A two-dimensional mapping with a strange attractor, Commun. Math. Phys. 50, 69–77,
    doi:10.1007/BF01608556.
    """

    equations: ClassVar[str] = "x⁺ = 1 − a x² + y, y⁺ = b x"
    source: ClassVar[str] = "Hénon (1976), Commun. Math. Phys. 50, 69, doi:10.1007/BF01608556"
    obstruction: ClassVar[Obstruction] = "orientation_reversing"
    obstruction_reason: ClassVar[str] = "det J = −b < 0 everywhere, and the time-dt map of a flow has det J > 0."
    train_box: ClassVar[Box] = ((-1.33, -0.5), (1.32, 0.42))
    ood_box: ClassVar[Box] = ((-1.6, -1.0), (1.6, 1.0))
    trapping_corners: ClassVar[tuple[tuple[float, float], ...]] = (
        (-1.33, 0.42),
        (1.32, 0.133),
        (1.245, -0.14),
        (-1.06, -0.5),
    )

    a: float = parameter(1.4, low=0.0, high=2.0, open_low=True, doc="strength of the fold")
    b: float = parameter(0.3, low=0.0, high=1.0, open_low=True, doc="contraction of area")

    def in_training_support(self, x: Array) -> Mask:
        return inside_polygon(x, np.asarray(self.trapping_corners))

    def next_state(self, x: Array) -> Array:
        return np.stack([1.0 - self.a * x[..., 0] ** 2 + x[..., 1], self.b * x[..., 0]], axis=-1)

    def jacobian(self, x: Array) -> Array:
        u = x[..., 0]
        return np.stack(
            [np.stack([-2.0 * self.a * u, np.ones_like(u)], -1), np.stack([self.b + 0 * u, 0 * u], -1)], axis=-2
        )
