"""Centres, whose orbits neither grow nor shrink, and the spirals beside them. Axes: N, T, D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import FlowTask, Split, join
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.initial import AnnularStarts, annulus, sphere
from ddl_dyn.tasks.symmetry import change_of_sign, quarter_turn

FLOW = "the sampled map is the time-dt map of this flow itself"


def rotated(x: Array, angle: Array) -> Array:
    """Rotate states (N, 2) clockwise by angles (T+1,), (N, T+1, 2)."""
    c, s = np.cos(angle), np.sin(angle)
    p, q = x[:, :1], x[:, 1:]
    return np.stack([p * c + q * s, q * c - p * s], axis=-1)


@dataclass(frozen=True, kw_only=True)
class Harmonic(AnnularStarts):
    """Harmonic oscillator.

    Equations: ẋ = ω y, ẏ = −ω x.
    State (x, y): displacement and scaled velocity, same unit. omega: angular frequency, rad per unit time.
    Regime: a centre; every orbit is a circle with period 2π/ω.
    Facts: the map over dt is a rotation by −ω dt, i.e. two reflections whose mirrors are ω dt/2 apart; x² + y² is kept.
    Initial states: radius 0.5–1.5 (train), 2–3 (ood). Radius: that of the largest training circle.
    """

    state_names = ("x", "y")
    source = "Strogatz (2015), Nonlinear Dynamics and Chaos, 2nd ed., §5.1, ISBN 978-0-8133-4910-7"
    equations = "ẋ = ω y, ẏ = −ω x"
    family = "oscillator"
    obstruction_reason = FLOW
    isotropic = True
    train_radii, ood_radii = (0.5, 1.5), (2.0, 3.0)

    dt: float = 0.1
    omega: float = parameter(1.0, low=0.0, open_low=True, doc="angular frequency, rad per unit time")

    @property
    def timescale(self) -> float:
        """Period 2π/ω."""
        return 2 * np.pi / self.omega

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(ω y, −ω x)."""
        return join(x, self.omega * x[..., 1], -self.omega * x[..., 0])

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """Constant [[0, ω], [−ω, 0]]."""
        return np.broadcast_to(np.array([[0.0, self.omega], [-self.omega, 0.0]]), (*x.shape, 2)).copy()

    def exact(self, x0: Array, steps: int) -> Array:
        """Rotation of x0 by −ω t, (N, steps+1, 2)."""
        return rotated(x0, self.omega * self.times(steps))

    def invariants(self, x: Array) -> dict[str, Array]:
        """Energy (x² + y²)/2."""
        return {"energy": (x**2).sum(axis=-1) / 2}

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim) | quarter_turn()


@dataclass(frozen=True, kw_only=True)
class DampedSpiral(AnnularStarts):
    """Damped linear oscillator: a logarithmic spiral into the origin.

    Equations: ẋ = −a x + ω y, ẏ = −ω x − a y.
    State (x, y), same unit. decay a and omega ω: per unit time.
    Regime at the defaults: a stable focus, eigenvalues −0.1 ± 2i; each turn shrinks the radius by e^(−π/10) = 0.730.
    Facts: the map over dt is e^(−a dt) times a rotation by −ω dt, det = e^(−2a dt) > 0.
    Initial states: radius 0.5–2 (train), 2.5–3.5 (ood). Radius: that of the largest training circle.
    """

    state_names = ("x", "y")
    source = "Strogatz (2015), Nonlinear Dynamics and Chaos, 2nd ed., §5.2, ISBN 978-0-8133-4910-7"
    equations = "ẋ = −a x + ω y, ẏ = −ω x − a y"
    family = "oscillator"
    obstruction_reason = FLOW
    isotropic = True
    train_radii, ood_radii = (0.5, 2.0), (2.5, 3.5)

    dt: float = 0.05
    decay: float = parameter(0.1, low=0.0, doc="decay rate a, per unit time")
    omega: float = parameter(2.0, low=0.0, open_low=True, doc="angular frequency ω, rad per unit time")

    @property
    def timescale(self) -> float:
        """Time of one turn, 2π/ω."""
        return 2 * np.pi / self.omega

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(−a x + ω y, −ω x − a y)."""
        p, q = x[..., 0], x[..., 1]
        return join(x, self.omega * q - self.decay * p, -self.omega * p - self.decay * q)

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """Constant [[−a, ω], [−ω, −a]]."""
        matrix = np.array([[-self.decay, self.omega], [-self.omega, -self.decay]])
        return np.broadcast_to(matrix, (*x.shape, 2)).copy()

    def exact(self, x0: Array, steps: int) -> Array:
        """e^(−at) times the rotation of x0 by −ω t, (N, steps+1, 2)."""
        times = self.times(steps)
        return rotated(x0, self.omega * times) * np.exp(-self.decay * times)[:, None]

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim) | quarter_turn()


@dataclass(frozen=True, kw_only=True)
class CubicSpiral(AnnularStarts):
    """Spiral driven by the cubes of its components.

    Equations: ẋ = −a x³ − b y³, ẏ = b x³ − a y³ (as a row vector: ẏ = y³ A, A = [[−a, b], [−b, −a]]).
    State (x, y), same unit. decay a and rate b.
    Regime at the defaults: a slow inward spiral whose turns are rounded squares and take ever longer.
    Facts: from (2, 0), y(25) = (−0.443623, 0.279441); without damping x⁴ + y⁴ is kept and a turn of amplitude A takes
    B(¼, ¼)/(b A²).
    Initial states: radius 0.8–2.2 (train), 2.6–3.2 (ood). Radius: that of the largest training circle.
    """

    state_names = ("x", "y")
    source = "Chen, Rubanova, Bettencourt, Duvenaud (2018), Neural ordinary differential equations, arXiv:1806.07366"
    equations = "ẋ = −a x³ − b y³, ẏ = b x³ − a y³"
    family = "oscillator"
    obstruction_reason = FLOW
    train_radii, ood_radii = (0.8, 2.2), (2.6, 3.2)

    dt: float = 0.025
    decay: float = parameter(0.1, low=0.0, doc="damping a")
    rate: float = parameter(2.0, low=0.0, open_low=True, doc="rate of turning b")

    @property
    def timescale(self) -> float:
        """Time of one undamped turn at amplitude 2, B(¼, ¼)/(4b)."""
        return float(scipy.special.beta(0.25, 0.25) / (4 * self.rate))

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(−a x³ − b y³, b x³ − a y³)."""
        p, q = x[..., 0], x[..., 1]
        p, q = p * p * p, q * q * q
        return join(x, -self.decay * p - self.rate * q, self.rate * p - self.decay * q)

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """3 [[−a x², −b y²], [b x², −a y²]]."""
        matrix = np.array([[-self.decay, -self.rate], [self.rate, -self.decay]])
        return 3 * matrix * (x * x)[..., None, :]

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)


@dataclass(frozen=True, kw_only=True)
class Torus(FlowTask):
    """Two centres of incommensurate frequencies, uncoupled.

    Equations: ẋ₁ = ω₁ y₁, ẏ₁ = −ω₁ x₁, ẋ₂ = ω₂ y₂, ẏ₂ = −ω₂ x₂.
    State (x₁, y₁, x₂, y₂), same unit. omega_1, omega_2: rad per unit time.
    Regime at the defaults: ω₂/ω₁ is the golden ratio; each orbit fills a two-torus and never closes.
    Facts: all Lyapunov exponents are 0; both energies are kept; the map over dt takes four reflections.
    Initial states: both radii in 0.5–1.5 (train), both in 2–3 (ood). Radius: the larger of the two, here
    both alike.
    """

    state_names = ("x1", "y1", "x2", "y2")
    source = "Strogatz (2015), Nonlinear Dynamics and Chaos, 2nd ed., §8.6, ISBN 978-0-8133-4910-7"
    equations = "ẋᵢ = ωᵢ yᵢ, ẏᵢ = −ωᵢ xᵢ, i = 1, 2"
    family = "oscillator"
    obstruction_reason = FLOW
    isotropic = True

    dt: float = 0.1
    omega_1: float = parameter(1.0, low=0.0, open_low=True, doc="first angular frequency")
    omega_2: float = parameter((1 + 5**0.5) / 2, low=0.0, open_low=True, doc="second angular frequency")

    @property
    def timescale(self) -> float:
        """The longer of the two periods."""
        return 2 * np.pi / min(self.omega_1, self.omega_2)

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(ω₁ y₁, −ω₁ x₁, ω₂ y₂, −ω₂ x₂)."""
        a, b = self.omega_1, self.omega_2
        return join(x, a * x[..., 1], -a * x[..., 0], b * x[..., 3], -b * x[..., 2])

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """Two constant blocks [[0, ω], [−ω, 0]]."""
        out = np.zeros((*x.shape, 4))
        out[..., 0, 1], out[..., 1, 0] = self.omega_1, -self.omega_1
        out[..., 2, 3], out[..., 3, 2] = self.omega_2, -self.omega_2
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """A product of two annuli, (n, 4)."""
        inner, outer = (2.0, 3.0) if split == "ood" else (0.5, 1.5)
        return annulus(2 * n, rng, inner, outer).reshape(n, 4)

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:
        """A product of two circles, (n, 4)."""
        return sphere(2 * n, rng, 1.5 * radius, 2).reshape(n, 4)

    def exact(self, x0: Array, steps: int) -> Array:
        """Each pair rotated at its own frequency, (N, steps+1, 4)."""
        times = self.times(steps)
        first, second = rotated(x0[:, :2], self.omega_1 * times), rotated(x0[:, 2:], self.omega_2 * times)
        return np.concatenate([first, second], axis=-1)

    def invariants(self, x: Array) -> dict[str, Array]:
        """The two energies."""
        squares = x**2 / 2
        return {"energy_1": squares[..., 0] + squares[..., 1], "energy_2": squares[..., 2] + squares[..., 3]}

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)
