"""Maps made of reflections: the geometry that the delta update holds exactly.

Axes: N trajectories, D state components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tasks.base import Array, MapTask, Obstruction, Split, parameter
from tasks.initial import shell

# One factor X⁺ = X + β k (v − kᵀX) of a stack: unit direction k (D,), gate β, target v.
Factor = tuple[Array, float, float]


@dataclass(frozen=True, kw_only=True)
class GeometryTask(MapTask):
    """A map whose components are coordinates of one Euclidean space; initial states fill spherical shells.

    Initial states: |x| in [.5, 1.5) in a uniform direction; out of distribution |x| in [1.5, 2.5).
    """

    family: ClassVar[str] = "reflections"
    isotropic: ClassVar[bool] = True

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Draws (n, D) from a spherical shell; the out-of-distribution shell lies outside the training one."""
        low, high = (1.5, 2.5) if split == "ood" else (0.5, 1.5)
        return shell(n, rng, low, high, self.state_dim)


@dataclass(frozen=True, kw_only=True)
class TwistedMirror(GeometryTask):
    """A mirror whose axis turns with the distance from the origin.

        x⁺ = R(α + τ|x|) diag(1, −1) x,   R(φ) rotation by φ

    Components: x₁, x₂ (coordinates of one plane). Angles in radians.

    Known facts: |x| is conserved, and on each circle the map is one fixed mirror, so every orbit has period 2; both
    exponents are 0 and det J = −1 everywhere. The mirror's normal turns by τ/2 per unit of radius: no single constant
    reflection holds it, and one reflection with a state-dependent direction does.

    Regime at the defaults α = 1, τ = .3.

    Source: composition of a reflection and a rotation in the plane, H. S. M. Coxeter (1969), Introduction to Geometry
    (2nd ed.), §3.1–3.3; the facts follow by R(φ) S R(φ) S = 1 for S = diag(1, −1).
    """

    state_names: ClassVar[tuple[str, ...]] = ("x1", "x2")
    equations: ClassVar[str] = "x⁺ = R(α + τ|x|) diag(1, −1) x"
    source: ClassVar[str] = "Coxeter (1969), Introduction to Geometry, 2nd ed., §3.1–3.3"
    obstruction: ClassVar[Obstruction] = "orientation_reversing"
    obstruction_reason: ClassVar[str] = "det J = −1 everywhere, and the time-dt map of a flow has det J > 0."

    alpha: float = parameter(1.0, low=-10.0, high=10.0, doc="angle of the mirror's turn at the origin, rad")
    tau: float = parameter(0.3, low=-10.0, high=10.0, doc="turn per unit of radius, rad")

    @property
    def timescale(self) -> float:
        """Period of every orbit, two steps."""
        return 2.0 * self.dt

    def next_state(self, x: Array) -> Array:
        angle = self.alpha + self.tau * np.linalg.norm(x, axis=-1)
        cos, sin = np.cos(angle), np.sin(angle)
        return np.stack([cos * x[..., 0] + sin * x[..., 1], sin * x[..., 0] - cos * x[..., 1]], axis=-1)

    def jacobian(self, x: Array) -> Array:
        radius = np.linalg.norm(x, axis=-1)
        angle = self.alpha + self.tau * radius
        cos, sin = np.cos(angle), np.sin(angle)
        mirror = np.stack([np.stack([cos, sin], -1), np.stack([sin, -cos], -1)], axis=-2)
        image = self.next_state(x)
        turned = np.stack([-image[..., 1], image[..., 0]], axis=-1)
        radial = x / np.where(radius > 0, radius, 1.0)[..., None]
        return mirror + self.tau * turned[..., :, None] * radial[..., None, :]

    def exact(self, x0: Array, steps: int) -> Array:
        """Period-2 orbit x0, Φ(x0), x0, …, (N, steps+1, 2)."""
        x = self.check_states(x0, steps)
        odd = (np.arange(steps + 1) % 2 == 1)[None, :, None]
        return np.where(odd, self.next_state(x)[:, None], x[:, None])

    def invariants(self, x: Array) -> dict[str, Array]:
        """Distance from the origin."""
        return {"radius": np.linalg.norm(x, axis=-1)}
