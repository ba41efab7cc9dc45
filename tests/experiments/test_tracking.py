"""State tracking of whole models at every length, and its figure. Axes: R replicas, T lengths, C classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddl_dyn import make_model, plots
from ddl_dyn.config.sections import DataConfig, EvalConfig, TrainConfig
from ddl_dyn.engine.normalizer import Normalizer
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.experiments.evaluation.probes import WORDS, token_errors, word_tracking
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.models.oracles import truth_of
from ddl_dyn.results.figures.catalogue import available_figures
from ddl_dyn.results.figures.registry import known_figures
from ddl_dyn.results.figures.run_view import RunView
from ddl_dyn.results.inspection.sections import analyse, rows
from ddl_dyn.runs import find_run
from ddl_dyn.tasks import make_dataset, make_task
from ddl_dyn.training.trainer import fit
from tests.helpers.exact_runs import setup_of
from tests.helpers.figure_structure import caption, draw, gids, labels

TRAINED, SHORT = 6, 40
pytestmark = pytest.mark.usefixtures("no_warnings")


@pytest.fixture(scope="module")
def data() -> Any:
    return make_dataset(make_task("s3"), n_train=8, n_val=2, n_test=2, steps=TRAINED)


def setup(name: str, data: Any, seeds: int = 2, **options: Any) -> Setup:
    task, normalizer = data.task, Normalizer.fit(data.train.states, "none")
    truth = truth_of(task, normalizer) if name == "exact_map" else None
    shape = {"state_dim": task.state_dim, "input_dim": task.input_dim, "truth": truth}
    replicas = Replicas(lambda: make_model(name, lift="identity", **shape, **options), range(seeds))
    return setup_of(data, normalizer, replicas)


def test_the_exact_map_is_right_at_every_length(data: Any) -> None:
    numbers, arrays = word_tracking(setup("exact_map", data), TRAINED)
    assert arrays["tracking_accuracy"].shape == (2, 512)  # permutation groups are tested to 512 tokens
    assert (arrays["tracking_sequence"] == 1).all()
    assert numbers["longest_length"] == [512, 512]
    assert numbers["trained_length"] == TRAINED
    assert numbers["chance"] == pytest.approx(1 / 6)


@pytest.fixture
def short(data: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The same data, of a task that is tested up to SHORT tokens only."""
    monkeypatch.setattr(type(data.task), "longest", SHORT)
    return data


def test_a_model_that_stands_still_scores_chance(short: Any) -> None:
    still = setup("persistence", short, seeds=1)
    fit(still.replicas, short.train, short.val, TrainConfig(updates=0, horizon=1, compile="off"))
    numbers, arrays = word_tracking(still, TRAINED)
    # Uniform tokens of a group make successive states independent and uniform: SHORT · WORDS draws at p = 1/6 have a
    # share with standard error .004.
    assert arrays["tracking_accuracy"].mean() == pytest.approx(1 / 6, abs=0.016)
    assert numbers["sequence_longest"] == [0.0]
    assert numbers["longest_length"] == [0]


def test_words_depend_on_the_test_seed_alone(short: Any) -> None:
    both = setup("ddl", short, carry="latent")
    words = [both.config.model_copy(update={"data": DataConfig(test_seed=seed)}) for seed in (0, 0, 1)]
    first, again, other = (word_tracking(replace(both, config=config), TRAINED)[1] for config in words)
    np.testing.assert_array_equal(first["tracking_accuracy"], again["tracking_accuracy"])
    assert (first["tracking_accuracy"] != other["tracking_accuracy"]).any()
    alone = word_tracking(replace(both, replicas=Replicas(lambda: both.replicas.model(1), [1])), TRAINED)[1]
    np.testing.assert_array_equal(alone["tracking_accuracy"][0], first["tracking_accuracy"][1])


def test_an_untied_stack_is_tested_as_far_as_it_reaches(data: Any) -> None:
    numbers, arrays = word_tracking(setup("ddl", data, sharing="untied", layers=9, carry="latent"), TRAINED)
    assert numbers["longest_tested"] == 9
    assert arrays["tracking_accuracy"].shape == (2, 9)


def test_diverged_runs_are_wrong_and_no_crash(short: Any) -> None:
    broken = setup("ddl", short, carry="latent")
    state = broken.replicas.state_dict()
    broken.replicas.load_state_dict({name: torch.full_like(t, torch.nan) for name, t in state.items()})
    assert (word_tracking(broken, TRAINED)[1]["tracking_accuracy"] == 0).all()


def test_a_run_stores_and_draws_its_accuracies(tmp_path: Path) -> None:
    config = {
        "task": "parity",
        "seeds": 2,
        "data": {"n_train": 8, "n_val": 2, "n_test": 2, "n_ood": 0, "steps": TRAINED},
        "train": {"updates": 1, "horizon": 2, "compile": "off"},
        "eval": {"short": 2, "long": TRAINED},
    }
    run(resolve_run(config), Launch(base=tmp_path, options={"--id": "parity"}))
    made = find_run("parity", tmp_path)
    assert made.arrays["tracking_accuracy"].shape == (2, 256)  # cyclic groups are tested to 256 tokens
    facts = made.result["tracking"]
    assert facts["chance"] == 0.5
    # Windows of two tokens were trained on, cut from words of six: to two it is shaded, and what is called accuracy at
    # the trained length is that at two.
    assert facts["trained_length"] == 2
    assert facts["accuracy_trained"] == made.arrays["tracking_accuracy"][:, 1].tolist()
    figure = known_figures("stored")["tracking"].draw(RunView(made))
    assert labels(figure) == ["DDL", "trained", "chance"]
    shaded = [
        patch.get_extents().transformed(patch.axes.transData.inverted())
        for patch in gids(figure, "trained")
        if patch.axes
    ]
    assert [box.x1 for box in shaded] == pytest.approx([2, 2])
    # Distances between one-hot codes and scores mean nothing, and no figure of them is made.
    answers = {name: why_not for name, _, why_not in available_figures(made)}
    drawn = {name for name, why_not in answers.items() if not why_not}
    assert drawn == {"training", "tracking", "gate_time", "discrepancy"}
    assert "one-hot codes" in answers["recurrence"]
    found = analyse(made, steps=40)
    assert found["tracking"] == made.result["tracking"]
    assert {"precision", "laws", "tracking"} <= set(found)
    assert {"spectrum", "cycles", "survival", "accuracy", "verdicts", "climate"} <= set(found["skipped"])
    assert any("token accuracy at 256 (chance 0.5)" in row[0] for row in rows(found))


def test_the_figure_shows_both_accuracies_with_chance_and_trained_lengths() -> None:
    token = np.linspace(1, 0.2, 40) * np.ones((5, 1))
    shares = {"ddl": token, "gru": token**2}
    figure = draw(plots.tracking_accuracy(shares, shares, chance=0.2, trained=12, words=WORDS, title="s3"))
    left, right = figure.axes
    assert labels(figure) == ["DDL", "GRU", "trained", "chance"]
    np.testing.assert_array_equal(left.lines[0].get_xdata(), np.arange(1, 41))
    np.testing.assert_allclose(left.lines[0].get_ydata(), token[0])
    assert {line.axes for line in gids(figure, "chance")} - {None} == {left}
    assert {patch.axes for patch in gids(figure, "trained")} - {None} == {left, right}
    assert left.get_xlim() == right.get_xlim() == (1, 40)
    assert "tokens" in left.get_xlabel()
    assert f"{WORDS} unseen words" in caption(figure)


def test_the_figure_refuses_what_does_not_fit() -> None:
    shares = np.ones((2, 5))
    with pytest.raises(ValueError, match="same models"):
        plots.tracking_accuracy({"ddl": shares}, {"gru": shares})
    with pytest.raises(ValueError, match=r"shape \(R, T\)"):
        plots.tracking_accuracy({"ddl": shares[0]}, {"ddl": shares[0]})


def test_the_token_error_is_the_share_of_wrong_states_over_a_horizon(short: Any) -> None:
    codes = np.eye(6)[np.arange(24).reshape(4, 6) % 6]
    right, wrong = codes.copy(), codes.copy()
    wrong[:, 3:] = np.roll(wrong[:, 3:], 1, axis=-1)
    wrong[0, 5] = np.nan
    settings = setup("ddl", short, carry="latent")
    settings = replace(settings, config=settings.config.model_copy(update={"eval": EvalConfig(short=3, long=5)}))
    # States 3, 4 and 5 of five are wrong; over the short horizon the third alone.
    found = token_errors(settings, np.stack([right, wrong]), codes)
    assert found["token_error_short"] == pytest.approx([0.0, 1 / 3])
    assert found["token_error_long"] == pytest.approx([0.0, 3 / 5])
