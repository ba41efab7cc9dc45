"""Word problems: group axioms, products found two ways, representations by reflections, lengths, tokens."""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest

from ddl_dyn.tasks import make_dataset
from ddl_dyn.tasks.base import SPLITS
from ddl_dyn.tasks.words.cyclic import CycleNavigation, ModCount, Parity
from ddl_dyn.tasks.words.groups import WordProblem, compose, disjoint_cycles, generated_group, label
from ddl_dyn.tasks.words.permutations import A5, S3, S4, S5, Dihedral, SwapsS5, alternating_group

# Task, order of its group, number of its tokens.
PROBLEMS: list[tuple[WordProblem, int, int]] = [
    (Parity(), 2, 2),
    (CycleNavigation(), 5, 3),
    (ModCount(), 7, 2),
    (ModCount(n=12), 12, 2),
    (Dihedral(), 10, 10),
    (Dihedral(n=3), 6, 6),
    (Dihedral(n=8), 16, 16),
    (S3(), 6, 6),
    (S4(), 24, 24),
    (A5(), 60, 60),
    (S5(), 120, 120),
    (SwapsS5(), 120, 11),
]
TASKS = [task for task, _, _ in PROBLEMS]


def name(value: object) -> str:
    if not isinstance(value, WordProblem):
        return ""
    return "-".join([value.key(), *(f"{k}={v}" for k, v in value.parameters().items() if k != "dt")])


def words(task: WordProblem, n: int = 8, steps: int = 60, split="train", seed: int = 1):
    x0 = task.initial_states(n, rng=np.random.default_rng(0), split=split)
    return x0, task.inputs(n, steps, rng=np.random.default_rng(seed), split=split)


@pytest.mark.parametrize(("task", "order", "tokens"), PROBLEMS, ids=name)
def test_orders(task: WordProblem, order: int, tokens: int) -> None:
    assert len(task.elements) == len(set(task.elements)) == task.state_dim == order
    assert len(task.tokens) == task.input_dim == tokens
    assert len(set(task.state_names)) == order
    assert len(set(task.input_names)) == tokens
    assert task.state_kind == "categorical"
    assert not task.accepts_noise


@pytest.mark.parametrize("task", TASKS, ids=name)
def test_group_axioms(task: WordProblem) -> None:
    table, g = task.table, len(task.elements)
    everything = np.arange(g)
    # Identity: index 0. Inverses: every row and column is a permutation (Latin square), so each holds one 0.
    np.testing.assert_array_equal(table[0], everything)
    np.testing.assert_array_equal(table[:, 0], everything)
    np.testing.assert_array_equal(np.sort(table, axis=0), np.broadcast_to(everything[:, None], (g, g)))
    np.testing.assert_array_equal(np.sort(table, axis=1), np.broadcast_to(everything, (g, g)))
    # Associativity, all g³ triples (1.7 million at most): (a b) c = a (b c).
    np.testing.assert_array_equal(table[table], table[:, table])


@pytest.mark.parametrize("task", TASKS, ids=name)
def test_table_is_composition_of_permutations(task: WordProblem) -> None:
    moves = np.array(task.elements)
    for a in range(len(moves)):
        np.testing.assert_array_equal(moves[task.table[a]], moves[a][moves])


def test_a_wrong_table_breaks_the_axioms() -> None:
    table = np.array(S3().table)
    table[1, 2], table[1, 3] = table[1, 3], table[1, 2]
    assert (table[table] != table[:, table]).any()


@pytest.mark.parametrize("task", TASKS, ids=name)
def test_products_two_ways(task: WordProblem) -> None:
    x0, inputs = words(task)
    states = task.simulate(x0, 60, inputs).states
    np.testing.assert_array_equal(states, task.second_solution(x0, 60, inputs))
    assert ((states == 0) | (states == 1)).all()
    np.testing.assert_array_equal(states.sum(axis=-1), 1)
    # Slowly, by hand, for one word.
    product = tuple(range(len(task.elements[0])))
    for t, token in enumerate(inputs[3].argmax(axis=-1)):
        product = compose(task.tokens[token], product)
        assert task.elements[int(states[3, t + 1].argmax())] == product
    # Many elements are met, or the test would say little.
    assert len(np.unique(states.argmax(axis=-1))) >= min(len(task.elements), 50)


def test_cyclic_problems_count() -> None:
    for task, moves in ((Parity(), (0, 1)), (CycleNavigation(), (0, 1, -1)), (ModCount(n=9), (0, 1))):
        x0, inputs = words(task, steps=200)
        sums = np.cumsum(np.array(moves)[inputs.argmax(axis=-1)], axis=1) % task.order
        np.testing.assert_array_equal(task.simulate(x0, 200, inputs).states[:, 1:].argmax(axis=-1), sums)
        assert task.state_names == tuple(str(i) for i in range(task.order))


def test_structure_of_the_groups() -> None:
    # S₅ by cycle type: 1, 10 swaps, 15 double swaps, 20 3-cycles, 20 of type 3+2, 30 4-cycles, 24 5-cycles.
    types = [tuple(sorted(len(c) for c in disjoint_cycles(g))) for g in S5().elements]
    expected = {(): 1, (2,): 10, (2, 2): 15, (3,): 20, (2, 3): 20, (4,): 30, (5,): 24}
    assert {t: types.count(t) for t in set(types)} == expected
    assert {t: c for t, c in expected.items() if t in ((), (2, 2), (3,), (5,))} == {
        t: [tuple(sorted(len(c) for c in disjoint_cycles(g))) for g in A5().elements].count(t)
        for t in ((), (2, 2), (3,), (5,))
    }
    assert all(len(alternating_group(n)) == factorial(n) // 2 for n in (3, 4, 5))
    # Commutative or not; A₅ is its own commutator subgroup (not solvable), S₄'s is A₄.
    for task, _, _ in PROBLEMS:
        abelian = (task.table == task.table.T).all()
        assert abelian == isinstance(task, (Parity, CycleNavigation, ModCount))
    for task, size in ((A5(), 60), (S5(), 60), (S4(), 12), (S3(), 3)):
        inverse = {g: tuple(np.argsort(g).tolist()) for g in task.elements}
        commutators = {
            compose(compose(inverse[a], inverse[b]), compose(a, b)) for a in task.elements for b in task.elements
        }
        assert len(generated_group(sorted(commutators))) == size
    # D₃ and S₃ are one group: as many elements of every order.
    assert sorted(len(c) for g in Dihedral(n=3).elements for c in disjoint_cycles(g)) == sorted(
        len(c) for g in S3().elements for c in disjoint_cycles(g)
    )


@pytest.mark.parametrize("task", [Parity(), S3(), S5(), SwapsS5()], ids=name)
def test_reflections_per_token_of_permutation_matrices(task: WordProblem) -> None:
    # Cartan–Dieudonné: rank(R − I) = points − number of cycles, fixed points counted as cycles.
    points = len(task.elements[0])
    ranks = [np.linalg.matrix_rank(np.eye(points)[list(token)] - np.eye(points)) for token in task.tokens]
    assert ranks == [sum(len(c) - 1 for c in disjoint_cycles(token)) for token in task.tokens]
    assert max(ranks) == task.reflections_per_token


def test_rotations_of_cube_and_icosahedron() -> None:
    """S₄ and A₅ act in SO(3): the rotations about the solids' axes close into groups of the same orders."""
    golden = (1 + 5**0.5) / 2

    def rotation(axis: tuple[float, float, float], angle: float) -> np.ndarray:
        u = np.array(axis) / np.linalg.norm(axis)
        cross = np.array([[0, -u[2], u[1]], [u[2], 0, -u[0]], [-u[1], u[0], 0]])
        return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross

    solids = {
        24: (S4(), [rotation((0, 0, 1), np.pi / 2), rotation((1, 1, 1), 2 * np.pi / 3)]),
        60: (A5(), [rotation((0, 1, golden), 2 * np.pi / 5), rotation((1, 1, 1), 2 * np.pi / 3)]),
    }
    for order, (task, generators) in solids.items():
        found = {tuple(np.round(np.eye(3).ravel(), 6) + 0.0): np.eye(3)}
        frontier = list(found.values())
        while frontier:
            new = {}
            for old in frontier:
                for g in generators:
                    key = tuple(np.round((g @ old).ravel(), 6) + 0.0)
                    if key not in found:
                        new[key] = found[key] = g @ old
            frontier = list(new.values())
            assert len(found) <= 200
        assert len(found) == order == len(task.elements)
        assert max(np.linalg.matrix_rank(r - np.eye(3), tol=1e-6) for r in found.values()) == task.reflections_per_token
        # The same number of elements of each order identifies the group among those of that order here.
        traces = sorted(round(float(np.trace(r)), 6) for r in found.values())
        angles = {1: 3.0, 2: -1.0, 3: 0.0, 4: 1.0}
        lengths = [np.lcm.reduce([len(c) for c in disjoint_cycles(g)] or [1]) for g in task.elements]
        for k, trace in angles.items():
            assert lengths.count(k) == traces.count(trace)


@pytest.mark.parametrize("task", TASKS, ids=name)
def test_lengths_and_prefixes(task: WordProblem) -> None:
    assert task.longest == (512 if isinstance(task, (S3, S4, A5, S5, SwapsS5)) else 256)
    # A shorter word is a prefix: its states are the first of the longer one.
    x0, inputs = words(task)
    np.testing.assert_array_equal(
        task.simulate(x0, 25, inputs[:, :25]).states, task.simulate(x0, 60, inputs).states[:, :26]
    )


@pytest.mark.parametrize("task", TASKS, ids=name)
def test_tokens_are_uniform_and_words_start_at_the_identity(task: WordProblem) -> None:
    for split in SPLITS:
        x0, inputs = words(task, n=50, steps=400, split=split)
        np.testing.assert_array_equal(x0.argmax(axis=1), 0)
        assert label(task.elements[0]) == "e"
        share = inputs.mean(axis=(0, 1))
        # 20,000 draws: five standard errors of a share 1/U.
        expected = 1 / task.input_dim
        assert np.abs(share - expected).max() < 5 * np.sqrt(expected * (1 - expected) / 20_000)
        few = task.inputs(5, 30, rng=np.random.default_rng(9), split=split)
        many = task.inputs(10, 30, rng=np.random.default_rng(9), split=split)
        np.testing.assert_array_equal(few, many[:5])


def test_splits_of_a_dataset_hold_different_words() -> None:
    data = make_dataset(S3(), n_train=20, n_val=20, n_test=20, n_ood=20, steps=40, seed=0)
    assert data.ood is not None
    parts = [data.train, data.val, data.test, data.ood]
    texts = [{p.tobytes() for p in part.inputs} for part in parts]
    assert sum(len(t) for t in texts) == len(set.union(*texts)) == 80
    assert data.trust_steps == 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, _: (x, None), "inputs must be tokens of shape"),
        (lambda x, u: (x, u[:, :-1]), "inputs must be tokens of shape"),
        (lambda x, u: (x, 0.5 * u), "every row of inputs must be a one-hot code"),
        (lambda x, u: (x, u + np.roll(u, 1, axis=-1)), "every row of inputs must be a one-hot code"),
        (lambda x, u: (0.5 * x, u), "every row of x0 must be a one-hot code"),
        (lambda x, u: (x[:, :-1], u), "x0 must have shape"),
    ],
)
def test_bad_words_are_refused(change, message: str) -> None:
    x0, inputs = change(*words(S3()))
    with pytest.raises(ValueError, match=message):
        S3().simulate(x0, 60, inputs)


def test_cycle_notation() -> None:
    assert label((0, 1, 2)) == "e"
    assert label((1, 0, 2)) == "(1 2)"
    assert label((1, 2, 0, 4, 3)) == "(1 2 3)(4 5)"
