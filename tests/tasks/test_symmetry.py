"""The symmetries that tasks are said to have, against their own simulations. Axes: N, T, D."""

from __future__ import annotations

import numpy as np
import pytest

from ddl_dyn.tasks import TASKS, make_task
from ddl_dyn.tasks.base import Task

NAMED = [name for name, cls in TASKS.items() if cls.symmetries is not Task.symmetries]
STEPS = 10


def mismatch(name: str, matrix: np.ndarray, **params: object) -> float:
    """Largest |Φᵗ(Sx) − SΦᵗ(x)| over the first steps, relative to the states' size."""
    task = make_task(name, **params)
    x0 = task.initial_states(6, rng=np.random.default_rng(0), split="train")
    there = task.simulate(x0 @ matrix.T, STEPS).states
    back = task.simulate(x0, STEPS).states @ matrix.T
    return float(np.abs(there - back).max() / np.abs(back).max())


def test_the_tasks_with_symmetries_are_not_fewer() -> None:
    assert len(NAMED) >= 25


@pytest.mark.parametrize("name", NAMED)
def test_simulations_commute_with_the_symmetries(name: str) -> None:
    found = make_task(name).symmetries()
    assert found, "a class that overrides the method states a symmetry"
    for matrix in found.values():
        # DOP853 at 1e-11 and ten steps: less than a Lyapunov time each.
        assert mismatch(name, matrix) < 1e-8
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(matrix)), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "matrix"),
    [("henon", -np.eye(2)), ("lorenz63", np.diag([-1.0, 1.0, -1.0])), ("rossler", np.diag([-1.0, -1.0, 1.0]))],
)
def test_what_is_no_symmetry_does_not_commute(name: str, matrix: np.ndarray) -> None:
    assert mismatch(name, matrix) > 1e-3
    assert all(not np.array_equal(matrix, known) for known in make_task(name).symmetries().values())


def test_symmetries_hold_away_from_the_defaults() -> None:
    for name, params in {"lorenz96": {"n": 7}, "kuramoto": {"n": 5}, "standard_map": {"K": 3.0}}.items():
        for matrix in make_task(name, **params).symmetries().values():
            assert mismatch(name, matrix, **params) < 1e-8
    assert make_task("standard_map", coordinates="angle").symmetries() == {}
    assert make_task("lotka_volterra").symmetries() == {}
