"""The keys and types of a finished run's result.json, against their declaration."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.runs import find_run
from ddl_dyn.runs.stored_result import RunResult
from tests.helpers.commands import ROOT

QUICK: dict[str, Any] = {
    "seeds": 2,
    "train": {"updates": 4, "batch": 4, "horizon": 3, "compile": "off"},
    "eval": {"short": 3, "long": 6},
}
DATA = {"n_train": 8, "n_val": 4, "n_test": 4, "n_ood": 4, "steps": 8}
SYNTHETIC = {
    "task": "van_der_pol",
    "model": "ddl",
    "data": {**DATA, "radii": (1.5,)},
    "train": {**QUICK["train"], "lr_grid": (1e-3, 3e-3, 1e-2)},
}
RECORDED = {
    "task": "observed",
    "task_args": {"path": str(ROOT / "tasks" / "data" / "sunspots_yearly.csv")},
    "model": "resnet",
    "data": {**DATA, "n_ood": 0},
}
WORDS = {"task": "parity", "model": "ddl", "data": DATA}


def departures(value: object, kind: Any, place: str = "result") -> Iterator[str]:
    """Places at which a value read from JSON is not of its declared type, undeclared and missing keys among them."""
    if get_origin(kind) in (Union, types.UnionType):
        if all([*departures(value, one, place)] for one in get_args(kind)):
            yield from departures(value, max(get_args(kind), key=is_typeddict), place)
    elif is_typeddict(kind):
        if not isinstance(value, dict):
            yield f"{place}: {value!r} is no {kind.__name__}"
            return
        declared = get_type_hints(kind)
        yield from (f"{place}.{name}: undeclared" for name in value.keys() - declared.keys())
        yield from (f"{place}.{name}: missing" for name in kind.__required_keys__ - value.keys())
        for name in value.keys() & declared.keys():
            yield from departures(value[name], declared[name], f"{place}.{name}")
    elif get_origin(kind) is dict:
        for name, one in value.items() if isinstance(value, dict) else ():
            yield from departures(one, get_args(kind)[1], f"{place}.{name}")
        if not isinstance(value, dict):
            yield f"{place}: {value!r} is no mapping"
    elif get_origin(kind) is list:
        for i, one in enumerate(value) if isinstance(value, list) else ():
            yield from departures(one, get_args(kind)[0], f"{place}[{i}]")
        if not isinstance(value, list):
            yield f"{place}: {value!r} is no list"
    # JSON keeps no difference between 2.0 and 2 in what a user typed, such as a budget.
    elif type(value) is not kind and not (kind is float and type(value) is int):
        yield f"{place}: {value!r} is no {kind.__name__}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunResult]:
    """Results of one finished run on a task of each kind."""
    base: Path = tmp_path_factory.mktemp("runs")
    found = {}
    for name, config in (("synthetic", SYNTHETIC), ("recorded", RECORDED), ("words", WORDS)):
        run_id = run(resolve_run({**QUICK, **config}), Launch(base=base))
        found[name] = find_run(str(run_id), base).result
    return found


@pytest.mark.parametrize("name", ["synthetic", "recorded", "words"])
def test_a_finished_run_stores_what_is_declared(finished: dict[str, RunResult], name: str) -> None:
    assert sorted(departures(finished[name], RunResult)) == []


def test_every_declared_block_is_stored_by_one_of_the_kinds(finished: dict[str, RunResult]) -> None:
    """Optional blocks are no dead letters, and each belongs to its own kind of task."""
    optional = {name: found.keys() - RunResult.__required_keys__ for name, found in finished.items()}
    assert set().union(*optional.values()) == RunResult.__optional_keys__
    assert optional["synthetic"] == {"last", "floors", "fixed_points"}
    assert optional["words"] == {"last", "tracking"}
    assert finished["synthetic"]["radii"].keys() == {"1.5"}
    assert finished["synthetic"]["tuning"] is not None
    assert [name for name, found in finished.items() if "windows" in found["test"]] == ["recorded"]
    assert [name for name, found in finished.items() if "token_error_short" in found["test"]] == ["words"]


def test_departures_are_told(finished: dict[str, RunResult]) -> None:
    stored: Any = dict(finished["synthetic"])
    stored["training"] = {**stored["training"], "extra": 1, "updates": "4"}
    stored["test"] = {name: value for name, value in stored["test"].items() if name != "vpt"}
    stored["gates"] = {"law_error": [None]}
    del stored["theory"]
    assert sorted(departures(stored, RunResult)) == [
        "result.gates.law_error[0]: None is no float",
        "result.test.vpt: missing",
        "result.theory: missing",
        "result.training.extra: undeclared",
        "result.training.updates: '4' is no int",
    ]
