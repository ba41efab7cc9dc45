"""Structure of the learned map: Jacobian, symmetry and invariants, from arrays that analysis computes.

Axes: R replicas, N states or trajectories, T steps, D state components. A non-finite prediction scores as failed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ddl_dyn.metrics.arrays import Array, aligned, positive_scale


def _jacobians(pred: ArrayLike, true: ArrayLike) -> tuple[Array, Array]:
    p, x = aligned(pred, true)
    if p.ndim < 3 or p.shape[-1] != p.shape[-2]:
        raise ValueError(f"Jacobians must have shape (..., N, D, D), got {p.shape}")
    return p, x


def jacobian_error(pred: ArrayLike, true: ArrayLike) -> Array:
    """Relative error of the Jacobian in the Frobenius norm, pooled over states (dimensionless).

    √( Σ_n ‖Ĵ_n − J_n‖² / Σ_n ‖J_n‖² )

    Args:
        pred: (..., N, D, D), Jacobians of the learned map.
        true: broadcasts to pred, Jacobians of the true map.
    Returns:
        (...), in [0, ∞]; ∞ for a non-finite prediction, or any error against a truth that vanishes everywhere.
    Raises:
        ValueError: on shapes that do not match or a non-finite truth.
    """
    p, x = _jacobians(pred, true)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        square = np.where(np.isfinite(p), (p - x) ** 2, np.inf).sum(axis=(-3, -2, -1))
        return np.where(square == 0, 0.0, np.sqrt(square / (x**2).sum(axis=(-3, -2, -1))))


def symmetry_defect(mapped: ArrayLike, transformed: ArrayLike, sigma: ArrayLike) -> Array:
    """Defect of a learned map Φ from commuting with a symmetry S, in units of σ.

    √( mean_{n,d} (Φ(S x_n) − S Φ(x_n))_d² / σ_d² )

    Args:
        mapped: (..., N, D), Φ(S x).
        transformed: (..., N, D), S Φ(x).
        sigma: (D,) or (R, D), as for `nrmse`.
    Returns:
        (...), in [0, ∞]; ∞ when either side is not finite.
    Raises:
        ValueError: on shapes that differ or a scale that is not positive.
    """
    a, b = np.asarray(mapped, dtype=np.float64), np.asarray(transformed, dtype=np.float64)
    if a.shape != b.shape or a.ndim < 2 or a.size == 0:
        raise ValueError(f"mapped and transformed must share a shape (..., N, D), got {a.shape} and {b.shape}")
    s = positive_scale(sigma, a.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        square = np.where(np.isfinite(a) & np.isfinite(b), ((a - b) / s) ** 2, np.inf)
        defect: Array = np.sqrt(square.mean(axis=(-2, -1)))
        return defect


def invariant_drift(values: ArrayLike, scale: float) -> Array:
    """Largest departure of a conserved quantity from its initial value along each free run, relative to a scale.

    max_t |I(x̂(t)) − I(x̂(0))| / scale

    Args:
        values: (..., T+1), the invariant along the predicted states, in its unit.
        scale: typical size of the invariant, positive, in its unit (say its spread over the training split).
    Returns:
        (...), in [0, ∞]; ∞ for a run on which the invariant is not finite.
    Raises:
        ValueError: on a missing axis or a scale that is not positive.
    """
    v = np.asarray(values, dtype=np.float64)
    if v.ndim < 1 or v.size == 0:
        raise ValueError(f"values must have shape (..., T+1), got {v.shape}")
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be a positive number, got {scale!r}")
    with np.errstate(over="ignore", invalid="ignore"):
        drift = np.abs(v - v[..., :1]) / scale
    return np.where(np.isfinite(v).all(axis=-1), np.max(np.nan_to_num(drift, nan=np.inf), axis=-1), np.inf)
