"""Chaotic autonomous flows. Exponents are in natural logarithm per unit time. Axes: N, T, D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.base import Array, FlowTask, Split, join, parameter
from tasks.initial import box
from tasks.oscillators import FLOW
from tasks.simulate import settle


@dataclass(frozen=True, kw_only=True)
class Lorenz63(FlowTask):
    """Lorenz's convection model.

    Equations: ẋ = σ(y − x), ẏ = x(ρ − z) − y, ż = xy − βz.
    State (x, y, z): overturning rate, horizontal and vertical temperature variation, all dimensionless.
    Regime at the defaults: the butterfly attractor.
    Facts: exponents .9060 ± .0022, 0, −14.572; their sum is −(σ + 1 + β) exactly; fixed points 0 and
    (±√(β(ρ−1)), ±√(β(ρ−1)), ρ−1); symmetric under (x, y, z) → (−x, −y, z); Kaplan–Yorke dimension 2.062.
    Initial states: on the attractor (a transient is dropped; train), a box far above it, z in 60–70 (ood).
    """

    state_names = ("x", "y", "z")
    source = "Lorenz (1963), Deterministic nonperiodic flow, doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2"
    equations = "ẋ = σ(y − x), ẏ = x(ρ − z) − y, ż = xy − βz"
    family = "chaotic flow"
    obstruction_reason = FLOW

    dt: float = 0.02
    sigma: float = parameter(10.0, low=0.0, open_low=True, doc="Prandtl number")
    rho: float = parameter(28.0, low=0.0, high=350.0, doc="reduced Rayleigh number")
    beta: float = parameter(8 / 3, low=0.0, open_low=True, doc="aspect ratio of the cells")

    @property
    def timescale(self) -> float:
        """Lyapunov time."""
        return 1 / 0.9060

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(σ(y − x), x(ρ − z) − y, xy − βz)."""
        a, b, c = x[..., 0], x[..., 1], x[..., 2]
        return join(x, self.sigma * (b - a), a * (self.rho - c) - b, a * b - self.beta * c)

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """[[−σ, σ, 0], [ρ − z, −1, −x], [y, x, −β]]."""
        a, b, c = x[..., 0], x[..., 1], x[..., 2]
        out = np.zeros((*x.shape, 3))
        out[..., 0, 0], out[..., 0, 1] = -self.sigma, self.sigma
        out[..., 1, 0], out[..., 1, 1], out[..., 1, 2] = self.rho - c, -1.0, -a
        out[..., 2, 0], out[..., 2, 1], out[..., 2, 2] = b, a, -self.beta
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """On the attractor, or a box above it, (n, 3)."""
        if split == "ood":
            return box(n, rng, (-20.0, -20.0, 60.0), (20.0, 20.0, 70.0))
        return settle(self.vector_field, box(n, rng, (-15.0, -15.0, 15.0), (15.0, 15.0, 35.0)), time=10.0, dt=0.01)
