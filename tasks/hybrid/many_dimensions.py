"""Collisions in d dimensions: a point inside a ball, a box or around a scatterer, and hard spheres in a box.

Axes: N trajectories, K candidates, n spheres, d dimensions of space, D = 2d or 2nd state components.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import MapTask, Split
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.hybrid.events import (
    JUMPS,
    across,
    advance,
    reflect,
    straight,
    time_into_ball,
    time_out_of_ball,
    time_out_of_box,
)
from ddl_dyn.tasks.initial import first_allowed, sphere


@dataclass(frozen=True, kw_only=True)
class BilliardD(MapTask):
    """A billiard ball in d dimensions, sampled every dt.

    Equations: ẋ = v, v̇ = 0 inside; v → v − 2 (v·n) n at the wall, n its unit normal.
    State (x1 … xd, v1 … vd): position and velocity, unit speed. d: dimension. shape: "ball" of radius 1; "box" of half
    sides 1; "sinai", that box around a ball. radius: of that ball, None for ½; the other shapes have none.
    Regime: integrable in the ball and the box, chaotic around the scatterer.
    Facts: the speed is kept; in the ball so are the plane of motion and the sine of incidence |x − (x·v)v|, in the box
    every |vi|. The mean free path is 2√π Γ((d+1)/2)/Γ(d/2) times volume over surface: 4/3 in the ball of d = 3. A
    collision is one factor with β = 2, k = n, v = 0 on the velocity.
    Initial states: sine of incidence below its 60 % quantile (train), above its 65 % quantile (ood) in the ball;
    |v1|√d below 1, above 1.1 in the box; x1 < 0, x1 > .05 around the scatterer.
    """

    source = "Chernov (1997), Entropy, Lyapunov exponents, and mean free path for billiards, doi:10.1007/BF02508462"
    equations = "ẋ = v; v → v − 2 (v·n) n at the wall"
    family = "billiard"
    isotropic = True
    obstruction_reason = JUMPS

    dt: float = 0.1
    d: int = parameter(3, low=2, high=32, doc="dimension")
    shape: Literal["ball", "box", "sinai"] = "ball"
    radius: float | None = parameter(None, low=0.0, high=0.95, open_low=True, doc="radius of the scatterer")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.radius is not None and self.shape != "sinai":
            raise ValueError(
                f"{self.key()}: radius is that of the scatterer; a {self.shape} has none, got {self.radius}"
            )

    @property
    def scatterer(self) -> float:
        """Radius of the scatterer in use."""
        return 0.5 if self.radius is None else self.radius

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """x1 … xd, v1 … vd."""
        return tuple(f"{part}{i + 1}" for part in "xv" for i in range(self.d))

    def _depth(self, place: Array) -> Array:
        """Distance of places (..., d) from the nearest wall, negative outside."""
        distance: Array = np.linalg.norm(place, axis=-1)
        if self.shape == "ball":
            return 1.0 - distance
        inside: Array = 1.0 - np.abs(place).max(axis=-1)
        return np.minimum(inside, distance - self.scatterer) if self.shape == "sinai" else inside

    def check_states(self, x0: Array, steps: int) -> Array:
        """As for every task; a ball outside the walls or at rest is refused too."""
        x = super().check_states(x0, steps)
        # A ball on the wall lies off it by rounding.
        bad = (self._depth(x[:, : self.d]) < -1e-9) | ~(np.linalg.norm(x[:, self.d :], axis=1) > 0)
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"{self.key()}: a state must lie inside the walls and move, but row {row} is {x[row]}")
        return x

    @property
    def mean_free_path(self) -> float:
        """Mean length of a flight over the whole phase space."""
        d = self.d
        ball = np.pi ** (d / 2) / math.gamma(d / 2 + 1)
        volume, surface = {"ball": (ball, d * ball), "box": (2.0**d, d * 2.0**d)}.get(self.shape, (0.0, 0.0))
        if self.shape == "sinai":
            volume, surface = 2.0**d - ball * self.scatterer**d, d * (2.0**d + ball * self.scatterer ** (d - 1))
        ratio = 2 * np.sqrt(np.pi) * math.gamma((d + 1) / 2) / math.gamma(d / 2)
        return float(ratio * volume / surface)

    @property
    def timescale(self) -> float:
        """Mean free time."""
        return self.mean_free_path

    def next_event(self, x: Array) -> tuple[Array, Array]:
        """Time to the next collision (N,) of states (N, 2d), and the states just after it."""
        place, v = x[:, : self.d], x[:, self.d :]
        if self.shape == "ball":
            time = time_out_of_ball(place, v, 1.0)
            hit = place + v * time[:, None]
            normal = -hit / np.linalg.norm(hit, axis=1, keepdims=True)
        else:
            each = time_out_of_box(place, v, 1.0)
            time, wall = each.min(axis=1), each.argmin(axis=1)
            normal = np.eye(self.d)[wall]
            if self.shape == "sinai":
                inner = time_into_ball(place, v, self.scatterer)
                hit = place + v * np.where(inner < time, inner, 0.0)[:, None]
                normal = np.where((inner < time)[:, None], hit / np.linalg.norm(hit, axis=1, keepdims=True), normal)
                time = np.minimum(time, inner)
        return time, np.concatenate([place + v * time[:, None], reflect(v, normal)], axis=1)

    def next_state(self, x: Array) -> Array:
        """State after dt, through every collision on the way."""
        flat = np.asarray(x).reshape(-1, self.state_dim)
        return advance(flat, self.dt, motion=straight, next_event=self.next_event).reshape(x.shape)

    def exact(self, x0: Array, steps: int) -> Array | None:
        """In the box every coordinate is a triangle wave of its own, (N, steps+1, 2d); None elsewhere."""
        if self.shape != "box":
            return None
        place, v = x0[:, None, : self.d], x0[:, None, self.d :]
        # The unfolded coordinate runs straight on; counting half sides gives the fold and the direction.
        unfolded = (place + v * self.times(steps)[:, None] + 1.0) / 2.0
        fold = np.floor(unfolded)
        odd = np.mod(fold, 2.0)
        inside = unfolded - fold
        return np.concatenate([2.0 * np.where(odd, 1.0 - inside, inside) - 1.0, np.where(odd, -v, v)], axis=2)

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Uniform positions and directions in the split's part of phase space, (n, 2d)."""

        def draw(generator: np.random.Generator) -> Array:
            directions, places, radii = generator.spawn(3)
            if self.shape == "ball":
                place = sphere(n, places, 1.0, self.d) * radii.random((n, 1)) ** (1.0 / self.d)
            else:
                place = 2.0 * places.random((n, self.d)) - 1.0
            return np.concatenate([place, sphere(n, directions, 1.0, self.d)], axis=1)

        def allowed(x: Array) -> NDArray[np.bool_]:
            place, v = x[:, : self.d], x[:, self.d :]
            if self.shape == "ball":
                # Of uniform states the square of the sine has a Beta distribution.
                low, high = scipy.special.betaincinv((self.d - 1) / 2, 1.5, (0.6, 0.65)) ** 0.5
                told = across(place, v)[2]
            elif self.shape == "box":
                low, high, told = 1.0, 1.1, np.abs(v[:, 0]) * np.sqrt(self.d)
            else:
                low, high, told = 0.0, 0.05, place[:, 0]
            part = told > high if split == "ood" else told < low
            found: NDArray[np.bool_] = part & (self._depth(place) > 0)
            return found

        return first_allowed(rng, draw, allowed)

    def invariants(self, x: Array) -> dict[str, Array]:
        """Speed; in the ball the sine of incidence, in the box every |vi|."""
        place, v = x[..., : self.d], x[..., self.d :]
        out = {"speed": np.linalg.norm(v, axis=-1)}
        if self.shape == "ball":
            out["sin_incidence"] = across(place, v)[2]
        if self.shape == "box":
            out |= {f"abs_v{i + 1}": np.abs(v[..., i]) for i in range(self.d)}
        return out
