"""Periods and Floquet multipliers against closed forms and an independent integration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from ddl_dyn.analysis import DiscreteMap, limit_cycle
from ddl_dyn.analysis.limit_cycles import turns, weighted_birkhoff_average
from tests.helpers.analysis_systems import henon, linear_map, stuart_landau, van_der_pol


def test_stuart_landau_multiplier_is_exact():
    # r* = √μ, T = 2π/ω = 5, multiplier exp(−2μT) = e^−10 (closed form).
    result = limit_cycle(stuart_landau(dt=0.2), [[1.0, 0.2]], steps=400, transient=60)
    assert result.period == pytest.approx([5.0], abs=1e-4)
    assert result.multipliers[0] == pytest.approx([1.0, np.exp(-10)], rel=1e-5)


def independent_multiplier(mu: float, period: float) -> float:
    """exp ∮ tr ∂f/∂x dt over one period (Liouville), by LSODA after a long run onto the cycle."""

    def f(_, y):
        return [y[1], mu * (1 - y[0] ** 2) * y[1] - y[0], mu * (1 - y[0] ** 2)]

    settled = solve_ivp(f, (0, 60), [2.0, 0.0, 0.0], method="LSODA", rtol=1e-11, atol=1e-12).y[:, -1]
    turn = solve_ivp(f, (0, period), [*settled[:2], 0.0], method="LSODA", rtol=1e-11, atol=1e-12).y[:, -1]
    return float(np.exp(turn[2]))


def test_van_der_pol_sampled_at_dt_has_the_multiplier_of_the_flow():
    # The same code that measures a trained step: only Φ is used, not the vector field.
    result = limit_cycle(van_der_pol(1.0, dt=0.2), [[2.0, 0.0], [0.5, 0.5]], steps=500, transient=150)
    assert result.period == pytest.approx([6.66329] * 2, abs=1.5e-5)
    assert result.multipliers[:, 1] == pytest.approx([independent_multiplier(1.0, 6.66329)] * 2, rel=1e-3)
    assert result.multipliers[:, 0] == pytest.approx([1.0, 1.0], abs=1e-4)
    assert result.error.max() < 1e-2


def test_a_rotation_has_its_exact_period():
    angle = 0.3
    R = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    result = limit_cycle(linear_map(R, dt=0.5), [[1.0, 0.0]], steps=1000, transient=0)
    assert result.period == pytest.approx([2 * np.pi / angle * 0.5], rel=1e-7)
    assert result.multipliers[0] == pytest.approx([1.0, 1.0], abs=1e-12)


def test_an_orbit_that_rests_or_escapes_has_no_period():
    assert np.isnan(limit_cycle(linear_map([[0.5, 0.0], [0.0, 0.5]]), [[1.0, 1.0]], steps=50, transient=2000).period)
    assert np.isnan(limit_cycle(henon(), [[9.0, 9.0]], steps=50, transient=10).period[0])


def test_replicas_have_their_own_periods():
    c, s = torch.cos(torch.tensor([0.3, 0.5])).double(), torch.sin(torch.tensor([0.3, 0.5])).double()
    R = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
    both = DiscreteMap(step=lambda x: x @ R.transpose(-1, -2), dim=2, replicas=2)
    result = limit_cycle(both, [[1.0, 0.0]], steps=600, transient=0)
    # Angles were rounded to float32.
    assert result.period[:, 0] == pytest.approx(2 * np.pi / np.array([0.3, 0.5]), rel=1e-5)


def test_weighted_average_converges_faster_than_the_plain_one():
    t = np.arange(1, 2001) * 0.7
    weighted, plain = weighted_birkhoff_average(np.cos(t)), np.cos(t).mean()
    assert abs(weighted) < 1e-12 < 1e-5 < abs(plain)
    assert weighted_birkhoff_average(np.full(7, 2.5)) == pytest.approx(2.5)


def test_turns_are_signed_and_wrapped():
    t = np.linspace(0, 6 * np.pi, 100)
    orbit = np.stack([np.cos(t), np.sin(t)], axis=-1)
    assert turns(orbit, (0, 1)).sum() == pytest.approx(6 * np.pi, rel=1e-2)
    assert turns(orbit[::-1], (0, 1)).sum() == pytest.approx(-6 * np.pi, rel=1e-2)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="a limit cycle needs"):
        limit_cycle(henon(), [[0.1, 0.1]], steps=100, transient=0, plane=(0, 2))
