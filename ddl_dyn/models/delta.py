"""The Delta operator: pure functions of a state X, a direction k, a target v and a gate β.

Axes: … any leading batch axes (they broadcast), d rows of the state, d_v value channels.
Source: Deep Delta Learning (2026), arXiv 2601.00417.

With a unit direction k, A = I − β k kᵀ has the eigenvalue 1 (d−1 times) and 1−β: β = 0 keeps the state, β = 1
projects k out of it, β = 2 reflects it in the mirror orthogonal to k. No function here normalises k: with any other
length the last eigenvalue is 1 − β‖k‖².
"""

from __future__ import annotations

import torch
from torch import Tensor


def unit_direction(k: Tensor, eps: float = 1e-6) -> Tensor:
    """Direction k / √(‖k‖² + ε²), differentiable at k = 0 (where it is 0).

    Args:
        k: (…, d), any length.
        eps: ε ≥ 0, the length below which a vector counts as having no direction.
    Returns:
        (…, d), of length at most 1.
    """
    return k * torch.rsqrt(k.square().sum(-1, keepdim=True) + eps * eps)


def delta_operator(k: Tensor, beta: Tensor) -> Tensor:
    """Delta operator A = I − β k kᵀ as a matrix (for analysis; an update never needs it).

    Args:
        k: (…, d), direction.
        beta: (…), gate.
    Returns:
        (…, d, d), symmetric; det A = 1 − β‖k‖².
    Raises:
        ValueError: when k has no axis for d.
    Example:
        >>> delta_operator(torch.tensor([1.0, 0.0]), torch.tensor(2.0)).tolist()
        [[-1.0, 0.0], [0.0, 1.0]]
    """
    if k.ndim < 1:
        raise ValueError("k must have shape (…, d), got a scalar")
    eye = torch.eye(k.shape[-1], dtype=k.dtype, device=k.device)
    return eye - beta[..., None, None] * k[..., :, None] * k[..., None, :]


def erase(X: Tensor, k: Tensor, beta: Tensor) -> Tensor:
    """Erase step A X = X − β k (kᵀX), in O(d·d_v).

    Args:
        X: (…, d, d_v), state.   k: (…, d), direction.   beta: (…), gate.
    Returns:
        (…, d, d_v).
    Raises:
        ValueError: when the shapes do not agree.
    """
    _check(X, k)
    return X - (beta[..., None] * k)[..., :, None] * project(X, k)[..., None, :]


def write(X: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Tensor:
    """Write step X + β k vᵀ: the additive residual control that erases nothing.

    Args:
        X: (…, d, d_v), state.   k: (…, d), direction.   v: (…, d_v), target.   beta: (…), gate.
    Returns:
        (…, d, d_v).
    Raises:
        ValueError: when the shapes do not agree.
    """
    _check(X, k, v)
    return X + (beta[..., None] * k)[..., :, None] * v[..., None, :]


def delta_update(X: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Tensor:
    """Delta rewrite X⁺ = (I − β k kᵀ) X + β k vᵀ = X + β k (vᵀ − kᵀX), in O(d·d_v).

    Args:
        X: (…, d, d_v), state.   k: (…, d), direction.   v: (…, d_v), target.   beta: (…), gate.
    Returns:
        (…, d, d_v). With k of unit length kᵀX⁺ − vᵀ = (1−β)(kᵀX − vᵀ). Non-finite input gives non-finite output.
    Raises:
        ValueError: when the shapes do not agree.
    Example:
        >>> X, k, v = torch.eye(2), torch.tensor([1.0, 0.0]), torch.tensor([5.0, 7.0])
        >>> delta_update(X, k, v, torch.tensor(1.0)).tolist()
        [[5.0, 7.0], [0.0, 1.0]]
    """
    _check(X, k, v)
    return X - (beta[..., None] * k)[..., :, None] * discrepancy(X, k, v)[..., None, :]


def project(X: Tensor, k: Tensor) -> Tensor:
    """Projection kᵀX of the state on a direction, (…, d, d_v) and (…, d) -> (…, d_v)."""
    # A sum of products, not a matmul: for these sizes it costs less than the launch of a batched matrix product.
    return (k[..., :, None] * X).sum(-2)


def discrepancy(X: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Discrepancy e = kᵀX − vᵀ between the state's projection on k and the target.

    Args:
        X: (…, d, d_v), state.   k: (…, d), direction.   v: (…, d_v), target.
    Returns:
        (…, d_v).
    """
    return project(X, k) - v


def _check(X: Tensor, k: Tensor, v: Tensor | None = None) -> None:
    if X.ndim < 2:
        raise ValueError(f"X must have shape (…, d, d_v), got {tuple(X.shape)}; a vector state is (…, d, 1)")
    if k.shape[-1] != X.shape[-2]:
        raise ValueError(f"k must have length d = {X.shape[-2]} to match X {tuple(X.shape)}, got {tuple(k.shape)}")
    if v is not None and v.shape[-1] != X.shape[-1]:
        raise ValueError(f"v must have length d_v = {X.shape[-1]} to match X {tuple(X.shape)}, got {tuple(v.shape)}")
