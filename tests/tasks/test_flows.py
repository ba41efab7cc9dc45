"""Reference values of the flows and of the closed-form series, each with where it comes from. Axes: N, T, D."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from ddl_dyn.tasks import make_task
from ddl_dyn.tasks.trust import settle
from tests.helpers.flows import SUMS, draws


def run_to(task, x0, time):
    return task.simulate(np.atleast_2d(x0), round(time / task.dt)).states[:, -1]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("harmonic", {"omega": 2.3}),
        ("damped_spiral", {"decay": 0.3, "omega": 1.1}),
        ("stuart_landau", {"mu": 0.4, "omega": 2.0}),
        ("torus", {"omega_2": 2.7}),
        ("pendulum", {"theta0": 2.5}),
        ("hardening_duffing", {"beta": 3.0, "amplitude": 2.0}),
        ("spring_chain", {"n": 5, "stiffness": 2.0}),
        ("overshoot", {"zeta": 0.5, "delay": 3}),
        ("beating", {"omega_1": 1.0, "delay": 4}),
        ("chirp", {"sweep": 0.05}),
    ],
)
@pytest.mark.parametrize("split", ["train", "ood"])
def test_closed_form_over_many_steps(name, params, split):
    task = make_task(name, **params)
    x0 = draws(task, split=split)
    exact = task.exact(x0, 120)
    assert exact is not None
    np.testing.assert_allclose(exact[:, 0], x0, atol=1e-12)
    # 1e-10 per step, some hundred steps, shear of the nonlinear centres; the maps' rounding is far below.
    np.testing.assert_allclose(task.simulate(x0, 120).states, exact, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["pendulum", "hardening_duffing"])
def test_closed_form_is_none_where_it_does_not_hold(name):
    assert make_task(name).exact(np.array([[0.0, 0.0]]), 3) is None


def test_pendulum_rotations_have_no_closed_form_here():
    assert make_task("pendulum").exact(np.array([[0.0, 3.0]]), 3) is None


def test_pendulum_period_from_the_elliptic_integral():
    # Closed form 4K(sin²(θ₀/2)); here recomputed by the arithmetic–geometric mean, T = 2π/agm(1, cos(θ₀/2)).
    for theta, quoted in ((1.0, 6.69998), (2.0, 8.34975), (3.0, 16.15554)):
        period = make_task("pendulum", theta0=theta).timescale
        assert period == pytest.approx(float(2 * mpmath.pi / mpmath.agm(1, mpmath.cos(theta / 2))), rel=1e-12)
        assert period == pytest.approx(quoted, abs=6e-6)


def test_hardening_duffing_returns_after_its_period():
    task = make_task("hardening_duffing")
    # Independent: quarter period by quadrature of dt = dx/v at A = β = 1.
    with mpmath.workdps(20):
        quarter = mpmath.quad(lambda a: 1 / mpmath.sqrt(1 + (1 + mpmath.sin(a) ** 2) / 2), [0, mpmath.pi / 2])
    assert task.timescale == pytest.approx(float(4 * quarter), rel=1e-12)


def test_cubic_spiral_end_point():
    # DOP853/Radau at 1e-11.
    end = run_to(make_task("cubic_spiral"), [2.0, 0.0], 25.0)[0]
    np.testing.assert_allclose(end, (-0.443623, 0.279441), atol=6e-7)


def test_cubic_spiral_time_scale_is_an_undamped_turn():
    task = make_task("cubic_spiral", decay=0.0)
    field = lambda t, x: task.vector_field(t, x)  # noqa: E731
    back = solve_ivp(field, (0, task.timescale), [2.0, 0.0], "Radau", rtol=1e-11, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(back, (2.0, 0.0), atol=1e-8)


def test_damped_spiral_eigenvalues():
    values = np.linalg.eigvals(make_task("damped_spiral").jacobian(0.0, np.zeros((1, 2)))[0])
    np.testing.assert_allclose(sorted(values.imag), (-2, 2), atol=1e-12)
    np.testing.assert_allclose(values.real, -0.1, atol=1e-12)


@pytest.mark.parametrize(("mu", "amplitude"), [(1.0, 2.008620), (2.0, 2.019891), (3.0, 2.023304), (5.0, 2.021508)])
def test_van_der_pol_amplitude(mu, amplitude):
    # Largest x on the cycle, the event v = 0 falling: Radau and DOP853 at 1e-11 agree to eleven digits at μ = 1, 2,
    # 3, and LSODA (below) with both. Maxima over samples, as sometimes tabulated, fall short by up to 1e-4.
    task = make_task("van_der_pol", mu=mu)
    event = lambda t, x: x[1]  # noqa: E731, ARG005
    event.direction = -1
    out = solve_ivp(task.vector_field, (0, 15 * mu + 40), [2.0, 0.0], "LSODA", events=event, rtol=1e-10, atol=1e-12)
    assert out.y_events[0][-1, 0] == pytest.approx(amplitude, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "period"),
    [
        # Radau and LSODA at 1e-11 with events agree to ten digits on both.
        ("fitzhugh_nagumo", 39.474414979),
        ("brusselator", 7.156919921),
        # Known to five decimals; the further digits by Radau and LSODA as above.
        ("lotka_volterra", 8.026636866),
    ],
)
def test_event_located_periods(name, period):
    assert make_task(name).timescale == pytest.approx(period, rel=1e-9)


def test_lotka_volterra_orbit_closes():
    task = make_task("lotka_volterra", dt=8.026636866 / 100)
    np.testing.assert_allclose(run_to(task, [1.0, 1.0], 8.026636866), [[1.0, 1.0]], atol=1e-7)


def test_fitzhugh_nagumo_fixed_point_is_an_unstable_focus():
    task = make_task("fitzhugh_nagumo")
    # Real root of v − v³/3 − (v + a)/b + I = 0.
    roots = np.roots([-1 / 3, 0, 1 - 1 / 0.8, 0.5 - 0.7 / 0.8])
    v = float(roots[np.abs(roots.imag) < 1e-9].real[0])
    point = np.array([[v, (v + 0.7) / 0.8]])
    np.testing.assert_allclose(point[0], (-0.8048, -0.1311), atol=1e-4)
    np.testing.assert_allclose(task.vector_field(0.0, point), 0.0, atol=1e-12)
    values = np.linalg.eigvals(task.jacobian(0.0, point)[0])
    assert (values.real > 0).all()
    assert (values.imag != 0).all()


def test_brusselator_fixed_point():
    task = make_task("brusselator")
    point = np.array([[1.0, 3.0]])
    np.testing.assert_allclose(task.vector_field(0.0, point), 0.0, atol=1e-14)
    values = np.sort_complex(np.linalg.eigvals(task.jacobian(0.0, point)[0]))
    np.testing.assert_allclose(values, [0.5 - 0.75**0.5 * 1j, 0.5 + 0.75**0.5 * 1j], atol=1e-12)
    with pytest.raises(ValueError, match="limit cycle"):
        make_task("brusselator", b=1.5)


def test_stuart_landau_floquet_multiplier():
    task = make_task("stuart_landau", dt=0.05)
    near = np.array([[1 + 1e-6, 0.0], [1 - 1e-6, 0.0]])
    radius = np.hypot(*run_to(task, near, 5.0).T)
    # exp(−2μT) with T = 5; deviations of 1e-6 leave 1e-6 relative curvature, the solver 1e-10/1e-6.
    assert (radius[0] - radius[1]) / 2e-6 == pytest.approx(np.exp(-10.0), rel=0.2)
    assert make_task("stuart_landau").timescale == pytest.approx(5.0)


def test_spring_chain_frequencies_are_the_eigenvalues():
    task = make_task("spring_chain", n=7, stiffness=1.7)
    values = np.linalg.eigvals(task.jacobian(0.0, np.zeros((1, 14)))[0])
    np.testing.assert_allclose(np.sort(values.imag[values.imag > 0]), task.frequencies, rtol=1e-10)
    np.testing.assert_allclose(values.real, 0.0, atol=1e-10)


def test_families_scale():
    for n in (4, 12, 40):
        assert make_task("lorenz96", n=n).state_dim == n
        assert make_task("kuramoto", n=n).state_dim == 2 * n
        assert make_task("spring_chain", n=n).state_dim == 2 * n
        for name in ("lorenz96", "kuramoto", "spring_chain"):
            task = make_task(name, n=n)
            assert np.isfinite(task.simulate(draws(task, 2), 5).states).all()
    with pytest.raises(ValueError, match="integer"):
        make_task("lorenz96", n=5.5)


def test_kuramoto_order_parameter():
    # Literature (Kuramoto; Acebrón et al. 2005, eq. 12): r = √(1 − 2γ/K) as n → ∞; below K_c it decays to O(1/√n).
    for coupling, expected, within in ((2.0, 0.5**0.5, 0.05), (0.5, 0.0, 0.2)):
        task = make_task("kuramoto", n=100, coupling=coupling)
        x, seen = draws(task, 1), []
        for _ in range(12):
            x = settle(task.vector_field, x, time=3.0, dt=0.01)
            seen.append(float(np.hypot(x[:, :100].mean(), x[:, 100:].mean())))
        assert np.mean(seen[6:]) == pytest.approx(expected, abs=within)


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("lorenz63", [(0, 0, 0), (72**0.5, 72**0.5, 27), (-(72**0.5), -(72**0.5), 27)]),
        ("chen", [(0, 0, 0), (63**0.5, 63**0.5, 21), (-(63**0.5), -(63**0.5), 21)]),
        ("sprott_b", [(1, 1, 0), (-1, -1, 0)]),
        ("rossler", [(s * 0.2, -s, s) for s in ((5.7 + q) / 0.4 for q in (32.33**0.5, -(32.33**0.5)))]),
        ("lorenz96", [(8,) * 5]),
        ("thomas", [(0, 0, 0)]),
    ],
)
def test_fixed_points_by_algebra(name, points):
    task = make_task(name)
    np.testing.assert_allclose(task.vector_field(0.0, np.array(points, dtype=float)), 0.0, atol=1e-11)


def test_rossler_fixed_points_as_quoted():
    # By algebra: x = 5.692974, .007026.
    s = (5.7 + np.array([1, -1]) * 32.33**0.5) / 0.4
    np.testing.assert_allclose(0.2 * s, (5.692974, 0.007026), atol=6e-7)


@pytest.mark.parametrize("name", SUMS)
def test_divergence_is_constant(name):
    # The sum of the exponents is the mean divergence, here the same everywhere.
    task = make_task(name)
    trace = np.trace(task.jacobian(0.0, draws(task)), axis1=1, axis2=2)
    np.testing.assert_allclose(trace, SUMS[name], rtol=1e-12)


@pytest.mark.parametrize("name", ["lorenz63", "chen", "sprott_b"])
def test_half_turn_symmetry(name):
    task = make_task(name)
    x, flip = draws(task), np.array([-1, -1, 1])
    np.testing.assert_allclose(task.vector_field(0.0, x * flip), task.vector_field(0.0, x) * flip, atol=1e-10)


def test_cyclic_symmetries():
    for name in ("thomas", "lorenz96"):
        task = make_task(name)
        x = draws(task)
        turned = np.roll(task.vector_field(0.0, x), 1, axis=-1)
        np.testing.assert_allclose(task.vector_field(0.0, np.roll(x, 1, axis=-1)), turned, atol=1e-12)


def test_henon_heiles_energies_and_long_conservation():
    task = make_task("henon_heiles")
    train = task.invariants(draws(task, 200))["energy"]
    ood = task.invariants(draws(task, 200, "ood"))["energy"]
    assert (train.min() >= 0.1 - 1e-12) & (train.max() <= 0.125 + 1e-12)
    assert (ood.min() > 0.125) & (ood.max() < 1 / 6)
    energy = task.invariants(task.simulate(draws(task, 3), 2000).states)["energy"]
    # 100 time units, about 300 solver steps of 1e-10.
    assert np.abs(energy / energy[:, :1] - 1).max() < 3e-8


def test_henon_heiles_is_symplectic():
    task = make_task("henon_heiles")
    x0, h = draws(task, 1)[0], 1e-5
    ends = run_to(task, np.concatenate([x0 + h * np.eye(4), x0 - h * np.eye(4)]), 2.0)
    tangent = ((ends[:4] - ends[4:]) / (2 * h)).T
    form = np.block([[np.zeros((2, 2)), np.eye(2)], [-np.eye(2), np.zeros((2, 2))]])
    np.testing.assert_allclose(tangent.T @ form @ tangent, form, atol=1e-5)  # solver 1e-10 over h
