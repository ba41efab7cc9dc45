"""Intervals from overlapping windows of one recorded series, whose errors are not independent.

Axes: R replicas, N windows in the order of time, T steps, D state components, B bootstrap resamples.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddl_dyn.metrics.statistics import Interval, Statistic, check_bootstrap, ordered_scores, percentile_bounds


def window_overlap(states: ArrayLike) -> int:
    """Consecutive windows that share samples with one another, 1 where windows do not overlap.

    Args:
        states: (N, T+1, D), windows of one series in the order of time, as they were recorded.
    Returns:
        Block length for `block_bootstrap`: ⌈(T+1) / shift⌉ with the median shift between neighbours.
    """
    x = np.asarray(states)
    length = x.shape[1]
    shifts = [_shift(first, second) for first, second in itertools.pairwise(x)]
    return int(np.ceil(length / np.median(shifts))) if shifts else 1


def _shift(first: NDArray[np.float64], second: NDArray[np.float64]) -> int:
    """Samples from the start of one window (T+1, D) to that of the next; T+1 where they share none."""
    starts = np.flatnonzero((first[1:] == second[0]).all(axis=-1)) + 1
    return next((int(s) for s in starts if np.array_equal(first[s:], second[: len(first) - s])), len(first))


def block_bootstrap(
    values: ArrayLike, statistic: Statistic, *, block: int, resamples: int, seed: int, level: float = 0.95
) -> Interval:
    """Percentile interval of a statistic of dependent values, by a circular block bootstrap.

    Blocks of consecutive values, which wrap around the end, are drawn with replacement until there are N.

    Args:
        values: (N,), one score a window, in the order of time.
        statistic: maps (B, N) to (B,), one value per row.
        block: values a block, at least as many as depend on one another (`window_overlap`).
        resamples: B, at least 100.   seed: of the resampling.   level: coverage aimed at, in (0, 1).
    Returns:
        Interval; the bounds are NaN where there are not two blocks to tell apart.
    Raises:
        ValueError: on NaN, a block outside 1 … N, too few resamples or a level outside (0, 1).
    Source:
        Politis & Romano (1992), A circular block-resampling procedure for stationary data.
    """
    check_bootstrap(resamples, level)
    scores = ordered_scores(values).ravel()
    n = scores.size
    if not 1 <= block <= n:
        raise ValueError(f"block must lie in 1 … {n} (the number of values), got {block}")
    estimate = float(statistic(scores[None])[0])
    if n < 2 * block:
        return Interval(estimate, np.nan, np.nan)
    starts = np.random.default_rng(seed).integers(n, size=(resamples, -(-n // block)))
    rows = ((starts[..., None] + np.arange(block)) % n).reshape(resamples, -1)[:, :n]
    return Interval(estimate, *percentile_bounds(statistic(scores[rows]), level))


def pooled_interval(errors: ArrayLike, *, block: int, resamples: int, seed: int, level: float = 0.95) -> Interval:
    """Median over replicas of their pooled error, with its interval over blocks of windows.

    θ = median_r √( mean_n e_rn² ); all replicas see the same windows, so that these are drawn for all of them together.

    Args:
        errors: (R, N), root mean square error of each window; infinite where a free run failed.
        block: as for `block_bootstrap`; with more than N/2 there is no interval.
        resamples: B, at least 100.   seed: of the resampling.   level: coverage aimed at, in (0, 1).
    Returns:
        Interval; the bounds are NaN where there are not two blocks.
    Raises:
        ValueError: on NaN, a block below 1, too few resamples or a level outside (0, 1).
    """
    squares = np.square(ordered_scores(errors, name="errors"))

    def statistic(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        drawn = rows.astype(np.int64)
        medians: NDArray[np.float64] = np.median([np.sqrt(one[drawn].mean(axis=-1)) for one in squares], axis=0)
        return medians

    count = squares.shape[-1]
    return block_bootstrap(
        np.arange(count), statistic, block=min(block, count), resamples=resamples, seed=seed, level=level
    )
