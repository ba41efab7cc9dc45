"""Error of a free run by its initial state: what the pooled error hides.

Axes: R replicas, N initial states (starts), T steps, D state components.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddl_dyn.metrics.accuracy import nrmse
from ddl_dyn.metrics.arrays import Array

# Pooled error and median over starts that are further apart than this factor tell of different things.
DISAGREEMENT = 3.0


class StartErrors(NamedTuple):
    """Median of the starts' NRMSE, and the share of starts whose NRMSE exceeds a threshold, both (...)."""

    median: Array
    beyond: Array


def start_errors(pred: ArrayLike, true: ArrayLike, sigma: ArrayLike, steps: int, threshold: float) -> StartErrors:
    """Median over starts, and share of starts beyond a threshold, of each start's NRMSE over steps 1 … K.

    NRMSE_n = √( mean_{1≤t≤K, d} (x̂_n − x_n)² / σ_d² ), so that the pooled NRMSE is their root mean square.

    Args:
        pred: (..., N, T+1, D), forecast states.
        true: broadcasts to pred, reference states.
        sigma: (D,) or (R, D), as for `nrmse`.
        steps: K, between 1 and T.
        threshold: NRMSE above which a start counts as failed.
    Returns:
        `StartErrors`; a prediction that is not finite lies beyond every threshold.
    Raises:
        ValueError: as `nrmse`.
    """
    each = each_start(pred, true, sigma, steps)
    return StartErrors(np.median(each, axis=-1), (each > threshold).mean(axis=-1))


def each_start(pred: ArrayLike, true: ArrayLike, sigma: ArrayLike, steps: int) -> Array:
    """NRMSE of each start over steps 1 … K (dimensionless).

    Args:
        pred, true, sigma, steps: as for `start_errors`.
    Returns:
        (..., N), in [0, ∞].
    Raises:
        ValueError: as `nrmse`.
    """
    p = np.asarray(pred, dtype=np.float64)
    # Each start as a pool of its own.
    return nrmse(p[..., None, :, :], np.asarray(true, dtype=np.float64)[..., None, :, :], sigma, steps)


def few_starts_decide(pooled: ArrayLike, median: ArrayLike) -> NDArray[np.bool_]:
    """True if pooled NRMSE and median over starts differ by more than a factor of three.

    Args:
        pooled: (...), NRMSE pooled over starts.   median: (...), median of the starts' NRMSE.
    Returns:
        (...); two infinite errors agree, an infinite and a finite one do not.
    """
    x, y = np.asarray(pooled, dtype=np.float64), np.asarray(median, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        disagree: NDArray[np.bool_] = (x != y) & ((x > DISAGREEMENT * y) | (y > DISAGREEMENT * x))
        return disagree
