"""Maps made of reflections, constant and turning: the geometry that the delta update holds exactly.

Axes: N trajectories, D state components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.maps.frames import (
    PRESERVING,
    REVERSING,
    Factor,
    GeometryTask,
    StackTask,
    along,
    frame,
    numbered,
    rotated_in_plane,
)
from ddl_dyn.tasks.symmetry import change_of_sign


@dataclass(frozen=True, kw_only=True)
class Flip(StackTask):
    """Flip of sign with shrinkage.

    Equations: x⁺ = −ρ x.
    State (x1 … xd): coordinates of one space, dimensionless. rho: ratio of successive sizes; d: dimension.
    Regime: every orbit of period 2 at ρ = 1, else a damped flip.
    Facts: all exponents are ln ρ; det J = (−ρ)^d. The stack is d factors along the axes with β = 1 + ρ, v = 0. In even
    d a flow exists (a damped half turn per step), in odd d none does.
    Initial states: radius .5–1.5 (train), 1.6–2.5 (ood). Radius: 1.5.
    """

    source = "Strogatz (2015), Nonlinear Dynamics and Chaos, 2nd ed., §10.1 (multiplier −ρ), ISBN 978-0-8133-4910-7"
    equations = "x⁺ = −ρ x"
    obstruction = "orientation_reversing"
    obstruction_reason = REVERSING

    rho: float = parameter(1.0, low=0.0, high=1.0, open_low=True, doc="ratio of successive sizes")
    d: int = parameter(1, low=1, high=1024, doc="dimension")

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """x1 … xd."""
        return numbered(self.d)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.d % 2 == 0:
            self.relabel("none", PRESERVING)

    @property
    def timescale(self) -> float:
        """Period of the flip, two steps."""
        return 2.0 * self.dt

    def next_state(self, x: Array) -> Array:
        return -self.rho * x

    def exact(self, x0: Array, steps: int) -> Array:
        """(−ρ)^t x0, (N, steps+1, d)."""
        return (-self.rho) ** np.arange(steps + 1.0)[None, :, None] * x0[:, None]

    def householder_stack(self) -> list[Factor]:
        """One factor per axis, β = 1 + ρ, v = 0."""
        return [(k, 1.0 + self.rho, 0.0) for k in np.eye(self.d)]

    def invariants(self, x: Array) -> dict[str, Array]:
        """Norm at ρ = 1."""
        return {"norm": np.linalg.norm(x, axis=-1)} if self.rho == 1.0 else {}

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)


@dataclass(frozen=True, kw_only=True)
class Mirror(StackTask):
    """Reflection in one hyperplane.

    Equations: x⁺ = (I − 2 k kᵀ) x.
    State (x1 … xd): coordinates of one space, dimensionless. d: dimension; seed: fixes the unit normal k.
    Regime: every orbit off the mirror has period 2.
    Facts: exponents 0, det = −1, eigenvalue −1 along k; exactly one factor with β = 2, v = 0.
    Initial states: radius .5–1.5 (train), 1.6–2.5 (ood). Radius: 1.5.
    """

    source = "Householder (1958), Unitary triangularization of a nonsymmetric matrix, doi:10.1145/320941.320947"
    equations = "x⁺ = (I − 2 k kᵀ) x"
    obstruction = "orientation_reversing"
    obstruction_reason = REVERSING

    d: int = parameter(2, low=2, high=1024, doc="dimension")
    seed: int = parameter(0, low=0, doc="fixes the unit normal k")

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """x1 … xd."""
        return numbered(self.d)

    @property
    def normal(self) -> Array:
        """Unit normal k of the mirror, (d,)."""
        return frame(self.d, 1, self.seed).reshape(self.d)

    @property
    def timescale(self) -> float:
        """Period, two steps."""
        return 2.0 * self.dt

    def next_state(self, x: Array) -> Array:
        """x − 2 k (kᵀx)."""
        return x - 2.0 * self.normal * along(x, self.normal)

    def exact(self, x0: Array, steps: int) -> Array:
        """x0 at even, its image at odd steps, (N, steps+1, d)."""
        odd = (np.arange(steps + 1) % 2 == 1)[None, :, None]
        return np.where(odd, (x0 @ (np.eye(self.d) - 2.0 * np.outer(self.normal, self.normal)))[:, None], x0[:, None])

    def householder_stack(self) -> list[Factor]:
        """(k, 2, 0)."""
        return [(self.normal, 2.0, 0.0)]

    def invariants(self, x: Array) -> dict[str, Array]:
        """Norm, and the distance from the mirror."""
        return {"norm": np.linalg.norm(x, axis=-1), "distance": np.abs(along(x, self.normal)[..., 0])}

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)


@dataclass(frozen=True, kw_only=True)
class Rotation(StackTask):
    """Rotation in one plane, as two mirrors.

    Equations: x⁺ = H_k₂ H_k₁ x, H_k = I − 2 k kᵀ, the normals θ/2 apart.
    State (x1 … xd): coordinates of one space, dimensionless. theta: angle per step, rad; d: dimension; seed: fixes the
    plane where d > 2 (x1, x2 where d = 2).
    Regime: quasi-periodic on circles, or periodic where θ/2π is rational.
    Facts: exponents 0, det = 1; exactly two factors with β = 2 (Cartan–Dieudonné: the rank of R − I is 2). With β < 2
    the modulus is |1 − β| per step.
    Initial states: radius .5–1.5 (train), 1.6–2.5 (ood). Radius: 1.5.
    """

    source = "Coxeter (1969), Introduction to Geometry, 2nd ed., §3.1–3.3; Artin (1957), Geometric Algebra, thm 3.20"
    equations = "x⁺ = H_k₂ H_k₁ x"
    obstruction_reason = PRESERVING

    theta: float = parameter(0.4, low=0.0, high=np.pi, open_low=True, doc="angle per step, rad")
    d: int = parameter(2, low=2, high=1024, doc="dimension")
    seed: int = parameter(0, low=0, doc="fixes the plane where d > 2")

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """x1 … xd."""
        return numbered(self.d)

    @property
    def plane(self) -> tuple[Array, Array]:
        """Orthonormal basis (p, q) of the plane; the turn is from p towards q."""
        p, q = frame(self.d, 2, self.seed)
        return p, q

    @property
    def timescale(self) -> float:
        """Period 2π/θ."""
        return 2.0 * np.pi / self.theta * self.dt

    def next_state(self, x: Array) -> Array:
        """x turned by θ in the plane."""
        return rotated_in_plane(x, *self.plane, self.theta)

    def exact(self, x0: Array, steps: int) -> Array:
        """x0 turned by θ t, (N, steps+1, d)."""
        return rotated_in_plane(x0[:, None], *self.plane, self.theta * np.arange(steps + 1)[None, :, None])

    def householder_stack(self) -> list[Factor]:
        """Two mirrors whose normals stand θ/2 apart."""
        p, q = self.plane
        return [(p, 2.0, 0.0), (np.cos(self.theta / 2) * p + np.sin(self.theta / 2) * q, 2.0, 0.0)]

    def invariants(self, x: Array) -> dict[str, Array]:
        """Norm."""
        return {"norm": np.linalg.norm(x, axis=-1)}

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)


@dataclass(frozen=True, kw_only=True)
class Rotoreflection(StackTask):
    """Rotation about an axis, reflection along it.

    Equations: x⁺ = diag(R(θ), −1) x.
    State (x1, x2, x3): coordinates of one space, dimensionless; x3 along the axis. theta: angle per step, rad.
    Regime: quasi-periodic, unlike any mirror: all powers are different where θ/2π is irrational.
    Facts: exponents 0, det = −1; exactly three factors with β = 2 (rank of R − I).
    Initial states: radius .5–1.5 (train), 1.6–2.5 (ood). Radius: 1.5.
    """

    state_names = ("x1", "x2", "x3")
    source = "Coxeter (1969), Introduction to Geometry, 2nd ed., §7.4–7.6 (isometries of space)"
    equations = "x⁺ = diag(R(θ), −1) x"
    obstruction = "orientation_reversing"
    obstruction_reason = REVERSING

    theta: float = parameter(1.0, low=0.0, high=np.pi, open_low=True, doc="angle per step, rad")

    @property
    def timescale(self) -> float:
        """Period 2π/θ of the turn."""
        return 2.0 * np.pi / self.theta * self.dt

    def next_state(self, x: Array) -> Array:
        """x1, x2 turned by θ, x3 flipped."""
        c, s = np.cos(self.theta), np.sin(self.theta)
        return np.stack([c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1], -x[..., 2]], axis=-1)

    def exact(self, x0: Array, steps: int) -> Array:
        """x1, x2 turned by θ t, x3 times (−1)^t, (N, steps+1, 3)."""
        angle = self.theta * np.arange(steps + 1)
        x, y, z = x0[:, :1], x0[:, 1:2], x0[:, 2:]
        sign = 1.0 - 2.0 * (np.arange(steps + 1) % 2)
        return np.stack(
            [x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle), z * sign], axis=-1
        )

    def householder_stack(self) -> list[Factor]:
        """Two mirrors through the axis, θ/2 apart, and the one across it."""
        half = self.theta / 2
        return [(k, 2.0, 0.0) for k in (np.eye(3)[0], np.array([np.cos(half), np.sin(half), 0.0]), np.eye(3)[2])]

    def invariants(self, x: Array) -> dict[str, Array]:
        """Distance from the axis and height over the plane."""
        return {"radius": np.hypot(x[..., 0], x[..., 1]), "height": np.abs(x[..., 2])}

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)


@dataclass(frozen=True, kw_only=True)
class TwistedMirror(GeometryTask):
    """A mirror whose axis turns with the radius.

    Equations: x⁺ = R(α + τ|x|) diag(1, −1) x, R(φ) the rotation by φ.
    State (x1, x2): coordinates of one plane, dimensionless. alpha: angle at the origin, rad; tau: turn per unit of
    radius, rad.
    Regime: every orbit off the mirror has period 2.
    Facts: |x| is conserved and on each circle the map is one fixed mirror; exponents 0, det J = −1 everywhere. The
    mirror's normal turns by τ/2 per unit of radius: no constant reflection holds it, one with a state-dependent k does.
    Initial states: radius .5–1.5 (train), 1.6–2.5 (ood). Radius: 1.5.
    """

    state_names = ("x1", "x2")
    source = "Coxeter (1969), Introduction to Geometry, 2nd ed., §3.1–3.3 (rotation and reflection in the plane)"
    equations = "x⁺ = R(α + τ|x|) diag(1, −1) x"
    obstruction = "orientation_reversing"
    obstruction_reason = REVERSING

    alpha: float = parameter(1.0, low=-10.0, high=10.0, doc="angle at the origin, rad")
    tau: float = parameter(2.0, low=-10.0, high=10.0, doc="turn per unit of radius, rad")

    @property
    def timescale(self) -> float:
        """Period of every orbit, two steps."""
        return 2.0 * self.dt

    def next_state(self, x: Array) -> Array:
        """Mirror, then turn by α + τ|x|."""
        angle = self.alpha + self.tau * np.hypot(x[..., 0], x[..., 1])
        cos, sin = np.cos(angle), np.sin(angle)
        return np.stack([cos * x[..., 0] + sin * x[..., 1], sin * x[..., 0] - cos * x[..., 1]], axis=-1)

    def jacobian(self, x: Array) -> Array:
        """The mirror of the circle, plus τ Q x⁺ x̂ᵀ for its turning (Q the quarter turn)."""
        radius = np.hypot(x[..., 0], x[..., 1])
        angle = self.alpha + self.tau * radius
        cos, sin = np.cos(angle), np.sin(angle)
        mirror = np.stack([np.stack([cos, sin], -1), np.stack([sin, -cos], -1)], axis=-2)
        image = self.next_state(x)
        turned = np.stack([-image[..., 1], image[..., 0]], axis=-1)
        radial = x / np.where(radius > 0, radius, 1.0)[..., None]
        return mirror + self.tau * turned[..., :, None] * radial[..., None, :]

    def exact(self, x0: Array, steps: int) -> Array:
        """Period-2 orbit x0, Φ(x0), x0, …, (N, steps+1, 2)."""
        odd = (np.arange(steps + 1) % 2 == 1)[None, :, None]
        return np.where(odd, self.next_state(x0)[:, None], x0[:, None])

    def invariants(self, x: Array) -> dict[str, Array]:
        """Distance from the origin."""
        return {"radius": np.hypot(x[..., 0], x[..., 1])}

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)
