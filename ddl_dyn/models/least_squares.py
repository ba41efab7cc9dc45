"""Least squares in bounded memory. Axes: M rows, F features, I inputs, O outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

# Rows of features held at once.
ROWS = 4096


@dataclass(frozen=True)
class TriangularFactor:
    """Triangular factor of a regression, which stands for all its rows.

    Args:
        matrix: (≤ F + O, F + O), R of the QR factorisation of features and outputs side by side.
        features: F.   rows: M.
    """

    matrix: Tensor
    features: int
    rows: int

    def solve(self, *, ridge: float, among: Tensor | None = None, output: int | None = None) -> Tensor:
        """Coefficients C = argmin (1/M) Σ |y − Cᵀ φ|² + ridge |C|², of least norm where they are not unique.

        Args:
            ridge: ≥ 0.
            among: (F,), True for the features that may be used; the others have the coefficient 0.
            output: the only one to be solved for; None for all.
        Returns:
            (F, O), or (F, 1), in float64.
        """
        kept = torch.ones(self.features, dtype=torch.bool) if among is None else among
        A, b = self.matrix[:, : self.features][:, kept], self.matrix[:, self.features :]
        b = b if output is None else b[:, output : output + 1]
        if ridge > 0.0:
            A = torch.cat((A, math.sqrt(ridge * self.rows) * torch.eye(A.shape[1], dtype=A.dtype)))
            b = torch.cat((b, b.new_zeros(A.shape[1], b.shape[1])))
        out = b.new_zeros(self.features, b.shape[1])
        if not kept.any():
            return out
        out[kept] = torch.linalg.lstsq(A, b, driver="gelsd").solution
        return out


def factorise(blocks: Iterable[tuple[Tensor, Tensor]]) -> TriangularFactor:
    """Triangular factor of a regression, updated block by block.

    As accurate as least squares on all rows (the normal equations would square the condition number) in the memory of
    one block.

    Args:
        blocks: at least one pair of features (m, F) and outputs (m, O).
    Source: Golub & Van Loan (2013), Matrix Computations, 4th ed., §5.3 and §6.5.
    """
    R, F, rows = None, 0, 0
    for phi, y in blocks:
        block = torch.cat((phi.double(), y.double()), dim=1)
        R = torch.linalg.qr(block if R is None else torch.cat((R, block)), mode="r").R
        F, rows = phi.shape[1], rows + phi.shape[0]
    assert R is not None
    return TriangularFactor(R, F, rows)


def regress(features: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, *, ridge: float) -> Tensor:
    """Coefficients of the ridge regression of y on features of x, of least norm where they are not unique.

        C = argmin (1/M) Σ |y − Cᵀ φ(x)|² + ridge |C|²

    Args:
        features: φ, (M, I) -> (M, F).
        x: (M, I).   y: (M, O).
        ridge: ≥ 0.
    Returns:
        (F, O), in float64.
    """
    starts = range(0, x.shape[0], ROWS)
    return factorise((features(x[i : i + ROWS].double()), y[i : i + ROWS]) for i in starts).solve(ridge=ridge)
