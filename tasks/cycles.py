"""Flows with a limit cycle: whatever the start, one period and one amplitude remain. Axes: N, T, D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.base import Array, FlowTask, Split, join, parameter
from tasks.initial import annulus
from tasks.oscillators import FLOW
from tasks.simulate import cycle_period


@dataclass(frozen=True, kw_only=True)
class VanDerPol(FlowTask):
    """Van der Pol oscillator.

    Equations: ẋ = y, ẏ = μ (1 − x²) y − x.
    State (x, y): displacement and velocity. mu: strength of the nonlinear damping, dimensionless.
    Regime at the defaults: a stable limit cycle between sinusoidal (μ → 0) and relaxation (μ → ∞).
    Facts: one unstable fixed point at 0 with eigenvalues (μ ± √(μ² − 4))/2; period 6.66329 and amplitude 2.00862 at
    μ = 1; div f = μ (1 − x²).
    Initial states: radius 0.5–3 (train), 3.5–4.5 (ood).
    """

    state_names = ("x", "y")
    source = "van der Pol (1926), On relaxation-oscillations, doi:10.1080/14786442608564127"
    equations = "ẋ = y, ẏ = μ (1 − x²) y − x"
    family = "oscillator"
    obstruction_reason = FLOW

    dt: float = 0.05
    mu: float = parameter(1.0, low=0.0, high=20.0, open_low=True, doc="nonlinear damping, dimensionless")

    @property
    def timescale(self) -> float:
        """Period of the limit cycle, located by its upward crossings of x = 0."""
        return cycle_period(self.vector_field, (2.0, 0.0), component=0, level=0.0, settle=40.0 + 20.0 * self.mu)

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

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Annuli about the unstable fixed point, (n, 2)."""
        return annulus(n, rng, 3.5, 4.5) if split == "ood" else annulus(n, rng, 0.5, 3.0)
