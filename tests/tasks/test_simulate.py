"""The reference solver: tolerance of the worst trajectory, blow-up, iteration, trust. Axes: N, T, D."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from ddl_dyn.tasks import make_task
from ddl_dyn.tasks.integrators import BLOCK, integrate, iterate
from ddl_dyn.tasks.trust import cycle_period, settle, trust_horizon


def centres(rates: np.ndarray):
    """Circles turning at rates (N,), as a field of the joined state (x, y, rate)."""

    def field(t, x):  # noqa: ARG001
        out = np.zeros_like(x)
        out[..., 0], out[..., 1] = x[..., 2] * x[..., 1], -x[..., 2] * x[..., 0]
        return out

    x0 = np.stack([np.ones_like(rates), np.zeros_like(rates), rates], axis=1)
    return field, x0


@pytest.mark.parametrize("n", [1, 16, BLOCK + 3])
def test_the_worst_trajectory_meets_the_tolerance(n):
    # One fast circle among slow ones: the error of the fast one alone is not diluted by the others.
    rates = np.full(n, 0.01)
    rates[n // 2] = 5.0
    field, x0 = centres(rates)
    times = np.linspace(0.0, 10.0, 101)
    states = integrate(field, x0, times)
    truth = np.stack([np.cos(np.outer(rates, times)), -np.sin(np.outer(rates, times))], axis=-1)
    error = np.abs(states[..., :2] - truth).max(axis=(1, 2))
    # 50 rad at rtol 1e-10 per step of about 0.4 rad: at most ~125 steps, so ≲ 1.3e-8 in the worst case.
    assert error.max() < 1.3e-8
    alone = integrate(field, x0[n // 2 : n // 2 + 1], times)
    assert error.max() <= 2 * np.abs(alone[0, :, :2] - truth[n // 2]).max() + 1e-13, "a batch may not cost accuracy"


def test_without_the_correction_a_batch_would_cost_accuracy():
    # Negative control: the same batch with tolerances undone by √N, which is what scipy's own norm would do.
    n = 256
    rates = np.full(n, 0.01)
    rates[0] = 5.0
    field, x0 = centres(rates)
    times = np.linspace(0.0, 10.0, 101)
    truth = np.stack([np.cos(5 * times), -np.sin(5 * times)], axis=-1)
    plain = integrate(field, x0, times, rtol=1e-10 * n**0.5, atol=1e-12 * n**0.5)[0, :, :2]
    held = integrate(field, x0, times)[0, :, :2]
    assert np.abs(plain - truth).max() > 4 * np.abs(held - truth).max()


def test_error_falls_with_the_tolerance():
    task = make_task("van_der_pol")
    x0 = np.array([[2.0, 0.0], [0.5, -1.0]])
    times = np.linspace(0.0, 10.0, 51)
    best = integrate(task.vector_field, x0, times, rtol=1e-13, atol=1e-15)
    errors = [
        np.abs(integrate(task.vector_field, x0, times, rtol=r, atol=r / 100) - best).max() for r in (1e-6, 1e-8, 1e-10)
    ]
    assert errors[0] > 5 * errors[1] > 25 * errors[2]
    assert errors[2] < 1e-8


def test_van_der_pol_against_a_taylor_series_in_thirty_digits():
    task = make_task("van_der_pol")
    with mpmath.workdps(30):
        solution = mpmath.odefun(lambda t, y: [y[1], (1 - y[0] ** 2) * y[1] - y[0]], 0, [2, 0])  # noqa: ARG005
        truth = [float(v) for v in solution(3)]
    states = task.simulate(np.array([[2.0, 0.0], [0.3, 1.0]]), 60).states
    np.testing.assert_allclose(states[0, -1], truth, atol=1e-9)  # rtol 1e-10 per step, some ten steps


def test_blow_up_is_nan_for_that_trajectory_alone():
    def field(t, x):  # noqa: ARG001
        return x * x

    times = np.linspace(0.0, 2.0, 21)
    states = integrate(field, np.array([[0.25], [1.0], [-1.0]]), times)
    np.testing.assert_allclose(states[0, :, 0], 0.25 / (1 - 0.25 * times), rtol=1e-8)
    np.testing.assert_allclose(states[2, :, 0], -1 / (1 + times), rtol=1e-8)
    assert np.isfinite(states[1, times < 0.95]).all()
    assert np.isnan(states[1, times > 1.05]).all()
    np.testing.assert_allclose(states[1, :9, 0], 1 / (1 - times[:9]), rtol=1e-8)


def test_bad_arguments_are_refused():
    task = make_task("harmonic")
    with pytest.raises(ValueError, match="shape"):
        integrate(task.vector_field, np.zeros(2), np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="increasing"):
        integrate(task.vector_field, np.zeros((1, 2)), np.array([0.0, 0.0]))


def test_one_sample_is_the_initial_state():
    states = make_task("harmonic").simulate(np.ones((3, 2)), 0).states
    np.testing.assert_array_equal(states, np.ones((3, 1, 2)))


def test_iterate_against_powers():
    states = iterate(lambda x: -0.5 * x, np.array([[1.0], [2.0]]), 4)
    np.testing.assert_array_equal(states[:, :, 0], np.outer([1.0, 2.0], (-0.5) ** np.arange(5)))


def test_iterate_overflows_to_non_finite_without_a_warning():
    states = iterate(lambda x: x * x, np.array([[10.0], [0.5]]), 12)
    assert not np.isfinite(states[0]).all()
    assert np.isfinite(states[1]).all()


def test_settle_is_fourth_order():
    task = make_task("harmonic")
    x0 = np.array([[1.0, 0.0]])
    truth = np.array([[np.cos(2.0), -np.sin(2.0)]])
    errors = [np.abs(settle(task.vector_field, x0, time=2.0, dt=h) - truth).max() for h in (0.1, 0.05, 0.025)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 4.0, atol=0.1)


def test_trust_horizon_of_chaos_is_finite_and_of_a_centre_is_not():
    lorenz, harmonic = make_task("lorenz63", dt=0.1), make_task("harmonic")
    x0 = lorenz.initial_states(2, rng=np.random.default_rng(0), split="train")
    horizon = trust_horizon(lorenz, x0, 350)
    # ln(1e-3·8 / 1e-10)/0.906 ≈ 20 time units = 200 steps; local rates and step errors spread it by half.
    assert 100 < horizon < 300
    assert trust_horizon(harmonic, np.ones((2, 2)), 300) == 300


def test_trust_horizon_stops_where_a_wrong_reference_parts():
    task = make_task("harmonic")
    x0 = np.ones((2, 2))
    states = task.simulate(x0, 50).states
    states[1, 20:] += 0.1
    assert trust_horizon(task, x0, 50, states=states) == 19


@pytest.mark.parametrize(("mu", "period"), [(1.0, 6.66329), (2.0, 7.62987), (3.0, 8.85910), (5.0, 11.61223)])
def test_van_der_pol_period(mu, period):
    # DOP853/Radau at 1e-11, crossings as events; five decimals given.
    assert make_task("van_der_pol", mu=mu).timescale == pytest.approx(period, abs=6e-6)


def test_cycle_period_is_nan_without_a_cycle():
    task = make_task("damped_spiral", decay=1.0)
    assert np.isnan(cycle_period(task, (1.0, 0.0), component=0, level=2.0, settle=1.0))
