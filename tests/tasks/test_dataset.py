"""Splits, noise, hash and refusal of `make_dataset`. Axes: N, T, D."""

from __future__ import annotations

import numpy as np
import pytest

from ddl_dyn.tasks import make_dataset, make_task

SMALL = {"n_train": 6, "n_val": 3, "n_test": 3, "n_ood": 2, "steps": 10}


def build(name="harmonic", params=None, **changes):
    return make_dataset(make_task(name, **(params or {})), **{**SMALL, **changes})


def test_splits_are_independent_and_their_first_rows_do_not_depend_on_the_counts():
    data, more = build(), build(n_train=12, n_val=5, n_test=7, n_ood=4)
    for split in ("train", "val", "test", "ood"):
        few, many = getattr(data, split).states, getattr(more, split).states
        np.testing.assert_array_equal(few[:, 0], many[: len(few), 0])
    starts = [getattr(data, s).states[:, 0] for s in ("train", "val", "test")]
    assert len(np.unique(np.concatenate(starts), axis=0)) == 12


def test_noise_is_on_train_and_val_alone_and_has_the_size_asked_for():
    clean, noisy = build(n_train=200, steps=50), build(n_train=200, steps=50, noise=0.1)
    np.testing.assert_array_equal(clean.test.states, noisy.test.states)
    np.testing.assert_array_equal(clean.ood.states, noisy.ood.states)
    sigma = clean.train.states.reshape(-1, 2).std(axis=0)
    residual = (noisy.train.states - clean.train.states) / sigma
    # 20,400 samples of a Gaussian of standard deviation 0.1: its estimate has a standard error of 0.5 %.
    np.testing.assert_allclose(residual.reshape(-1, 2).std(axis=0), 0.1, rtol=0.03)
    assert abs(np.corrcoef(residual[:, 1:, 0].ravel(), residual[:, :-1, 0].ravel())[0, 1]) < 0.05
    val = noisy.val.states - clean.val.states
    assert np.abs(val).max() > 0
    assert not np.allclose(val[0], (noisy.train.states - clean.train.states)[0, : val.shape[1]])


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"steps": 11},
        {"n_train": 7},
        {"noise": 0.01},
        {"params": {"omega": 1.5}},
        {"params": {"dt": 0.2}},
        {"name": "damped_spiral"},
    ],
)
def test_the_hash_changes_with_everything_that_changes_the_numbers(changes):
    assert build(**changes).content_hash != build().content_hash


def test_the_hash_is_hexadecimal_and_repeats():
    first = build().content_hash
    assert first == build().content_hash
    assert len(bytes.fromhex(first)) == 32


def test_no_ood_on_request():
    assert build(n_ood=0).ood is None


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"n_train": 0}, "n_train"),
        ({"n_val": 2.5}, "n_val"),
        ({"n_ood": -1}, "n_ood"),
        ({"steps": 0}, "steps"),
        ({"seed": -1}, "seed"),
        ({"noise": -0.1}, "noise"),
        ({"noise": float("nan")}, "noise"),
    ],
)
def test_bad_requests_name_the_argument(changes, word):
    with pytest.raises(ValueError, match=word):
        build(**changes)


def test_states_that_leave_the_finite_numbers_are_an_error_that_says_where():
    from ddl_dyn.tasks.maps.line import FlipFlop

    class Explosive(FlipFlop):
        def next_state(self, x):
            return 1e200 * x * x

    with pytest.raises(ValueError, match=r"train trajectory \d+ leaves the finite numbers at step \d+"):
        make_dataset(Explosive(), **SMALL)


def test_conditioned_splits_carry_their_inputs():
    data = build("van_der_pol_family", steps=4)
    for part in (data.train, data.val, data.test, data.ood):
        assert part.inputs.shape == (len(part), 4, 1)
    low, high = data.task.gap
    assert ((data.test.inputs > low) & (data.test.inputs < high)).all()


def test_trust_is_cut_where_chaos_outruns_the_tolerance():
    data = build("lorenz63", {"dt": 0.1}, n_train=1, n_val=1, n_test=1, n_ood=0, steps=320)
    assert 60 < data.trust_steps < 320
