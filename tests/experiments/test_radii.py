"""Evaluation at multiples of the training radius, and horizons beyond the data. Axes: R replicas, N starts, T steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddl_dyn.cli.facts import required_parameters
from ddl_dyn.cli.main import main
from ddl_dyn.config.parsing import ConfigError
from ddl_dyn.experiments.execute import execute
from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.setup import Setup, make_setup
from ddl_dyn.tasks import TASKS

SMALL: dict[str, Any] = {
    "task": "van_der_pol",
    "model": "resnet",
    "seeds": 4,
    "data": {"n_train": 8, "n_val": 4, "n_test": 4, "n_ood": 5, "steps": 12, "seeds": 2, "radii": (1.5, 8.0)},
    "train": {"updates": 4, "batch": 4, "horizon": 3, "compile": "off"},
    "eval": {"short": 3, "long": 10},
}


def done(**changes: Any) -> tuple[Setup, dict[str, Any]]:
    updates = {**SMALL, **changes, "data": SMALL["data"] | changes.get("data", {})}
    setup = make_setup(resolve_run(updates))
    return setup, execute(setup, Callbacks()).numbers


def error(pred: np.ndarray, true: np.ndarray, sigma: np.ndarray, steps: int) -> np.ndarray:
    """NRMSE (N,) of each start over steps 1 … K by its definition."""
    return np.sqrt((((pred - true) / sigma) ** 2)[:, 1 : steps + 1].mean(axis=(1, 2)))


def test_errors_at_a_radius_are_those_of_free_runs_from_there() -> None:
    setup, numbers = done()
    assert list(numbers["radii"]) == ["1.5", "8.0"]
    for radius, found in numbers["radii"].items():
        truth = setup.data.radii[float(radius)].states[:, :11]
        assert (found["trajectories"], found["steps"]) == (5, {"short": 3, "long": 10})
        for r in range(4):
            model, own = setup.replicas.model(r), setup.normalizer.of_replica(r)
            x = torch.as_tensor(own.normalize(truth[:, 0]), dtype=torch.float32)
            states = [truth[:, 0]]
            with torch.no_grad():
                for t in range(10):
                    x = model.read(model.step(model.lift(x), t, torch.zeros(5, 0)))
                    states.append(own.denormalize(x.double().numpy()))
            sigma = setup.data_sets[r // 2].train.states.reshape(-1, 2).std(axis=0)
            for name, steps in found["steps"].items():
                each = error(np.stack(states, axis=1), truth, sigma, steps)
                # float32 over ten steps, in products of other shapes.
                np.testing.assert_allclose(found[f"nrmse_{name}"][r], np.sqrt((each**2).mean()), rtol=1e-4)
                np.testing.assert_allclose(found[f"start_median_{name}"][r], np.median(each), rtol=1e-4)
                assert found[f"start_beyond_{name}"][r] == (each > 0.4).mean()
        assert found["diverged"] == found["solver_failed"] == [0.0] * 4
    # A model that has hardly learned anything is further off, the further out it starts.
    assert min(numbers["radii"]["8.0"]["nrmse_short"]) > max(numbers["radii"]["1.5"]["nrmse_short"])


def test_floors_at_a_radius_are_medians_over_the_data_sets() -> None:
    setup, numbers = done()
    scales = [one.train.states.reshape(-1, 2) for one in setup.data_sets]
    for radius, found in numbers["radii"].items():
        truth = setup.data.radii[float(radius)].states[:, :11]
        for name, forecast in (("persistence", lambda _, x=truth[:, :1]: x), ("mean", lambda seen: seen.mean(axis=0))):
            pooled = [np.sqrt((error(forecast(s), truth, s.std(axis=0), 10) ** 2).mean()) for s in scales]
            np.testing.assert_allclose(found["floors"][name]["nrmse_long"], np.median(pooled), rtol=1e-9)
        assert set(found["floors"]) == {"persistence", "mean", "linear", "analogue"}


def test_an_exact_map_is_exact_at_every_radius() -> None:
    _, numbers = done(model="exact_map")
    assert max(max(found["nrmse_long"]) for found in numbers["radii"].values()) < 1e-4


def test_nothing_is_tested_at_radii_where_none_are_asked_for_or_known() -> None:
    assert done(data={"radii": ()})[1]["radii"] == {}
    assert done(data={"n_ood": 0})[1]["radii"] == {}
    assert done(task="henon")[1]["radii"] == {}
    plain, none = done()[1], done(data={"radii": ()})[1]
    assert plain["test"] == none["test"]
    assert plain["ood"] == none["ood"]


def test_a_radius_that_is_left_out_is_said_with_the_result() -> None:
    _, numbers = done(task="pendulum")
    assert list(numbers["radii"]) == ["1.5"]
    assert numbers["data"]["notes"] == ["radius 8: none, the task has no bounded orbits that far out"]


@pytest.mark.parametrize(
    ("updates", "words"),
    [
        (
            {"data": {"steps": 6}, "eval": {"long": 10**9}},
            r"eval.long must not exceed data.steps = 6, .* got 1000000000",
        ),
        (
            {"data": {"steps": 6}, "eval": {"short": 7, "long": 7}},
            r"eval.long must not exceed data.steps = 6, .* got 7",
        ),
        ({"data": {"steps": 99}}, r"data.steps = 99, the steps of the test trajectories, got 100; lower eval.long or"),
        ({"eval": {"short": 101}}, r"eval.short must not exceed eval.long, got 101 > 100"),
        (
            {"model_args": {"sharing": "untied", "layers": 20}},
            r"eval.long must not exceed model_args.layers = 20 with sharing=untied, .* got 100; lower eval.long or",
        ),
        ({"data": {"radii": (1.0,)}}, r"data.radii.0: input should be greater than 1, got 1.0"),
        ({"data": {"radii": (2.0, 2.0)}}, r"data.radii names one radius twice: 2.0, 2.0"),
    ],
)
def test_horizons_and_radii_that_cannot_be_are_refused(updates: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        resolve_run({"task": "henon", "model": "resnet"} | updates)
    assert len(caught.value.problems) == 1
    # What is allowed to the last step.
    assert resolve_run({"task": "henon", "data": {"steps": 100}}).eval.long == 100
    assert resolve_run({"model_args": {"sharing": "untied", "layers": 100}}).eval.long == 100


def test_a_horizon_beyond_the_data_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "runs"
    for command in (["run", "with", "task=henon"], ["compare", "with", "tasks=henon", "models=ddl,resnet"]):
        assert main(["--runs", str(base), *command, "data.steps=6", "eval.long=1000000000"]) == 1
        lines = capsys.readouterr().err.strip().splitlines()
        assert len([line for line in lines if "eval.long must not exceed data.steps = 6" in line]) == 1
        assert not base.exists()


@pytest.mark.parametrize("name", sorted(name for name, cls in TASKS.items() if not required_parameters(cls)))
def test_the_defaults_of_every_task_are_accepted(name: str) -> None:
    assert resolve_run({"task": name, "model": "resnet"}).eval.long == 100


def test_a_recorded_series_is_tested_as_far_as_it_goes_and_says_so() -> None:
    sizes = {"n_train": 8, "n_val": 2, "n_test": 2, "n_ood": 0, "steps": 100, "seeds": 1}
    setup, numbers = done(task="sunspots", data=sizes, eval={"short": 20, "long": 100})
    steps = setup.data.test.steps
    assert 20 < steps < 100
    assert f"test: free runs of {steps} steps instead of eval.long = 100" in numbers["data"]["notes"]
    assert not any("eval.short" in note for note in numbers["data"]["notes"])
    assert setup.config.eval.long == 100
