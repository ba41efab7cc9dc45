"""Equilibria of flows against algebra, and against the fixed points of the flow map itself."""

from __future__ import annotations

import numpy as np
import pytest

from ddl_dyn import analysis
from ddl_dyn.tasks import make_task


def test_lorenz_has_its_three_equilibria_and_no_other():
    # Algebra: 0 and (±√(b(r−1)), ±√(b(r−1)), r−1), with b = 8/3 and r = 28.
    c = np.sqrt(8 / 3 * 27)
    found = analysis.equilibria(make_task("lorenz63"), box=[[-30, 30], [-30, 30], [-10, 60]], count=128)
    np.testing.assert_allclose([p.points[0] for p in found], [[-c, -c, 27], [0, 0, 0], [c, c, 27]], atol=1e-8)
    assert [p.stability for p in found] == ["saddle"] * 3


def test_brusselator_multipliers_are_exponentials_of_its_eigenvalues():
    task = make_task("brusselator")
    (found,) = analysis.equilibria(task, box=[[0.1, 5], [0.1, 6]], count=64)
    np.testing.assert_allclose(found.points, [[1.0, 3.0]], atol=1e-9)
    # Algebra: eigenvalues (1 ± i√3)/2 at A = 1, B = 3.
    expected = np.exp(task.dt * np.array([0.5 + 0.5j * np.sqrt(3), 0.5 - 0.5j * np.sqrt(3)]))
    np.testing.assert_allclose(np.sort_complex(found.multipliers), np.sort_complex(expected), rtol=1e-9)
    assert found.stability == "source"


@pytest.mark.parametrize("name", ["van_der_pol", "fitzhugh_nagumo", "damped_spiral"])
def test_they_are_the_fixed_points_of_the_flow_map(name):
    task, box = make_task(name), [[-2.0, 2.0], [-2.0, 2.0]]
    by_field = analysis.equilibria(task, box=box, count=32)
    by_flow = analysis.fixed_points(analysis.from_task(task), starts=np.array([p.points[0] + 0.01 for p in by_field]))
    np.testing.assert_allclose([p.points[0] for p in by_field], [p.points[0] for p in by_flow], atol=1e-7)
    for a, b in zip(by_field, by_flow, strict=True):
        np.testing.assert_allclose(np.abs(a.multipliers), np.abs(b.multipliers), rtol=1e-7)


def test_a_task_with_inputs_is_refused():
    with pytest.raises(ValueError, match="autonomous"):
        analysis.equilibria(make_task("van_der_pol_family"), box=[[-1, 1], [-1, 1]])
