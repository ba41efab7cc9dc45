"""Fixed points and cycles: none missed, none invented."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn.analysis import DiscreteMap, as_map, cycles, fixed_points, match_cycles, stability_of
from ddl_dyn.analysis.matching import cycle_distance
from tests.helpers.analysis_systems import henon, line_map, linear_map, logistic, lorenz

BOX = [[-2.0, 2.0], [-2.0, 2.0]]


def henon_fixed_points():
    # 1.4 x² + .7 x − 1 = 0, y = .3 x (closed form).
    x = (-0.7 + np.array([1.0, -1.0]) * np.sqrt(0.49 + 5.6)) / 2.8
    return [np.array([[a, 0.3 * a]]) for a in x]


def test_fixed_points_of_henon():
    found = fixed_points(henon(), box=BOX)
    match = match_cycles(found, henon_fixed_points(), tolerance=1e-9)
    assert (match.precision, match.recall) == (1.0, 1.0)
    assert [c.stability for c in found] == ["saddle", "saddle"]
    # Multipliers solve m² + 2.8 x m − .3 = 0 at x = .631354.
    upper = found[1]
    m = np.roots([1.0, 2.8 * upper.points[0, 0], -0.3])
    assert np.sort(upper.multipliers.real) == pytest.approx(np.sort(m), abs=1e-10)
    assert upper.flips == 1
    assert not upper.spirals


def test_fixed_points_of_lorenz():
    found = fixed_points(lorenz(), box=[[-25, 25], [-30, 30], [-5, 55]], count=128)
    q = np.sqrt(72.0)
    known = [np.array([[0.0, 0.0, 0.0]]), np.array([[q, q, 27.0]]), np.array([[-q, -q, 27.0]])]
    match = match_cycles(found, known, tolerance=1e-7)
    assert (match.precision, match.recall) == (1.0, 1.0)
    assert all(c.stability == "saddle" for c in found)
    assert [c.spirals for c in found] == [True, False, True]
    # exp(dt·eigenvalue) of the field's Jacobian at the origin, in closed form: −8/3 and (−11 ± √1201)/2.
    rates = np.array([(-11 + np.sqrt(1201)) / 2, -8 / 3, (-11 - np.sqrt(1201)) / 2])
    assert found[1].multipliers.real == pytest.approx(np.exp(0.02 * rates), abs=1e-8)


@pytest.mark.parametrize(("period", "number"), [(1, 2), (2, 1), (3, 0), (4, 1), (5, 0), (6, 2)])
def test_number_of_henon_cycles(period, number):
    # Galias (1999), Rigorous numerical studies of the existence of periodic orbits for the Hénon map, table 1: on the
    # attractor 1, 1, 0, 1, 0, 2 cycles of length 1 to 6; the second fixed point lies outside the attractor.
    assert len(cycles(henon(), period, box=BOX, count=256 if period < 3 else 1024)) == number


@pytest.mark.parametrize("period", [1, 2, 3, 4, 5, 6])
def test_cycles_of_the_full_logistic_map(period):
    # Conjugate to the tent map: (1/n) Σ_{d|n} μ(n/d) 2^d cycles, all multipliers ±2ⁿ but that of the fixed point 0, 4.
    number = {1: 2, 2: 1, 3: 2, 4: 3, 5: 6, 6: 9}[period]
    found = cycles(logistic(4.0), period, box=[[-0.5, 1.5]], count=1024)
    assert len(found) == number
    for c in found:
        expected = 4.0 if period == 1 and abs(c.points[0, 0]) < 1e-9 else 2.0**period
        assert abs(c.multipliers[0].real) == pytest.approx(expected, rel=1e-7)
        assert c.stability == "source"


def test_the_logistic_two_cycle():
    (cycle,) = cycles(logistic(3.2), 2, box=[[0.0, 1.0]])
    # x = (r + 1 ± √((r−3)(r+1))) / 2r, multiplier 4 + 2r − r².
    roots = (4.2 + np.array([-1.0, 1.0]) * np.sqrt(0.2 * 4.2)) / 6.4
    assert np.sort(cycle.points[:, 0]) == pytest.approx(roots, abs=1e-12)
    assert cycle.multipliers[0].real == pytest.approx(0.16, abs=1e-10)
    assert cycle.stability == "sink"


def test_a_fixed_point_is_no_two_cycle_and_nothing_is_found_where_nothing_is():
    assert cycles(logistic(2.5), 2, box=[[0.0, 1.0]]) == []
    shift = DiscreteMap(step=lambda x: x + 1.0, dim=2)
    assert fixed_points(shift, box=BOX) == []
    # An almost-root: the residual of x + 1e-6(1 + x²) never reaches zero.
    assert fixed_points(line_map(lambda x: x + 1e-6 * (1 + x**2)), box=[[-3.0, 3.0]]) == []


def test_roots_outside_the_box_are_left_out():
    (inside,) = fixed_points(henon(), box=[[0.0, 2.0], [-2.0, 2.0]])
    assert inside.points[0, 0] == pytest.approx(0.631354, abs=1e-6)


def test_a_mirror_has_a_line_of_fixed_points_that_are_not_isolated():
    mirror = linear_map([[-1.0, 0.0], [0.0, 1.0]])
    found = fixed_points(mirror, starts=[[0.3, 0.7], [0.1, -0.4]])
    assert [c.isolated for c in found] == [False, False]
    assert [c.stability for c in found] == ["nonhyperbolic", "nonhyperbolic"]
    assert np.abs([c.points[0, 0] for c in found]).max() < 1e-9


def test_replicas_are_searched_apart():
    rates = torch.tensor([2.5, 3.2, 4.0], dtype=torch.float64)
    family = DiscreteMap(step=lambda x: rates[:, None, None] * x * (1 - x), dim=1, replicas=3)
    found = cycles(family, 2, box=[[0.0, 1.0]])
    assert [c.replica for c in found] == [1, 2]
    (alone,) = cycles(logistic(3.2), 2, box=[[0.0, 1.0]])
    assert found[0].points == pytest.approx(alone.points, abs=1e-12)


def test_stability_types():
    assert stability_of(np.array([0.5, -0.9 + 0j])) == "sink"
    assert stability_of(np.array([1.5, -1.1 + 0j])) == "source"
    assert stability_of(np.array([1.5, 0.1 + 0j])) == "saddle"
    assert stability_of(np.exp(1j * np.array([0.3, -0.3]))) == "nonhyperbolic"
    assert stability_of(np.array([np.nan + 0j])) == "nonhyperbolic"


def test_matching_counts_the_missed_and_the_invented():
    found = fixed_points(henon(), box=BOX)
    known = henon_fixed_points()
    assert match_cycles(found, [*known, np.array([[9.0, 9.0]])], 1e-6).recall == pytest.approx(2 / 3)
    assert match_cycles(found, known[:1], 1e-6).precision == 0.5
    assert match_cycles(found, [k + 0.01 for k in known], 1e-6).recall == 0.0
    assert np.isnan(match_cycles([], known, 1e-6).precision)


def test_cycle_distance_does_not_depend_on_the_first_point():
    points = np.random.default_rng(0).normal(size=(5, 2))
    assert cycle_distance(points, np.roll(points, 2, axis=0)) == 0.0
    assert cycle_distance(points, points[::-1]) > 0.1


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="period must be at least 1"):
        cycles(henon(), 0, box=BOX)
    with pytest.raises(ValueError, match="starts or a box"):
        cycles(henon(), 1)
    with pytest.raises(ValueError, match="box must have shape"):
        cycles(henon(), 1, box=[[0.0, 1.0]])


def test_iterate_composes_jacobians():
    phi = as_map(henon())
    x = torch.tensor([[0.3, 0.1]], dtype=torch.float64)
    value, j = phi.iterate(3).step_and_jacobian(x)
    whole = torch.autograd.functional.jacobian(lambda y: phi.step(phi.step(phi.step(y))), x[0])
    assert torch.allclose(j[0], whole, atol=1e-12)
    assert torch.equal(value, phi.orbit(x, 3)[-1])
