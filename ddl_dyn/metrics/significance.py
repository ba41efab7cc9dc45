"""Paired tests, correction for many comparisons, ranking across tasks, and how many seeds would separate two models.

Axes: K tasks, M models, R replicas (seeds). An infinite score is a failed replica; NaN is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.metrics.statistics import ordered_scores, paired_scores

# Largest study `seeds_needed` searches; beyond it the difference is of no practical interest.
MAX_SEEDS = 1_000_000


class Ranking(NamedTuple):
    """Ranks of M models over K tasks.

    mean_ranks: (M,), 1 is best.
    statistic, pvalue: Friedman's test of no difference.
    critical_difference: mean ranks closer than this are not told apart.
    groups: maximal sets of model indices, best first, within one critical difference.
    """

    mean_ranks: Array
    statistic: float
    pvalue: float
    critical_difference: float
    groups: tuple[tuple[int, ...], ...]


def holm(pvalues: ArrayLike) -> Array:
    """Holm's step-down adjusted p-values, which bound the probability of one false claim among all.

    p̃_(i) = max_{j≤i} min(1, (m − j + 1) p_(j))

    Args:
        pvalues: (m,), in [0, 1].
    Returns:
        (m,), in the order given.
    Raises:
        ValueError: when an entry is not in [0, 1].
    Source:
        Holm (1979), A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 65–70.
    """
    p = np.asarray(pvalues, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"pvalues must have shape (m,) with entries in [0, 1], got {pvalues!r}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.minimum(1.0, p[order] * np.arange(p.size, 0, -1)))
    adjusted = np.empty_like(p)
    adjusted[order] = stepped
    return adjusted


def _differences(a: ArrayLike, b: ArrayLike) -> Array:
    x, y = paired_scores(a, b)
    if x.ndim != 1:
        raise ValueError(f"paired scores must have shape (R,), got {x.shape}")
    # Two failures of the same kind are a tie, although inf − inf is NaN.
    with np.errstate(invalid="ignore"):
        return np.where(x == y, 0.0, x - y)


def sign_flip_test(
    differences: ArrayLike,
    strata: Sequence[int] | None = None,
    *,
    alternative: Literal["two-sided", "less", "greater"] = "two-sided",
) -> float:
    """Exact p-value of the sign-flip test on the signed ranks of paired differences, stratified.

    T = Σ_g (1/n_g) Σ_{r∈g} sign(d_r) · rank|d_r|, against all 2^R choices of signs. Ranks, because an infinite
    difference (a failed replica) has one; zeros keep theirs and add nothing (Pratt). The test is conditional on the
    strata: where each is a data set, it speaks of other initialisations on these data sets.

    Args:
        differences: d (R,), infinite where one of a pair failed.
        strata: (R,), label of each pair's stratum; None for one stratum.
        alternative: "less" is the alternative d < 0.
    Returns:
        p in (0, 1], at least 2^(1−R) two-sided and 2^(−R) one-sided.
    Raises:
        ValueError: on NaN, shapes that do not fit, or an unknown alternative.
    Source:
        Wilcoxon (1945), Individual comparisons by ranking methods, doi:10.2307/3001968.
    """
    d = ordered_scores(differences, name="differences")
    sizes = stratum_sizes(strata, d.shape)
    if alternative not in ("two-sided", "less", "greater"):
        raise ValueError(f"alternative must be 'two-sided', 'less' or 'greater', got {alternative!r}")
    # Twice a rank is whole even where ranks are shared, and so is the least common multiple over a stratum's size.
    common = math.lcm(*(int(n) for n in sizes))
    weights = np.rint(2 * scipy.stats.rankdata(np.abs(d))).astype(np.int64) * (common // sizes)
    below = _cumulative(tuple(sorted(int(w) for w in weights[d != 0])))
    positive, total = int(weights[d > 0].sum()), len(below) - 1
    less, greater = below[positive], below[total - positive]
    p = {"less": less, "greater": greater, "two-sided": 2.0 * min(less, greater)}[alternative]
    return float(min(1.0, p))


def stratum_sizes(strata: Sequence[int] | None, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Number of pairs (R,) in each pair's stratum; ValueError where labels do not fit the scores' shape (R,)."""
    labels = np.zeros(shape) if strata is None else np.asarray(strata)
    if len(shape) != 1 or labels.shape != shape:
        raise ValueError(f"scores and strata must both have shape (R,), got {shape} and {labels.shape}")
    _, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return counts[index]


@lru_cache(maxsize=256)
def _cumulative(weights: tuple[int, ...]) -> Array:
    """P(S ≤ s), s = 0 … Σw, for the sum S of weights each taken with probability ½."""
    chance = np.ones(1)
    for weight in weights:
        taken = np.concatenate((np.zeros(weight), chance))
        chance = (taken + np.pad(chance, (0, weight))) / 2
    return np.cumsum(chance)


def critical_difference(scores: ArrayLike, *, alpha: float = 0.05) -> Ranking:
    """Mean ranks of M ≥ 3 models over K tasks with Friedman's test and Nemenyi's critical difference.

    CD = (q_α / √2) √(M (M + 1) / 6K), q_α the upper quantile of the studentised range of M groups with ∞ df.

    Args:
        scores: (K, M), one error (say a median over replicas) per task and model; infinite ones share the last rank.
        alpha: error rate over the family of comparisons, in (0, 1).
    Returns:
        Ranking; statistic 0 and p-value 1 when all models tie everywhere.
    Raises:
        ValueError: on NaN, fewer than three models or two tasks.
    Source:
        Demšar (2006), Statistical comparisons of classifiers over multiple data sets, JMLR 7, 1–30.
    """
    table = ordered_scores(scores, name="scores")
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 3:
        raise ValueError(
            f"scores must have shape (K ≥ 2 tasks, M ≥ 3 models), got {table.shape}; for two use sign_flip_test"
        )
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must lie in (0, 1), got {alpha!r}")
    tasks, models = table.shape
    ranks = scipy.stats.rankdata(table, axis=1)
    if np.ptp(ranks) == 0:
        statistic, pvalue = 0.0, 1.0
    else:
        statistic, pvalue = (float(v) for v in scipy.stats.friedmanchisquare(*ranks.T))
    q = float(scipy.stats.studentized_range.ppf(1.0 - alpha, models, np.inf)) / np.sqrt(2.0)
    difference = float(q * np.sqrt(models * (models + 1) / (6.0 * tasks)))
    mean_ranks = ranks.mean(axis=0)
    return Ranking(mean_ranks, statistic, pvalue, difference, _groups(mean_ranks, difference))


def _groups(mean_ranks: Array, difference: float) -> tuple[tuple[int, ...], ...]:
    order = [int(i) for i in np.argsort(mean_ranks, kind="stable")]
    groups: list[tuple[int, ...]] = []
    end = 0
    for i, first in enumerate(order):
        stop = i + sum(mean_ranks[m] - mean_ranks[first] <= difference for m in order[i:])
        # A run that ends where the previous one did lies inside it.
        if stop > end:
            groups.append(tuple(order[i:stop]))
            end = stop
    return tuple(groups)


def paired_power(effect: float, pairs: int, *, alpha: float = 0.05) -> float:
    """Power of the two-sided paired t-test at a standardised effect δ = mean d / sd d with R pairs.

    1 − β = P(|T| > t_{1−α/2, R−1}),  T ~ noncentral t(R − 1, δ√R)

    Args:
        effect: δ, dimensionless.
        pairs: R ≥ 2.
        alpha: size of the test.
    Returns:
        A probability.
    Raises:
        ValueError: when pairs is below 2 or effect not finite.
    """
    if pairs < 2 or not np.isfinite(effect):
        raise ValueError(f"power needs at least 2 pairs and a finite effect, got pairs={pairs!r}, effect={effect!r}")
    critical, shift = scipy.special.stdtrit(pairs - 1, 1 - alpha / 2), abs(effect) * np.sqrt(pairs)
    # NaN stands for what lies so far below a large shift that its series ends before it begins: nothing.
    far, near = np.nan_to_num(scipy.special.nctdtr(pairs - 1, shift, [-critical, critical]))
    return float(far + 1.0 - near)


def seeds_needed(a: ArrayLike, b: ArrayLike, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Paired seeds that would tell a from b, were the differences seen so far typical.

    Finite differences: the least R with `paired_power` ≥ power, divided by 3/π, the efficiency of the signed-rank test
    under normality. With a failed replica: Noether's R = (z_{1−α/2} + z_power)² / (4 (p̂ − ½)²) for the sign test, p̂
    the share of pairs in which a is lower. Never below the least R at which a two-sided sign test can reach α.

    Args:
        a: (R,), scores paired with b.
        b: (R,).
        power: probability of telling them apart, in (alpha, 1).
        alpha: size of the test, in (0, 1).
    Returns:
        A whole number, or ∞ when no difference shows or over a million seeds would be needed.
    Raises:
        ValueError: on NaN, shapes that differ, fewer than two pairs, or power and alpha out of range.
    Source:
        Noether (1987), Sample size determination …, doi:10.1080/01621459.1987.10478478.
    """
    d = _differences(a, b)
    if d.size < 2 or not 0.0 < alpha < power < 1.0:
        raise ValueError(f"need 2 pairs or more and 0 < alpha < power < 1, got {d.size}, alpha={alpha}, power={power}")
    least = int(np.ceil(1.0 - np.log2(alpha)))
    if not np.isfinite(d).all():
        share = float(np.mean((d < 0) + 0.5 * (d == 0)))
        z = float(scipy.stats.norm.ppf(1 - alpha / 2) + scipy.stats.norm.ppf(power))
        wanted = np.inf if share == 0.5 else np.ceil(z**2 / (4 * (share - 0.5) ** 2))
    elif (spread := float(np.std(d, ddof=1))) == 0.0:
        wanted = least if d.any() else np.inf
    else:
        wanted = np.ceil(least_pairs(float(np.mean(d)) / spread, power=power, alpha=alpha) * np.pi / 3)
    return float(max(wanted, least)) if wanted <= MAX_SEEDS else float("inf")


def least_pairs(effect: float, *, power: float, alpha: float) -> float:
    """Least number of pairs R at which `paired_power` reaches a power; ∞ beyond `MAX_SEEDS`.

    Args:
        effect: δ, dimensionless.
        power: wanted, in (0, 1).   alpha: level of the test, in (0, 1).
    """
    if paired_power(effect, MAX_SEEDS, alpha=alpha) < power:
        return float("inf")
    low, high = 1, MAX_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if paired_power(effect, middle, alpha=alpha) >= power else (middle, high)
    return float(high)
