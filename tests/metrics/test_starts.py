"""Errors start by start, and intervals from overlapping windows. Axes: R replicas, N starts, T steps, D components."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy

from ddl_dyn.metrics.accuracy import nrmse
from ddl_dyn.metrics.starts import each_start, few_starts_decide, start_errors
from ddl_dyn.metrics.windows import block_bootstrap, pooled_interval, window_overlap
from ddl_dyn.tasks import make_dataset, make_task

SIGMA = np.array([2.0, 0.5])


def runs(offsets):
    """True runs at rest, predictions off by so many σ from the first step on: (R, N, 6, 2)."""
    off = np.asarray(offsets, dtype=float)[..., None, None] * SIGMA * np.ones((6, 1))
    off[..., 0, :] = 0.0
    return off, np.zeros(off.shape[-3:])


def test_start_errors_of_constant_offsets_are_the_offsets():
    pred, true = runs([[0.1, 0.2, 0.9], [0.3, math.inf, 0.5]])
    found = start_errors(pred, true, SIGMA, 5, threshold=0.4)
    np.testing.assert_allclose(found.median, [0.2, 0.5], rtol=1e-14)
    np.testing.assert_allclose(found.beyond, [1 / 3, 2 / 3], rtol=1e-14)


def test_the_pooled_error_is_the_root_mean_square_of_the_starts():
    rng = np.random.default_rng(0)
    pred, true = rng.normal(size=(2, 7, 9, 2)), rng.normal(size=(7, 9, 2))
    each = [start_errors(pred[:, n : n + 1], true[n : n + 1], SIGMA, 6, 1.0).median for n in range(7)]
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(each), axis=0)), nrmse(pred, true, SIGMA, 6), rtol=1e-12)


def test_one_start_beside_a_separatrix_is_told_from_a_bad_model():
    pred, true = runs([[0.01] * 63 + [1.4], [0.175] * 64])
    pooled = nrmse(pred, true, SIGMA, 5)
    found = start_errors(pred, true, SIGMA, 5, threshold=0.4)
    # √(1.4²/64) = .175: one start of 64 makes the pooled error of a model that is right everywhere else.
    np.testing.assert_allclose(pooled, 0.175, rtol=0.01)
    np.testing.assert_array_equal(few_starts_decide(pooled, found.median), [True, False])
    np.testing.assert_allclose(found.beyond, [1 / 64, 0.0])


def test_disagreement_is_a_factor_of_three_either_way():
    pooled = [3.0, 3.01, 1.0, 1.0, math.inf, math.inf, 0.0, 1.0]
    median = [1.0, 1.0, 3.0, 3.01, math.inf, 1.0, 0.0, math.inf]
    expected = [False, True, False, True, False, True, False, True]
    np.testing.assert_array_equal(few_starts_decide(pooled, median), expected)


def test_window_overlap_of_a_recorded_series_follows_from_its_windows():
    sizes = {"n_train": 20, "n_val": 5, "steps": 12}
    crowded = make_dataset(make_task("sunspots", delay=1, dimension=2), n_test=30, **sizes).test
    # 46 states are left for the test split: origins 0 … 32 for 30 windows, mostly one apart.
    assert window_overlap(crowded.states) == 13
    series = np.arange(200.0)[:, None]
    for shift, block in ((1, 11), (4, 3), (11, 1), (20, 1)):
        windows = np.stack([series[i : i + 11] for i in range(0, 150, shift)])
        assert window_overlap(windows) == block
    assert window_overlap(series[None]) == 1


def smoothed(rng, n=120, width=12):
    """Scores of overlapping windows: moving averages of independent numbers, mean 0."""
    return np.convolve(rng.standard_normal(n + width - 1), np.ones(width) / width, mode="valid")


def test_blocks_cover_where_single_values_do_not():
    rng = np.random.default_rng(1)
    mean = lambda rows: rows.mean(axis=1)  # noqa: E731
    hits = {1: 0, 12: 0}
    for trial in range(200):
        values = smoothed(rng)
        for block in hits:
            interval = block_bootstrap(values, mean, block=block, resamples=200, seed=trial)
            hits[block] += interval.low <= 0.0 <= interval.high
    # Twelve dependent neighbours: single values see a twelfth of the variance (z = .57, coverage .43).
    assert hits[1] / 200 < 0.6
    # Ten blocks are few, and their interval is short by some percent; standard error .02.
    assert hits[12] / 200 > 0.8


def test_block_bootstrap_of_one_block_of_one_is_the_ordinary_one():
    values = np.random.default_rng(2).lognormal(size=40)
    mean = lambda rows: rows.mean(axis=1)  # noqa: E731
    interval = block_bootstrap(values, mean, block=1, resamples=4000, seed=0)
    assert interval.estimate == values.mean()
    width = 2 * 1.96 * values.std() / math.sqrt(40)
    # Skewed scores: the percentile interval has the normal width within a tenth.
    assert interval.high - interval.low == pytest.approx(width, rel=0.1)


def test_blocks_that_cannot_be_told_apart_give_no_bounds():
    short = block_bootstrap(np.arange(5.0), lambda rows: rows.mean(axis=1), block=3, resamples=100, seed=0)
    assert short.estimate == 2.0
    assert math.isnan(short.low)
    with pytest.raises(ValueError, match="1 … 5"):
        block_bootstrap(np.arange(5.0), lambda rows: rows.mean(axis=1), block=6, resamples=100, seed=0)


def test_windows_of_an_autoregressive_series_need_blocks():
    """Windows of AR(1) series, x' = .9 x + e, forecast by their mean: the true pooled error is 1 standard deviation."""
    rng, length, trials = np.random.default_rng(3), 10, 150
    hits = {"one by one": 0, "blocks": 0}
    for trial in range(trials):
        noise = rng.standard_normal(600) * math.sqrt(1 - 0.9**2)
        noise[0] = rng.standard_normal()
        series = scipy.signal.lfilter([1.0], [1.0, -0.9], noise)
        windows = np.stack([series[i : i + length + 1, None] for i in range(0, 580, 2)])
        errors = each_start(np.zeros((2, *windows.shape)), windows, [1.0], length)
        overlap = window_overlap(windows)
        assert overlap == 6
        for name, block in (("one by one", 1), ("blocks", overlap)):
            interval = pooled_interval(errors, block=block, resamples=200, seed=trial)
            hits[name] += interval.low <= 1.0 <= interval.high
    # Each window shares samples with five on either side, and the series remembers beyond (.9^12 = .28): single windows
    # cover half of the time, blocks .85; the standard errors are .04 and .03.
    assert hits["one by one"] / trials < 0.6
    assert hits["blocks"] / trials > 0.78


def test_an_interval_over_windows_resamples_them_for_all_replicas_together():
    errors = np.array([[0.3, 0.4, 0.1, 0.2], [3.0, 4.0, 1.0, 2.0], [1.0, math.inf, 1.0, 1.0]])
    found = pooled_interval(errors, block=1, resamples=2000, seed=0)
    each = np.sqrt(np.square(errors).mean(axis=1))
    assert found.estimate == np.median(each)
    # A resample without the second window has no failure, and its median lies at 1 or above; with it, at most at 4.
    assert 1.0 <= found.low <= found.estimate <= found.high <= 4.0
    short = pooled_interval(errors, block=3, resamples=100, seed=0)
    assert (short.estimate, math.isnan(short.low), math.isnan(short.high)) == (found.estimate, True, True)
    # Longer than the series: still no bounds.
    assert math.isnan(pooled_interval(errors, block=9, resamples=100, seed=0).high)
