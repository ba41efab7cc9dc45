"""Eigenvalues and singular values of batches of matrices in which some may be non-finite. Axes: D state components."""

from __future__ import annotations

import torch
from torch import Tensor


def finite_rows(x: Tensor, trailing: int) -> Tensor:
    """Mask of the leading axes: True where all of the last `trailing` axes are finite."""
    return torch.isfinite(x).flatten(x.ndim - trailing).all(dim=-1)


def eigenvalues(matrices: Tensor) -> Tensor:
    """Eigenvalues, largest modulus first.

    Args:
        matrices: (..., D, D), real.
    Returns:
        (..., D), complex; NaN for a matrix that is not finite (LAPACK's own answer to one is undefined).
    """
    good = finite_rows(matrices, 2)
    safe = torch.where(good[..., None, None], matrices, torch.zeros_like(matrices))
    values = torch.linalg.eigvals(safe)
    # Conjugate pairs share their modulus up to rounding; ordering by angle as well keeps the output reproducible.
    order = torch.argsort(values.abs() + 1e-12 * values.abs().amax(-1, keepdim=True) * values.angle().sign(), dim=-1)
    values = torch.gather(values, -1, order.flip(-1))
    return torch.where(good[..., None], values, torch.full_like(values, complex("nan")))


def singular_values(matrices: Tensor) -> Tensor:
    """Singular values (..., D), largest first; NaN for a matrix that is not finite."""
    good = finite_rows(matrices, 2)
    safe = torch.where(good[..., None, None], matrices, torch.zeros_like(matrices))
    values = torch.linalg.svdvals(safe)
    return torch.where(good[..., None], values, torch.full_like(values, float("nan")))


def solve_least_squares(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Minimum-norm least-squares solution of A x = b, so that a singular A gives a step rather than an exception.

    Args:
        matrices: (..., D, D).
        vectors: (..., D).
    Returns:
        (..., D); NaN where A or b is not finite.
    """
    good = finite_rows(matrices, 2) & torch.isfinite(vectors).all(dim=-1)
    safe = torch.where(good[..., None, None], matrices, torch.zeros_like(matrices))
    solution = (torch.linalg.pinv(safe, rtol=1e-11) @ vectors.unsqueeze(-1)).squeeze(-1)
    return torch.where(good[..., None], solution, torch.full_like(solution, float("nan")))
