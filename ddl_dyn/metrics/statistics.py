"""Statistics over replicas and tasks: scores that may be infinite, bootstrap intervals.

Axes: K tasks, R replicas (seeds), B bootstrap resamples. A failed replica carries the score ∞ (or −∞ where larger is
better): it is a score like any other, so a median is ∞ when half of the replicas failed. NaN has no order and is
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ddl_dyn.metrics.arrays import Array

# Maps (B, n) scores to (B,) statistics.
Statistic = Callable[[Array], Array]


class Interval(NamedTuple):
    """An estimate with the bounds of its confidence interval; bounds are NaN where there is none (one replica)."""

    estimate: float
    low: float
    high: float


def ordered_scores(values: ArrayLike, *, name: str = "values") -> Array:
    """Scores as float64; ValueError when empty or NaN."""
    scores = np.asarray(values, dtype=np.float64)
    if scores.size == 0:
        raise ValueError(f"{name} must hold at least one score, got shape {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError(f"{name} must not be NaN, which has no order; score a failed replica as inf (or -inf)")
    return scores


def percentile_bounds(replicates: Array, level: float) -> tuple[float, float]:
    """The order statistics of bootstrap replicates (B,) that cut off (1 − level)/2 on either side."""
    # Order statistics, rounded outwards: interpolating between infinite replicates would give NaN.
    ordered, tail = np.sort(replicates), (1.0 - level) / 2.0
    last = ordered.size - 1
    # The rounding guards against .025 * 40 = 1.0000000000000002 moving a bound by a whole rank.
    low, high = np.floor(round(tail * last, 9)), np.ceil(round((1.0 - tail) * last, 9))
    return float(ordered[int(low)]), float(ordered[int(high)])


def check_bootstrap(resamples: int, level: float) -> None:
    """ValueError where too few resamples or an impossible level are asked for."""
    if resamples < 100:
        raise ValueError(f"resamples must be at least 100, got {resamples!r}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie in (0, 1), got {level!r}")


def stratified_bootstrap(
    scores: Sequence[ArrayLike], statistic: Statistic, *, resamples: int, seed: int, level: float = 0.95
) -> Interval:
    """Percentile bootstrap interval of a statistic of all scores, resampling replicas within each task.

    θ̂* = θ(x*₁, …, x*_K), each x*_k drawn with replacement from the replicas of task k alone.

    Args:
        scores: K tasks, each (R_k,) scores of its replicas, on one scale across tasks.
        statistic: maps (B, ΣR_k) to (B,), one value per row.
        resamples: B, at least 100.
        seed: of the resampling; the same seed gives the same interval.
        level: coverage aimed at, in (0, 1).
    Returns:
        Interval; infinite scores are allowed. The bounds are NaN when no task has two replicas.
    Raises:
        ValueError: on NaN or missing scores, too few resamples or a level outside (0, 1).
    Source:
        Agarwal et al. (2021), Deep RL at the edge of the statistical precipice, arXiv:2108.13264.
    """
    check_bootstrap(resamples, level)
    strata = [ordered_scores(s, name=f"scores[{i}]").ravel() for i, s in enumerate(scores)]
    if not strata:
        raise ValueError("scores must hold at least one task, got none")
    estimate = float(statistic(np.concatenate(strata)[None])[0])
    if max(s.size for s in strata) < 2:
        return Interval(estimate, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    drawn = [s[rng.integers(s.size, size=(resamples, s.size))] for s in strata]
    return Interval(estimate, *percentile_bounds(statistic(np.concatenate(drawn, axis=1)), level))


def _row_median(rows: Array) -> Array:
    return np.median(rows, axis=1)


def median_interval(values: ArrayLike, *, resamples: int, seed: int, level: float = 0.95) -> Interval:
    """Median over replicas with its percentile bootstrap interval.

    Args:
        values: (R,), one score per replica; infinite scores are allowed.
        resamples: B, at least 100.
        seed: of the resampling.
        level: coverage aimed at; R = 5 can do no better than [min, max], which covers 93.75 %, and R = 3 75 %.
    Returns:
        Interval; the median is ∞ when more than half of the scores are. The bounds are NaN for a single replica.
    Raises:
        ValueError: on NaN, too few resamples or a level outside (0, 1).
    Source:
        Efron (1979), Bootstrap methods: another look at the jackknife, doi:10.1214/aos/1176344552.
    """
    scores = ordered_scores(values)
    if scores.ndim != 1:
        raise ValueError(f"values must have shape (R,), got {scores.shape}")
    return stratified_bootstrap([scores], _row_median, resamples=resamples, seed=seed, level=level)


def paired_scores(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    """Two arrays of scores of one shape, pair by pair; ValueError otherwise."""
    x, y = ordered_scores(a, name="a"), ordered_scores(b, name="b")
    if x.shape != y.shape:
        raise ValueError(f"paired scores must have one shape (same seeds, same order), got {x.shape} and {y.shape}")
    return x, y
