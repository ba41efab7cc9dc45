"""Centres: flows whose orbits neither grow nor shrink, and the damped spiral beside them. Axes: N, T, D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.base import Array, FlowTask, Split, join, parameter
from tasks.initial import annulus

FLOW = "the sampled map is the time-dt map of this flow itself"


@dataclass(frozen=True, kw_only=True)
class Harmonic(FlowTask):
    """Harmonic oscillator.

    Equations: ẋ = ω y, ẏ = −ω x.
    State (x, y): displacement and scaled velocity, same unit. omega: angular frequency, rad per unit time.
    Regime: a centre; every orbit is a circle with period 2π/ω.
    Facts: the map over dt is a rotation by −ω dt, i.e. two reflections whose mirrors are ω dt/2 apart; x² + y² is kept.
    Initial states: radius 0.5–1.5 (train), 2–3 (ood).
    """

    state_names = ("x", "y")
    source = "Strogatz (2015), Nonlinear Dynamics and Chaos, 2nd ed., §5.1, ISBN 978-0-8133-4910-7"
    equations = "ẋ = ω y, ẏ = −ω x"
    family = "oscillator"
    obstruction_reason = FLOW
    isotropic = True

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

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Annuli about the centre, (n, 2)."""
        return annulus(n, rng, 2.0, 3.0) if split == "ood" else annulus(n, rng, 0.5, 1.5)

    def exact(self, x0: Array, steps: int) -> Array:
        """Rotation of x0 by −ω t, (N, steps+1, 2)."""
        angle = self.omega * self.dt * np.arange(steps + 1)
        c, s = np.cos(angle), np.sin(angle)
        x, y = x0[:, :1], x0[:, 1:]
        return np.stack([x * c + y * s, y * c - x * s], axis=-1)

    def invariants(self, x: Array) -> dict[str, Array]:
        """Energy (x² + y²)/2."""
        return {"energy": (x**2).sum(axis=-1) / 2}
