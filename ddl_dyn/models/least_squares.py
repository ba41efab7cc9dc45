"""Least squares in bounded memory. Axes: M rows, F features, I inputs, O outputs."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

# Rows of features held at once.
ROWS = 4096


def regress(features: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, *, ridge: float) -> Tensor:
    """Coefficients of the ridge regression of y on features of x, of least norm where they are not unique.

        C = argmin (1/M) Σ |y − Cᵀ φ(x)|² + ridge |C|²

    By a QR factorisation updated block by block: as accurate as least squares on all rows (the normal equations would
    square the condition number) in the memory of one block.

    Args:
        features: φ, (M, I) -> (M, F).
        x: (M, I).   y: (M, O).
        ridge: ≥ 0.
    Returns:
        (F, O), in float64.
    Source: Golub & Van Loan (2013), Matrix Computations, 4th ed., §5.3 and §6.5.
    """
    R = None
    for start in range(0, x.shape[0], ROWS):
        phi = features(x[start : start + ROWS].double())
        block = torch.cat((phi, y[start : start + ROWS].double()), dim=1)
        R = torch.linalg.qr(block if R is None else torch.cat((R, block)), mode="r").R
    assert R is not None
    F = R.shape[1] - y.shape[1]
    A, b = R[:, :F], R[:, F:]
    if ridge > 0.0:
        A = torch.cat((A, math.sqrt(ridge * x.shape[0]) * torch.eye(F, dtype=A.dtype)))
        b = torch.cat((b, b.new_zeros(F, b.shape[1])))
    return torch.linalg.lstsq(A, b, driver="gelsd").solution
