"""Householder chains and permutations against matrices, ranks and group theory."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ddl_dyn.tasks import make_task
from ddl_dyn.tasks.maps.orthogonal import HouseholderChain, PermutationMap

CHAINS = [HouseholderChain(m=m, d=d, seed=d) for m, d in ((1, 2), (2, 2), (3, 8), (4, 8), (8, 8), (5, 40))]
PERMUTATIONS = [PermutationMap(lengths=lengths) for lengths in ((3, 2), (2,), (5,), (1, 4, 3), (2, 2), (7, 6, 1, 1))]


def name(task) -> str:
    return "-".join(f"{key}={value}" for key, value in task.parameters().items() if key != "dt")


def draw(task, n: int = 20):
    return task.initial_states(n, rng=np.random.default_rng(0), split="train")


def matrix(task) -> np.ndarray:
    return task.next_state(np.eye(task.state_dim)).T


@pytest.mark.parametrize("task", [*CHAINS, *PERMUTATIONS], ids=name)
def test_the_map_is_orthogonal_and_takes_exactly_its_factors(task) -> None:
    R = matrix(task)
    np.testing.assert_allclose(R @ R.T, np.eye(task.state_dim), atol=1e-13)
    stack = task.householder_stack()
    # Cartan–Dieudonné: rank(R − I) mirrors are needed, and as many are given.
    assert np.linalg.matrix_rank(R - np.eye(task.state_dim), tol=1e-8) == len(stack)
    product = np.eye(task.state_dim)
    for k, beta, target in stack:
        assert (beta, target) == (2.0, 0.0)
        product = (np.eye(task.state_dim) - 2 * np.outer(k, k)) @ product
    np.testing.assert_allclose(product, R, atol=1e-13)
    assert np.linalg.det(R) == pytest.approx((-1.0) ** len(stack), abs=1e-10)
    assert task.obstruction == ("orientation_reversing" if len(stack) % 2 else "none")


@pytest.mark.parametrize("task", [*CHAINS, *PERMUTATIONS], ids=name)
def test_closed_form_after_many_steps(task) -> None:
    x, R = draw(task), matrix(task)
    exact = task.exact(x, 400)
    for step in (0, 1, 2, 57, 400):
        # 400 products of a matrix with entries of order 1.
        np.testing.assert_allclose(exact[:, step], x @ np.linalg.matrix_power(R, step).T, atol=1e-11)
    np.testing.assert_allclose(task.simulate(x, 400).states, exact, atol=1e-11)


@pytest.mark.parametrize("task", PERMUTATIONS, ids=name)
def test_orbits_of_a_permutation_have_its_order(task: PermutationMap) -> None:
    order = math.lcm(*task.lengths)
    assert task.timescale == order
    x = draw(task)
    states = task.simulate(x, order).states
    np.testing.assert_array_equal(states[:, -1], x)
    for step in range(1, order):
        assert not np.array_equal(states[:, step], x)


def test_a_three_cycle_moves_every_component_on() -> None:
    states = PermutationMap(lengths=(3, 2)).simulate(np.array([[1.0, 2, 3, 4, 5]]), 2).states[0]
    np.testing.assert_array_equal(states, [[1, 2, 3, 4, 5], [3, 1, 2, 5, 4], [2, 3, 1, 4, 5]])


@pytest.mark.parametrize("task", CHAINS, ids=name)
def test_a_chain_holds_what_no_mirror_touches(task: HouseholderChain) -> None:
    _, _, rows = np.linalg.svd(task.normals)
    beyond = rows[task.m :]
    np.testing.assert_allclose(matrix(task) @ beyond.T, beyond.T, atol=1e-12)
    angles = np.abs(np.angle(np.linalg.eigvals(matrix(task))))
    assert task.timescale == pytest.approx(2 * np.pi / angles[angles > 1e-6].min())


def test_normals_are_fixed_by_the_seed() -> None:
    a, b = HouseholderChain(seed=1), HouseholderChain(seed=2)
    np.testing.assert_array_equal(a.normals, HouseholderChain(seed=1).normals)
    assert np.abs(a.normals - b.normals).max() > 0.1
    # Uniform directions: no two of the 28 pairs in eight dimensions are near parallel.
    wide = HouseholderChain(m=8, seed=3).normals
    assert max(abs(float(p @ q)) for p, q in itertools.combinations(wide, 2)) < 0.95


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("householder_chain", {"m": 9}, "m must be at most d = 8"),
        ("permutation_map", {"lengths": (1, 1)}, "one at least 2"),
        ("permutation_map", {"lengths": (0, 2)}, "lengths must be positive"),
        ("permutation_map", {"lengths": (2.5,)}, "lengths must be an integer"),
        ("permutation_map", {"lengths": "abc"}, "lengths must be a tuple of integers"),
        ("permutation_map", {"lengths": (2000,)}, "their sum at most 1024"),
    ],
)
def test_bad_parameters_are_named(name: str, params: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_task(name, **params)
