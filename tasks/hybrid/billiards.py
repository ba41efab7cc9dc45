"""Billiards: straight flight inside a wall, v → v − 2 (v·n) n at it; sampled in time or from collision to collision.

Axes: N trajectories, K candidates, D state components.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ddl_dyn.metrics.arrays import Array, Mask
from ddl_dyn.tasks.base import MapTask, Split
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.hybrid.billiard_tables import TABLES, TableShape
from ddl_dyn.tasks.hybrid.events import advance, reflect, straight

_CANDIDATES = 64


@dataclass(frozen=True, kw_only=True)
class BilliardTable(MapTask):
    """A point inside one of four shapes; subclasses say what a step is."""

    state_names = ("x", "y", "vx", "vy")
    family = "billiard"
    isotropic = True

    shape: Literal["circle", "rectangle", "sinai", "stadium"] = "circle"
    proportion: float | None = parameter(None, low=0.0, open_low=True, doc="the shape's one free length")

    def __post_init__(self) -> None:
        super().__post_init__()
        table = self.table
        if self.proportion is not None and (table.proportion is None or self.proportion > table.limit):
            allowed = "None: a circle has none" if table.proportion is None else f"in (0, {table.limit:g}]"
            raise ValueError(f"{self.key()}: proportion of a {self.shape} must be {allowed}; got {self.proportion}")

    @property
    def table(self) -> TableShape:
        """The shape's wall, domain and measures."""
        return TABLES[self.shape]

    @property
    def ratio(self) -> float:
        """The proportion in use; 1 for the circle."""
        return (self.table.proportion or 1.0) if self.proportion is None else float(self.proportion)

    @property
    def mean_free_path(self) -> float:
        """π A/|∂Q|: mean length of a flight over the whole phase space (Santaló), A the area and |∂Q| the perimeter."""
        area, perimeter, _ = self.table.measure(self.ratio)
        return float(np.pi * area / perimeter)

    def check_states(self, x0: Array, steps: int) -> Array:
        """As for every task; a ball outside the table or at rest is refused too."""
        x = super().check_states(x0, steps)
        # A ball on the wall lies off it by rounding.
        bad = (self.table.gap(x[:, :2], self.ratio) < -1e-9) | ~(np.hypot(x[:, 2], x[:, 3]) > 0)
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"{self.key()}: a state must lie inside the table and move, but row {row} is {x[row]}")
        return x

    @abstractmethod
    def _observe(self, x: Array) -> Array:
        """The state that the view shows of a ball at x (..., 4)."""

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Uniform positions and directions of unit speed in the split's part of phase space, (n, 4)."""
        half = np.asarray(self.table.measure(self.ratio)[2])
        draws = rng.random((n, _CANDIDATES, 3))
        angle = 2.0 * np.pi * draws[..., 2]
        states = np.concatenate(
            [half * (2.0 * draws[..., :2] - 1.0), np.cos(angle)[..., None], np.sin(angle)[..., None]], axis=-1
        )
        inside = self.table.gap(states[..., :2], self.ratio) > 0
        # A ball outside would never meet a wall; it is not chosen, whatever stands in for it.
        anchor = np.array([0.5 * (half[0] + (self.ratio if self.shape == "sinai" else 0.0)), 0.0])
        states[..., :2] = np.where(inside[..., None], states[..., :2], anchor)
        seen = self._observe(states)
        chosen = inside & (self._in_ood(seen) if split == "ood" else self._in_train(seen))
        if not chosen.any(axis=1).all():
            raise ValueError(f"{self.key()}: no initial state found in {_CANDIDATES} draws for {self}")
        first: Array = seen[np.arange(n), chosen.argmax(axis=1)]
        return first

    def _in_train(self, state: Array) -> Mask:
        """Conserved quantities tell the splits apart where there are some, else the halves of the table do."""
        if self.shape == "circle":
            return np.asarray(self.invariants(state)["sin_incidence"] < 0.6)
        if self.shape == "rectangle":
            return np.asarray(np.abs(state[..., 2]) < 0.9)
        return np.asarray(state[..., 0] < 0.0)

    def _in_ood(self, state: Array) -> Mask:
        if self.shape == "circle":
            return np.asarray((self.invariants(state)["sin_incidence"] > 0.65) & ~self._in_train(state))
        if self.shape == "rectangle":
            return np.asarray(np.abs(state[..., 2]) > 0.92)
        return np.asarray(state[..., 0] > 0.05)

    def to_wall(self, state: Array) -> tuple[Array, Array, Array]:
        """Time to the next collision (...), the state just after it (..., 4) and the normal there (..., 2)."""
        time, normal = self.table.wall(state[..., :2], state[..., 2:], self.ratio)
        x = state[..., :2] + state[..., 2:] * time[..., None]
        return time, np.concatenate([x, reflect(state[..., 2:], normal)], axis=-1), normal

    def invariants(self, x: Array) -> dict[str, Array]:
        """Speed; in the circle the angular momentum and the sine of incidence, in the rectangle |vx| and |vy|."""
        out = {"speed": np.hypot(x[..., 2], x[..., 3])}
        if self.shape == "circle":
            out["angular_momentum"] = x[..., 0] * x[..., 3] - x[..., 1] * x[..., 2]
            out["sin_incidence"] = np.abs(out["angular_momentum"]) / out["speed"]
        if self.shape == "rectangle":
            out |= {"abs_vx": np.abs(x[..., 2]), "abs_vy": np.abs(x[..., 3])}
        return out


@dataclass(frozen=True, kw_only=True)
class Billiard(BilliardTable):
    """A billiard ball, sampled every dt.

    Equations: ẋ = v, v̇ = 0 inside; v → v − 2 (v·n) n at the wall, n its unit normal.
    State (x, y, vx, vy): position and velocity; lengths in units of the half width (rectangle, Sinai) or of the radius
    (circle, stadium), unit speed. shape: "circle"; "rectangle" with sides 2 × 2 proportion; "sinai", a square of side 2
    around a disc of radius proportion; "stadium", half circles of radius 1 closed by straight sides of length
    2 proportion. proportion: None for the shape's own (golden rectangle, ½, 1); a circle has none.
    Regime: integrable in the circle and the rectangle, ergodic and chaotic in the Sinai billiard and the stadium.
    Facts: the speed is conserved; so are the angle of incidence in the circle and |vx|, |vy| in the rectangle. The mean
    free path is π area/perimeter. A collision is one factor with β = 2, k = n, v = 0 on the velocity. Wall times are
    roots in closed form, without a step to be too long for a grazing hit.
    Initial states, of unit speed: sine of incidence below .6 (train), above .65 (ood) in the circle; |vx| below .9,
    above .92 in the rectangle; x < 0, x > .05 in the others.
    """

    source = "Chernov, Markarian (2006), Chaotic Billiards, §2.1–2.6 and ch. 4, 8, ISBN 978-0-8218-4096-2"
    equations = "ẋ = v; v → v − 2 (v·n) n at the wall"
    obstruction_reason = (
        "volume is preserved and the map invertible, but velocities jump: no smooth field has this flow"
    )

    dt: float = 0.1

    @property
    def timescale(self) -> float:
        """Mean free time."""
        return self.mean_free_path

    def _observe(self, x: Array) -> Array:
        return x

    def next_state(self, x: Array) -> Array:
        """State after dt, through every collision on the way."""
        flat = np.asarray(x).reshape(-1, 4)
        return advance(flat, self.dt, motion=straight, next_event=lambda z: self.to_wall(z)[:2]).reshape(x.shape)


@dataclass(frozen=True, kw_only=True)
class BilliardCollisions(BilliardTable):
    """A billiard ball seen just after each collision.

    Equations: x⁺ = x + τ v with τ the time to the wall, v⁺ = v − 2 (v·n) n.
    State (x, y, vx, vy): position on the wall and velocity off it; shapes, units and splits as in `Billiard`. Time in
    collisions.
    Regime: a map of the plane (place on the wall, angle): a twist in the circle, chaotic in the Sinai billiard and
    the stadium.
    Facts: the invariants of `Billiard`; in the circle each collision turns the place by the same angle
    π − 2 × incidence, and flights have the length 2 cos(incidence).
    Initial states: those of `Billiard` carried to their first collision, in the split's part after it.
    """

    source = Billiard.source
    equations = "x⁺ = x + τ v; v⁺ = v − 2 (v·n) n"
    time_unit = "collision"
    obstruction_reason = "the map keeps area and orientation in Birkhoff's coordinates; it jumps where a flight grazes"

    @property
    def timescale(self) -> float:
        """One collision."""
        return self.dt

    def _observe(self, x: Array) -> Array:
        return self.to_wall(x)[1]

    def next_state(self, x: Array) -> Array:
        """State just after the next collision."""
        return self.to_wall(x)[1]
