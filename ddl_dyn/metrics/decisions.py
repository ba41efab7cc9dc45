"""Decision between two models from scores paired seed by seed: win, loss, tie, or unresolved.

Axes: R pairs (seeds), G strata (data sets), B bootstrap resamples. Scores are errors: not negative, lower is better,
infinite where a replica failed. A score of which more is better is passed as its error, such as 1 − accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.metrics.significance import holm, least_pairs, seeds_needed, sign_flip_test, stratum_sizes
from ddl_dyn.metrics.statistics import (
    Interval,
    check_bootstrap,
    median_interval,
    ordered_scores,
    paired_scores,
    percentile_bounds,
)

Outcome = Literal["win", "loss", "tie", "unresolved"]
# A ratio of errors that matters, the size of every test, and the power that a number of seeds is quoted for.
RATIO, ALPHA, POWER = 0.8, 0.05, 0.8
_MARGIN = -math.log(RATIO)


@dataclass(frozen=True, kw_only=True)
class PairedScores:
    """Errors of two models on the same data and seeds.

    Args:
        label: what is compared, as it is to be printed.
        first: (R,), errors of the model that the verdict is about.   second: (R,), of the other, in the same order.
        data_sets: (R,), which data set each pair was trained on; None for one.
        primary: whether the comparison was declared beforehand and is part of the family that p is corrected over.
    """

    label: str
    first: ArrayLike
    second: ArrayLike
    data_sets: Sequence[int] | None = None
    primary: bool = True


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Verdict on one comparison with every number behind it.

    Args:
        label: as given.   verdict: on the first model.   primary: False for an exploratory comparison.
        medians: over seeds, of the first and of the second model.
        ratio: of these medians, first by second, with its stratified bootstrap interval; NaN where both are infinite.
        coverage: the most that the interval covers with so many seeds, at most the level aimed at.
        pvalue: of the sign-flip test of no difference.
        corrected: by Holm's method over the family; NaN for an exploratory comparison, whose verdict rests on `pvalue`.
        pvalue_tie: the larger of the two one-sided tests that the ratio lies outside [.8, 1.25].
        family: how many primary comparisons p was corrected over.
        seeds, data_sets: pairs, and the data sets that they are spread over.
        lower: pairs in which the first model has the lower error.
        agreeing: data sets whose pairs point, in the median, where the ratio points.
        failed: infinite errors of the first and of the second model.
        seeds_needed: pairs that would resolve an unresolved comparison with power .8, were these typical; ∞ where no
            number would, NaN where there is nothing to judge by or nothing left to resolve.
    """

    label: str
    verdict: Outcome
    primary: bool
    medians: tuple[float, float]
    ratio: Interval
    coverage: float
    pvalue: float
    corrected: float
    pvalue_tie: float
    family: int
    seeds: int
    data_sets: int
    lower: int
    agreeing: int
    failed: tuple[int, int]
    seeds_needed: float


def decide(
    comparisons: Sequence[PairedScores], *, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> list[Decision]:
    """Verdicts on comparisons, the primary ones corrected over their family.

    win: p < .05 and ratio ≤ .8.   loss: p < .05 and ratio ≥ 1.25.   tie: two one-sided tests, each of size .05, place
    the ratio within [.8, 1.25], and it lies there.   unresolved: none of these.   p is Holm's over all primary
    comparisons given, and uncorrected for an exploratory one.

    Args:
        comparisons: the whole family, and any number of exploratory ones.
        resamples: B, at least 100.   seed: of the bootstrap.   level: coverage aimed at, in (0, 1).
    Returns:
        One decision a comparison, in the order given.
    Raises:
        ValueError: on NaN or negative scores, shapes that do not fit, too few resamples or a level outside (0, 1).
    Source:
        Schuirmann (1987), A comparison of the two one-sided tests procedure …, doi:10.1007/BF01068419.
    """
    check_bootstrap(resamples, level)
    scores = [_errors(pair) for pair in comparisons]
    raw = np.array([sign_flip_test(log_ratios(*two), p.data_sets) for two, p in zip(scores, comparisons, strict=True)])
    primary = np.array([pair.primary for pair in comparisons], dtype=bool)
    corrected = np.full(raw.shape, np.nan)
    corrected[primary] = holm(raw[primary])
    found = []
    for pair, two, p, adjusted in zip(comparisons, scores, raw, corrected, strict=True):
        decision = _measured(pair, two, resamples=resamples, seed=seed, level=level)
        decision = replace(decision, pvalue=float(p), corrected=float(adjusted), family=int(primary.sum()))
        verdict = _verdict(decision)
        wanted = _wanted(decision, two) if verdict == "unresolved" else math.nan
        found.append(replace(decision, verdict=verdict, seeds_needed=wanted))
    return found


def _errors(pair: PairedScores) -> tuple[Array, Array]:
    first, second = paired_scores(pair.first, pair.second)
    if min(first.min(), second.min()) < 0:
        raise ValueError(f"{pair.label}: errors must not be negative; pass a score of which more is better as an error")
    return first, second


def log_ratios(first: Array, second: Array) -> Array:
    """log(first / second) of each pair (R,), infinite where one failed; two failures differ by nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(first == second, 0.0, np.log(first) - np.log(second))


def _measured(pair: PairedScores, scores: tuple[Array, Array], *, resamples: int, seed: int, level: float) -> Decision:
    """The decision's numbers; its p-values over the family and its verdict are still to come."""
    first, second = scores
    d = log_ratios(first, second)
    labels = np.zeros(d.size) if pair.data_sets is None else np.asarray(pair.data_sets)
    strata = _strata(pair.data_sets, d.shape)
    ratio = _ratio_interval(first, second, strata, resamples=resamples, seed=seed, level=level)
    # The median of two failures of either model is NaN, which points nowhere.
    with np.errstate(invalid="ignore"):
        medians = [np.median(d[labels == label]) for label in np.unique(labels)]
    return Decision(
        label=pair.label,
        verdict="unresolved",
        primary=pair.primary,
        medians=(float(np.median(first)), float(np.median(second))),
        ratio=ratio,
        coverage=attained_coverage(np.bincount(strata), level),
        pvalue=1.0,
        corrected=math.nan,
        pvalue_tie=max(
            sign_flip_test(d - _MARGIN, pair.data_sets, alternative="less"),
            sign_flip_test(d + _MARGIN, pair.data_sets, alternative="greater"),
        ),
        family=0,
        seeds=d.size,
        data_sets=len(medians),
        lower=int((d < 0).sum()),
        agreeing=sum(bool(np.sign(m) == np.sign(ratio.estimate - 1.0)) for m in medians),
        failed=(int(np.isinf(first).sum()), int(np.isinf(second).sum())),
        seeds_needed=math.nan,
    )


def _strata(data_sets: Sequence[int] | None, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Stratum of each score (R,), from 0 on."""
    sizes = stratum_sizes(data_sets, shape)
    labels = np.zeros(shape) if data_sets is None else np.asarray(data_sets)
    # A stratum of one seed has nothing to resample: seeds that have a data set each are one sample.
    merged = np.where(sizes > 1, np.unique(labels, return_inverse=True)[1], -1)
    return np.unique(merged, return_inverse=True)[1].astype(np.int64)


def covered_median(
    values: ArrayLike, data_sets: Sequence[int] | None, *, resamples: int, seed: int, level: float = 0.95
) -> tuple[Interval, float]:
    """Median of one model's scores with its bootstrap interval, stratified by data set, and what that interval covers.

    Args:
        values: (R,), scores; infinite where a replica failed.   data_sets: (R,), that of each; None for one.
        resamples: B, at least 100.   seed: of the bootstrap.   level: coverage aimed at, in (0, 1).
    Returns:
        The interval, its bounds NaN for a single score, and its attained coverage.
    Raises:
        ValueError: on NaN, shapes that do not fit, too few resamples or a level outside (0, 1).
    """
    check_bootstrap(resamples, level)
    scores = ordered_scores(values)
    strata = _strata(data_sets, scores.shape)
    sizes = np.bincount(strata)
    coverage = attained_coverage(sizes, level)
    if len(sizes) == 1:
        return median_interval(scores, resamples=resamples, seed=seed, level=level), coverage
    medians = np.median(scores[_rows(strata, resamples=resamples, seed=seed)], axis=1)
    return Interval(float(np.median(scores)), *percentile_bounds(medians, level)), coverage


def _rows(strata: NDArray[np.int64], *, resamples: int, seed: int) -> NDArray[np.int64]:
    """Indices of B bootstrap resamples within strata (R,)."""
    sizes = tuple(np.bincount(strata).tolist())
    return np.argsort(strata, kind="stable")[_resample(sizes, int(resamples), int(seed))]


def _ratio_interval(
    first: Array, second: Array, strata: NDArray[np.int64], *, resamples: int, seed: int, level: float
) -> Interval:
    """Ratio of medians with its percentile bootstrap interval, pairs resampled within strata."""
    estimate = float(_quotient(np.median(first), np.median(second)))
    if np.bincount(strata).max() < 2:
        return Interval(estimate, np.nan, np.nan)
    rows = _rows(strata, resamples=resamples, seed=seed)
    ratios = _quotient(np.median(first[rows], axis=1), np.median(second[rows], axis=1))
    # Where both medians fail the ratio may be anything: it widens the interval on either side.
    low, _ = percentile_bounds(np.where(np.isnan(ratios), 0.0, ratios), level)
    _, high = percentile_bounds(np.where(np.isnan(ratios), np.inf, ratios), level)
    return Interval(estimate, low, high)


def _quotient(first: ArrayLike, second: ArrayLike) -> Array:
    """first / second; NaN for two infinities, 1 for two zeros."""
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.where((x == y) & np.isfinite(x), 1.0, x / y)


@lru_cache(maxsize=16)
def _resample(sizes: tuple[int, ...], resamples: int, seed: int) -> NDArray[np.int64]:
    """(B, Σ(n_g − 1)) rows: n_g − 1 draws with replacement from each stratum, which lie one after the other.

    n_g draws would understate the variance by (n_g − 1)/n_g, a third with three seeds a data set.
    Source: McCarthy & Snowden (1985), The bootstrap and finite population sampling, Vital and Health Statistics 2(95).
    """
    rng = np.random.default_rng(seed)
    starts = np.cumsum((0, *sizes[:-1]))
    drawn = [start + rng.integers(n, size=(resamples, max(n - 1, 1))) for start, n in zip(starts, sizes, strict=True)]
    return np.concatenate(drawn, axis=1)


def attained_coverage(sizes: ArrayLike, level: float = 0.95) -> float:
    """The most that a stratified bootstrap interval of a median can cover, two-sided.

    No resample lies beyond that of the lowest (highest) score of every stratum, and this one misses the true median
    with P(Σ_g (n_g − 1) I_g > Σ_g (n_g − 1) / 2), P(I_g = 1) = 2^(−n_g); for one stratum 2^(−n).

    Args:
        sizes: (G,), seeds n_g of each stratum.   level: coverage aimed at.
    Returns:
        A probability: .9375 for five seeds of one stratum, .5 for two, 0 for one.
    """
    counts = np.atleast_1d(np.asarray(sizes, dtype=np.int64))
    if counts.max() < 2:
        return 0.0
    drawn = np.maximum(counts - 1, 1)
    chance = np.zeros(int(drawn.sum()) + 1)
    chance[0] = 1.0
    for n, weight in zip(counts.tolist(), drawn.tolist(), strict=True):
        moved = np.concatenate((np.zeros(weight), chance[: len(chance) - weight]))
        chance = chance + (moved - chance) * 0.5**n
    beyond = 2 * np.arange(len(chance)) > len(chance) - 1
    return float(min(level, 1.0 - 2.0 * chance[beyond].sum()))


def _verdict(found: Decision) -> Outcome:
    p = found.corrected if found.primary else found.pvalue
    if p < ALPHA and found.ratio.estimate <= RATIO:
        return "win"
    if p < ALPHA and found.ratio.estimate >= 1.0 / RATIO:
        return "loss"
    if found.pvalue_tie < ALPHA and RATIO <= found.ratio.estimate <= 1.0 / RATIO:
        return "tie"
    return "unresolved"


def _wanted(found: Decision, scores: tuple[Array, Array]) -> float:
    """Pairs after which a win or a loss would show where the ratio is that far from 1, a tie where it is not."""
    if found.seeds < 2 or math.isnan(found.ratio.estimate):
        return math.nan
    size = ALPHA / max(found.family, 1) if found.primary else ALPHA
    if not RATIO < found.ratio.estimate < 1.0 / RATIO:
        with np.errstate(divide="ignore"):
            return seeds_needed(*np.log(scores), power=POWER, alpha=size)
    d = log_ratios(*scores)
    if not np.isfinite(d).all():
        # No shift brings a failure within the bounds of a tie.
        return math.inf
    least, spread = math.ceil(-math.log2(ALPHA)), float(np.std(d, ddof=1))
    room = _MARGIN - abs(math.log(found.ratio.estimate))
    if spread == 0.0:
        return float(least)
    # Both one-sided tests must reject: each is given half of the risk. A one-sided test has twice the size.
    pairs = least_pairs(room / spread, power=1.0 - (1.0 - POWER) / 2.0, alpha=2.0 * ALPHA)
    return float(max(np.ceil(pairs * np.pi / 3.0), least))
