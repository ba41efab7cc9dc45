"""Intervals, tests and rankings against scipy, closed forms and published examples.

Axes: K tasks, M models, R seeds.
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ddl_dyn.metrics import significance as sig
from ddl_dyn.metrics import statistics as sta

INF = math.inf
BOOT = {"resamples": 2000, "seed": 0}


def exact_median_bounds(values: list[float], level: float = 0.95) -> tuple[float, float]:
    """Quantiles of the median over all n^n resamples, counted one by one."""
    medians = sorted(float(np.median(draw)) for draw in itertools.product(values, repeat=len(values)))
    tail = (1 - level) / 2 * (len(medians) - 1)
    return medians[math.floor(tail)], medians[math.ceil(len(medians) - 1 - tail)]


def test_median_interval_converges_to_the_full_enumeration_of_resamples():
    values = [1.0, 2.0, 4.0, 8.0, 16.0]
    assert sta.median_interval(values, resamples=20_000, seed=1) == (4.0, *exact_median_bounds(values))


def test_median_interval_agrees_with_scipys_percentile_bootstrap():
    values = np.random.default_rng(0).lognormal(size=30)
    ours = sta.median_interval(values, resamples=9999, seed=1)
    scipys = stats.bootstrap((values,), np.median, n_resamples=9999, method="percentile", rng=np.random.default_rng(2))
    # Two Monte-Carlo estimates of one quantile: neighbouring order statistics of 30 lognormals differ by about .05.
    assert ours.low == pytest.approx(scipys.confidence_interval.low, abs=0.1)
    assert ours.high == pytest.approx(scipys.confidence_interval.high, abs=0.1)


def test_failed_replicas_are_scores_not_gaps():
    assert sta.median_interval([1.0, 2.0, 3.0, 4.0, INF], **BOOT) == (3.0, 1.0, INF)
    assert sta.median_interval([1.0, 2.0, INF, INF, INF], **BOOT) == (INF, 1.0, INF)
    assert sta.median_interval([INF] * 5, **BOOT) == (INF, INF, INF)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(INF), min_size=2, max_size=12), st.integers(0, 100))
def test_median_interval_brackets_the_median_within_the_data(values, seed):
    interval = sta.median_interval(values, resamples=500, seed=seed)
    assert min(values) <= interval.low <= interval.estimate <= interval.high <= max(values)


def test_intervals_of_one_replica_are_missing():
    one = sta.median_interval([2.0], **BOOT)
    assert one.estimate == 2.0
    assert math.isnan(one.low)
    assert math.isnan(one.high)


def test_equal_scores_have_a_point_interval():
    assert sta.median_interval([0.3] * 5, **BOOT) == (0.3, 0.3, 0.3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sta.median_interval([1.0, math.nan], **BOOT), "NaN"),
        (lambda: sta.median_interval([], **BOOT), "at least one"),
        (lambda: sta.median_interval([1.0, 2.0], resamples=10, seed=0), "at least 100"),
        (lambda: sig.holm([0.5, 1.5]), "0, 1"),
        (lambda: sig.critical_difference(np.ones((4, 2))), "M ≥ 3"),
        (lambda: sig.seeds_needed([1.0], [2.0]), "2 pairs"),
    ],
)
def test_bad_input_is_refused_with_the_reason(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_stratified_bootstrap_keeps_tasks_apart():
    # Constant within tasks, far apart between them: resampling within tasks alone has nothing to vary.
    scores = [np.full(6, 0.0), np.full(6, 1.0), np.full(6, 100.0)]
    mean = functools.partial(np.mean, axis=1)
    interval = sta.stratified_bootstrap(scores, mean, **BOOT)
    assert interval.low == interval.estimate == interval.high
    pooled = sta.stratified_bootstrap([np.concatenate(scores)], mean, **BOOT)
    assert pooled.estimate == interval.estimate
    assert pooled.low < pooled.high


def test_stratified_bootstrap_of_the_mean_has_the_textbook_width():
    rng = np.random.default_rng(2)
    scores = [rng.normal(loc, 1.0, 40) for loc in (0.0, 10.0, 20.0)]
    interval = sta.stratified_bootstrap(scores, lambda rows: rows.mean(axis=1), resamples=4000, seed=0)
    # Var of the overall mean is the mean of within-task (biased) variances over 120.
    expected = 2 * 1.959964 * np.sqrt(np.mean([s.var() for s in scores]) / 120)
    assert interval.high - interval.low == pytest.approx(expected, rel=0.06)


@pytest.mark.slow
def test_median_interval_covers_the_true_median():
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(400):
        interval = sta.median_interval(rng.lognormal(size=25), resamples=500, seed=trial)
        hits += interval.low <= 1.0 <= interval.high
    # 95 % nominal; the bootstrap of a median at n = 25 runs from .93 to .97, the count has a standard error of .011.
    assert 0.90 <= hits / 400 <= 0.985


def test_holm_on_a_worked_example():
    # Adjusted by hand: .01·4, .02·3 … in ascending order .005·4=.02, .01·3=.03, .03·2=.06, .04·1 -> .06.
    np.testing.assert_allclose(sig.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(sig.holm([0.9, 0.8]), [1.0, 1.0])
    assert sig.holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_rejects_exactly_as_the_step_down_procedure(pvalues):
    adjusted = sig.holm(pvalues)
    rejected = np.zeros(len(pvalues), dtype=bool)
    for step, i in enumerate(np.argsort(pvalues, kind="stable")):
        if pvalues[i] * (len(pvalues) - step) > 0.05:
            break
        rejected[i] = True
    np.testing.assert_array_equal(adjusted <= 0.05, rejected)


def test_critical_difference_on_demsars_example():
    # Demšar (2006), JMLR 7, section 3.2.2: 4 classifiers, 14 data sets, mean ranks 3.143, 2.000, 2.893, 1.964,
    # χ²_F = 9.28 (printed from rounded ranks), and CD = 2.569 √(4·5/(6·14)) = 1.25 (Nemenyi, α = .05).
    auc = [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
    ranking = sig.critical_difference(-np.array(auc))
    np.testing.assert_allclose(ranking.mean_ranks, [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    assert ranking.critical_difference == pytest.approx(1.25, abs=5e-3)
    assert ranking.statistic == pytest.approx(stats.friedmanchisquare(*np.array(auc).T).statistic)
    assert ranking.pvalue < 0.05
    # 3.143 − 2.000 = 1.143 and 3.143 − 1.964 = 1.179 are both below 1.25: Nemenyi tells none apart.
    assert ranking.groups == ((3, 1, 2, 0),)


def test_critical_difference_separates_a_clear_order_and_ranks_failures_last():
    table = np.tile([1.0, 2.0, 3.0, INF, INF], (20, 1)) + 0.0
    ranking = sig.critical_difference(table)
    np.testing.assert_allclose(ranking.mean_ranks, [1.0, 2.0, 3.0, 4.5, 4.5])
    # CD = 2.728 √(30/120) = 1.364 for five models and twenty tasks (q from Demšar's table 5a).
    assert ranking.critical_difference == pytest.approx(1.364, abs=1e-3)
    assert ranking.groups == ((0, 1), (1, 2), (3, 4))
    worst_first = sig.critical_difference(-table)
    np.testing.assert_allclose(worst_first.mean_ranks, [5.0, 4.0, 3.0, 1.5, 1.5])


def test_all_ties_have_no_ranking():
    ranking = sig.critical_difference(np.full((5, 3), INF))
    assert (ranking.statistic, ranking.pvalue) == (0.0, 1.0)
    assert ranking.groups == ((0, 1, 2),)


def test_paired_power_matches_published_and_simulated_values():
    # G*Power 3.1 and Cohen's tables: d = .5, n = 34 pairs, α = .05 two-sided gives power .8078.
    assert sig.paired_power(0.5, 34) == pytest.approx(0.8078, abs=1e-4)
    rng = np.random.default_rng(6)
    d = rng.normal(0.8, 1.0, (20_000, 12))
    simulated = np.mean(stats.ttest_1samp(d, 0.0, axis=1).pvalue < 0.05)
    assert sig.paired_power(0.8, 12) == pytest.approx(simulated, abs=0.012)  # 4 standard errors
    assert sig.paired_power(0.0, 10) == pytest.approx(0.05)
    assert sig.paired_power(1e4, 10) == 1.0


def test_seeds_needed_falls_with_the_effect_and_respects_the_floor():
    noise = np.array([-1.0, 1.0, -0.5, 0.5, 0.0, 1.2, -1.2])
    sd = noise.std(ddof=1)
    base = np.zeros(7)
    counts = [sig.seeds_needed(base, noise + effect * sd) for effect in (0.1, 0.5, 1.0, 50.0)]
    # 34 pairs for the t-test at δ = .5 (see above), over 3/π.
    assert counts[1] == math.ceil(34 * math.pi / 3)
    assert counts[0] > counts[1] > counts[2] > counts[3] == 6
    assert sig.seeds_needed(base, noise - noise.mean()) == INF
    assert sig.seeds_needed(base, base) == INF
    assert sig.seeds_needed(base, base + 1) == 6


def test_seeds_needed_with_failures_uses_the_sign_test():
    # Noether: (1.960 + .8416)² / (4 · .25²) = 31.4 at a share of 3/4, 7.85 at 1.
    assert sig.seeds_needed([1.0, 1.0, 1.0, INF], [2.0, 2.0, INF, 1.0]) == 32
    assert sig.seeds_needed([1.0, 1.0], [INF, INF]) == 8
    assert sig.seeds_needed([1.0, INF], [INF, 1.0]) == INF
