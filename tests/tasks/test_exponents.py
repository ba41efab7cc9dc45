"""Delay equation, closed-form series and Lyapunov spectra against references. Axes: N, T, D."""

from __future__ import annotations

import numpy as np
import pytest

from ddl_dyn.tasks import FlowTask, make_task
from ddl_dyn.tasks.exponents import ensemble_exponents
from ddl_dyn.tasks.flows.delay import chebyshev_differentiation
from tests.helpers.flows import SUMS, draws


def test_chebyshev_differentiates_polynomials():
    points, matrix = chebyshev_differentiation(6)
    np.testing.assert_allclose(matrix @ points**5, 5 * points**4, atol=1e-12)


def method_of_steps(history, tau, beta, gamma, power, end, substeps=64):
    """Mackey–Glass by the trapezoidal-corrected method of steps on a uniform grid, order 2, from a constant history."""
    h = tau / (17 * substeps)
    lag = 17 * substeps
    x = np.full(lag + 1 + round(end / h), history, dtype=float)

    def f(now, old):
        return beta * old / (1 + old**power) - gamma * now

    for i in range(lag, len(x) - 1):
        k1 = f(x[i], x[i - lag])
        x[i + 1] = x[i] + h / 2 * (k1 + f(x[i] + h * k1, x[i + 1 - lag]))
    return x[lag::substeps]


def test_mackey_glass_against_the_method_of_steps():
    fine = make_task("mackey_glass", nodes=48)
    x0 = np.full((1, 49), 0.5)
    states = fine.simulate(x0, 60).states[0, :, 0]
    slow = method_of_steps(0.5, 17.0, 0.2, 0.1, 10.0, 60)
    # A constant history has a kink at t = 0, which the polynomial of 48 nodes sees to about 1e-3; a wrong delay or
    # power would be off by 0.1.
    np.testing.assert_allclose(states, slow, atol=3e-3)
    assert np.ptp(slow) > 0.5


def test_mackey_glass_converges_with_its_nodes_on_the_attractor():
    def history(task, seed=2):
        """One smooth history, seen at the task's own delays."""
        wide = make_task("mackey_glass", nodes=48)
        state = draws(wide, 1, seed=seed)[0]
        series = np.polynomial.chebyshev.Chebyshev.fit(-wide.delays, state, 40, domain=[-17.0, 0.0])
        return series(-task.delays)[None]

    ends = {}
    for nodes in (16, 24, 48):
        task = make_task("mackey_glass", nodes=nodes)
        ends[nodes] = task.simulate(history(task), 50).states[0, :, 0]
    errors = [np.abs(ends[n] - ends[48]).max() for n in (16, 24)]
    assert errors[1] < errors[0] / 3
    assert errors[1] < 5e-3


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
