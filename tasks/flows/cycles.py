"""Flows with a limit cycle: whatever the start, one period and one amplitude remain. Axes: N, T, D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import FlowTask, Split, join
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.flows.oscillators import FLOW, rotated
from ddl_dyn.tasks.initial import AnnularStarts, annulus, box, box_surface, sphere
from ddl_dyn.tasks.symmetry import change_of_sign, quarter_turn
from ddl_dyn.tasks.trust import cycle_period


@dataclass(frozen=True, kw_only=True)
class VanDerPol(AnnularStarts):
    """Van der Pol oscillator.

    Equations: ẋ = y, ẏ = μ (1 − x²) y − x.
    State (x, y): displacement and velocity. mu: strength of the nonlinear damping, dimensionless.
    Regime at the defaults: a stable limit cycle between sinusoidal (μ → 0) and relaxation (μ → ∞).
    Facts: one unstable fixed point at 0 with eigenvalues (μ ± √(μ² − 4))/2; period 6.66329 and amplitude 2.00862 at
    μ = 1; div f = μ (1 − x²).
    Initial states: radius 0.5–3 (train), 3.5–4.5 (ood). Radius: that of the largest training circle.
    """

    state_names = ("x", "y")
    source = "van der Pol (1926), On relaxation-oscillations, doi:10.1080/14786442608564127"
    equations = "ẋ = y, ẏ = μ (1 − x²) y − x"
    family = "oscillator"
    obstruction_reason = FLOW
    train_radii, ood_radii = (0.5, 3.0), (3.5, 4.5)

    dt: float = 0.05
    mu: float = parameter(1.0, low=0.0, high=20.0, open_low=True, doc="nonlinear damping, dimensionless")

    @property
    def timescale(self) -> float:
        """Period of the limit cycle, located by its upward crossings of x = 0."""
        return cycle_period(self, (2.0, 0.0), component=0, level=0.0, settle=40.0 + 20.0 * self.mu)

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(y, μ (1 − x²) y − x)."""
        p, v = x[..., 0], x[..., 1]
        return join(x, v, self.mu * (1 - p * p) * v - p)

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """[[0, 1], [−2μxy − 1, μ(1 − x²)]]."""
        p, v = x[..., 0], x[..., 1]
        out = np.zeros((*x.shape, 2))
        out[..., 0, 1] = 1.0
        out[..., 1, 0] = -2 * self.mu * p * v - 1
        out[..., 1, 1] = self.mu * (1 - p * p)
        return out

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)


@dataclass(frozen=True, kw_only=True)
class StuartLandau(FlowTask):
    """Stuart–Landau oscillator: the normal form of a supercritical Hopf bifurcation.

    Equations: ż = (μ + iω) z − |z|² z with z = x + iy, i.e. ẋ = μx − ωy − (x² + y²)x, ẏ = ωx + μy − (x² + y²)y.
    State (x, y): real and imaginary part of the amplitude. mu μ: growth rate; omega ω: angular frequency.
    Regime: a stable circular limit cycle, isochronous.
    Facts: radius √μ, period 2π/ω, Floquet multiplier exp(−2μT); |z|² follows a logistic law, hence a closed form.
    Initial states: radius (0.2–1.5)√μ (train), (2–3)√μ (ood). Radius: 1.5√μ.
    """

    state_names = ("x", "y")
    source = "Kuramoto (1984), Chemical Oscillations, Waves, and Turbulence, §2.2, doi:10.1007/978-3-642-69689-3"
    equations = "ż = (μ + iω) z − |z|² z"
    family = "oscillator"
    obstruction_reason = FLOW
    isotropic = True

    dt: float = 0.1
    mu: float = parameter(1.0, low=0.0, open_low=True, doc="growth rate, per unit time")
    omega: float = parameter(2 * np.pi / 5, low=0.0, open_low=True, doc="angular frequency, rad per unit time")

    @property
    def timescale(self) -> float:
        """Period 2π/ω."""
        return 2 * np.pi / self.omega

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(μ − r²)(x, y) + ω(−y, x)."""
        p, q = x[..., 0], x[..., 1]
        growth = self.mu - p * p - q * q
        return join(x, growth * p - self.omega * q, self.omega * p + growth * q)

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """[[μ − 3x² − y², −ω − 2xy], [ω − 2xy, μ − x² − 3y²]]."""
        p, q = x[..., 0], x[..., 1]
        out = np.empty((*x.shape, 2))
        out[..., 0, 0], out[..., 0, 1] = self.mu - 3 * p * p - q * q, -self.omega - 2 * p * q
        out[..., 1, 0], out[..., 1, 1] = self.omega - 2 * p * q, self.mu - p * p - 3 * q * q
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Annuli about the unstable focus, (n, 2)."""
        inner, outer = (2.0, 3.0) if split == "ood" else (0.2, 1.5)
        states: Array = np.sqrt(self.mu) * annulus(n, rng, inner, outer)
        return states

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:
        """On a circle about the unstable focus, (n, 2)."""
        return sphere(n, rng, 1.5 * radius * float(np.sqrt(self.mu)), 2)

    def exact(self, x0: Array, steps: int) -> Array:
        """r² = μ r₀² / (r₀² + (μ − r₀²) e^(−2μt)), angle advanced by ω t, (N, steps+1, 2)."""
        times = self.times(steps)
        squared = (x0**2).sum(axis=1)[:, None]
        stretch = np.sqrt(self.mu / (squared + (self.mu - squared) * np.exp(-2 * self.mu * times)))
        states: Array = rotated(x0, -self.omega * times) * stretch[..., None]
        return states

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim) | quarter_turn()


@dataclass(frozen=True, kw_only=True)
class FitzhughNagumo(FlowTask):
    """FitzHugh–Nagumo model of a spiking neuron.

    Equations: v̇ = v − v³/3 − w + I, ẇ = ε (v + a − b w).
    State (v, w): membrane potential and recovery variable, dimensionless. current I, epsilon ε, a, b.
    Regime at the defaults: repetitive firing, a relaxation limit cycle around an unstable focus at (−0.8048, −0.1311).
    Facts: the fixed point solves v − v³/3 − (v + a)/b + I = 0; period 39.4744 at the defaults.
    Initial states: v in [−2, 2], w in [−0.6, 1.6] (train); v in [2.4, 3.2] (ood). Radius: half widths of
    the training box, about its centre.
    """

    state_names = ("v", "w")
    source = "FitzHugh (1961), Impulses and physiological states, doi:10.1016/S0006-3495(61)86902-6"
    equations = "v̇ = v − v³/3 − w + I, ẇ = ε (v + a − b w)"
    family = "oscillator"
    obstruction_reason = FLOW

    dt: float = 0.2
    current: float = parameter(0.5, low=0.33, high=1.41, doc="stimulus I, range of firing at ε = 0.08")
    epsilon: float = parameter(0.08, low=0.0, high=0.2, open_low=True, doc="ratio of time scales ε")
    a: float = parameter(0.7, doc="offset of the recovery")
    b: float = parameter(0.8, low=0.0, open_low=True, doc="decay of the recovery")

    @property
    def timescale(self) -> float:
        """Period of the limit cycle, located by its upward crossings of v = 0."""
        return cycle_period(self, (1.0, 0.0), component=0, level=0.0, settle=20.0 / self.epsilon)

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(v − v³/3 − w + I, ε (v + a − b w))."""
        v, w = x[..., 0], x[..., 1]
        return join(x, v - v * v * v / 3 - w + self.current, self.epsilon * (v + self.a - self.b * w))

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """[[1 − v², −1], [ε, −ε b]]."""
        out = np.empty((*x.shape, 2))
        out[..., 0, 0], out[..., 0, 1] = 1 - x[..., 0] ** 2, -1.0
        out[..., 1, 0], out[..., 1, 1] = self.epsilon, -self.epsilon * self.b
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """A box about the cycle, or one at higher potential, (n, 2)."""
        low, high = (2.4, 3.2) if split == "ood" else (-2.0, 2.0)
        return box(n, rng, (low, -0.6), (high, 1.6))

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:
        """On the border of the training box, enlarged about its centre, (n, 2)."""
        return box_surface(n, rng, (-2.0 * radius, 0.5 - 1.1 * radius), (2.0 * radius, 0.5 + 1.1 * radius))


@dataclass(frozen=True, kw_only=True)
class Brusselator(FlowTask):
    """Brusselator: an autocatalytic reaction.

    Equations: ẋ = A + x²y − (B + 1)x, ẏ = Bx − x²y.
    State (x, y): concentrations of the two intermediates, positive. a A and b B: concentrations held fixed.
    Regime at the defaults: a stable limit cycle, since B > 1 + A².
    Facts: the fixed point (A, B/A) has the Jacobian [[B − 1, A²], [−B, −A²]], eigenvalues (1 ± i√3)/2 at (1, 3);
    period 7.15692 at the defaults.
    Initial states: x in [0.2, 3], y in [0.8, 4] (train); y in [5, 6] (ood). Radius: y = 4.
    """

    state_names = ("x", "y")
    source = (
        "Prigogine, Lefever (1968), Symmetry breaking instabilities in dissipative systems II, doi:10.1063/1.1668896"
    )
    equations = "ẋ = A + x²y − (B + 1)x, ẏ = Bx − x²y"
    family = "oscillator"
    obstruction_reason = FLOW

    dt: float = 0.05
    a: float = parameter(1.0, low=0.0, open_low=True, doc="feed A")
    b: float = parameter(3.0, low=0.0, open_low=True, doc="feed B")

    def __post_init__(self) -> None:
        super().__post_init__()
        if np.any(np.asarray(self.b) <= 1 + np.asarray(self.a) ** 2):
            raise ValueError(f"{self.key()}: a limit cycle needs b > 1 + a², got a={self.a}, b={self.b}")

    @property
    def timescale(self) -> float:
        """Period of the limit cycle, located by its upward crossings of x = A."""
        return cycle_period(self, (self.a + 0.1, self.b / self.a), component=0, level=self.a, settle=100.0)

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(A + x²y − (B + 1)x, Bx − x²y)."""
        p, q = x[..., 0], x[..., 1]
        made = p * p * q
        return join(x, self.a + made - (self.b + 1) * p, self.b * p - made)

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """[[2xy − B − 1, x²], [B − 2xy, −x²]]."""
        p, q = x[..., 0], x[..., 1]
        out = np.empty((*x.shape, 2))
        out[..., 0, 0], out[..., 0, 1] = 2 * p * q - self.b - 1, p * p
        out[..., 1, 0], out[..., 1, 1] = self.b - 2 * p * q, -p * p
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """A box about the cycle, or one above it, (n, 2)."""
        low, high = (5.0, 6.0) if split == "ood" else (0.8, 4.0)
        return box(n, rng, (0.2, low), (3.0, high))

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:
        """The training range of x at one height above it, (n, 2)."""
        return box(n, rng, (0.2, 4.0 * radius), (3.0, 4.0 * radius))
