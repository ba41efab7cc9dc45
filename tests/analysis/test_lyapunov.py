"""Lyapunov spectra against exact values, invariants and a slow independent reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn.analysis import DiscreteMap, as_map, from_task, kaplan_yorke_dimension, lyapunov_spectrum
from ddl_dyn.tasks import make_task
from tests.helpers.analysis_systems import Flow, henon, line_map, linear_map, logistic, lorenz

RNG = np.random.default_rng(0)


def test_exponent_of_the_two_cycle_of_the_logistic_map_is_exact():
    # r = 3.2 attracts almost all states to a 2-cycle of multiplier 4 + 2r − r² = .16, so λ = ½ ln .16 (closed form).
    result = lyapunov_spectrum(logistic(3.2), RNG.uniform(0.1, 0.9, (8, 1)), 100, transient=400)
    assert result.exponents == pytest.approx([0.5 * np.log(0.16)], abs=1e-12)
    assert result.standard_error[0] < 1e-12
    assert result.kaplan_yorke == 0.0


def test_exponent_of_the_flip_flop():
    # x → −x(1 + .3(1 − x²)) has the 2-cycle ±1 with Φ'(±1) = −.4, multiplier .16 (closed form).
    flip_flop = line_map(lambda x: -x * (1 + 0.3 * (1 - x**2)))
    result = lyapunov_spectrum(flip_flop, RNG.uniform(0.2, 1.2, (8, 1)), 100, transient=400)
    assert result.exponents == pytest.approx([np.log(0.4)], abs=1e-12)


def test_henon_sum_is_exact_and_the_largest_exponent_is_the_published_one():
    result = lyapunov_spectrum(henon(), RNG.uniform(-0.1, 0.1, (64, 2)), 1500, transient=100)
    # |det J| = .3 everywhere: exact up to the rounding of 1,500 logarithms.
    assert result.total == pytest.approx(np.log(0.3), abs=1e-11)
    # .4188 is the task's own tangent-QR value; five of our standard errors (.0013) leave room for both estimates.
    assert result.standard_error[0] < 0.003
    assert result.exponents[0] == pytest.approx(0.4188, abs=5 * result.standard_error[0])
    # 1 + λ1/|λ2| with those exponents.
    assert result.kaplan_yorke == pytest.approx(1.258, abs=0.01)


def test_linear_map_gives_the_logarithms_of_its_eigenvalue_moduli_per_unit_time():
    A = np.array([[0.9, 1.0, 0.0], [0.0, -0.5, 2.0], [0.0, 0.0, 0.25]])
    result = lyapunov_spectrum(linear_map(A, dt=0.5), np.zeros((2, 3)), 300, transient=200)
    assert result.exponents == pytest.approx(np.log([0.9, 0.5, 0.25]) / 0.5, abs=1e-12)


def test_a_projection_has_an_infinite_negative_exponent_and_one_zero():
    # x → (I − kkᵀ)x + c: the direction k is lost at every step, the other one kept.
    k = np.array([0.6, 0.8])
    P = torch.as_tensor(np.eye(2) - np.outer(k, k))
    overwrite = DiscreteMap(step=lambda x: x @ P + 0.3, dim=2)
    result = lyapunov_spectrum(overwrite, RNG.normal(size=(4, 2)), 50, transient=10)
    assert result.exponents[0] == pytest.approx(0.0, abs=1e-12)
    assert result.exponents[1] == -np.inf
    assert np.isnan(result.standard_error[1])
    assert result.kaplan_yorke == 1.0


def test_an_orbit_that_escapes_is_reported_and_left_out():
    x0 = np.array([[0.1, 0.1], [5.0, 5.0]])
    result = lyapunov_spectrum(henon(), x0, 300, transient=10)
    assert result.valid.tolist() == [True, False]
    assert np.isnan(result.per_trajectory[1]).all()
    alone = lyapunov_spectrum(henon(), x0[:1], 300, transient=10)
    assert result.exponents == pytest.approx(alone.exponents, abs=1e-12)
    nothing = lyapunov_spectrum(henon(), x0[1:], 300)
    assert np.isnan(nothing.exponents).all()
    assert np.isnan(nothing.kaplan_yorke)


def test_each_replica_gives_what_it_gives_alone():
    rates = torch.tensor([3.2, 3.9], dtype=torch.float64)
    both = DiscreteMap(step=lambda x: rates[:, None, None] * x * (1 - x), dim=1, replicas=2)
    x0 = RNG.uniform(0.1, 0.9, (6, 1))
    together = lyapunov_spectrum(both, x0, 200, transient=50)
    assert together.exponents.shape == (2, 1)
    for r, rate in enumerate((3.2, 3.9)):
        alone = lyapunov_spectrum(logistic(rate), x0, 200, transient=50)
        assert together.per_trajectory[r] == pytest.approx(alone.per_trajectory, abs=1e-12)


def test_the_spectrum_agrees_with_a_plain_product_of_jacobians():
    # Independent: the largest exponent from one long matrix product held in logarithms by repeated renormalisation,
    # and the smallest from the determinant, by numpy alone.
    x, log_norm, v = np.array([0.1, 0.1]), 0.0, np.array([1.0, 0.3])
    for t in range(1000):
        v = np.array([[-2.8 * x[0], 1.0], [0.3, 0.0]]) @ v
        if t == 99:
            v /= np.linalg.norm(v)
        if t > 99:
            log_norm += np.log(np.linalg.norm(v))
            v /= np.linalg.norm(v)
        x = np.array([1 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]])
    ours = lyapunov_spectrum(henon(), np.array([0.1, 0.1]), 900, transient=100)
    # The two frames align within some tens of steps and then agree to rounding amplified by chaos: e^(.42·1000)·1e-16
    # would decorrelate the orbits, but both are the same float64 orbit as long as the operations are the same.
    assert ours.exponents[0] == pytest.approx(log_norm / 900, abs=5e-3)


def test_standard_error_of_one_orbit_comes_from_time_blocks():
    one = lyapunov_spectrum(henon(), [0.1, 0.1], 1000, transient=100)
    assert 1e-4 < one.standard_error[0] < 0.06


def test_lorenz_flow_through_the_variational_equation():
    flow = lorenz()
    x0 = RNG.normal(loc=[1.0, 1.0, 25.0], size=(32, 3))
    result = lyapunov_spectrum(flow, x0, 250, transient=250)
    # tr ∂f/∂x = −(10 + 1 + 8/3) everywhere; DOP853 at 1e-11 and D = 3.
    assert result.total == pytest.approx(-41 / 3, abs=1e-7)
    assert result.exponents[0] == pytest.approx(0.906, abs=5 * result.standard_error[0])
    assert result.exponents[1] == pytest.approx(0.0, abs=5 * result.standard_error[1])


@pytest.mark.slow
def test_lorenz_exponents_to_a_hundredth():
    x0 = np.random.default_rng(1).normal(loc=[1.0, 1.0, 25.0], size=(256, 3))
    result = lyapunov_spectrum(lorenz(0.05), x0, 1000, transient=400)
    # .9060 ± .0022, −14.572 = −41/3 − .906.
    assert result.standard_error[0] < 0.004
    assert result.exponents[0] == pytest.approx(0.906, abs=0.01)
    assert result.exponents[2] == pytest.approx(-14.572, abs=0.02)
    assert result.kaplan_yorke == pytest.approx(2.062, abs=0.002)


def test_flow_without_a_jacobian_agrees_with_the_analytic_one():
    exact, numeric = from_task(lorenz()), from_task(Flow(3, 0.02, lorenz().field))
    x = torch.as_tensor(RNG.normal(size=(5, 3)) * 5 + [0, 0, 25])
    # Central differences of a quadratic field have no truncation error; round-off is ε^(2/3) relative.
    assert torch.allclose(exact.jacobian(x), numeric.jacobian(x), atol=1e-8, rtol=0)
    assert torch.allclose(exact.step(x), exact.step_and_jacobian(x)[0], atol=1e-9, rtol=0)


def test_kaplan_yorke_dimension():
    assert kaplan_yorke_dimension([0.906, 0.0, -14.572]) == pytest.approx(2 + 0.906 / 14.572)
    assert kaplan_yorke_dimension([-1.0, -2.0]) == 0.0
    assert kaplan_yorke_dimension([0.5, 0.1]) == 2.0
    assert kaplan_yorke_dimension([0.5, -np.inf]) == 1.0
    assert kaplan_yorke_dimension([-1e-9, -1.0], tolerance=1e-6) == 1.0
    assert np.isnan(kaplan_yorke_dimension([np.nan, 0.0]))


@pytest.mark.parametrize("seed", range(20))
def test_kaplan_yorke_dimension_never_exceeds_the_state_dimension(seed):
    rng = np.random.default_rng(seed)
    exponents = rng.normal(size=rng.integers(1, 6))
    assert 0 <= kaplan_yorke_dimension(exponents, tolerance=0.1) <= len(exponents)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="steps must be at least 1"):
        lyapunov_spectrum(henon(), [0.1, 0.1], 0)
    with pytest.raises(ValueError, match="states must have shape"):
        lyapunov_spectrum(henon(), [0.1, 0.1, 0.2], 10)
    with pytest.raises(ValueError, match="a system must be"):
        as_map(3)
    with pytest.raises(ValueError, match="must be positive"):
        DiscreteMap(step=lambda x: x, dim=0)


@pytest.mark.parametrize("r", [2.0, 1 + np.sqrt(5)])
def test_a_superstable_cycle_of_the_logistic_map_has_no_finite_exponent(r):
    # r = 2: fixed point ½, r = 1 + √5: 2-cycle through ½ (closed form), both of multiplier r(1 − 2·½)… = 0. Orbits
    # come as near to ½ as rounding lets them, where the slope is some 1e-16 and not 0.
    task, x0 = make_task("logistic", r=r), RNG.uniform(0.1, 0.9, (8, 1))
    result = lyapunov_spectrum(task, x0, 50, transient=200)
    assert result.exponents == [-np.inf]
    assert np.isnan(result.standard_error[0])
    # Near superstability, but beside it, the exponent is finite: at r = 2 + 1e-6 the fixed point has slope 2 − r.
    near = lyapunov_spectrum(make_task("logistic", r=2 + 1e-6), x0, 50, transient=200)
    assert near.exponents == pytest.approx([np.log(1e-6)], abs=1e-4)


def test_strong_contraction_is_no_loss():
    # Slopes far below the threshold at which rounding is looked at, but exact.
    result = lyapunov_spectrum(linear_map([[1e-12, 0.0], [0.0, 0.5]]), np.ones((2, 2)), 20, transient=4)
    assert result.exponents == pytest.approx(np.log([0.5, 1e-12]), rel=1e-9)


def test_a_task_brings_its_own_starts_and_lengths():
    henon_map = make_task("henon")
    result = lyapunov_spectrum(henon_map)
    assert result.per_trajectory.shape == (16, 2)
    assert result.duration == 1000
    assert result.total == pytest.approx(np.log(0.3), abs=1e-11)
    # .4188: the task's tangent-QR value; 16 orbits of 1,000 steps have a standard error below .005.
    assert result.standard_error[0] < 0.005
    assert result.exponents[0] == pytest.approx(0.4188, abs=5 * result.standard_error[0])
    # The same as asked for by hand.
    x0 = henon_map.initial_states(16, rng=np.random.default_rng(0), split="train")
    by_hand = lyapunov_spectrum(henon_map, x0, 1000, transient=250)
    assert result.exponents == pytest.approx(by_hand.exponents, abs=1e-12)
    other = lyapunov_spectrum(henon_map, seed=1)
    assert other.exponents[0] != result.exponents[0]
    with pytest.raises(ValueError, match="give x0"):
        lyapunov_spectrum(henon())


@pytest.mark.slow
def test_a_flow_brings_its_own_starts_and_lengths():
    result = lyapunov_spectrum(make_task("lorenz63"))
    # 2,000 steps of .02: 640 units of time in all.
    assert result.duration == pytest.approx(40.0)
    assert result.total == pytest.approx(-41 / 3, abs=1e-7)
    assert result.standard_error[0] < 0.03
    assert result.exponents[0] == pytest.approx(0.906, abs=4 * result.standard_error[0])
