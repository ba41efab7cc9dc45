"""Runs whose replicas have data sets of their own: each replica is that of a single run, resume and replay included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from ddl_dyn.config.parsing import ConfigError
from ddl_dyn.config.sections import LR_GRID
from ddl_dyn.experiments.execute import execute
from ddl_dyn.experiments.outcome import Callbacks, RunOutcome
from ddl_dyn.experiments.rerun import largest_difference, replay
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.experiments.setup import make_setup, restore_setup
from ddl_dyn.experiments.sweep.grid import resolve_compare
from ddl_dyn.runs import Run
from ddl_dyn.tasks import make_dataset, make_task

SMALL: dict[str, Any] = {
    "task": "van_der_pol",
    "model": "ddl",
    "seeds": 4,
    "seed": 3,
    "data": {"n_train": 12, "n_val": 6, "n_test": 8, "n_ood": 5, "steps": 30, "seed": 5, "seeds": 2, "noise": 0.01},
    "train": {"updates": 12, "batch": 8, "horizon": 6, "validate_every": 4, "compile": "on"},
    "eval": {"short": 5, "long": 20},
}
# Lists in a result that are not one entry a replica.
SHARED = ("borders", "notes", "grid", "finals")


def settings(**changes: Any) -> dict[str, Any]:
    merged = dict(SMALL)
    for key, value in changes.items():
        merged[key] = SMALL[key] | value if isinstance(value, Mapping) and key in SMALL else value
    return merged


def done(**changes: Any) -> RunOutcome:
    return execute(make_setup(resolve_run(settings(**changes))), Callbacks())


def of_replica(numbers: Mapping[str, Any], r: int) -> dict[str, Any]:
    """The lists of a result cut to one replica; scalars left out, which are of the machine or of the whole."""
    found: dict[str, Any] = {}
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{key}": item for key, item in of_replica(value, r).items()}
        elif isinstance(value, list) and name not in SHARED:
            found[name] = np.array([np.nan if v is None else v for v in [value[r]]])
    return found


@pytest.mark.parametrize(
    ("model", "options"),
    [("ddl", {"hidden_dim": 8}), ("neural_ode", {"hidden_dim": 8})],
)
def test_a_replica_is_that_of_a_single_run_bit_for_bit(model: str, options: Mapping[str, Any]) -> None:
    chosen: dict[str, Any] = {"model": model, "model_args": options}
    together = done(**chosen)
    for r, (data_seed, seed) in enumerate([(5, 3), (5, 4), (6, 5), (6, 6)]):
        alone = done(**chosen, seeds=1, seed=seed, data={"seed": data_seed, "seeds": 1})
        for name, value in alone.state.items():
            assert torch.equal(together.state[name][r], value[0]), name
        mine, single = of_replica(together.numbers, r), of_replica(alone.numbers, 0)
        mine.pop("fixed_points.count", None), single.pop("fixed_points.count", None)
        assert mine.keys() == single.keys()
        # Gates are audited eagerly, where products of other shapes round otherwise.
        audited = [{name: v for name, v in found.items() if name.startswith("gates.")} for found in (mine, single)]
        assert largest_difference(*audited)[1] < 1e-5
        scored = [{name: v for name, v in found.items() if name not in audited[0]} for found in (mine, single)]
        assert largest_difference(*scored)[:2] == ("", 0.0)
        assert {"test.nrmse_short", "ood.nrmse_long", "last.test.nrmse_long", "training.best_val"} <= scored[0].keys()
        for name in ("test_pred", "ood_pred", "test_nrmse", "test_status"):
            assert np.array_equal(together.arrays[name][r], alone.arrays[name][0], equal_nan=True), name
        np.testing.assert_array_equal(together.arrays["history_val"][:, r], alone.arrays["history_val"][:, 0])
        assert np.array_equal(together.arrays["test_true"], alone.arrays["test_true"])
        assert np.array_equal(together.arrays["sigma"][r], alone.arrays["sigma"])
    # Negative control: the data sets differ.
    assert not np.array_equal(together.arrays["sigma"][0], together.arrays["sigma"][2])


def test_a_closed_form_is_solved_on_each_replicas_data() -> None:
    chosen: dict[str, Any] = {"model": "nvar", "model_args": {"lift": "identity"}, "train": {"compile": "off"}}
    together = done(**chosen)
    for r, (data_seed, seed) in enumerate([(5, 3), (5, 4), (6, 5), (6, 6)]):
        alone = done(**chosen, seeds=1, seed=seed, data={"seed": data_seed, "seeds": 1})
        assert all(torch.equal(together.state[name][r], value[0]) for name, value in alone.state.items())
        # Eager products of other shapes round otherwise.
        np.testing.assert_allclose(together.arrays["test_pred"][r], alone.arrays["test_pred"][0], rtol=1e-4, atol=1e-5)


def test_a_run_with_data_sets_resumes_and_replays_bit_for_bit(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config = resolve_run(settings(train={"lr_grid": (1e-3, 3e-3, 1e-2)}))
    whole = execute(make_setup(config), Callbacks())
    states: list[Mapping[str, Any]] = []

    class Stop(Exception):  # noqa: N818
        pass

    def keep(state: Mapping[str, Any]) -> None:
        states.append(state)
        if len(states) == 20:
            torch.save(dict(state), tmp_path / "state.pt")
            raise Stop

    with pytest.raises(Stop):
        execute(make_setup(config), Callbacks(on_checkpoint=keep, seconds=0.0))
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    resumed = execute(make_setup(config), Callbacks(state=state))
    assert all(torch.equal(resumed.state[name], value) for name, value in whole.state.items())
    assert resumed.numbers["test"] == whole.numbers["test"]
    assert resumed.numbers["tuning"] == whole.numbers["tuning"]
    name = run(config, Launch(base=tmp_path / "runs"))
    assert name is not None
    assert replay(name, tmp_path / "runs", tolerance=0.0) == 0
    assert "max |Δ| = 0" in capsys.readouterr().out
    restored = restore_setup(Run(tmp_path / "runs" / name))
    assert restored.replicas.data_sets == (0, 0, 1, 1)
    assert all(torch.equal(v, whole.state[k]) for k, v in restored.replicas.state_dict().items())


def test_data_seeds_share_their_test_set_and_defaults_keep_their_numbers() -> None:
    sizes = {"n_train": 5, "n_val": 4, "n_test": 6, "n_ood": 3, "steps": 9}
    task = make_task("van_der_pol")
    plain, same = make_dataset(task, seed=7, **sizes), make_dataset(task, seed=7, test_seed=7, **sizes)
    assert plain.content_hash == same.content_hash
    other, both = make_dataset(task, seed=8, test_seed=7, **sizes), make_dataset(task, seed=8, **sizes)
    np.testing.assert_array_equal(other.test.states, plain.test.states)
    assert other.ood is not None
    assert plain.ood is not None
    np.testing.assert_array_equal(other.ood.states, plain.ood.states)
    np.testing.assert_array_equal(other.train.states, both.train.states)
    assert not np.array_equal(other.train.states, plain.train.states)
    assert len({plain.content_hash, other.content_hash, both.content_hash}) == 3
    with pytest.raises(ValueError, match="test_seed must be an integer"):
        make_dataset(task, seed=8, test_seed=-1, **sizes)


def test_an_oracle_knows_one_truth_whatever_the_data_sets() -> None:
    found = done(model="exact_map", train={"compile": "off"})
    # Single precision over twenty steps of a flow that attracts.
    assert max(found.numbers["test"]["nrmse_long"]) < 1e-4


def test_analysis_of_a_run_with_data_sets_uses_each_replicas_units() -> None:
    setup = make_setup(resolve_run(settings(model_args={"lift": "identity"})))
    execute(setup, Callbacks())
    x = setup.data.test.states[:, 0]
    mapped = setup.learned.step(setup.learned.states(x)).detach().numpy()
    for r in range(4):
        part = setup.of_data_set(r // 2)
        alone = part.learned.step(part.learned.states(x)).detach().numpy()[r % 2]
        # float64 against float64, in products of other shapes.
        np.testing.assert_allclose(mapped[r], alone, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": 4, "data": {"seeds": 3}}, "data.seeds must divide seeds = 4"),
        ({"task": "sunspots", "data": {"seeds": 2, "noise": 0.0}}, "is a recorded series, of which there is one"),
    ],
)
def test_data_seeds_that_cannot_be_are_refused(changes: Mapping[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        resolve_run(settings(**changes))
    assert len(caught.value.problems) == 1


def test_comparisons_take_twelve_seeds_on_four_data_sets_and_tune() -> None:
    updates = {"tasks": ("henon", "sunspots"), "models": ("ddl",), "train": {"updates": 50}}
    cells = [cell.config for cell in resolve_compare(updates)[1]]
    assert [(cell.seeds, cell.data.seeds) for cell in cells] == [(12, 4), (12, 1)]
    assert all(cell.train.lr_grid == LR_GRID for cell in cells)
    # What is asked for holds, and the data sets are the largest divisor of the seeds.
    for seeds, sets in ((1, 1), (5, 1), (6, 3), (8, 4), (9, 3), (10, 2)):
        cell = resolve_run({"task": "henon", "seeds": seeds, "train": {"lr_grid": ()}}, compared=True)
        assert (cell.seeds, cell.data.seeds, cell.train.lr_grid) == (seeds, sets, ())
    single = resolve_run({"task": "henon"})
    assert (single.data.seeds, single.train.lr_grid) == (1, ())
