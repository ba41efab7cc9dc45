"""Populations: predators and prey, and coupled phases. Axes: N trajectories, D state components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import FlowTask, Split, join
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.flows.oscillators import FLOW
from ddl_dyn.tasks.initial import box
from ddl_dyn.tasks.symmetry import QUARTER
from ddl_dyn.tasks.trust import cycle_period


@dataclass(frozen=True, kw_only=True)
class LotkaVolterra(FlowTask):
    """Lotka–Volterra model of prey and predators.

    Equations: ẋ = a x − b x y, ẏ = d x y − c y.
    State (x, y): prey and predators, positive, in units of their own. a, c: growth and death rates per unit time; b, d:
    losses and gains by predation.
    Regime: a nonlinear centre about (c/d, a/b); every start has its own closed orbit.
    Facts: d x − c ln x + b y − a ln y is kept; the orbit through (1, 1) has period 8.02664 at the defaults.
    Initial states: x in (0.4–1.6) c/d, y in (0.4–1.6) a/b (train); x in (2–2.6) c/d (ood).
    Radius: x = 1.6 c/d.
    """

    state_names = ("x", "y")
    source = "Murray (2002), Mathematical Biology I, §3.1, doi:10.1007/b98868"
    equations = "ẋ = a x − b x y, ẏ = d x y − c y"
    family = "population"
    obstruction_reason = FLOW

    dt: float = 0.1
    a: float = parameter(2 / 3, low=0.0, open_low=True, doc="growth rate of the prey")
    b: float = parameter(4 / 3, low=0.0, open_low=True, doc="loss of prey per predator")
    c: float = parameter(1.0, low=0.0, open_low=True, doc="death rate of the predators")
    d: float = parameter(1.0, low=0.0, open_low=True, doc="gain of predators per prey")

    @property
    def timescale(self) -> float:
        """Period of the orbit through (c/d, 2a/b), which is (1, 1) at the defaults."""
        start = (self.c / self.d, 2 * self.a / self.b)
        linear = 2 * np.pi / np.sqrt(self.a * self.c)
        return cycle_period(self, start, component=0, level=self.c / self.d, settle=float(linear) / 8)

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(a x − b x y, d x y − c y)."""
        prey, predators = x[..., 0], x[..., 1]
        met = prey * predators
        return join(x, self.a * prey - self.b * met, self.d * met - self.c * predators)

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """[[a − b y, −b x], [d y, d x − c]]."""
        prey, predators = x[..., 0], x[..., 1]
        out = np.empty((*x.shape, 2))
        out[..., 0, 0], out[..., 0, 1] = self.a - self.b * predators, -self.b * prey
        out[..., 1, 0], out[..., 1, 1] = self.d * predators, self.d * prey - self.c
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """A box about the centre, or one with more prey, (n, 2)."""
        low, high = (2.0, 2.6) if split == "ood" else (0.4, 1.6)
        return box(n, rng, (low, 0.4), (high, 1.6)) * (self.c / self.d, self.a / self.b)

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:
        """The training range of predators with more prey, (n, 2)."""
        prey = 1.6 * radius
        return box(n, rng, (prey, 0.4), (prey, 1.6)) * (self.c / self.d, self.a / self.b)

    def invariants(self, x: Array) -> dict[str, Array]:
        """d x − c ln x + b y − a ln y."""
        prey, predators = x[..., 0], x[..., 1]
        return {"V": self.d * prey - self.c * np.log(prey) + self.b * predators - self.a * np.log(predators)}


@dataclass(frozen=True, kw_only=True)
class Kuramoto(FlowTask):
    """Kuramoto model: n phase oscillators, all coupled alike, carried as points of the unit circle.

    Equations: θ̇ᵢ = ωᵢ + (K/n) Σⱼ sin(θⱼ − θᵢ).
    State (cos θ₁ … cos θₙ, sin θ₁ … sin θₙ), so that no phase ever jumps. n: number of oscillators; coupling K and
    spread γ (gamma), rad per unit time; ωᵢ = γ tan(π((i − ½)/n − ½)), i = 1 … n: the quantiles of a Lorentzian.
    Regime at the defaults: K = 2 K_c, partial synchrony.
    Facts: as n → ∞, K_c = 2γ and the order parameter r = |Σ e^{iθ}|/n tends to √(1 − K_c/K); each cos² + sin² is kept.
    Initial states: phases within 3π/4 of 0 (train), beyond it (ood).
    """

    source = "Acebrón et al. (2005), The Kuramoto model, §II, doi:10.1103/RevModPhys.77.137"
    equations = "θ̇ᵢ = ωᵢ + (K/n) Σⱼ sin(θⱼ − θᵢ)"
    family = "population"
    obstruction_reason = FLOW

    dt: float = 0.1
    n: int = parameter(16, low=2, high=1024, doc="number of oscillators")
    coupling: float = parameter(2.0, low=0.0, doc="coupling K, rad per unit time")
    gamma: float = parameter(0.5, low=0.0, open_low=True, doc="half width of the frequency distribution")

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Cosines, then sines."""
        return tuple(f"{part}{i + 1}" for part in ("c", "s") for i in range(self.n))

    @property
    def timescale(self) -> float:
        """Decay time 1/γ of the order parameter of uncoupled oscillators."""
        return 1 / self.gamma

    @property
    def frequencies(self) -> Array:
        """Natural frequencies ωᵢ, (n,)."""
        return self.gamma * np.tan(np.pi * ((np.arange(self.n) + 0.5) / self.n - 0.5))

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(−sᵢ θ̇ᵢ, cᵢ θ̇ᵢ) with θ̇ᵢ = ωᵢ + K (S cᵢ − C sᵢ), C and S the mean cosine and sine."""
        c, s = x[..., : self.n], x[..., self.n :]
        big_c, big_s = c.mean(axis=-1, keepdims=True), s.mean(axis=-1, keepdims=True)
        rate = self.frequencies + self.coupling * (big_s * c - big_c * s)
        out = np.empty_like(x)
        out[..., : self.n], out[..., self.n :] = -s * rate, c * rate
        return out

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """Blocks of ∂(−s θ̇, c θ̇)/∂(c, s)."""
        n, k = self.n, self.coupling
        c, s = x[..., :n], x[..., n:]
        big_c, big_s = c.mean(axis=-1, keepdims=True), s.mean(axis=-1, keepdims=True)
        rate = self.frequencies + k * (big_s * c - big_c * s)
        eye = np.eye(n)
        by_c = k * big_s[..., None] * eye - (k / n) * s[..., :, None]
        by_s = -k * big_c[..., None] * eye + (k / n) * c[..., :, None]
        out = np.empty((*x.shape, 2 * n))
        out[..., :n, :n], out[..., :n, n:] = -s[..., :, None] * by_c, -s[..., :, None] * by_s - rate[..., None] * eye
        out[..., n:, :n], out[..., n:, n:] = c[..., :, None] * by_c + rate[..., None] * eye, c[..., :, None] * by_s
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Independent phases on an arc, (n, 2·self.n)."""
        width = np.pi / 4 if split == "ood" else 3 * np.pi / 4
        phase = rng.uniform(-width, width, size=(n, self.n)) + (np.pi if split == "ood" else 0.0)
        return np.concatenate([np.cos(phase), np.sin(phase)], axis=1)

    def invariants(self, x: Array) -> dict[str, Array]:
        """cos² + sin² of every oscillator."""
        squares = x[..., : self.n] ** 2 + x[..., self.n :] ** 2
        return {f"radius_{i + 1}": squares[..., i] for i in range(self.n)}

    def symmetries(self) -> dict[str, Array]:
        # Cosines first, then sines: all phases advance by π/2.
        return {"common phase": np.kron(QUARTER, np.eye(self.n))}
