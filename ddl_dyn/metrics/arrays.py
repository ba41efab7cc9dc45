"""Types of the suite's arrays; prediction and truth brought to one shape.

Axes: R replicas, T steps, D state components.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.intp]
Complex = NDArray[np.complex128]
# By name and of any element type, as a run stores them.
Arrays = dict[str, NDArray[Any]]


def aligned(pred: ArrayLike, true: ArrayLike, *, axes: int = 2) -> tuple[Array, Array]:
    """Prediction and truth as float64 arrays of one shape.

    Args:
        pred: (..., T+1, D), or (..., T+1) with one axis; may hold NaN and ∞.
        true: broadcasts to pred; finite.
        axes: number of last axes that must agree exactly, 1 or 2.

    Raises:
        ValueError: when the truth is not finite or does not broadcast to the prediction.
    """
    p, x = np.asarray(pred, dtype=np.float64), np.asarray(true, dtype=np.float64)
    wanted = "(..., T+1, D)" if axes == 2 else "(..., T+1)"
    if min(p.ndim, x.ndim) < axes or p.shape[-axes:] != x.shape[-axes:]:
        raise ValueError(f"prediction and truth must both end in {wanted}, got shapes {p.shape} and {x.shape}")
    try:
        x = np.broadcast_to(x, p.shape)
    except ValueError:
        raise ValueError(
            f"truth of shape {x.shape} does not broadcast to the prediction's {p.shape}; insert axes of length 1"
        ) from None
    if p.size == 0:
        raise ValueError(f"prediction is empty: shape {p.shape}")
    if not np.isfinite(x).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"truth must be finite, got {x[where]} at index {where}; cut the trajectory there")
    return p, x


def positive_scale(sigma: ArrayLike, shape: tuple[int, ...]) -> Array:
    """σ that divides arrays of a shape (R, …, D): (D,), or (R, 1, …, D) from one row a replica, (R, D).

    Raises:
        ValueError: when σ has neither shape, or is not positive and finite.
    """
    s, dim = np.asarray(sigma, dtype=np.float64), shape[-1]
    replicated = len(shape) > 2 and s.shape == (shape[0], dim)
    if not (replicated or s.shape == (dim,)) or not (np.isfinite(s) & (s > 0)).all():
        raise ValueError(
            f"sigma must be {dim} positive finite numbers, one per component, or such a row for each replica, got "
            f"{s.tolist()}; a constant component needs a scale of its own (say 1)"
        )
    return s.reshape(len(s), *[1] * (len(shape) - 2), dim) if replicated else s
