"""Pointwise accuracy against closed forms, with negative controls. Axes: R, N, T, D."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from ddl_dyn.metrics import accuracy as acc


def ensemble(n: int = 40, steps: int = 50, dim: int = 3, seed: int = 0) -> np.ndarray:
    scales = np.array([0.5, 2.0, 30.0])[:dim]
    return 1.0 + scales * np.random.default_rng(seed).standard_normal((n, steps + 1, dim))


SIGMA = np.array([0.5, 2.0, 30.0])


def test_nrmse_curve_equals_a_plain_loop_over_all_leading_axes():
    true = ensemble()
    pred = true + 0.3 * np.random.default_rng(1).standard_normal((2, *true.shape))
    curve = acc.nrmse_curve(pred, true, SIGMA)
    assert curve.shape == (2, 40, 51)
    for r, n, t in [(0, 0, 0), (1, 39, 50), (0, 17, 3)]:
        by_hand = (sum(((pred[r, n, t, d] - true[n, t, d]) / SIGMA[d]) ** 2 for d in range(3)) / 3) ** 0.5
        assert curve[r, n, t] == pytest.approx(by_hand, rel=1e-14)


def test_mean_forecast_scores_one_and_an_independent_copy_root_two():
    true, copy = ensemble(400), ensemble(400, seed=1)
    sigma = true.reshape(-1, 3).std(axis=0)
    mean = np.broadcast_to(true.reshape(-1, 3).mean(axis=0), true.shape)
    # 60,000 independent numbers: the standard error of the mean square is √(2/60000) = .006, of its root half that.
    assert acc.nrmse(mean, true, sigma, 50) == pytest.approx(1.0, abs=0.02)
    assert acc.nrmse(copy, true, sigma, 50) == pytest.approx(np.sqrt(2.0), abs=0.03)


def test_nrmse_pools_squares_over_trajectories_and_steps_one_to_k():
    true = ensemble()
    pred = true + np.random.default_rng(2).standard_normal((4, *true.shape))
    pred[..., 0, :] = 1e9  # the given state is no forecast
    pred[..., 11:, :] = 1e9  # beyond K
    pooled = acc.nrmse(pred, true, SIGMA, 10)
    curve = acc.nrmse_curve(pred, true, SIGMA)
    np.testing.assert_allclose(pooled, np.sqrt((curve[..., 1:11] ** 2).mean(axis=(-2, -1))), rtol=1e-13)
    assert pooled.shape == (4,)
    # One trajectory on its own is a pool of one.
    assert acc.nrmse(pred[0, 0], true[0], SIGMA, 10) == pytest.approx(acc.nrmse(pred[0, :1], true[:1], SIGMA, 10))


def test_nrmse_sees_a_shift_in_time_and_a_permutation_of_trajectories():
    t = 0.1 * np.arange(201)
    true = np.sin(t + np.linspace(0, 6, 20)[:, None])[..., None]
    sigma = np.array([true.std()])
    assert acc.nrmse(true, true, sigma, 200) == 0
    shifted = np.roll(true, 5, axis=1)
    # sin(t) − sin(t − .5) has amplitude 2 sin(.25), over the amplitude 1 of the truth;
    # the wrapped samples add a little.
    assert acc.nrmse(shifted, true, sigma, 200) == pytest.approx(2 * np.sin(0.25), rel=0.05)
    assert acc.nrmse(true[::-1], true, sigma, 200) > 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_prediction_fails_and_is_not_dropped(bad):
    true = ensemble()
    pred = true.copy()
    pred[3, 7:, 1] = bad
    curve = acc.nrmse_curve(pred, true, SIGMA)
    assert np.isinf(curve[3, 7:]).all()
    assert (np.delete(curve, 3, axis=0) == 0).all()
    assert np.isinf(acc.nrmse(pred, true, SIGMA, 50))
    assert acc.nrmse(pred, true, SIGMA, 6) == 0
    vpt = acc.valid_prediction_time(curve, 0.5, 0.4)
    assert vpt.time[3] == 3.5
    assert not vpt.censored[3]
    assert acc.smape(pred, true, 50)[3] == pytest.approx(200 * 44 / 150)
    assert np.isinf(acc.mase(pred, true, true, 50)[3])


def test_huge_predictions_overflow_to_failure_without_a_warning():
    true = ensemble(2)
    pred = np.full_like(true, 1e300)
    assert np.isinf(acc.nrmse_curve(pred, true, SIGMA)).all()
    np.testing.assert_allclose(acc.smape(pred, -np.abs(true), 50), 200)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: acc.nrmse_curve(x, np.full_like(x, np.nan), SIGMA), "truth must be finite"),
        (lambda x: acc.nrmse_curve(x[..., :2], x, SIGMA), "both end in"),
        (lambda x: acc.nrmse_curve(x, np.stack([x, x]), SIGMA), "does not broadcast"),
        (lambda x: acc.nrmse_curve(x, x, SIGMA[:2]), "sigma must be 3"),
        (lambda x: acc.nrmse_curve(x, x, np.array([1.0, 0.0, 1.0])), "positive"),
        (lambda x: acc.nrmse(x, x, SIGMA, 51), "1 … 50"),
        (lambda x: acc.nrmse(x, x, SIGMA, 0), "1 … 50"),
        (lambda x: acc.mase(x, x, x[:, :1], 5), "train must be"),
        (lambda x: acc.valid_prediction_time(x[..., 0], 0.0, 0.4), "dt"),
        (lambda x: acc.valid_prediction_time(x[..., 0], 1.0, 0.4, trust_steps=-1), "trust_steps"),
    ],
)
def test_bad_input_is_refused_with_the_reason(call, words):
    with pytest.raises(ValueError, match=words):
        call(ensemble())


def test_valid_prediction_time_is_the_first_step_over_the_threshold():
    curve = np.array(
        [[0.0, 0.1, 0.4, 0.41, 0.2], [0.0, 0.1, 0.2, 0.3, 0.4], [np.nan, 0, 0, 0, 0], [0, 0, 0, np.nan, 9]]
    )
    vpt = acc.valid_prediction_time(curve, 0.5, 0.4)
    np.testing.assert_array_equal(vpt.time, [1.5, 2.0, 0.0, 1.5])
    np.testing.assert_array_equal(vpt.censored, [False, True, False, False])


def test_trust_horizon_censors_what_fails_later_and_keeps_what_fails_at_it():
    curve = np.array([[0.0, 0.1, 0.2, 0.9, 0.9], [0.0, 0.1, 0.9, 0.9, 0.9]])
    vpt = acc.valid_prediction_time(curve, 1.0, 0.4, trust_steps=2)
    np.testing.assert_array_equal(vpt.time, [2.0, 2.0])
    np.testing.assert_array_equal(vpt.censored, [True, False])
    each = acc.valid_prediction_time(curve, 1.0, 0.4, trust_steps=np.array([3, 1]))
    np.testing.assert_array_equal(each.time, [3.0, 1.0])
    np.testing.assert_array_equal(each.censored, [False, True])


def test_exponential_error_growth_gives_the_analytic_prediction_time():
    # ε e^{λt} passes θ at t = ln(θ/ε)/λ = 9.21/.9; sampled at dt it is reported at the next sample.
    t = 0.01 * np.arange(2001)
    vpt = acc.valid_prediction_time(1e-4 * np.exp(0.9 * t), 0.01, 0.4)
    assert 0 <= vpt.time - np.log(0.4 / 1e-4) / 0.9 < 0.01 + 1e-9


def test_smape_reference_values():
    x = ensemble()
    np.testing.assert_allclose(acc.smape(np.zeros_like(x), x, 50), 200)
    np.testing.assert_allclose(acc.smape(-x, x, 50), 200)
    np.testing.assert_allclose(acc.smape(np.full_like(x, np.nan), x, 50), 200)
    assert (acc.smape(np.zeros_like(x), np.zeros_like(x), 50) == 0).all()
    # |x − 3x| / (|x| + 3|x|) = 1/2 whatever x.
    np.testing.assert_allclose(acc.smape(3 * x, x, 50), 100)


@given(
    hnp.arrays(np.float64, (3, 5, 2), elements=st.floats(-1e308, 1e308)),
    hnp.arrays(np.float64, (3, 5, 2), elements=st.floats(-1e308, 1e308) | st.sampled_from([np.nan, np.inf, -np.inf])),
)
def test_smape_stays_on_its_scale_for_any_prediction(true, pred):
    score = acc.smape(pred, true, 4)
    assert ((score >= 0) & (score <= 200 * (1 + 1e-15))).all()


def test_mase_of_the_naive_forecast_and_its_scaling():
    walk = np.cumsum(np.random.default_rng(3).standard_normal((500, 21, 2)) * [1.0, 100.0], axis=1)
    naive = np.concatenate((walk[:, :1], walk[:, :-1]), axis=1)
    # The scale is the error of these very forecasts, so they score 1 on average by definition.
    assert acc.mase(naive, walk, walk, 20).mean() == pytest.approx(1.0, abs=1e-12)
    assert acc.mase(walk, walk, walk, 20).max() == 0
    # An error of 1 in the first of two components, over E|ε| = √(2/π); 10⁴ steps give q to .75 %.
    off = walk + np.array([1.0, 0.0])
    assert acc.mase(off, walk, walk, 20).mean() == pytest.approx(0.5 / np.sqrt(2 / np.pi), rel=0.03)


def test_mase_of_a_component_constant_in_training_is_zero_or_infinite():
    train = np.ones((1, 5, 1))
    np.testing.assert_array_equal(acc.mase(train, train, train, 4), [0.0])
    np.testing.assert_array_equal(acc.mase(train + 1e-6, train, train, 4), [np.inf])


def test_kaplan_meier_on_freireichs_remission_times():
    # Freireich et al. (1963), 6-MP arm of 21 patients, as tabulated in Cox and Oakes (1984), p. 7-8 and 48-49.
    time = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    seen = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    censored = ~np.array(seen, dtype=bool)
    curve = acc.survival_curve(time, censored)
    published = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    for t, s in published.items():
        assert curve.survival[curve.times == t][0] == pytest.approx(s, abs=6e-4)
    # Greenwood's standard error at t = 10 is .0963; the log(−log) bounds of R's survfit are (.503, .889).
    at_ten = int(np.flatnonzero(curve.times == 10)[0])
    assert curve.low[at_ten] == pytest.approx(0.503, abs=6e-4)
    assert curve.high[at_ten] == pytest.approx(0.889, abs=6e-4)


def test_survival_curve_agrees_with_scipys_own_interval():
    rng = np.random.default_rng(5)
    time, limit = rng.exponential(2.0, 60), rng.uniform(0, 5, 60)
    observed, censored = np.minimum(time, limit), time > limit
    curve = acc.survival_curve(observed, censored)
    sf = stats.ecdf(stats.CensoredData.right_censored(observed, censored)).sf
    with pytest.warns(RuntimeWarning, match="undefined at some observations"):
        interval = sf.confidence_interval(0.95, method="log-log")
    inner = (curve.survival > 0) & (curve.survival < 1)
    np.testing.assert_allclose(curve.low[inner], interval.low.probabilities[inner], rtol=1e-10)
    np.testing.assert_allclose(curve.high[inner], interval.high.probabilities[inner], rtol=1e-10)


def test_survival_without_any_failure_is_one():
    curve = acc.survival_curve(np.full(8, 4.0), np.ones(8, dtype=bool))
    assert curve.survival.tolist() == curve.low.tolist() == curve.high.tolist() == [1.0]


def test_restricted_mean_is_the_plain_mean_where_all_are_censored_at_the_horizon():
    time = np.minimum(np.random.default_rng(6).exponential(3.0, 200), 4.0)
    assert acc.restricted_mean_time(time, time == 4.0, 4.0) == pytest.approx(time.mean(), rel=1e-12)
    assert acc.restricted_mean_time(time, time == 4.0, 2.0) == pytest.approx(np.minimum(time, 2.0).mean(), rel=1e-12)


def test_restricted_mean_undoes_random_censoring_where_the_plain_mean_is_biased():
    rng = np.random.default_rng(7)
    life, limit = rng.exponential(1.0, 20_000), rng.uniform(0, 3, 20_000)
    observed, censored = np.minimum(life, limit), life > limit
    exact = 1 - np.exp(-2.0)  # ∫₀² e^{-t} dt
    # The standard error of the restricted mean at this size is about .006.
    assert acc.restricted_mean_time(observed, censored, 2.0) == pytest.approx(exact, abs=0.02)
    assert np.minimum(observed, 2.0).mean() < exact - 0.1


def test_restricted_mean_refuses_to_extrapolate():
    with pytest.raises(ValueError, match="longest observed"):
        acc.restricted_mean_time([1.0, 2.0], [False, True], 3.0)
    assert acc.restricted_mean_time([1.0, 2.0], [False, False], 3.0) == pytest.approx(1.5)
