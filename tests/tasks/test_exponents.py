"""Delay equation, closed-form series and Lyapunov spectra against references. Axes: N, T, D."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BarycentricInterpolator

from ddl_dyn.tasks import FlowTask, make_task
from ddl_dyn.tasks.exponents import ensemble_exponents
from ddl_dyn.tasks.flows.delay import chebyshev_differentiation
from tests.helpers.flows import SUMS, draws


def test_chebyshev_differentiates_polynomials():
    points, matrix = chebyshev_differentiation(6)
    np.testing.assert_allclose(matrix @ points**5, 5 * points**4, atol=1e-12)


def method_of_steps(history, tau, beta, gamma, power, end, substeps=64):
    """Mackey–Glass from a constant history, at whole days: Runge–Kutta of order 4, the past by Hermite segments."""
    h, lag = 1.0 / substeps, round(tau * substeps)
    x, slope = np.full(lag + 1 + end * substeps, history), np.zeros(lag + 1 + end * substeps)

    def f(now, old):
        return beta * old / (1 + old**power) - gamma * now

    for i in range(lag, len(x) - 1):
        old, ahead = i - lag, i + 1 - lag
        # The constant history ends with slope 0, whatever the slope after the corner is.
        middle = (x[old] + x[ahead]) / 2 + h / 8 * (slope[old] - (slope[ahead] if ahead > lag else 0.0))
        k1 = slope[i] = f(x[i], x[old])
        k2 = f(x[i] + h / 2 * k1, middle)
        k3 = f(x[i] + h / 2 * k2, middle)
        x[i + 1] = x[i] + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(x[i] + h * k3, x[ahead]))
    return x[lag::substeps]


def mackey_glass_errors(counts, history, truth, sigma):
    """Largest error of x(t) over the days of `truth`, in σ, with each number of nodes."""
    found = []
    for nodes in counts:
        task = make_task("mackey_glass", nodes=nodes)
        found.append(np.abs(task.simulate(history(task), len(truth) - 1).states[0, :, 0] - truth).max() / sigma)
    return found


def test_mackey_glass_converges_exponentially_from_smooth_histories():
    finest = make_task("mackey_glass", nodes=64)
    state = draws(finest, 1, seed=2)
    smooth = BarycentricInterpolator(finest.delays, state[0])
    truth = finest.simulate(state, 100).states[0, :, 0]
    errors = mackey_glass_errors((12, 16, 24), lambda task: smooth(task.delays)[None], truth, truth.std())
    # Each node gains a factor of about 2: eight nodes are worth a hundredfold, which no fixed power of `nodes` gives.
    assert errors[0] < 2e-3
    assert errors[1] < errors[0] / 5
    assert errors[2] < errors[1] / 50
    assert errors[2] < 1e-6


def test_mackey_glass_converges_algebraically_from_the_corner_of_a_constant_history():
    truth = method_of_steps(0.3, 17.0, 0.2, 0.1, 10.0, 100)
    # The reference is converged: halving its step changes it by less than a hundredth of what is measured.
    assert np.abs(truth - method_of_steps(0.3, 17.0, 0.2, 0.1, 10.0, 100, substeps=32)).max() < 1e-6
    task = make_task("mackey_glass")
    sigma = task.simulate(draws(task, 4), 300).states[:, :, 0].std()
    constant = lambda task: np.full((1, task.nodes + 1), 0.3)  # noqa: E731
    errors = mackey_glass_errors((12, 24, 48), constant, truth, sigma)
    assert errors[1] == pytest.approx(1.5e-4, rel=0.2)
    # Twice the nodes are worth a power of two, here 2^2.5 to 2^4, and not a power of the error.
    assert 5 < errors[0] / errors[1] < 20
    assert 4 < errors[1] / errors[2] < 20


def test_overshoot_reaches_its_peak():
    task = make_task("overshoot", dt=0.01, delay=1)
    start = 1 - np.exp(0.0)
    x0 = draws(task, 1)
    x0[:] = task.exact(x0, 0)[:, 0]
    height = 1 - x0[0, 0]
    series = task.simulate(x0, 1500).states[0, :, 0]
    # Peak 1 + h e^(−πζ/√(1−ζ²)) for a step of height h (Ogata §5.3): 52.66 % at ζ = 0.2.
    assert series.max() == pytest.approx(1 + height * np.exp(-np.pi * 0.2 / 0.96**0.5), rel=1e-4)
    assert start == 0.0


def test_beating_envelope_and_chirp_period():
    beat = make_task("beating", dt=0.05)
    series = beat.simulate(draws(beat, 1), 4000).states[0, :, 0]
    size = beat.invariants(draws(beat, 1))
    # Two incommensurate-looking tones come within a percent of their sum somewhere in 16 beats.
    assert np.abs(series).max() == pytest.approx(float(size["A1"][0] + size["A2"][0]), rel=0.02)
    chirp = make_task("chirp", sweep=0.05)
    s = chirp.simulate(draws(chirp, 1), 400).states[0, :, 0]
    up = np.flatnonzero((s[:-1] < 0) & (s[1:] >= 0))
    times = (up + s[up] / (s[up] - s[up + 1])) * chirp.dt
    # Frequency ω + a t: over successive turns 2π/T rises by a·T.
    frequency = 2 * np.pi / np.diff(times)
    middle = (times[1:] + times[:-1]) / 2
    assert np.polyfit(middle, frequency, 1)[0] == pytest.approx(0.05, rel=0.02)


def test_unresolved_tones_are_refused():
    with pytest.raises(ValueError, match="tones"):
        make_task("beating", omega_1=2.0, omega_2=2.0)


def test_lyapunov_time_of_other_parameters_is_estimated():
    steady = make_task("lorenz63", rho=15.0)
    # Below ρ_H all converge to C±; the slowest eigenvalue there sets the time.
    point = np.array([[(8 / 3 * 14) ** 0.5, (8 / 3 * 14) ** 0.5, 14.0]])
    slowest = np.linalg.eigvals(steady.jacobian(0.0, point)[0]).real.max()
    assert steady.timescale == pytest.approx(1 / abs(slowest), rel=0.1)
    assert make_task("lorenz63").timescale == pytest.approx(1 / 0.9060)


def test_only_growing_errors_have_a_lyapunov_time():
    assert make_task("lorenz63").lyapunov_time == make_task("lorenz63").timescale
    # rho = 35: λ₁ of order one; the estimate is the time scale.
    assert make_task("lorenz63", rho=35.0).lyapunov_time == make_task("lorenz63", rho=35.0).timescale < 2.0
    assert make_task("lorenz63_family").lyapunov_time == make_task("lorenz63_family").timescale
    # The logistic map at r = 4 has λ = ln 2, less than a step; at r = 3.2 every orbit settles on a 2-cycle.
    assert make_task("logistic", r=4.0).lyapunov_time == pytest.approx(1 / np.log(2), rel=0.02)
    assert make_task("standard_map", K=8.0).lyapunov_time == pytest.approx(1 / np.log(4.0))
    for steady in (
        make_task("lorenz63", rho=15.0),
        make_task("logistic", r=3.2),
        make_task("standard_map"),
        make_task("van_der_pol"),
        make_task("sunspots"),
    ):
        assert steady.lyapunov_time is None


def test_exponents_of_a_linear_flow_are_its_eigenvalues():
    task = make_task("damped_spiral")
    spectrum = ensemble_exponents(task, time=20.0, transient=1.0, step=0.02, trajectories=2)
    np.testing.assert_allclose(spectrum.exponents, -0.1, atol=1e-6)  # Runge–Kutta, (0.04)⁵ per step


REFERENCE = {
    # name: (spectrum: tangent QR of an ensemble, its stated error of λ₁, time, transient, step, trajectories)
    "lorenz63": ((0.9060, 0.0, -14.572), 0.0022, 100, 10, 0.01, 24),
    "rossler": ((0.0718, 0.0, -5.400), 0.0005, 1000, 100, 0.05, 12),
    "thomas": ((0.0350, 0.0, -0.575), 0.0013, 1500, 200, 0.1, 16),
    "ueda": ((0.1018, 0.0, 0.0, -0.152), 0.0016, 500, 50, 0.025, 24),
    "duffing": ((0.108, 0.0, 0.0, -0.408), 0.004, 400, 50, 0.025, 24),
    # By the same routine, T = 300 and 1000, 32 and 24 other trajectories; the literature has 2.027 (Chen, Ueta) and
    # .210 (Sprott).
    "chen": ((2.029, 0.0, -12.030), 0.007, 60, 5, 0.005, 16),
    "sprott_b": ((0.2085, 0.0, -1.208), 0.0015, 600, 50, 0.05, 16),
    "lorenz96": ((0.464, 0.0, -0.517, -1.304, -3.644), 0.011, 150, 20, 0.02, 24),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCE)
def test_lyapunov_spectra(name):
    expected, stated, time, transient, step, trajectories = REFERENCE[name]
    task = make_task(name)
    assert isinstance(task, FlowTask)
    found = ensemble_exponents(task, time=time, transient=transient, step=step, trajectories=trajectories)
    # Four combined standard errors, plus the digit at which the reference is rounded.
    error = 4 * np.hypot(found.standard_error, stated) + 1e-3
    np.testing.assert_array_less(np.abs(found.exponents - expected), error + 0.004 * np.abs(expected))
    if name in SUMS:
        assert found.exponents.sum() == pytest.approx(SUMS[name], abs=2e-3)
