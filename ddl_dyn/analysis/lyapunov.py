"""Lyapunov spectrum of a map by tangent QR. Axes: R replicas, B initial states, D exponents, K time blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ddl_dyn.analysis.learned import typical_states
from ddl_dyn.analysis.maps import DiscreteMap
from ddl_dyn.analysis.spectra import finite_rows
from ddl_dyn.analysis.systems import System, as_map
from ddl_dyn.metrics.arrays import Array

BLOCKS = 10
# Starts and averaged steps unless told otherwise: seconds, and a standard error of some hundredths of λ₁ where there is
# chaos.
_STARTS, SHORTEST, _LONGEST = 16, 1000, 2000
# Below this growth in one step it is asked whether the Jacobian's own rounding is larger.
SUSPECT = 1e-8
# A state is known to so many rounding errors.
KNOWN = 64 * torch.finfo(torch.float64).eps
# Jacobians are made for so many steps, and so many numbers, at once.
_AT_ONCE, _NUMBERS = 256, 400_000


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
    system: System,
    x0: ArrayLike | Tensor | None = None,
    steps: int | None = None,
    *,
    transient: int | None = None,
    seed: int = 0,
    **options: object,
) -> LyapunovSpectrum:
    """All D Lyapunov exponents of a trained or exact map.

    λ_i = lim (1/(n dt)) Σ_t log |R_t,ii|,   J(x_t) Q_t = Q_{t+1} R_t

    Args:
        system: DiscreteMap, task, model or replicas.
        x0: (B, D) or, for replicas, (R, B, D): initial states in the map's own coordinates. None draws 16: a task's
            from its training distribution, a model's from the standard normal distribution in its normalised units.
        steps: averaged steps. None takes forty time scales of a task, but 1,000 to 2,000 steps.
        transient: steps run before averaging; tangents are carried, uncounted, through the second half of them. None
            takes a quarter of those averaged where x0 is drawn here, and none where it is given.
        seed: of the random initial tangent frame and of drawn states.
        options: for `as_map`, such as normalizer.
    Raises:
        ValueError: when steps < 1 or transient < 0, the shape of x0 does not fit, or a DiscreteMap comes without x0.
    Source: Benettin, Galgani, Giorgilli & Strelcyn (1980), Lyapunov characteristic exponents, Meccanica 15, 9–30,
        10.1007/BF02128236.
    Example:
        >>> from ddl_dyn import lyapunov_spectrum, make_task
        >>> found = lyapunov_spectrum(make_task("tent"))
        >>> found.exponents.round(6), found.standard_error.round(6)  # ln 1.99, the same along every orbit
        (array([0.688135]), array([0.]))
    """
    steps = _default_steps(system) if steps is None else steps
    transient = (0 if x0 is not None else steps // 4) if transient is None else transient
    if steps < 1 or transient < 0:
        raise ValueError(f"steps must be at least 1 and transient at least 0, got {steps} and {transient}")
    phi = as_map(system, **options).for_calls(steps + transient)
    x0 = _default_starts(system, seed, options) if x0 is None else x0
    with torch.no_grad():
        log_growth, valid = _run(phi, phi.states(x0), steps, transient, seed)
    duration = steps * phi.dt
    return _summary(log_growth, valid, duration)


def _default_steps(system: Any) -> int:
    if not hasattr(system, "timescale"):
        return SHORTEST
    return int(np.clip(40 * system.timescale / system.dt, SHORTEST, _LONGEST))


def _default_starts(system: Any, seed: int, options: dict[str, Any]) -> ArrayLike | Tensor:
    if hasattr(system, "initial_states"):
        starts: ArrayLike = system.initial_states(_STARTS, rng=np.random.default_rng(seed), split="train")
        return starts
    if hasattr(system, "lift"):
        return typical_states(system, _STARTS, seed=seed, normalizer=options.get("normalizer"))
    raise ValueError("a DiscreteMap does not say where its orbits begin; give x0, (B, D)")


def tangent_growth(phi: DiscreteMap, x: Tensor, frame: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """An orbit and the growth of a tangent frame along it.

    Args:
        phi: the map.
        x: (..., B, D), its start.
        frame: (..., B, D, D), orthonormal columns.
        steps: T ≥ 0.
    Returns:
        orbit (T+1, ..., B, D), the last orthonormal frame, and log |R_ii| of each step (T, ..., B, D): −inf where R_ii
        is nothing but round-off, of the product or of the Jacobian at a state that is itself rounded (a superstable
        point is met only to rounding), NaN where the Jacobian is not finite.
    """
    longest = max(1, min(_AT_ONCE, _NUMBERS // (x.numel() * phi.dim)))
    orbits, growth = [x[None]], [x.new_empty((0, *x.shape))]
    while steps > 0:
        path = phi.orbit(x, min(steps, longest))
        frame, logs = _grown(phi, path[:-1], frame)
        orbits.append(path[1:])
        growth.append(logs)
        x, steps = path[-1], steps - len(logs)
    return torch.cat(orbits), frame, torch.cat(growth)


def _grown(phi: DiscreteMap, path: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
    """The last frame and log |R_ii| (T, ..., B, D) over the steps from the states of a path (T, ..., B, D)."""
    jacobians = phi.jacobians(path)
    good = finite_rows(jacobians, 2)
    # LAPACK's answer to a non-finite matrix is undefined; such rows carry NaN in the logs.
    safe = torch.where(good[..., None, None], jacobians, torch.eye(phi.dim, dtype=path.dtype, device=path.device))
    frames, products, corners = [], [], []
    for j in safe:
        frames.append(frame)
        products.append(j @ frame)
        frame, corner = torch.linalg.qr(products[-1])
        corners.append(corner)
    diagonal = torch.stack(corners).diagonal(dim1=-2, dim2=-1).abs()
    rounding = phi.dim * torch.finfo(path.dtype).eps * torch.linalg.matrix_norm(torch.stack(products))
    lost = diagonal <= rounding[..., None]
    if bool((diagonal < SUSPECT).any()):
        beside = phi.jacobians(path * (1 + KNOWN))
        lost |= diagonal <= torch.linalg.vector_norm((beside - safe) @ torch.stack(frames), dim=-2)
    logs = torch.where(lost, torch.full_like(diagonal, -torch.inf), diagonal.clamp_min(1e-300).log())
    return frame, torch.where(good[..., None], logs, torch.full_like(logs, torch.nan))


def _run(phi: DiscreteMap, x: Tensor, steps: int, transient: int, seed: int) -> tuple[Array, NDArray[np.bool_]]:
    """Growth (K, R?, B, D) summed per time block, and which orbits stayed finite."""
    generator = torch.Generator().manual_seed(seed)
    start = torch.linalg.qr(torch.randn(phi.dim, phi.dim, dtype=x.dtype, generator=generator))[0].to(x.device)
    frame = start.expand(*x.shape, phi.dim)
    x = phi.orbit(x, transient - transient // 2)[-1]
    settled, frame, _ = tangent_growth(phi, x, frame, transient // 2)
    orbit, _, logs = tangent_growth(phi, settled[-1], frame, steps)
    x, blocks = orbit[-1], min(BLOCKS, steps)
    sums = x.new_zeros((blocks, *x.shape)).index_add_(0, torch.arange(steps, device=x.device) * blocks // steps, logs)
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
