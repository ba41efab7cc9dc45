"""The contract of a task: the registry keeps it, and each way to break it is refused in one line within seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from ddl_dyn.cli.facts import required_parameters
from ddl_dyn.cli.main import main
from ddl_dyn.tasks import TASKS, make_dataset, make_task
from ddl_dyn.tasks.base import FlowTask, MapTask, Task, join
from ddl_dyn.tasks.contract import check_task


@dataclass(frozen=True, kw_only=True)
class Whirl(FlowTask):
    """A centre that keeps the contract; subclasses break one rule each."""

    state_names = ("x", "y")
    source = "nobody"
    equations = "ẋ = y, ẏ = −x"
    family = "oscillator"
    timescale = 6.28  # type: ignore[assignment]
    dt: float = 0.1

    def vector_field(self, t, x):  # noqa: ARG002
        return join(x, x[..., 1], -x[..., 0])

    def initial_states(self, n, *, rng, split):
        low, high = (1.6, 2.0) if split == "ood" else (0.2, 1.5)
        return rng.uniform(low, high, size=(n, 2))


@dataclass(frozen=True, kw_only=True)
class Halving(MapTask):
    """A map that keeps the contract; subclasses break one rule each."""

    state_names = ("x",)
    source = "nobody"
    equations = "x⁺ = x/2"
    family = "map"
    timescale = 1.0  # type: ignore[assignment]

    def next_state(self, x):
        return x / 2

    def initial_states(self, n, *, rng, split):
        return rng.uniform(1, 2, (n, 1)) + (2 if split == "ood" else 0)


def friction(self, t, x):  # noqa: ARG001
    return join(x, x[..., 1], -x[..., 0] - 0.3 * np.sign(x[..., 1]))


def in_place(self, t, x):  # noqa: ARG001
    x[..., 0] *= -1.0
    return x


def map_in_place(self, x):  # noqa: ARG001
    x *= 0.5
    return x.copy()


def broken(self, x):  # noqa: ARG001
    return x @ np.ones((3, 3))


def all_alike(self, n, *, rng, split):  # noqa: ARG001
    return np.linspace(0, 1, n)[:, None]


def by_columns(self, n, *, rng, split):  # noqa: ARG001
    return np.stack([rng.uniform(1, 2, n), rng.uniform(1, 2, n)], axis=1) + (2 if split == "ood" else 0)


def one_support(self, n, *, rng, split):  # noqa: ARG001
    return rng.uniform(1, 2, (n, 1))


FAULTS: dict[str, tuple[type[Task], dict[str, Any], str]] = {
    "a jump that makes the steps shrink": (Whirl, {"vector_field": friction}, "the integrator stopped at t = "),
    "a changed argument": (Whirl, {"vector_field": in_place}, "vector_field must leave its argument unchanged"),
    "a changed argument of a map": (Halving, {"next_state": map_in_place}, "next_state must leave its argument"),
    "a clock": (
        Whirl,
        {"vector_field": lambda self, t, x: join(x, x[..., 1], np.cos(2 * t) - x[..., 0])},  # noqa: ARG005
        "vector_field depends on time",
    ),
    "a wrong shape": (Whirl, {"vector_field": lambda self, t, x: x[..., 0]}, "float64 array of shape (16, 2)"),  # noqa: ARG005
    "a list": (Halving, {"next_state": lambda self, x: x.tolist()}, "of shape (16, 1), got list"),  # noqa: ARG005
    "single precision": (Halving, {"next_state": lambda self, x: x.astype("f")}, "got float32 (16, 1)"),  # noqa: ARG005
    "a failure": (Halving, {"next_state": broken}, "next_state fails: matmul"),
    "rows that mix": (Halving, {"next_state": lambda self, x: x - x.mean(axis=0)}, "treat each row by itself"),  # noqa: ARG005
    "chance": (
        Halving,
        {"next_state": lambda self, x: x * np.random.default_rng().random(x.shape)},  # noqa: ARG005
        "must give the same for the same state",
    ),
    "an explosion": (Halving, {"next_state": lambda self, x: 1e200 * x * x}, "leaves the finite numbers at step "),  # noqa: ARG005
    "starts that depend on n": (Halving, {"initial_states": all_alike}, "the first n of 2n initial_states must be"),
    "starts drawn by columns": (Whirl, {"initial_states": by_columns}, "the first n of 2n initial_states must be"),
    "starts of one support": (Halving, {"initial_states": one_support}, "supports of train and ood must be disjoint"),
    "chance in the starts": (
        Halving,
        {"initial_states": lambda self, n, rng, split: np.random.default_rng().random((n, 1))},  # noqa: ARG005
        "initial_states must depend on rng alone",
    ),
    "starts of a wrong shape": (
        Halving,
        {"initial_states": lambda self, n, rng, split: rng.random(n)},  # noqa: ARG005
        "initial_states must return a float64 array of shape (128, 1), got float64 (128,)",
    ),
    "a time scale of nothing": (Halving, {"timescale": 0.0}, "timescale must be a positive number, got 0.0"),
    "names that repeat": (Whirl, {"state_names": ("x", "x")}, "state_names must be a tuple of different names"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one_line_within_seconds(fault: str) -> None:
    base, changes, message = FAULTS[fault]
    task = type(base.__name__, (base,), changes)()
    started = time.process_time()
    with pytest.raises(ValueError, match=r"^(whirl|halving): [^\n]{20,500}$") as error:
        check_task(task)
    assert message in str(error.value)
    assert time.process_time() - started < 10


@pytest.mark.parametrize("cls", [Whirl, Halving])
def test_what_the_faults_are_made_from_passes(cls: type[Task]) -> None:
    check_task(cls())


@pytest.mark.parametrize("name", [name for name, cls in TASKS.items() if not required_parameters(cls)])
def test_the_registry_keeps_the_contract(name: str) -> None:
    check_task(make_task(name))


def test_the_integrator_says_where_it_stopped_while_data_are_made() -> None:
    task = type("Friction", (Whirl,), {"vector_field": friction})()
    # From |x| ≤ .3 at rest the friction holds; dry friction sticks within a few turns from anywhere.
    with pytest.raises(ValueError, match=r"stopped at t = \d.* near the state \(-?0\.[0-2]\d*, -?\d\.?\d*e-\d+\)"):
        make_dataset(task, n_train=8, n_val=1, n_test=1, steps=200)


def test_a_stiff_flow_is_stopped_after_a_bounded_number_of_evaluations() -> None:
    calls = 0

    class Stiff(Whirl):
        def vector_field(self, t, x):  # noqa: ARG002
            nonlocal calls
            calls += 1
            return -1e6 * (x - 1.0)

    with pytest.raises(ValueError, match="after 30000 evaluations"):
        Stiff().simulate(np.zeros((1, 2)), 1)
    # 5,000 an interval on average and three intervals' worth on top, looked at every 10,000; two more name the state.
    assert calls <= 30_000 + 2


def test_a_run_of_a_users_broken_task_writes_nothing(
    tmp_path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(USERS_OWN)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "with", "task=mine.py:Clock"]) == 1
    assert "clock: vector_field depends on time" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["mine.py"]


USERS_OWN = '''
from dataclasses import dataclass
import numpy as np
from ddl_dyn.tasks.base import FlowTask, join

@dataclass(frozen=True, kw_only=True)
class Clock(FlowTask):
    """A driven oscillator without its phase."""
    state_names = ("x", "y")
    source = "nobody"
    equations = "ẍ = −x + cos 2t"
    family = "oscillator"
    timescale = 6.28
    dt: float = 0.1

    def vector_field(self, t, x):
        return join(x, x[..., 1], -x[..., 0] + np.cos(2 * t))

    def initial_states(self, n, *, rng, split):
        return rng.uniform(1, 2, (n, 2)) + (2 if split == "ood" else 0)
'''
