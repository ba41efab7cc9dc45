"""The standard map on the torus, in angles or as points on two circles. Axes: N trajectories, D state components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import MapTask, Split
from ddl_dyn.tasks.fields import parameter

TURN = 2.0 * np.pi


@dataclass(frozen=True, kw_only=True)
class StandardMap(MapTask):
    """The standard map (Chirikov–Taylor): the kicked rotor, seen once a kick.

    Equations: p⁺ = p + K sin θ, θ⁺ = θ + p⁺, both modulo 2π.
    State: with coordinates="circle" (cos θ, sin θ, cos p, sin p), a point of the torus without a seam, so that a
    continuous model can hold the map; with coordinates="angle" (θ, p), both wrapped into [0, 2π), where the map jumps
    at the seams and a model sees errors of 2π there. Angles in radians; p is the angle gained per kick.
    Regime: K = .971635, the border of global chaos, where the last invariant circles (golden mean) break.
    Facts: area preserving; exponents ±λ, with λ ≈ ln(K/2) for large K, 1.619 at K = 10; the fixed points are
    (0, 0), a saddle, and (π, 0), a centre for K < 4. It shears the torus by a whole turn (a Dehn twist), which no flow
    on the torus itself does; a flow in the space around it can.
    On the circles z = exp(iθ), w = exp(ip) the map reads w⁺ = w exp(i K Im z/|z|), z⁺ = z w⁺/|w⁺|: two state-dependent
    rotations, which also conserve |z| and |w| off the torus and add two exponents 0.
    Initial states: θ uniform, |p| < 2 (train) or 2 ≤ |p| < π (ood), p taken in (−π, π).
    """

    source = (
        "Chirikov (1979), A universal instability of many-dimensional oscillators, doi:10.1016/0370-1573(79)90023-1"
    )
    equations = "p⁺ = p + K sin θ, θ⁺ = θ + p⁺ (mod 2π)"
    family = "map"
    obstruction_reason = "det J = 1 > 0 and the map is invertible, so no sign of the Jacobian forbids a flow"

    K: float = parameter(0.971635, low=0.0, high=50.0, doc="strength of the kick")
    coordinates: Literal["circle", "angle"] = "circle"

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the components in the coordinates chosen."""
        return ("theta", "p") if self.coordinates == "angle" else ("cos_theta", "sin_theta", "cos_p", "sin_p")

    @property
    def angular(self) -> tuple[int, ...]:  # type: ignore[override]
        """Both components in angles, none on the circles."""
        return (0, 1) if self.coordinates == "angle" else ()

    @property
    def chart(self) -> StandardMap | None:
        """The same map in angles, the coordinates of the torus that all states on the circles lie on; else None."""
        return None if self.coordinates == "angle" else StandardMap(dt=self.dt, K=self.K, coordinates="angle")

    @property
    def timescale(self) -> float:
        """Lyapunov time 1/ln(K/2) where K > 4, else the period 2π/√K of small oscillations about (π, 0)."""
        time: float = self.dt * (1.0 / np.log(self.K / 2.0) if self.K > 4.0 else TURN / np.sqrt(max(self.K, 1e-2)))
        return time

    @property
    def lyapunov_time(self) -> float | None:
        """1/ln(K/2) where K > 4, else None: the sea is not everywhere."""
        return self.timescale if self.K > 4.0 else None

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """θ uniform and |p| in the range of the split, (n, 2) or (n, 4)."""
        low, high = (2.0, np.pi) if split == "ood" else (0.0, 2.0)
        draws = rng.random((n, 2))
        signed = 2.0 * draws[:, 1] - 1.0
        p = np.where(signed < 0, -1.0, 1.0) * (low + (high - low) * np.abs(signed))
        angles = np.stack([TURN * draws[:, 0], np.mod(p, TURN)], axis=-1)
        return angles if self.coordinates == "angle" else self.embed(angles)

    @staticmethod
    def embed(angles: Array) -> Array:
        """(θ, p) -> (cos θ, sin θ, cos p, sin p)."""
        cos, sin = np.cos(angles), np.sin(angles)
        return np.stack([cos[..., 0], sin[..., 0], cos[..., 1], sin[..., 1]], axis=-1)

    def angles(self, x: Array) -> Array:
        """(θ, p) in [0, 2π) of states in either coordinates, (..., D) -> (..., 2)."""
        if self.coordinates == "angle":
            return _wrap(x)
        return _wrap(np.stack([np.arctan2(x[..., 1], x[..., 0]), np.arctan2(x[..., 3], x[..., 2])], axis=-1))

    def next_state(self, x: Array) -> Array:
        """Kick, then turn."""
        if self.coordinates == "angle":
            p = x[..., 1] + self.K * np.sin(x[..., 0])
            return _wrap(np.stack([x[..., 0] + p, p], axis=-1))
        kick = self.K * x[..., 1] / np.hypot(x[..., 0], x[..., 1])
        cos_p, sin_p = _turn(x[..., 2], x[..., 3], np.cos(kick), np.sin(kick))
        size = np.hypot(cos_p, sin_p)
        cos_t, sin_t = _turn(x[..., 0], x[..., 1], cos_p / size, sin_p / size)
        return np.stack([cos_t, sin_t, cos_p, sin_p], axis=-1)

    def jacobian(self, x: Array) -> Array | None:
        """[[1 + K cos θ, 1], [K cos θ, 1]] away from the seams; None on the circles."""
        if self.coordinates == "circle":
            return None
        slope, one = self.K * np.cos(x[..., 0]), np.ones_like(x[..., 0])
        return np.stack([np.stack([1.0 + slope, one], axis=-1), np.stack([slope, one], axis=-1)], axis=-2)

    def invariants(self, x: Array) -> dict[str, Array]:
        """Radii of the two circles; nothing in angles."""
        if self.coordinates == "angle":
            return {}
        return {"radius_theta": np.hypot(x[..., 0], x[..., 1]), "radius_p": np.hypot(x[..., 2], x[..., 3])}

    def symmetries(self) -> dict[str, Array]:
        if self.coordinates != "circle":
            return {}
        return {"inversion of both angles": np.diag([1.0, -1.0, 1.0, -1.0])}


def _wrap(angle: Array) -> Array:
    wrapped = np.mod(angle, TURN)
    # np.mod of a tiny negative number rounds up to 2π itself.
    return np.where(wrapped >= TURN, 0.0, wrapped)


def _turn(x: Array, y: Array, cos: Array, sin: Array) -> tuple[Array, Array]:
    return x * cos - y * sin, y * cos + x * sin
