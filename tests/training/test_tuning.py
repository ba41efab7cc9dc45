"""Tuning: trials equal trainings alone, validation chooses, edges extend the grid, the cost is bounded, runs resume."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from ddl_dyn import Replicas, TrainConfig, fit, make_model
from ddl_dyn.config.sections import LR_GRID
from ddl_dyn.engine.cpp import toolchain
from ddl_dyn.training import tuning
from ddl_dyn.training.result import FitResult, Progress
from ddl_dyn.training.schedule import worth_compiling
from ddl_dyn.training.tuning import Trials, stages, tune


@dataclasses.dataclass
class Data:
    states: np.ndarray
    inputs: np.ndarray


def rotation(seed, n=24, steps=20, angle=0.3):
    """Exact trajectories of a plane rotation."""
    x0 = np.random.default_rng(seed).standard_normal((n, 2))
    t = np.arange(steps + 1)
    c, s = np.cos(angle * t), np.sin(angle * t)
    x = np.stack([c * x0[:, :1] - s * x0[:, 1:], s * x0[:, :1] + c * x0[:, 1:]], axis=-1)
    return Data(x, np.zeros((n, steps, 0)))


TRAIN, VAL = rotation(0), rotation(1)


def config(**changes):
    base = {"updates": 20, "batch": 8, "horizon": 6, "validate_every": 10, "compile": "off", "lr_grid": LR_GRID}
    return TrainConfig(**(base | changes))


def stack(seeds=range(12), data_sets=None):
    return Replicas(lambda: make_model("ddl", state_dim=2, hidden_dim=6), list(seeds), data_sets)


def test_each_candidate_is_what_training_at_its_rate_alone_gives():
    every, rates = tuning.candidates(stack(), [0, 6], (1e-4, 1e-3, 1e-2))
    assert every.seeds == (0, 6) * 3
    # Compiled, a replica's numbers do not depend on how many there are.
    together = fit(every, TRAIN, VAL, config(compile="on"), rates=rates)
    for i, lr in enumerate((1e-4, 1e-3, 1e-2)):
        alone = stack([0, 6])
        result = fit(alone, TRAIN, VAL, config(lr=lr, compile="on"))
        np.testing.assert_array_equal(together.best_val[2 * i : 2 * i + 2], result.best_val)
        assert all(torch.equal(every.state_dict()[k][2 * i : 2 * i + 2], v) for k, v in alone.state_dict().items())


def test_the_result_is_that_of_an_untuned_run_at_the_chosen_rate():
    tuned, plain = stack(), stack()
    result, record = tune(tuned, TRAIN, VAL, config(), trials=Trials())
    expected = fit(plain, TRAIN, VAL, config(lr=record["lr"]))
    assert all(torch.equal(tuned.state_dict()[k], v) for k, v in plain.state_dict().items())
    np.testing.assert_array_equal(result.best_val, expected.best_val)
    assert [p.lr for p in result.history] == [p.lr for p in expected.history]
    assert record["trial_seeds"] == [0, 6]
    assert record["final_seeds"] == [0, 3, 6, 9]
    finals = {row["lr"]: row["median_val"] for row in record["finals"]}
    assert record["lr"] == min(finals, key=finals.get)
    # The two that went on are the best two of the first trials.
    medians = sorted(record["grid"], key=lambda row: row["median_val"])
    assert {row["lr"] for row in medians[:2]} == set(finals)


class Recorder:
    """Stands in for `fit`: validation errors are a function of the rate; notes the replicas' updates."""

    def __init__(self, monkeypatch, error):
        self.error, self.calls = error, []
        monkeypatch.setattr(tuning, "fit", self)

    def __call__(self, replicas, train, val, config, *, rates=None, **hooks):  # noqa: ARG002
        rates = [config.lr] * replicas.size if rates is None else rates
        self.calls.append((sorted(set(rates)), replicas.size, config.updates))
        errors = np.array([self.error(rate) for rate in rates], dtype=float)
        row = Progress(0, config.updates, 1, config.lr, 0.0, errors, errors, np.isfinite(errors))
        update = np.full(len(errors), config.updates)
        return FitResult([row], errors, update, ~np.isfinite(errors), 1.0, config.updates, False, None, {})

    @property
    def work(self):
        return sum(size * updates for _, size, updates in self.calls)


@pytest.mark.parametrize(
    ("best", "lr", "extra", "edge"),
    [
        (1e-3, 1e-3, [], False),
        # The best at an edge, or the second best: the grid grows once, and the next one is worse.
        (1e-4, 1e-4, [3.33e-5], False),
        (3e-2, 3e-2, [0.09], False),
        # Twice, and the best rate is still the last: marked.
        (1e-6, 1.11e-5, [3.33e-5, 1.11e-5], True),
        (10.0, 0.27, [0.09, 0.27], True),
    ],
)
def test_the_grid_grows_at_an_edge_at_most_twice(monkeypatch, best, lr, extra, edge):
    seen = Recorder(monkeypatch, lambda rate: 1 + abs(np.log(rate / best)))
    _, record = tune(stack(), TRAIN, VAL, config(updates=400), trials=Trials())
    assert [row["lr"] for row in record["grid"]] == sorted([*LR_GRID, *extra])
    assert (record["lr"], record["edge"]) == (lr, edge)
    assert seen.calls[0] == (sorted(LR_GRID), 12, 100)
    assert seen.calls[1 : 1 + len(extra)] == [([rate], 2, 100) for rate in extra]
    assert seen.calls[-2][1:] == (8, 400)
    assert seen.calls[-1] == ([lr], 12, 400)
    assert seen.work <= 2 * 12 * 400


def test_the_second_best_at_an_edge_extends_the_grid_too(monkeypatch):
    Recorder(monkeypatch, lambda rate: {1e-4: 2.0, 3e-4: 1.0}.get(rate, 3.0))
    record = tune(stack(), TRAIN, VAL, config(), trials=Trials())[1]
    assert [row["lr"] for row in record["grid"]] == [3.33e-5, *LR_GRID]
    assert not record["edge"]


@pytest.mark.parametrize(
    ("errors", "lr"),
    [
        # A rate at which seeds diverge has an infinite median: it is not taken.
        ({1e-3: np.inf, 3e-3: 0.5}, 3e-3),
        # Where no rate trains there is nothing to choose by: the one nearest to the given rate.
        (dict.fromkeys((*LR_GRID, 3.33e-5, 0.09), np.inf), 3e-3),
    ],
)
def test_rates_that_diverge_are_not_taken(monkeypatch, errors, lr):
    Recorder(monkeypatch, lambda rate: errors.get(rate, 1.0))
    assert tune(stack(), TRAIN, VAL, config(), trials=Trials())[1]["lr"] == lr


@pytest.mark.parametrize(("grid", "calls"), [((1e-3,), 1), ((1e-3, 1e-2), 2)])
def test_one_or_two_rates_need_no_first_trial(monkeypatch, grid, calls):
    seen = Recorder(monkeypatch, lambda rate: rate)
    record = tune(stack(), TRAIN, VAL, config(lr_grid=grid), trials=Trials())[1]
    assert len(seen.calls) == calls
    assert record["lr"] == 1e-3
    assert record["edge"] == (len(grid) > 1)


def test_trials_are_spread_over_the_data_sets():
    replicas = stack(range(12), [r // 3 for r in range(12)])
    assert [replicas.data_sets[r] for r in tuning.few(replicas)] == [0, 2]
    assert [replicas.data_sets[r] for r in tuning.third(replicas)] == [0, 1, 2, 3]
    assert len(tuning.few(stack([5]))) == len(tuning.third(stack([5]))) == 1
    parts = [rotation(s) for s in range(4)], [rotation(9 + s) for s in range(4)]
    result = tune(replicas, *parts, config(), trials=Trials())[0]
    assert np.isfinite(result.best_val).all()


@pytest.mark.parametrize("stop", [3, 6, 14, 28, 44])
def test_a_resumed_tuning_ends_bit_for_bit_the_same(stop, tmp_path):
    whole = stack()
    expected = tune(whole, TRAIN, VAL, config(), trials=Trials())

    class Stop(Exception):  # noqa: N818
        pass

    trials, seen = Trials(), 0

    def save_and_stop(trainer):
        nonlocal seen
        seen += 1
        if seen == stop:
            torch.save(trainer.state_dict() | {"trials": dataclasses.asdict(trials)}, tmp_path / "state.pt")
            raise Stop

    with pytest.raises(Stop):
        tune(stack(), TRAIN, VAL, config(), trials=trials, on_update=save_and_stop)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    resumed = stack()
    result, record = tune(resumed, TRAIN, VAL, config(), trials=Trials(**state["trials"]), state=state)
    assert all(torch.equal(whole.state_dict()[k], v) for k, v in resumed.state_dict().items())
    assert record == expected[1]
    assert [p.update for p in result.history] == [p.update for p in expected[0].history]


def test_trials_are_told_from_the_run():
    told = []
    tune(stack(), TRAIN, VAL, config(), trials=Trials(), on_epoch=lambda p: told.append((p.trial, p.val.size)))
    assert next(size for trial, size in told if trial) == 12
    assert {size for trial, size in told if not trial} == {12}
    firsts = [trial for trial, _ in told]
    assert firsts == sorted(firsts, reverse=True), "trials come first"


def test_tuning_trains_at_most_twice_as_many_seeds_as_an_untuned_run():
    made = stages(stack(), config())
    assert stack().size < sum(replicas.size * share for replicas, share in made) <= 2 * stack().size


def test_selected_replicas_are_copies():
    source = stack([3, 4], [0, 1])
    before = source.state_dict()
    copy = source.select([1, 1, 0])
    assert copy.seeds == (4, 4, 3)
    assert copy.data_sets == (1, 1, 0)
    with torch.no_grad():
        for p in copy.parameters.values():
            p.add_(1.0)
    for name, value in source.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(p.requires_grad for p in copy.parameters.values())


@pytest.mark.skipif(toolchain.compiler() is None, reason="no C++ compiler")
def test_a_tuning_worth_compiling_runs_compiled_though_no_part_of_it_would():
    settings = config(compile="auto", updates=500, horizon=9)
    parts = [(part.size, share * settings.updates) for part, share in stages(stack(), settings)]
    assert not any(worth_compiling(settings, [part]) for part in parts)
    assert worth_compiling(settings, parts)
    short = settings.model_copy(update={"updates": 8, "validate_every": 4})
    for compiled in (False, True):
        replicas = stack()
        if compiled:
            replicas.compile()
        assert tune(replicas, TRAIN, VAL, short, trials=Trials())[0].compiled == compiled


@pytest.mark.parametrize(
    ("size", "updates", "worth"), [(1, 600, False), (1, 1100, True), (12, 200, False), (12, 300, True)]
)
def test_compiling_depends_on_replicas_and_updates(size, updates, worth):
    assert worth_compiling(config(compile="auto", horizon=20), [(size, updates)]) == worth
