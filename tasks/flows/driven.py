"""Oscillators under a periodic force, whose phase is part of the state. Axes: N trajectories, D components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import Split, join
from ddl_dyn.tasks.exponents import ChaoticFlow
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.flows.oscillators import FLOW
from ddl_dyn.tasks.symmetry import change_of_sign
from ddl_dyn.tasks.trust import settle


@dataclass(frozen=True, kw_only=True)
class ForcedOscillator(ChaoticFlow):
    """ẍ + δẋ + αx + x³ = γ cos ωt, with the phase carried as (c, s) = (cos ωt, sin ωt): an autonomous flow."""

    state_names = ("x", "v", "c", "s")
    equations = "ẋ = v, v̇ = −δv − αx − x³ + γc, ċ = −ωs, ṡ = ωc"
    family = "chaotic flow"
    obstruction_reason = FLOW
    alpha: ClassVar[float]
    stretched = slice(2)

    dt: float = 0.05
    damping: float
    forcing: float
    omega: float

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(v, −δv − αx − x³ + γc, −ωs, ωc)."""
        p, v, c, s = (x[..., i] for i in range(4))
        force = self.forcing * c - self.damping * v - self.alpha * p - p * p * p
        return join(x, v, force, -self.omega * s, self.omega * c)

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """[[0, 1, 0, 0], [−α − 3x², −δ, γ, 0], [0, 0, 0, −ω], [0, 0, ω, 0]]."""
        out = np.zeros((*x.shape, 4))
        out[..., 0, 1] = 1.0
        out[..., 1, 0] = -self.alpha - 3 * x[..., 0] ** 2
        out[..., 1, 1], out[..., 1, 2] = -self.damping, self.forcing
        out[..., 2, 3], out[..., 3, 2] = -self.omega, self.omega
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """On the attractor at a random phase, or at a displacement beyond it, (n, 4)."""
        low, high = self.ood_displacement if split == "ood" else (-1.0, 1.0)
        x, v, phase = rng.uniform((low, -1.0, 0.0), (high, 1.0, 2 * np.pi), size=(n, 3)).T
        states = np.stack([x, v, np.cos(phase), np.sin(phase)], axis=1)
        if split == "ood":
            return states
        settled = settle(self.vector_field, states, time=40.0, dt=0.05)
        # The Runge–Kutta step shrinks the phase circle a little; the phase itself is all that matters.
        settled[:, 2:] /= np.hypot(settled[:, 2], settled[:, 3])[:, None]
        return settled

    ood_displacement: ClassVar[tuple[float, float]]

    def invariants(self, x: Array) -> dict[str, Array]:
        """c² + s² of the carried phase."""
        return {"phase": x[..., 2] ** 2 + x[..., 3] ** 2}


@dataclass(frozen=True, kw_only=True)
class Ueda(ForcedOscillator):
    """Ueda's oscillator: a nonlinear inductor under alternating voltage.

    Equations: ẋ = v, v̇ = −δv − x³ + γc, ċ = −ωs, ṡ = ωc; (c, s) is the phase of the force, carried along.
    State (x, v, c, s): flux, its rate, cosine and sine of the phase. damping δ, forcing γ, omega ω.
    Regime at the defaults: chaos (the "Japanese attractor" in the section once per period).
    Facts: exponents .1018 ± .0016, 0, −.152 on the cylinder (and 0 for the radius of the phase circle, which
    is kept); their sum is −δ exactly.
    Initial states: on the attractor at a random phase (a transient is dropped; train), x in 5–6 (ood).
    Radius: half widths in x and v of the box around the attractor.
    """

    source = "Ueda (1979), Randomly transitional phenomena in Duffing's equation, doi:10.1007/BF01011512"
    largest_exponent = 0.1018
    alpha = 0.0
    ood_displacement = (5.0, 6.0)

    damping: float = parameter(0.05, low=0.0, doc="damping δ, per unit time")
    forcing: float = parameter(7.5, low=0.0, doc="amplitude γ of the force")
    omega: float = parameter(1.0, low=0.0, open_low=True, doc="angular frequency ω of the force")

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)


@dataclass(frozen=True, kw_only=True)
class Duffing(ForcedOscillator):
    """Forced Duffing oscillator with two wells.

    Equations: ẋ = v, v̇ = −δv + x − x³ + γc, ċ = −ωs, ṡ = ωc; (c, s) is the phase of the force, carried along.
    State (x, v, c, s): displacement, velocity, cosine and sine of the phase. damping δ, forcing γ, omega ω.
    Regime at the defaults: chaotic hopping between the wells at ±1.
    Facts: exponents .108 ± .004, 0, −.408 on the cylinder (and 0 for the radius of the phase circle); their sum is −δ
    exactly; without force and damping the energy v²/2 − x²/2 + x⁴/4 is kept.
    Initial states: on the attractor at a random phase (a transient is dropped; train), x in 2.2–2.8 (ood).
    Radius: half widths in x and v of the box around the attractor.
    """

    source = "Guckenheimer, Holmes (1983), Nonlinear Oscillations, §2.2, doi:10.1007/978-1-4612-1140-2"
    largest_exponent = 0.108
    alpha = -1.0
    ood_displacement = (2.2, 2.8)

    damping: float = parameter(0.3, low=0.0, doc="damping δ, per unit time")
    forcing: float = parameter(0.5, low=0.0, doc="amplitude γ of the force")
    omega: float = parameter(1.2, low=0.0, open_low=True, doc="angular frequency ω of the force")

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)
