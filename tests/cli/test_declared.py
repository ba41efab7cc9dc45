"""Settings read from the source are those that the imported classes have."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

import pytest

from ddl_dyn.cli import declared
from ddl_dyn.cli.declared import UNKNOWN, Declared
from ddl_dyn.config import sections
from ddl_dyn.models import MODELS
from ddl_dyn.tasks import TASKS
from ddl_dyn.tasks.fields import field_types


def choices(kind: Any) -> set[str]:
    if typing.get_origin(kind) is typing.Literal:
        return {str(item) for item in typing.get_args(kind)}
    return {"true", "false"} if kind is bool else set().union(*map(choices, typing.get_args(kind)))


def check(found: dict[str, Declared], kinds: dict[str, Any], defaults: dict[str, Any]) -> None:
    assert set(found) == set(kinds)
    for name, field in found.items():
        assert set(field.choices) == choices(kinds[name]), name
        assert field.default is UNKNOWN or field.default == defaults[name], name


def test_registries() -> None:
    assert list(declared.registered("models")) == list(MODELS)
    assert list(declared.registered("tasks")) == list(TASKS)


@pytest.mark.parametrize("name", list(MODELS))
def test_options_of_a_model(name: str) -> None:
    known = MODELS[name].Config.model_fields
    defaults = {key: field.get_default(call_default_factory=True) for key, field in known.items()}
    found = declared.model_options(name)
    check(found, {key: field.annotation for key, field in known.items()}, defaults)
    # `show` says of each whether it is the default.
    assert not [key for key, field in found.items() if field.default is UNKNOWN]


@pytest.mark.parametrize("name", list(TASKS))
def test_parameters_of_a_task(name: str) -> None:
    known = {field.name: field for field in dataclasses.fields(TASKS[name]) if field.init}
    check(declared.task_parameters(name), field_types(TASKS[name]), {key: f.default for key, f in known.items()})


@pytest.mark.parametrize("name", ["RunConfig", "DataConfig", "TrainConfig", "EvalConfig", "BudgetConfig"])
def test_sections(name: str) -> None:
    known = getattr(sections, name).model_fields
    found = declared.fields(declared.SECTIONS_FILE, name)
    defaults = {key: field.get_default(call_default_factory=True) for key, field in known.items()}
    check(found, {key: field.annotation for key, field in known.items()}, defaults)
    for key, field in known.items():
        section = isinstance(field.annotation, type) and issubclass(field.annotation, sections.Section)
        assert found[key].section == (field.annotation.__name__ if section else "")


def test_a_model_of_the_users_own_has_the_shared_options() -> None:
    assert set(declared.model_options("mine.py:Net")) == set(sections.ModelConfig.model_fields)
    assert declared.task_parameters("mine.py:Net") == {}
