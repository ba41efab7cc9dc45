"""Scalar series with a closed form, delay-embedded: overshoot, beating, chirp. Axes: N, T, D delays."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import MapTask, Split
from ddl_dyn.tasks.fields import parameter

SAMPLED = "the map is the time-dt map of a flow on the delays"


@dataclass(frozen=True, kw_only=True)
class ModalSeries(MapTask):
    """A sum of modes s(t) = c + Σⱼ Re(aⱼ e^{λⱼt}), seen through as many delays as it has real amplitudes.

    Delays are d = `delay` samples apart. The delay vector z − c is a linear image of the amplitudes, hence the map is
    affine: z⁺ − c = M (z − c), M = Re-basis(dt) · Re-basis(0)⁻¹.
    """

    family = "signal"
    obstruction_reason = SAMPLED

    dt: float = 0.1
    delay: int

    @property
    @abstractmethod
    def rates(self) -> tuple[complex, ...]:
        """Complex rates λⱼ, one of each conjugate pair."""

    @property
    def level(self) -> float:
        """Constant part c."""
        return 0.0

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """s[t], s[t−d], …, newest first."""
        return tuple(f"s[t-{i * self.delay}]" if i else "s[t]" for i in range(2 * len(self.rates)))

    def basis(self, t: Array) -> Array:
        """Real and imaginary parts of the modes at the delays of times t, (..., D, D): delays × amplitudes."""
        lags = self.dt * self.delay * np.arange(2 * len(self.rates))
        modes = np.exp((np.asarray(t, dtype=float)[..., None, None] - lags[:, None]) * np.array(self.rates))
        return np.concatenate([modes.real, -modes.imag], axis=-1)

    def transition(self, t: Array) -> Array:
        """Matrix that carries z − c over times t, (..., D, D)."""
        return self.basis(t) @ np.linalg.inv(self.basis(np.zeros(())))

    def next_state(self, x: Array) -> Array:
        """c + M (z − c)."""
        return self.level + (x - self.level) @ self.transition(np.array(self.dt)).T

    def jacobian(self, x: Array) -> Array:
        """Constant M."""
        return np.broadcast_to(self.transition(np.array(self.dt)), (*x.shape, x.shape[-1])).copy()

    def exact(self, x0: Array, steps: int) -> Array:
        """The closed form at every delay, its amplitudes solved from x0, (N, steps+1, D)."""
        amplitudes = np.linalg.solve(self.basis(np.zeros(())), (x0 - self.level).T)
        return self.level + np.moveaxis(self.basis(self.times(steps)) @ amplitudes, -1, 0)


@dataclass(frozen=True, kw_only=True)
class Overshoot(ModalSeries):
    """Step response of an underdamped system: of second order, it rises, overshoots, rings, settles at 1.

    Equations: s̈ + 2ζω ṡ + ω² s = ω²; from rest s = 1 − e^(−ζωt)(cos ω_d t + ζω/ω_d sin ω_d t), ω_d = ω√(1 − ζ²).
    State (s_t, s_{t−d}): the series and its value `delay` samples ago, newest first. omega ω: rad per
    unit time; zeta ζ: damping ratio.
    Regime at the defaults: overshoot e^(−πζ/√(1−ζ²)) = 52.7 % at t = π/ω_d.
    Facts: the delay map is affine with eigenvalues e^((−ζω ± iω_d)dt); its fixed point is (1, 1).
    Initial states: s₀ in −0.5–0.5 at rest (train), −2 to −1 at rest (ood), continued backwards by the closed form.
    Radius: |1 − s₀| = 1.5.
    """

    source = "Ogata (2010), Modern Control Engineering, 5th ed., §5.3, ISBN 978-0-13-615673-4"
    equations = "s̈ + 2ζω ṡ + ω² s = ω²"

    omega: float = parameter(1.0, low=0.0, open_low=True, doc="natural frequency, rad per unit time")
    zeta: float = parameter(0.2, low=0.0, high=0.99, doc="damping ratio")
    delay: int = parameter(8, low=1, high=10_000, doc="distance of the delays, samples")

    @property
    def rates(self) -> tuple[complex, ...]:
        """−ζω + iω√(1 − ζ²)."""
        return (self.omega * complex(-self.zeta, np.sqrt(1 - self.zeta**2)),)

    @property
    def level(self) -> float:
        """Final value 1."""
        return 1.0

    @property
    def timescale(self) -> float:
        """Ringing period 2π/ω_d."""
        return float(2 * np.pi / self.rates[0].imag)

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Responses from rest at different levels, (n, 2)."""
        low, high = (-2.0, -1.0) if split == "ood" else (-0.5, 0.5)
        return self._responses(1 - rng.uniform(low, high, size=n))

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:
        """Responses from rest at one distance from the final value, above or below it, (n, 2)."""
        return self._responses(np.where(rng.random(n) < 0.5, -1.5 * radius, 1.5 * radius))

    def _responses(self, height: Array) -> Array:
        rate = self.rates[0]
        # s − 1 = Re(a e^{λt}) with s(0) = 1 − h and ṡ(0) = 0: Re a = −h, Re(aλ) = 0.
        imaginary = -height * rate.real / rate.imag
        return 1.0 + np.stack([-height, imaginary], axis=1) @ self.basis(np.zeros(())).T


@dataclass(frozen=True, kw_only=True)
class Beating(ModalSeries):
    """Two tones close in frequency: the envelope swells and fades.

    Equations: s(t) = A₁ cos(ω₁ t + φ₁) + A₂ cos(ω₂ t + φ₂).
    State (s_t, s_{t−d}, s_{t−2d}, s_{t−3d}): four delays for four amplitudes, newest first. omega_1, omega_2:
    rad per unit time.
    Regime at the defaults: with equal amplitudes, 2A cos((ω₁ − ω₂)t/2) cos((ω₁ + ω₂)t/2); one beat lasts 2π/|ω₁ − ω₂|.
    Facts: the delay map is linear, det = 1, all eigenvalues on the unit circle; |s| ≤ A₁ + A₂.
    Initial states: both amplitudes in 0.5–1 (train), in 1.5–2 (ood), any phases. Radius: both amplitudes 1.
    """

    source = "Feynman, Leighton, Sands (1963), The Feynman Lectures on Physics I, §48-1, ISBN 978-0-465-02493-3"
    equations = "s(t) = A₁ cos(ω₁ t + φ₁) + A₂ cos(ω₂ t + φ₂)"

    omega_1: float = parameter(2.0, low=0.0, open_low=True, doc="first angular frequency")
    omega_2: float = parameter(2.5, low=0.0, open_low=True, doc="second angular frequency")
    delay: int = parameter(5, low=1, high=10_000, doc="distance of the delays, samples")

    def __post_init__(self) -> None:
        super().__post_init__()
        if np.linalg.cond(self.basis(np.zeros(()))) > 1e8:
            raise ValueError(
                f"{self.key()}: the delays do not tell the tones apart at omega_1={self.omega_1}, "
                f"omega_2={self.omega_2}, delay={self.delay}; choose frequencies further apart or another delay"
            )

    @property
    def rates(self) -> tuple[complex, ...]:
        """iω₁, iω₂."""
        return (complex(0, self.omega_1), complex(0, self.omega_2))

    @property
    def timescale(self) -> float:
        """Duration of one beat, 2π/|ω₁ − ω₂|."""
        return float(2 * np.pi / abs(self.omega_1 - self.omega_2))

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Two amplitudes and two phases, (n, 4)."""
        low, high = (1.5, 2.0) if split == "ood" else (0.5, 1.0)
        return self._tones(n, rng, low, high)

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:
        """Two equal amplitudes at any phases, (n, 4)."""
        return self._tones(n, rng, radius, radius)

    def _tones(self, n: int, rng: np.random.Generator, low: float, high: float) -> Array:
        draws = rng.uniform((low, low, 0.0, 0.0), (high, high, 2 * np.pi, 2 * np.pi), size=(n, 4))
        size, phase = draws[:, :2], draws[:, 2:]
        return np.concatenate([size * np.cos(phase), size * np.sin(phase)], axis=1) @ self.basis(np.zeros(())).T

    def invariants(self, x: Array) -> dict[str, Array]:
        """The amplitudes of the two tones."""
        parts = x @ np.linalg.inv(self.basis(np.zeros(()))).T
        return {"A1": np.hypot(parts[..., 0], parts[..., 2]), "A2": np.hypot(parts[..., 1], parts[..., 3])}


@dataclass(frozen=True, kw_only=True)
class Chirp(MapTask):
    """A tone whose frequency rises linearly.

    Equations: s(t) = A cos φ(t), φ̇ = ω, ω̇ = a.
    State (s_t, s_{t−d}, ω_t): the series, its value `delay` samples ago, and the instantaneous frequency in rad per
    unit time, without which the series would not be autonomous. sweep a: rad per unit time squared.
    Regime: the period 2π/ω shortens from turn to turn.
    Facts: with δ = ωd − ad²/2, s_{t−d} = A cos(φ − δ), so A sin φ = (s_{t−d} − s_t cos δ)/sin δ; the amplitude is kept.
    The inversion needs 0 < δ < π, which bounds the time for which the series may run.
    Initial states: A = 1, ω in 1–2 (train), 2.5–3 (ood), any phase. Radius: A = 1.
    """

    state_names = ("s[t]", "s[t-d]", "omega")
    source = "Flandrin (1999), Time-Frequency/Time-Scale Analysis, §1.1, ISBN 978-0-12-259870-8"
    equations = "s(t) = A cos φ(t), φ̇ = ω, ω̇ = a"
    family = "signal"
    obstruction_reason = SAMPLED

    dt: float = 0.1
    sweep: float = parameter(0.02, low=0.0, doc="rate of change a of the frequency")
    delay: int = parameter(2, low=1, high=10_000, doc="distance of the delays, samples")

    @property
    def timescale(self) -> float:
        """Period 2π/ω at the middle of the training frequencies."""
        return 2 * np.pi / 1.5

    def _lag(self, omega: Array) -> Array:
        """Phase δ gone through since the delayed sample."""
        d = self.dt * self.delay
        return omega * d - self.sweep * d * d / 2

    def _observe(self, cosine: Array, sine: Array, omega: Array) -> Array:
        """State of the quadrature pair (A cos φ, A sin φ)."""
        lag = self._lag(omega)
        return np.stack([cosine, cosine * np.cos(lag) + sine * np.sin(lag), omega], axis=-1)

    def _quadrature(self, x: Array) -> tuple[Array, Array]:
        lag = self._lag(x[..., 2])
        return x[..., 0], (x[..., 1] - x[..., 0] * np.cos(lag)) / np.sin(lag)

    def next_state(self, x: Array) -> Array:
        """The quadrature pair turned by ω dt + a dt²/2, the frequency raised by a dt."""
        cosine, sine = self._quadrature(x)
        angle = x[..., 2] * self.dt + self.sweep * self.dt**2 / 2
        c, s = np.cos(angle), np.sin(angle)
        return self._observe(cosine * c - sine * s, sine * c + cosine * s, x[..., 2] + self.sweep * self.dt)

    def exact(self, x0: Array, steps: int) -> Array:
        """A cos(φ₀ + ω₀ t + a t²/2) at both delays, (N, steps+1, 3)."""
        t = self.times(steps)
        cosine, sine = self._quadrature(x0)
        phase = np.arctan2(sine, cosine)[:, None] + x0[:, 2:] * t + self.sweep * t**2 / 2
        size = np.hypot(cosine, sine)[:, None]
        return self._observe(size * np.cos(phase), size * np.sin(phase), x0[:, 2:] + self.sweep * t)

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Unit amplitude, any phase, (n, 3)."""
        low, high = (2.5, 3.0) if split == "ood" else (1.0, 2.0)
        omega, phase = rng.uniform((low, 0.0), (high, 2 * np.pi), size=(n, 2)).T
        return self._observe(np.cos(phase), np.sin(phase), omega)

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:
        """Training frequencies and phases at another amplitude, (n, 3)."""
        # The state is linear in the amplitude, but for the frequency.
        return self.initial_states(n, rng=rng, split="train") * (radius, radius, 1.0)

    def invariants(self, x: Array) -> dict[str, Array]:
        """Amplitude A."""
        return {"A": np.hypot(*self._quadrature(x))}
