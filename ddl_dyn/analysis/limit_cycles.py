"""Limit cycles: period and Floquet multipliers, of a map whose orbits lie on a closed curve and of a flow.

Axes: R replicas, B initial states, T steps, D state components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from ddl_dyn.analysis.lyapunov import tangent_growth
from ddl_dyn.analysis.systems import System, as_map
from ddl_dyn.metrics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class LimitCycle:
    """A closed invariant curve of a map, such as the one a limit cycle leaves in a flow sampled at dt.

    Args:
        period: (R?, B), time of one turn, in the system's unit of time; NaN where the orbit does not turn.
        multipliers: (R?, B, D), moduli exp(λ_i T) of the Floquet multipliers, largest first (1 along the cycle).
        error: (R?, B), of λ_i T at most: the change when only the first half of the orbit is averaged.
        orbit: (T+1, R?, B, D), the averaged part of the orbit.
    """

    period: Array
    multipliers: Array
    error: Array
    orbit: Array


def limit_cycle(
    system: System,
    x0: ArrayLike,
    *,
    steps: int,
    transient: int,
    plane: tuple[int, int] = (0, 1),
    **options: object,
) -> LimitCycle:
    """Period and multipliers of the closed curve on which orbits end, trained or exact.

    T = 2π dt / ⟨Δθ⟩,  |m_i| = exp(T ⟨log R_ii⟩ / dt)

    θ turns about the orbit's centroid in `plane`; ⟨·⟩ is the weighted Birkhoff average, which on a smooth
    quasi-periodic orbit converges faster than any power of the number of steps.

    Args:
        system: DiscreteMap, task, model or replicas; a turn must take more than two steps.
        x0: (B, D) or (R, B, D).
        steps: averaged steps; some tens of turns give about eight digits.
        transient: steps to settle on the curve; tangents settle during the second half.
        plane: the two components in which the angle is taken.
        options: for `as_map`.
    Raises:
        ValueError: when steps < 4, transient < 0 or the plane does not exist.
    Source: Das, Saiki, Sander & Yorke (2017), Quantitative quasiperiodicity, Nonlinearity 30, 4111,
        10.1088/1361-6544/aa84c2.
    """
    phi = as_map(system, **options)
    if steps < 4 or transient < 0 or len(set(plane)) != 2 or not all(0 <= i < phi.dim for i in plane):
        raise ValueError(
            f"a limit cycle needs steps >= 4, transient >= 0 and a plane of two of {phi.dim} components, got "
            f"{steps}, {transient}, {plane}"
        )
    with torch.no_grad():
        x = phi.states(x0)
        x = phi.orbit(x, transient - transient // 2)[-1]
        frame = torch.linalg.qr(torch.randn(phi.dim, phi.dim, generator=torch.Generator().manual_seed(0)).to(x))[0]
        frame = frame.expand(*x.shape, phi.dim)
        settled, frame, _ = tangent_growth(phi, x, frame, transient // 2)
        path, _, growth = tangent_growth(phi, settled[-1], frame, steps)
    orbit, rates = path.cpu().numpy(), growth.cpu().numpy()
    turned = turns(orbit, plane)
    period, exponents = _averages(turned, rates, phi.dt)
    half_period, half_exponents = _averages(turned[: steps // 2], rates[: steps // 2], phi.dt)
    with np.errstate(invalid="ignore", over="ignore"):
        drift = np.abs(exponents * period[..., None] - half_exponents * half_period[..., None])
        multipliers = np.exp(exponents * period[..., None])
    return LimitCycle(period=period, multipliers=-np.sort(-multipliers, axis=-1), error=drift.max(axis=-1), orbit=orbit)


def turns(orbit: Array, plane: tuple[int, int]) -> Array:
    """Angle turned per step about the orbit's centroid, in (−π, π]: orbit (T+1, ..., D) -> (T, ...)."""
    points = orbit[..., list(plane)]
    with np.errstate(invalid="ignore", over="ignore"):
        points = points - points.mean(axis=0)
        angle = np.arctan2(points[..., 1], points[..., 0])
        turned: Array = np.pi - (np.pi - np.diff(angle, axis=0)) % (2 * np.pi)
        return turned


def weighted_birkhoff_average(series: Array) -> Array:
    """Average along the first axis with the weight exp(−1/(s(1−s))), s the relative position: (T, ...) -> (...)."""
    s = np.arange(1, len(series) + 1) / (len(series) + 1)
    weight = np.exp(-1 / (s * (1 - s)))
    return np.tensordot(weight / weight.sum(), series, axes=(0, 0))


def _averages(turned: Array, rates: Array, dt: float) -> tuple[Array, Array]:
    speed = np.abs(weighted_birkhoff_average(turned))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        period = np.where(speed > 1e-9, 2 * np.pi * dt / speed, np.nan)
        return period, weighted_birkhoff_average(rates) / dt
