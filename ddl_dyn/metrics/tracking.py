"""State tracking: a token picks the map, and the state (one of C classes) is scored at every length.

Axes: R replicas, N sequences, T tokens, C classes. Scores have any leading axes before (N, T+1, C). Sample 0 is the
given initial state; after L tokens the state is sample L.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddl_dyn.metrics.arrays import Array, Mask, aligned


def token_correct(pred: ArrayLike, true: ArrayLike) -> Mask:
    """Correctness of the predicted token, the largest component against the one-hot truth, after 1 … T tokens.

    Args:
        pred: (..., T+1, C), scores of the classes.
        true: broadcasts to pred, one-hot codes.
    Returns:
        (..., T); false where a score is not finite and where the largest is shared by several classes.
    Raises:
        ValueError: on shapes that do not match, fewer than two classes or a truth that is not one-hot.
    """
    p, x = aligned(pred, true)
    if p.shape[-1] < 2 or p.shape[-2] < 2:
        raise ValueError(f"scores must have shape (..., T+1 ≥ 2, C ≥ 2), got {p.shape}")
    if not (((x == 0) | (x == 1)).all() and (x.sum(axis=-1) == 1).all()):
        raise ValueError("truth must be one-hot: a single 1 per sample, else 0")
    p, x = p[..., 1:, :], x[..., 1:, :]
    finite = np.asarray(np.isfinite(p).all(axis=-1))
    shown = np.where(finite[..., None], p, 0.0)
    unique = (shown == shown.max(axis=-1, keepdims=True)).sum(axis=-1) == 1
    correct: Mask = finite & unique & (shown.argmax(axis=-1) == x.argmax(axis=-1))
    return correct


def _checked(correct: ArrayLike) -> Mask:
    c = np.asarray(correct)
    if c.dtype != np.bool_ or c.ndim < 2 or c.size == 0:
        raise ValueError(f"correct must be non-empty booleans of shape (..., N, T), got {c.dtype} {c.shape}")
    return c


def token_accuracy(correct: ArrayLike) -> Array:
    """Share of sequences whose state after L tokens is right, at every length L = 1 … T.

    Args:
        correct: (..., N, T), from `token_correct`.
    Returns:
        (..., T), in [0, 1].
    Raises:
        ValueError: when correct is not boolean or lacks the axes.
    """
    share: Array = _checked(correct).mean(axis=-2)
    return share


def sequence_accuracy(correct: ArrayLike) -> Array:
    """Cumulative sequence accuracy: share of sequences right after each of the first L tokens, L = 1 … T.

    Args:
        correct: (..., N, T), from `token_correct`.
    Returns:
        (..., T), in [0, 1], never increasing.
    Raises:
        ValueError: when correct is not boolean or lacks the axes.
    """
    share: Array = np.logical_and.accumulate(_checked(correct), axis=-1).mean(axis=-2)
    return share


def longest_length(accuracy: ArrayLike, threshold: float = 0.99) -> NDArray[np.int64]:
    """Longest length up to which the accuracy stays at or above a threshold, in tokens.

    max{L : accuracy(l) ≥ θ for all l ≤ L}

    Args:
        accuracy: (..., T), at lengths 1 … T.
        threshold: θ in (0, 1].
    Returns:
        (...), 0 … T.
    Raises:
        ValueError: on accuracies or a threshold out of range.
    """
    a = np.asarray(accuracy, dtype=np.float64)
    if a.ndim < 1 or not ((a >= 0) & (a <= 1)).all() or not 0.0 < threshold <= 1.0:
        raise ValueError(f"need accuracies (..., T) in [0, 1] and a threshold in (0, 1], got {threshold!r}")
    length: NDArray[np.int64] = np.logical_and.accumulate(a >= threshold, axis=-1).sum(axis=-1)
    return length
