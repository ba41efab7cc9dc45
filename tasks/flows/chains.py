"""Families that scale: a chain of n springs, a ring of n weather stations. Axes: N trajectories, D components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import FlowTask, Split
from ddl_dyn.tasks.exponents import ChaoticFlow
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.flows.oscillators import FLOW
from ddl_dyn.tasks.initial import shell, sphere
from ddl_dyn.tasks.symmetry import change_of_sign, cyclic_exchange
from ddl_dyn.tasks.trust import settle


@dataclass(frozen=True, kw_only=True)
class SpringChain(FlowTask):
    """Chain of masses and springs between two walls: n equal masses, n + 1 equal springs.

    Equations: ẋᵢ = vᵢ, v̇ᵢ = κ (xᵢ₋₁ − 2xᵢ + xᵢ₊₁), x₀ = xₙ₊₁ = 0.
    State (x₁ … xₙ, v₁ … vₙ): displacements and velocities. stiffness κ: spring constant
    over mass, per unit time squared.
    Regime: n uncoupled normal modes, quasi-periodic.
    Facts: mode j has the shape sin(ijπ/(n+1)) and the frequency 2√κ sin(jπ/(2(n+1))); the energy of every mode is kept.
    Initial states: on shells of radius 0.5–1.5 (train), 2–3 (ood) in state space, all directions alike. Radius:
    that of the largest training shell.
    """

    source = "Goldstein, Poole, Safko (2002), Classical Mechanics, 3rd ed., ch. 6, ISBN 978-0-201-65702-9"
    equations = "ẋᵢ = vᵢ, v̇ᵢ = κ (xᵢ₋₁ − 2xᵢ + xᵢ₊₁), x₀ = xₙ₊₁ = 0"
    family = "oscillator"
    obstruction_reason = FLOW

    dt: float = 0.1
    n: int = parameter(8, low=1, high=1024, doc="number of masses")
    stiffness: float = parameter(1.0, low=0.0, open_low=True, doc="spring constant over mass")

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Displacements, then velocities."""
        return tuple(f"{part}{i + 1}" for part in ("x", "v") for i in range(self.n))

    @property
    def frequencies(self) -> Array:
        """Normal-mode frequencies 2√κ sin(jπ/(2(n+1))), (n,), rising."""
        j = np.arange(1, self.n + 1)
        frequencies: Array = 2 * np.sqrt(self.stiffness) * np.sin(j * np.pi / (2 * (self.n + 1)))
        return frequencies

    @property
    def modes(self) -> Array:
        """Orthonormal mode shapes √(2/(n+1)) sin(ijπ/(n+1)), (n, n), symmetric."""
        j = np.arange(1, self.n + 1)
        modes: Array = np.sqrt(2 / (self.n + 1)) * np.sin(np.outer(j, j) * np.pi / (self.n + 1))
        return modes

    @property
    def timescale(self) -> float:
        """Period of the slowest mode."""
        return float(2 * np.pi / self.frequencies[0])

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(v, κ times the second difference of the displacements)."""
        out = np.empty_like(x)
        out[..., : self.n] = x[..., self.n :]
        place = x[..., : self.n]
        force = -2 * place
        force[..., 1:] += place[..., :-1]
        force[..., :-1] += place[..., 1:]
        out[..., self.n :] = self.stiffness * force
        return out

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """Constant [[0, I], [κ·second difference, 0]]."""
        n = self.n
        out = np.zeros((2 * n, 2 * n))
        out[:n, n:] = np.eye(n)
        out[n:, :n] = self.stiffness * (np.eye(n, k=1) + np.eye(n, k=-1) - 2 * np.eye(n))
        return np.broadcast_to(out, (*x.shape, 2 * n)).copy()

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Shells in state space, (n, 2·self.n)."""
        return shell(n, rng, *((2.0, 3.0) if split == "ood" else (0.5, 1.5)), self.state_dim)

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:
        """A sphere in state space, (n, 2·self.n)."""
        return sphere(n, rng, 1.5 * radius, self.state_dim)

    def exact(self, x0: Array, steps: int) -> Array:
        """Every mode a cosine and a sine of its own frequency, (N, steps+1, 2n)."""
        modes, omega = self.modes, self.frequencies
        place, speed = (x0[:, None, : self.n] @ modes), (x0[:, None, self.n :] @ modes)
        angle = self.times(steps)[:, None] * omega
        c, s = np.cos(angle), np.sin(angle)
        return np.concatenate(
            [(place * c + speed / omega * s) @ modes, (speed * c - place * omega * s) @ modes], axis=-1
        )

    def invariants(self, x: Array) -> dict[str, Array]:
        """Energy of every normal mode."""
        place, speed = x[..., : self.n] @ self.modes, x[..., self.n :] @ self.modes
        energy = (speed**2 + (self.frequencies * place) ** 2) / 2
        return {f"mode_{j + 1}": energy[..., j] for j in range(self.n)}

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)


@dataclass(frozen=True, kw_only=True)
class Lorenz96(ChaoticFlow):
    """Lorenz's ring of n weather stations.

    Equations: ẋᵢ = (xᵢ₊₁ − xᵢ₋₂) xᵢ₋₁ − xᵢ + F, indices modulo n.
    State (x₁ … xₙ): one atmospheric quantity on a circle of latitude. forcing F, dimensionless.
    Regime at the defaults: n = 5, F = 8, chaotic.
    Facts: exponents .464 ± .011, 0, −.517, −1.304, −3.644 at n = 5; their sum is −n exactly; x = F is a fixed point;
    the quadratic terms keep Σx², the ring may be turned.
    Initial states: on the attractor (a transient is dropped; train), a box around 20 (ood).
    Radius: half widths of the box around the attractor.
    """

    source = "Lorenz (1996), Predictability: a problem partly solved, doi:10.1017/CBO9780511617652.004"
    equations = "ẋᵢ = (xᵢ₊₁ − xᵢ₋₂) xᵢ₋₁ − xᵢ + F"
    family = "chaotic flow"
    obstruction_reason = FLOW
    largest_exponent = 0.464
    stretched = slice(None)

    dt: float = 0.01
    n: int = parameter(5, low=4, high=1024, doc="number of stations")
    forcing: float = parameter(8.0, low=0.0, open_low=True, doc="forcing F")

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """x1 … xn."""
        return tuple(f"x{i + 1}" for i in range(self.n))

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(xᵢ₊₁ − xᵢ₋₂) xᵢ₋₁ − xᵢ + F."""
        before = np.roll(x, 1, axis=-1)
        return (np.roll(x, -1, axis=-1) - np.roll(x, 2, axis=-1)) * before - x + self.forcing

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """Four bands: −1 on the diagonal, xᵢ₊₁ − xᵢ₋₂ at i−1, ± xᵢ₋₁ at i+1 and i−2."""
        i = np.arange(self.n)
        before = np.roll(x, 1, axis=-1)
        out = np.zeros((*x.shape, self.n))
        out[..., i, i] = -1.0
        out[..., i, (i - 1) % self.n] += np.roll(x, -1, axis=-1) - np.roll(x, 2, axis=-1)
        out[..., i, (i + 1) % self.n] += before
        out[..., i, (i - 2) % self.n] -= before
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """On the attractor, or far outside it, (n, self.n)."""
        if split == "ood":
            return rng.uniform(18.0, 22.0, size=(n, self.n))
        start = self.forcing + rng.uniform(-2.0, 2.0, size=(n, self.n))
        return settle(self.vector_field, start, time=10.0, dt=0.02)

    def symmetries(self) -> dict[str, Array]:
        return cyclic_exchange(self.state_dim)
