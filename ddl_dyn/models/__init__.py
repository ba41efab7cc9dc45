"""The models by name. To add one: write its class in a file of its own and one line here (see docs/adding.md)."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import ValidationError

from ddl_dyn.config import ModelConfig
from ddl_dyn.models.base import StepModel
from ddl_dyn.models.ddl import DDL
from ddl_dyn.models.highway import Highway
from ddl_dyn.models.neural_ode import NeuralODE
from ddl_dyn.models.resnet import ResNet

MODELS: dict[str, type[StepModel]] = {
    "ddl": DDL,
    "resnet": ResNet,
    "highway": Highway,
    "neural_ode": NeuralODE,
}


def model_class(name: str) -> type[StepModel]:
    """The class registered under a name.

    Raises:
        ValueError: for an unknown name; the message lists the known ones and the nearest match.
    """
    if name in MODELS:
        return MODELS[name]
    near = difflib.get_close_matches(name, MODELS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown model {name!r}.{hint} Models: {', '.join(sorted(MODELS))}")


def model_config(name: str, **options: Any) -> ModelConfig:
    """The validated options of a model.

    Raises:
        ValueError: for an unknown model, an unknown option (with the nearest match) or a value out of bounds; one
            line a problem.
    """
    cls = model_class(name).Config
    try:
        return cls(**options)
    except ValidationError as error:
        raise ValueError("\n".join(explain(name, cls, problem) for problem in error.errors())) from None


def explain(name: str, cls: type[ModelConfig], problem: Any) -> str:
    """One validation problem as one line that says what was expected, what came and what to do."""
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(where, cls.model_fields, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"{name} has no option {where!r}.{hint} Options: {', '.join(sorted(cls.model_fields))}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{name}: {where}: {message}, got {problem['input']!r}" if where else f"{name}: {message}"


def make_model(name: str, *, state_dim: int, input_dim: int = 0, dt: float = 1.0, **options: Any) -> StepModel:
    """Build one replica of a model from the global torch generator's current state.

    Args:
        name: registry key, see `MODELS`.
        state_dim: D.   input_dim: U.   dt: sampling interval, in the task's unit of time.
        options: fields of the model's `Config`.
    Raises:
        ValueError: for an unknown model or option, or options that contradict each other or the task.
    """
    return model_class(name)(state_dim, model_config(name, **options), input_dim=input_dim, dt=dt)


__all__ = ["MODELS", "StepModel", "make_model", "model_class", "model_config"]
