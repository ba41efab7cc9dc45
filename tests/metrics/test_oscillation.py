"""Oscillation descriptors against closed forms. Axes: N, T."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from ddl_dyn.metrics import oscillation as osc

DT = 0.05
TIME = DT * np.arange(2001)


def wave(omega: float = 1.3, phase: float = 0.4, amplitude: float = 2.0, mean: float = 5.0) -> np.ndarray:
    return mean + amplitude * np.sin(omega * TIME + phase)


@given(st.floats(0.5, 6.0), st.floats(-3.0, 3.0), st.floats(0.01, 100.0), st.floats(-50.0, 50.0))
def test_sine_descriptors(omega, phase, amplitude, mean):
    x = wave(omega, phase, amplitude, mean)
    # Linear interpolation errs by at most (ω dt)²/8 of a radian, twice.
    assert osc.period(x, DT) == pytest.approx(2 * np.pi / omega, rel=2e-2)
    assert osc.amplitude(x) == pytest.approx(amplitude, rel=(omega * DT) ** 2 / 8 + 1e-9)


def test_period_converges_at_second_order_in_dt():
    errors = []
    for dt in (0.2, 0.1, 0.05):
        t = dt * np.arange(int(70 * np.pi / dt) + 1)
        crossings = osc.upward_crossings(np.sin(t) + 0.3 * np.sin(2 * t))
        # 1 + .6 cos: the upward crossings of the mean stay at multiples of 2π.
        errors.append(np.abs(np.diff(crossings) * dt - 2 * np.pi).max())
    assert errors[2] < errors[1] / 2.5 < errors[0] / 6
    assert errors[2] < 1e-3


@pytest.mark.parametrize(("mu", "period", "amplitude"), [(1.0, 6.66329, 2.00862), (5.0, 11.61223, 2.02146)])
def test_van_der_pol_reference_values(mu, period, amplitude):
    # Reference: limit cycle of van der Pol, computed with DOP853/Radau at 1e-11 by an event on the Poincaré section.
    times = 200 + 0.01 * np.arange(20001)
    flow = solve_ivp(
        lambda _, x: [x[1], mu * (1 - x[0] ** 2) * x[1] - x[0]],
        (0, times[-1]),
        [2.0, 0.0],
        method="DOP853",
        t_eval=times,
        rtol=1e-9,
        atol=1e-9,
    )
    assert osc.period(flow.y[0], 0.01) == pytest.approx(period, abs=2e-3)
    assert osc.amplitude(flow.y[0]) == pytest.approx(amplitude, abs=1e-4)


def test_a_two_cycle_of_a_map_has_period_two():
    assert osc.period(np.tile([0.513045, 0.799455], 50), 1.0) == pytest.approx(2.0, abs=1e-12)


def test_errors_are_relative_and_broadcast_the_truth():
    true = np.stack([wave(1.0), wave(2.0)])
    pred = np.stack([true, np.stack([wave(1.1, amplitude=3.0), wave(2.2, amplitude=1.0)])])
    error = osc.period_error(pred, true, DT)
    np.testing.assert_allclose(error[0], 0)
    np.testing.assert_allclose(error[1], 1 - 1 / 1.1, rtol=0.02)
    np.testing.assert_allclose(osc.amplitude_error(pred, true)[1], [0.5, 0.5], rtol=2e-3)


def test_failed_and_flat_predictions_score_infinite_and_undefined_truths_nan():
    true, flat = wave(), np.full_like(TIME, 5.0)
    broken = true.copy()
    broken[-1] = np.nan
    for pred in (broken, flat + 1e-16 * np.arange(TIME.size)):
        assert np.isinf(osc.period_error(pred, true, DT))
        assert np.isinf(osc.phase_error(pred, true, DT)).all()
    assert np.isinf(osc.amplitude_error(broken, true))
    assert osc.amplitude_error(flat, true) == 1.0
    assert np.isinf(osc.turning_point_error(broken, true, DT)).all()
    assert np.isnan(osc.period_error(true, flat, DT))
    assert np.isnan(osc.amplitude_error(true, flat))
    assert np.isnan(osc.phase_error(true, flat, DT)).all()
    assert np.isnan(osc.turning_point_error(true, flat, DT).timing)
    with pytest.raises(ValueError, match="truth must be finite"):
        osc.period_error(true, broken, DT)


def test_phase_error_of_a_detuned_wave_is_its_drift():
    true, pred = wave(1.3), wave(1.33)
    error = osc.phase_error(pred, true, DT)
    # Crossings of the window mean jitter by the mean's own error, under .02 rad.
    assert error.drift == pytest.approx(0.03, rel=0.02)
    assert error.final == pytest.approx(0.03 * TIME[-1], abs=0.2)
    assert osc.phase_error(true, pred, DT).drift == pytest.approx(-0.03, rel=0.02)


def test_phase_error_of_a_delayed_wave_is_constant():
    error = osc.phase_error(wave(phase=0.0), wave(phase=0.7), DT)
    assert error.final == pytest.approx(-0.7, abs=0.03)
    assert error.rms == pytest.approx(0.7, abs=0.03)
    assert error.drift == pytest.approx(0.0, abs=1e-3)
    np.testing.assert_allclose(np.array(osc.phase_error(wave(), wave(), DT)), 0, atol=1e-12)


def test_phase_is_linear_in_time_for_a_sine_and_undefined_outside_the_crossings():
    phase = osc.phase(wave(1.0, mean=0.0))
    inside = np.isfinite(phase)
    # The crossings of the window mean differ from those of zero by a common shift, so the slope keeps to 1.
    slope = np.polyfit(TIME[inside], phase[inside], 1)[0]
    assert slope == pytest.approx(1.0, rel=2e-3)
    assert np.isnan(phase[0])
    assert np.nanmax(phase) == pytest.approx(2 * np.pi * 14, abs=2 * np.pi)


def test_turning_points_of_a_sine_lie_at_odd_quarter_periods():
    at, kind = osc.turning_points(wave(1.0, phase=0.0))
    expected = np.pi / 2 + np.pi * np.arange(32)
    # The vertex of the parabola through samples of a cosine at step h is off by less than h³/6 of the step.
    np.testing.assert_allclose(DT * at, expected, atol=1e-4)
    np.testing.assert_array_equal(kind, np.where(np.arange(32) % 2 == 0, 1, -1))


def test_turning_points_handle_plateaus_monotone_series_and_small_reversals():
    at, kind = osc.turning_points([0.0, 1.0, 1.0, 0.0, 2.0, 2.0])
    np.testing.assert_allclose(at, [1.5, 3 + 0.5 * (-1 + 2) / (-1 - 2)])
    np.testing.assert_array_equal(kind, [1, -1])
    assert osc.turning_points(np.arange(9.0))[0].size == 0
    assert osc.turning_points(np.ones(9))[0].size == 0
    ripple = wave() + 0.01 * (-1.0) ** np.arange(TIME.size)
    assert osc.turning_points(ripple)[0].size > 3 * osc.turning_points(wave())[0].size
    found, sort = osc.turning_points(ripple, resolution=0.1)
    np.testing.assert_array_equal(sort, osc.turning_points(wave())[1])
    # The ripple can move an extremum by a few samples: 2 (1 − cos ωτ) < .02 for τ < .11.
    np.testing.assert_allclose(found, osc.turning_points(wave())[0], atol=4)


@given(st.lists(st.integers(-5, 5), min_size=3, max_size=30))
def test_turning_points_equal_the_sign_changes_of_the_compressed_differences(values):
    x = np.array(values, dtype=float)
    steps = [b - a for a, b in itertools.pairwise(values) if b != a]
    expected = sum(a * b < 0 for a, b in itertools.pairwise(steps))
    at, kind = osc.turning_points(x)
    assert at.size == expected
    assert (np.diff(at) > 0).all()
    assert (kind[1:] == -kind[:-1]).all()


def test_turning_point_error_counts_and_times():
    true = wave(1.0, phase=0.0)
    late = wave(1.0, phase=-0.2)
    error = osc.turning_point_error(late, true, DT)
    assert error.timing == pytest.approx(0.2, abs=1e-3)
    # In [0, 100] sin t turns at π/2 + kπ, 32 times; sin 2t at π/4 + kπ/2, 64 times.
    assert osc.turning_point_error(wave(2.0, phase=0.0), true, DT).surplus == 32
    monotone = osc.turning_point_error(TIME, true, DT)
    assert monotone.surplus == -32
    assert np.isinf(monotone.timing)
