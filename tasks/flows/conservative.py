"""Nonlinear oscillators that keep their energy, with exact solutions in Jacobi functions. Axes: N, T, D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import FlowTask, Split, join
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.flows.oscillators import FLOW
from ddl_dyn.tasks.symmetry import change_of_sign, third_turn


@dataclass(frozen=True, kw_only=True)
class Pendulum(FlowTask):
    """Mathematical pendulum.

    Equations: θ̇ = v, v̇ = −sin θ.
    State (theta, v): angle in rad, angular velocity in rad per unit time; unit of time √(length/g). theta0: the largest
    amplitude of the training swings, rad.
    Regime: libration; the period grows with the amplitude and diverges at π.
    Facts: energy v²/2 + 1 − cos θ is kept; period 4K(sin²(A/2)) at amplitude A: 6.69998 (1), 8.34975 (2), 16.15554 (3).
    Initial states: amplitudes in (0.2–1) theta0 (train); ood from 0.3 to 0.8 of the way between theta0 and π.
    Radius: the amplitude theta0, as long as the pendulum does not turn over.
    """

    state_names = ("theta", "v")
    source = "Abramowitz, Stegun (1964), Handbook of Mathematical Functions, §17.1, ISBN 978-0-486-61272-0"
    equations = "θ̇ = v, v̇ = −sin θ"
    family = "oscillator"
    obstruction_reason = FLOW

    dt: float = 0.1
    theta0: float = parameter(1.0, low=0.0, high=3.1, open_low=True, doc="largest training amplitude, rad")

    @property
    def timescale(self) -> float:
        """Period at amplitude theta0."""
        return float(4 * scipy.special.ellipk(np.sin(self.theta0 / 2) ** 2))

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(v, −sin θ)."""
        return join(x, x[..., 1], -np.sin(x[..., 0]))

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """[[0, 1], [−cos θ, 0]]."""
        out = np.zeros((*x.shape, 2))
        out[..., 0, 1], out[..., 1, 0] = 1.0, -np.cos(x[..., 0])
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Amplitude and phase of a swing, (n, 2)."""
        rest = np.pi - self.theta0
        low, high = (0.2 * self.theta0, self.theta0) if split != "ood" else (np.pi - 0.7 * rest, np.pi - 0.2 * rest)
        return self._swings(n, rng, low, high)

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array | None:
        """Swings of one amplitude at any phase, (n, 2); None from π on."""
        amplitude = radius * self.theta0
        return self._swings(n, rng, amplitude, amplitude) if amplitude < np.pi else None

    def _swings(self, n: int, rng: np.random.Generator, low: float, high: float) -> Array:
        amplitude, phase = rng.uniform((low, 0.0), (high, 2 * np.pi), size=(n, 2)).T
        k = np.sin(amplitude / 2)
        return np.stack([2 * np.arcsin(k * np.cos(phase)), 2 * k * np.sin(phase)], axis=1)

    def exact(self, x0: Array, steps: int) -> Array | None:
        """sin(θ/2) = k sn(t + t₀, k²), v = 2k cn(t + t₀, k²), (N, steps+1, 2); None if a state rotates."""
        half, speed = np.sin(x0[:, 0] / 2), x0[:, 1] / 2
        k = np.hypot(half, speed)
        if (k >= 1).any() or (k == 0).any() or (np.abs(x0[:, 0]) >= np.pi).any():
            return None
        start = scipy.special.ellipkinc(np.arctan2(half, speed), k**2)
        sn, cn, _, _ = scipy.special.ellipj(start[:, None] + self.times(steps), (k**2)[:, None])
        return np.stack([2 * np.arcsin(k[:, None] * sn), 2 * k[:, None] * cn], axis=-1)

    def invariants(self, x: Array) -> dict[str, Array]:
        """Energy v²/2 + 1 − cos θ."""
        return {"energy": x[..., 1] ** 2 / 2 + 1 - np.cos(x[..., 0])}

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)


@dataclass(frozen=True, kw_only=True)
class HardeningDuffing(FlowTask):
    """Duffing oscillator with a hardening spring: undamped and unforced.

    Equations: ẋ = v, v̇ = −x − β x³.
    State (x, v): displacement and velocity. beta: hardening; amplitude: the largest of the training orbits.
    Regime: a nonlinear centre whose frequency rises with the amplitude.
    Facts: energy v²/2 + x²/2 + β x⁴/4 is kept; at amplitude A, with Ω² = 1 + βA² and m = βA²/(2Ω²),
    x = A cn(Ω t, m) and the period is 4K(m)/Ω.
    Initial states: amplitudes (0.3–1) amplitude (train), (1.3–1.8) amplitude (ood). Radius: `amplitude`.
    """

    state_names = ("x", "v")
    source = "Kovacic, Brennan (2011), The Duffing Equation, §2.3, doi:10.1002/9780470977859"
    equations = "ẋ = v, v̇ = −x − β x³"
    family = "oscillator"
    obstruction_reason = FLOW

    dt: float = 0.1
    beta: float = parameter(1.0, low=0.0, open_low=True, doc="hardening")
    amplitude: float = parameter(1.0, low=0.0, open_low=True, doc="largest training amplitude")

    @property
    def timescale(self) -> float:
        """Period at `amplitude`."""
        frequency, m = self._jacobi(np.array(self.amplitude**2))
        return float(4 * scipy.special.ellipk(m) / frequency)

    def _jacobi(self, squared: Array) -> tuple[Array, Array]:
        """Ω and m of orbits with squared amplitude A²."""
        stiff = self.beta * squared
        return np.sqrt(1 + stiff), stiff / (2 * (1 + stiff))

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(v, −x − β x³)."""
        p = x[..., 0]
        return join(x, x[..., 1], -p - self.beta * p * p * p)

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """[[0, 1], [−1 − 3β x², 0]]."""
        out = np.zeros((*x.shape, 2))
        out[..., 0, 1], out[..., 1, 0] = 1.0, -1 - 3 * self.beta * x[..., 0] ** 2
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Amplitude and phase of an orbit, (n, 2)."""
        return self._orbits(n, rng, *((1.3, 1.8) if split == "ood" else (0.3, 1.0)))

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:
        """Orbits of one amplitude at any phase, (n, 2)."""
        return self._orbits(n, rng, radius, radius)

    def _orbits(self, n: int, rng: np.random.Generator, low: float, high: float) -> Array:
        ratio, phase = rng.uniform((low, 0.0), (high, 4.0), size=(n, 2)).T
        amplitude = self.amplitude * ratio
        frequency, m = self._jacobi(amplitude**2)
        sn, cn, dn, _ = scipy.special.ellipj(phase * scipy.special.ellipk(m), m)
        return np.stack([amplitude * cn, -amplitude * frequency * sn * dn], axis=1)

    def exact(self, x0: Array, steps: int) -> Array | None:
        """x = A cn(u, m), v = −A Ω sn(u, m) dn(u, m) with u = Ω t + u₀, (N, steps+1, 2); None at the fixed point."""
        squared = (np.sqrt(1 + 4 * self.beta * self.invariants(x0)["energy"]) - 1) / self.beta
        if (squared == 0).any():
            return None
        amplitude = np.sqrt(squared)
        frequency, m = self._jacobi(squared)
        cosine = np.clip(x0[:, 0] / amplitude, -1, 1)
        sine = -x0[:, 1] / (amplitude * frequency * np.sqrt(1 - m * (1 - cosine**2)))
        start = scipy.special.ellipkinc(np.arctan2(sine, cosine), m)
        sn, cn, dn, _ = scipy.special.ellipj(start[:, None] + frequency[:, None] * self.times(steps), m[:, None])
        return np.stack([amplitude[:, None] * cn, -(amplitude * frequency)[:, None] * sn * dn], axis=-1)

    def invariants(self, x: Array) -> dict[str, Array]:
        """Energy v²/2 + x²/2 + β x⁴/4."""
        p = x[..., 0] ** 2
        return {"energy": x[..., 1] ** 2 / 2 + p / 2 + self.beta * p**2 / 4}

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)


@dataclass(frozen=True, kw_only=True)
class HenonHeiles(FlowTask):
    """Hénon–Heiles model: a star in a galactic plane.

    Equations: ẋ = p, ẏ = q, ṗ = −x − 2xy, q̇ = −y − x² + y².
    State (x, y, p, q): positions and momenta, dimensionless. energy: the largest of the training orbits.
    Regime at the defaults: E = 1/8, islands of regular motion in a chaotic sea; below 1/6 every orbit stays bounded.
    Facts: energy (p² + q² + x² + y²)/2 + x²y − y³/3 is kept; the flow is symplectic, exponents come in pairs ±λ.
    Initial states: energies (0.8–1) energy (train), (1.15–1.3) energy (ood).
    """

    state_names = ("x", "y", "p", "q")
    source = "Hénon, Heiles (1964), The applicability of the third integral of motion, doi:10.1086/109234"
    equations = "ẋ = p, ẏ = q, ṗ = −x − 2xy, q̇ = −y − x² + y²"
    family = "chaotic flow"
    obstruction_reason = FLOW

    dt: float = 0.05
    # At 1.3 times the largest energy allowed here the ood orbits are still below the escape energy 1/6.
    energy: float = parameter(1 / 8, low=0.0, high=1 / 7.8, open_low=True, doc="largest training energy")

    @property
    def timescale(self) -> float:
        """Period 2π of small oscillations."""
        return 2 * np.pi

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(p, q, −x − 2xy, −y − x² + y²)."""
        a, b = x[..., 0], x[..., 1]
        return join(x, x[..., 2], x[..., 3], -a - 2 * a * b, -b - a * a + b * b)

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """Unit block above, minus the Hessian of the potential below."""
        a, b = x[..., 0], x[..., 1]
        out = np.zeros((*x.shape, 4))
        out[..., 0, 2] = out[..., 1, 3] = 1.0
        out[..., 2, 0], out[..., 2, 1] = -1 - 2 * b, -2 * a
        out[..., 3, 0], out[..., 3, 1] = -2 * a, -1 + 2 * b
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """A position well inside the potential, the momentum that the energy leaves, in any direction, (n, 4)."""
        low, high = (1.15, 1.3) if split == "ood" else (0.8, 1.0)
        draws = rng.uniform((low, 0.0, 0.0, 0.0), (high, 0.6, 2 * np.pi, 2 * np.pi), size=(n, 4))
        energy, radius = self.energy * draws[:, 0], np.sqrt(2 * self.energy) * draws[:, 1]
        x, y = radius * np.cos(draws[:, 2]), radius * np.sin(draws[:, 2])
        momentum = np.sqrt(2 * energy - x**2 - y**2 - 2 * x**2 * y + 2 * y**3 / 3)
        return np.stack([x, y, momentum * np.cos(draws[:, 3]), momentum * np.sin(draws[:, 3])], axis=1)

    def invariants(self, x: Array) -> dict[str, Array]:
        """Energy (p² + q² + x² + y²)/2 + x²y − y³/3."""
        a, b = x[..., 0], x[..., 1]
        return {"energy": (x**2).sum(axis=-1) / 2 + a**2 * b - b**3 / 3}

    def symmetries(self) -> dict[str, Array]:
        return {"mirror x": np.diag([-1.0, 1.0, -1.0, 1.0])} | third_turn()
