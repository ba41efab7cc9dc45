"""Lyapunov spectrum of a map by tangent QR. Axes: R replicas, B initial states, D exponents, K time blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ddl_dyn.analysis.maps import DiscreteMap
from ddl_dyn.analysis.spectra import finite_rows
from ddl_dyn.analysis.systems import as_map

Array = NDArray[np.float64]
BLOCKS = 10


@dataclass(frozen=True, kw_only=True)
class LyapunovSpectrum:
    """Exponents in natural logarithm per unit time, largest first; the leading R only where the map has replicas.

    Args:
        exponents: (R?, D), mean over the initial states whose orbits stayed finite; NaN where none did; −inf where a
            direction is annihilated (superstable or rank-deficient map).
        standard_error: (R?, D), over initial states, or over time blocks when there is one; NaN where not defined.
        per_trajectory: (R?, B, D).
        valid: (R?, B), False where the orbit left the finite numbers.
        kaplan_yorke: (R?), in [0, D].
        duration: time averaged over, per orbit.
    """

    exponents: Array
    standard_error: Array
    per_trajectory: Array
    valid: NDArray[np.bool_]
    kaplan_yorke: Array
    duration: float

    @property
    def total(self) -> Array:
        """Sum of the exponents: the mean rate of change of log volume, (R?)."""
        return np.asarray(self.exponents.sum(axis=-1))


def lyapunov_spectrum(
    system: Any, x0: ArrayLike | Tensor, steps: int, *, transient: int = 0, seed: int = 0, **options: Any
) -> LyapunovSpectrum:
    """All D Lyapunov exponents of a trained or exact map.

    λ_i = lim (1/(n dt)) Σ_t log |R_t,ii|,   J(x_t) Q_t = Q_{t+1} R_t

    Args:
        system: DiscreteMap, task, model or replicas.
        x0: (B, D) or, for replicas, (R, B, D): initial states in the map's own coordinates.
        steps: averaged steps.
        transient: steps run before averaging; tangents are carried, uncounted, through the second half of them.
        seed: of the random initial tangent frame.
        options: for `as_map`, such as normalizer.
    Raises:
        ValueError: when steps < 1 or transient < 0, or the shape of x0 does not fit.
    Source: Benettin, Galgani, Giorgilli & Strelcyn (1980), Lyapunov characteristic exponents, Meccanica 15, 9–30,
        10.1007/BF02128236.
    """
    if steps < 1 or transient < 0:
        raise ValueError(f"steps must be at least 1 and transient at least 0, got {steps} and {transient}")
    phi = as_map(system, **options)
    with torch.no_grad():
        log_growth, valid = _run(phi, phi.states(x0), steps, transient, seed)
    duration = steps * phi.dt
    return _summary(log_growth, valid, duration)


def tangent_growth(phi: DiscreteMap, x: Tensor, frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One step of state and tangent frame.

    Args:
        x: (..., D).
        frame: (..., D, D), orthonormal columns.
    Returns:
        Φ(x), the next orthonormal frame, and log |R_ii| (..., D): −inf where R_ii is nothing but round-off.
    """
    x, j = phi.step_and_jacobian(x)
    product = j @ frame
    # LAPACK's answer to a non-finite matrix is undefined; such rows are marked by x or j and carry NaN in the logs.
    good = finite_rows(product, 2)
    product = torch.where(good[..., None, None], product, torch.eye(phi.dim, dtype=x.dtype, device=x.device))
    q, r = torch.linalg.qr(product)
    diagonal = r.diagonal(dim1=-2, dim2=-1).abs()
    rounding = phi.dim * torch.finfo(x.dtype).eps * torch.linalg.matrix_norm(product)
    lost = diagonal <= rounding[..., None]
    logs = torch.where(lost, torch.full_like(diagonal, -torch.inf), diagonal.clamp_min(1e-300).log())
    return x, q, torch.where(good[..., None], logs, torch.full_like(logs, torch.nan))


def _run(phi: DiscreteMap, x: Tensor, steps: int, transient: int, seed: int) -> tuple[Array, NDArray[np.bool_]]:
    """Growth (K, R?, B, D) summed per time block, and which orbits stayed finite."""
    generator = torch.Generator().manual_seed(seed)
    start = torch.linalg.qr(torch.randn(phi.dim, phi.dim, dtype=x.dtype, generator=generator))[0].to(x.device)
    frame = start.expand(*x.shape, phi.dim)
    for _ in range(transient - transient // 2):
        x = phi.step(x)
    for _ in range(transient // 2):
        x, frame, _ = tangent_growth(phi, x, frame)
    blocks = min(BLOCKS, steps)
    sums = x.new_zeros((blocks, *x.shape))
    for t in range(steps):
        x, frame, logs = tangent_growth(phi, x, frame)
        sums[t * blocks // steps] += logs
    valid = torch.isfinite(x).all(-1) & ~torch.isnan(sums).any(0).any(-1)
    return sums.cpu().numpy(), valid.cpu().numpy()


def _summary(sums: Array, valid: NDArray[np.bool_], duration: float) -> LyapunovSpectrum:
    per_trajectory = np.where(valid[..., None], sums.sum(axis=0) / duration, np.nan)
    order = np.argsort(-np.nan_to_num(per_trajectory, nan=-np.inf), axis=-1, kind="stable")
    ranked = np.take_along_axis(per_trajectory, order, axis=-1)
    count = valid.sum(axis=-1)[..., None]
    with np.errstate(invalid="ignore", divide="ignore"):
        exponents = np.where(valid[..., None], ranked, 0.0).sum(axis=-2) / count
        if ranked.shape[-2] > 1:
            spread = np.where(valid[..., None], (ranked - exponents[..., None, :]) ** 2, 0.0).sum(axis=-2)
            error = np.sqrt(spread / (count - 1) / count)
        else:
            blocks = len(sums)
            rates = np.take_along_axis(sums, np.broadcast_to(order, sums.shape), axis=-1)[..., 0, :]
            error = rates.std(axis=0, ddof=1 if blocks > 1 else 0) * blocks / duration / np.sqrt(blocks)
            error = np.where(blocks > 1, error, np.nan)
    error = np.where(np.isfinite(exponents), error, np.nan)
    flat, flat_error = exponents.reshape(-1, exponents.shape[-1]), error.reshape(-1, exponents.shape[-1])
    dimension = [
        kaplan_yorke_dimension(e, tolerance=max(1 / duration, 2 * np.nan_to_num(s).max()))
        for e, s in zip(flat, flat_error, strict=True)
    ]
    return LyapunovSpectrum(
        exponents=exponents,
        standard_error=error,
        per_trajectory=ranked,
        valid=valid,
        kaplan_yorke=np.asarray(dimension).reshape(exponents.shape[:-1]),
        duration=duration,
    )


def kaplan_yorke_dimension(exponents: ArrayLike, *, tolerance: float = 0.0) -> float:
    """Kaplan–Yorke dimension of an attractor.

    D_KY = j + (λ_1 + … + λ_j) / |λ_{j+1}|,  j the largest index with a non-negative partial sum

    Args:
        exponents: (D,), any order; NaN gives NaN; −inf is allowed.
        tolerance: a partial sum above −tolerance counts as zero, so that a cycle (λ_1 = 0 but for round-off) has 1.
    Returns:
        A number in [0, D]; D where the volume does not shrink.
    Source: Frederickson, Kaplan, Yorke & Yorke (1983), J. Differ. Equ. 49, 185–207, 10.1016/0022-0396(83)90011-6.
    """
    values = np.sort(np.asarray(exponents, dtype=np.float64))[::-1]
    if np.isnan(values).any():
        return float("nan")
    partial = np.cumsum(values)
    staying = np.flatnonzero(partial >= -tolerance)
    j = int(staying[-1]) + 1 if staying.size else 0
    if j in (0, len(values)):
        return float(j)
    dimension = j + max(float(partial[j - 1]), 0.0) / abs(float(values[j]))
    # With a tolerance the next exponent may be as small as the tolerance itself; the definition caps the share at 1.
    return min(dimension, float(j + 1))
