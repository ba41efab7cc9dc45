"""State-tracking scores and structural defects against hand counts. Axes: N, T, C, D."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddl_dyn.metrics import structure, tracking


def one_hot(classes: np.ndarray, count: int = 5) -> np.ndarray:
    return np.eye(count)[classes]


def example(n: int = 300, length: int = 40, seed: int = 0) -> np.ndarray:
    return one_hot(np.random.default_rng(seed).integers(5, size=(n, length + 1)))


def test_perfect_scores_survive_any_scale_and_offset():
    true = example()
    correct = tracking.token_correct(np.stack([true, 1e-3 * true - 7]), true)
    assert correct.shape == (2, 300, 40)
    assert correct.all()


def test_accuracies_count_as_by_hand():
    correct = np.array([[1, 1, 0, 1], [1, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0]], dtype=bool)
    np.testing.assert_array_equal(tracking.token_accuracy(correct), [1, 0.75, 0.75, 0.75])
    np.testing.assert_array_equal(tracking.sequence_accuracy(correct), [1, 0.75, 0.5, 0.25])


def test_guessing_scores_chance():
    true = example(2000)
    guess = np.random.default_rng(1).random(true.shape)
    correct = tracking.token_correct(guess, true)
    # 8·10⁴ draws at p = .2: standard error .0014.
    assert tracking.token_accuracy(correct).mean() == pytest.approx(0.2, abs=0.006)
    assert tracking.sequence_accuracy(correct)[7] < 0.01
    shifted = tracking.token_correct(np.roll(true, 1, axis=1), true)
    assert shifted.mean() == pytest.approx(0.2, abs=0.006)


def test_ties_and_broken_scores_are_wrong():
    true = example(4, 3)
    assert not tracking.token_correct(np.ones_like(true), true).any()
    for bad in (np.nan, np.inf, -np.inf):
        broken = true.copy()
        broken[0, 2, 1] = bad
        np.testing.assert_array_equal(tracking.token_correct(broken, true)[0], [True, False, True])
    broken[:, 0] = np.nan  # the given initial state is not scored
    assert tracking.token_correct(broken, true)[1:].all()


def test_longest_length_stops_at_the_first_miss():
    np.testing.assert_array_equal(
        tracking.longest_length([[1, 0.995, 0.99, 0.98, 1], [0.9, 1, 1, 1, 1], [1, 1, 1, 1, 1]]), [3, 0, 5]
    )
    assert tracking.longest_length([1, 0.6, 0.4], threshold=0.5) == 2


@given(st.integers(0, 10_000))
def test_sequence_accuracy_never_rises_nor_exceeds_token_accuracy(seed):
    correct = np.random.default_rng(seed).random((7, 9)) < 0.8
    token, sequence = tracking.token_accuracy(correct), tracking.sequence_accuracy(correct)
    assert (np.diff(sequence) <= 0).all()
    assert (sequence <= token).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tracking.token_correct(example() * 2, example() * 2), "one-hot"),
        (lambda: tracking.token_correct(np.ones((4, 3, 1)), np.ones((4, 3, 1))), "C ≥ 2"),
        (lambda: tracking.token_accuracy(np.ones((2, 3))), "booleans"),
        (lambda: tracking.longest_length([0.5, 1.2]), "0, 1"),
        (lambda: structure.jacobian_error(np.ones((4, 2, 3)), np.ones((4, 2, 3))), "Jacobians"),
        (lambda: structure.invariant_drift(np.ones(4), 0.0), "scale"),
        (lambda: structure.symmetry_defect(np.ones((4, 2)), np.ones((4, 3)), np.ones(2)), "share a shape"),
    ],
)
def test_bad_input_is_refused_with_the_reason(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_jacobian_error_is_relative_and_pooled():
    true = np.random.default_rng(2).standard_normal((20, 3, 3))
    assert structure.jacobian_error(true, true) == 0
    assert structure.jacobian_error(1.1 * true, true) == pytest.approx(0.1)
    assert structure.jacobian_error(np.zeros_like(true), true) == 1
    permuted = structure.jacobian_error(true[::-1], true)
    # Independent Gaussian matrices differ by √2 of their norm; 180 entries scatter it by some 5 %.
    assert permuted == pytest.approx(np.sqrt(2), abs=0.2)
    broken = true.copy()
    broken[3, 0, 0] = np.nan
    np.testing.assert_array_equal(structure.jacobian_error(np.stack([broken, true]), true), [np.inf, 0])
    assert structure.jacobian_error(true, np.zeros_like(true)) == np.inf


def test_symmetry_defect_of_odd_and_broken_maps():
    x = np.random.default_rng(3).standard_normal((500, 2))
    sigma = np.array([1.0, 2.0])
    odd = x**3 - x
    assert structure.symmetry_defect((-x) ** 3 + x, -odd, sigma) < 1e-14  # rounding of the cube
    # Φ(x) = x + c breaks x → −x by 2c: √((4·1 + 4·4/4)/2) = 2 for c = (1, 2).
    shift = np.array([1.0, 2.0])
    assert structure.symmetry_defect(-x + shift, -(x + shift), sigma) == pytest.approx(2)
    assert structure.symmetry_defect(np.full_like(x, np.nan), x, sigma) == np.inf


def test_invariant_drift_is_the_largest_departure():
    energy = np.array([[2.0, 2.5, 1.0, 2.0], [2.0, 2.0, 2.0, 2.0], [2.0, np.nan, 2.0, 2.0]])
    np.testing.assert_array_equal(structure.invariant_drift(energy, 4.0), [0.25, 0, np.inf])
