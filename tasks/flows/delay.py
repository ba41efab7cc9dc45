"""Delay equations, carried as the values of the recent past. Axes: N trajectories, D = nodes of the delay interval."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import Split
from ddl_dyn.tasks.exponents import ChaoticFlow
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.flows.oscillators import FLOW
from ddl_dyn.tasks.trust import settle


@functools.lru_cache(maxsize=64)
def chebyshev_differentiation(count: int) -> tuple[Array, Array]:
    """Chebyshev points 1 … −1 (count+1) and their differentiation matrix.

    Source: Trefethen (2000), Spectral Methods in MATLAB, ch. 6, doi:10.1137/1.9780898719598.
    """
    i = np.arange(count + 1)
    points = np.cos(np.pi * i / count)
    weight = np.where((i == 0) | (i == count), 2.0, 1.0) * (-1.0) ** i
    difference = points[:, None] - points + np.eye(count + 1)
    matrix = np.outer(weight, 1 / weight) / difference
    return points, matrix - np.diag(matrix.sum(axis=1))


@dataclass(frozen=True, kw_only=True)
class MackeyGlass(ChaoticFlow):
    """Mackey–Glass equation of blood-cell production, a delay equation.

    Equations: ẋ(t) = β x(t − τ)/(1 + x(t − τ)ⁿ) − γ x(t).
    State (x(t), x(t − d₁), …, x(t − τ)): the recent past at Chebyshev points of the delay interval, newest first.
    On them the delay equation is an ordinary one: the newest value obeys the equation, the older ones the shift
    ∂x/∂t = ∂x/∂s, its derivative taken spectrally. From smooth histories, as all are on the attractor, the error falls
    exponentially with `nodes`, 1e-6 σ at the default; a history with a corner at t = 0, as those of ood have,
    leaves an algebraic one, 1.5e-4 σ at the default.
    beta β, gamma γ: production and decay rate per day; tau τ: delay in days; power n.
    Regime at the defaults: weak chaos, λ₁ = .0053 ± .0004 (literature ≈ .006), on an attractor of dimension about 2.
    Facts: fixed point x* = (β/γ − 1)^(1/n) = 1, unstable; x > 0 always.
    Initial states: histories on the attractor (a transient is dropped; train); constant histories in 0.25–0.35 (ood).
    """

    source = "Mackey, Glass (1977), Oscillation and chaos in physiological control systems, doi:10.1126/science.267326"
    equations = "ẋ(t) = β x(t − τ)/(1 + x(t − τ)ⁿ) − γ x(t)"
    family = "chaotic flow"
    obstruction_reason = FLOW + " on histories"
    time_unit = "day"
    largest_exponent = 0.0053

    dt: float = 1.0
    beta: float = parameter(0.2, low=0.0, open_low=True, doc="production rate β")
    gamma: float = parameter(0.1, low=0.0, open_low=True, doc="decay rate γ")
    power: float = parameter(10.0, low=1.0, doc="steepness n")
    tau: float = parameter(17.0, low=0.0, open_low=True, doc="delay τ")
    nodes: int = parameter(24, low=8, high=64, doc="intervals between the points of the past")

    @property
    def delays(self) -> Array:
        """Delays of the components, 0 … τ, (nodes+1,)."""
        return self.tau * (1 - chebyshev_differentiation(self.nodes)[0]) / 2

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """x(t), x(t−d₁), …"""
        return tuple(f"x[t-{d:.3g}]" if d else "x[t]" for d in self.delays)

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """The equation for the newest value, the shift for the others."""
        shift = 2 / self.tau * chebyshev_differentiation(self.nodes)[1]
        out = x @ shift.T
        old = x[..., -1]
        out[..., 0] = self.beta * old / (1 + np.abs(old) ** self.power) - self.gamma * x[..., 0]
        return out

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """The shift, but for the first row: −γ, 0 …, β(1 + (1 − n) oⁿ)/(1 + oⁿ)² at the oldest value o."""
        out = np.broadcast_to(2 / self.tau * chebyshev_differentiation(self.nodes)[1], (*x.shape, x.shape[-1])).copy()
        high = np.abs(x[..., -1]) ** self.power
        out[..., 0, :] = 0.0
        out[..., 0, 0] = -self.gamma
        out[..., 0, -1] = self.beta * (1 + (1 - self.power) * high) / (1 + high) ** 2
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Histories on the attractor, or low constant ones, (n, nodes+1)."""
        low, high = (0.25, 0.35) if split == "ood" else (0.5, 1.2)
        level, wait = rng.uniform((low, 0.0), (high, 1.0), size=(n, 2)).T
        states = np.repeat(level[:, None], self.nodes + 1, axis=1)
        if split == "ood":
            return states
        # Largest eigenvalue of the differentiation matrix ~ 0.09 nodes²·2/τ; Runge–Kutta is stable up to 2.8 over it.
        step = min(0.5, 2.8 * self.tau / (0.4 * self.nodes**2))
        settled = settle(self.vector_field, states, time=200.0, dt=step)
        # Starts that differ in level alone would stay in step for long; a stretch of the way each spreads them out.
        spread: Array = settled + wait[:, None] * (settle(self.vector_field, settled, time=step, dt=step) - settled)
        return spread
