"""The models by name. To add one: write its class in a file of its own and one line here (see docs/adding.md)."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from ddl_dyn.config.hints import nearest_key, nearest_name
from ddl_dyn.config.sections import ModelConfig
from ddl_dyn.config.user_file import is_file_reference, load_class
from ddl_dyn.models.alrnn import ALRNN
from ddl_dyn.models.analogue import Analogue
from ddl_dyn.models.base import StepModel
from ddl_dyn.models.baselines import Linear, Mean, Persistence
from ddl_dyn.models.cornn import CoRNN
from ddl_dyn.models.ddl import DDL
from ddl_dyn.models.esn import ESN
from ddl_dyn.models.gated_residual import GatedResidual
from ddl_dyn.models.gru import GRU
from ddl_dyn.models.highway import Highway
from ddl_dyn.models.hyper_connections import HyperConnections
from ddl_dyn.models.invertible_resnet import InvertibleResNet
from ddl_dyn.models.lem import LEM
from ddl_dyn.models.lstm import LSTM
from ddl_dyn.models.mlp import MLP
from ddl_dyn.models.neural_ode import NeuralODE
from ddl_dyn.models.nvar import NVAR
from ddl_dyn.models.oracles import ExactMap, HouseholderStack, Oracle, Truth, truth_of
from ddl_dyn.models.resnet import ResNet
from ddl_dyn.models.rkan import RKAN
from ddl_dyn.models.shplrnn import ShPLRNN
from ddl_dyn.models.sindy import SINDy

MODELS: dict[str, type[StepModel]] = {
    "ddl": DDL,
    # the lineage of the residual connection
    "mlp": MLP,
    "resnet": ResNet,
    "highway": Highway,
    "gated_residual": GatedResidual,
    "lstm": LSTM,
    "gru": GRU,
    "invertible_resnet": InvertibleResNet,
    "rkan": RKAN,
    "hyper_connections": HyperConnections,
    # recurrent networks of dynamical systems
    "shplrnn": ShPLRNN,
    "alrnn": ALRNN,
    "cornn": CoRNN,
    "lem": LEM,
    # continuous time
    "neural_ode": NeuralODE,
    # solved, not trained: baselines, classical forecasts and oracles
    "persistence": Persistence,
    "mean": Mean,
    "linear": Linear,
    "analogue": Analogue,
    "nvar": NVAR,
    "esn": ESN,
    "sindy": SINDy,
    "exact_map": ExactMap,
    "householder_stack": HouseholderStack,
}


def model_class(name: str) -> type[StepModel]:
    """The class registered under a name, or the class of a user's file, `path/to/file.py:Class`.

    Raises:
        ValueError: for an unknown name (the message lists the known ones and the nearest match), or a file that does
            not exist, does not run or holds no such step model.
    """
    if is_file_reference(name):
        return _of_user_file(name)
    if name in MODELS:
        return MODELS[name]
    raise ValueError(f"unknown model {name!r}{nearest_name(name, MODELS)}; available: {', '.join(sorted(MODELS))}")


def _of_user_file(reference: str) -> type[StepModel]:
    found: type[StepModel] = load_class(
        reference,
        role="model",
        base=StepModel,
        base_name="ddl_dyn.models.StepModel",
        needs=("Config", "equation", "source"),
    )
    if not (isinstance(found.Config, type) and issubclass(found.Config, ModelConfig)):
        raise ValueError(
            f"model={reference}: {found.__name__}.Config must be a subclass of ddl_dyn.config.sections.ModelConfig"
        )
    return found


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
    """One validation problem as one line that says what was expected, what came and what to do.

    Args:
        name: key of the model in `MODELS`.   cls: its options.
        problem: one of pydantic's `ValidationError.errors()`.
    """
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        hint = nearest_key(where, list(cls.model_fields))
        return f"{name} has no option {where!r}{hint}; its options: {', '.join(sorted(cls.model_fields))}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{name}: {where}: {message}, got {problem['input']!r}" if where else f"{name}: {message}"


def make_model(
    name: str,
    *,
    state_dim: int,
    input_dim: int = 0,
    dt: float = 1.0,
    truth: Truth | None = None,
    **options: object,
) -> StepModel:
    """Build one replica of a model from the global torch generator's current state.

    Args:
        name: registry key, see `MODELS`, or `path/to/file.py:Class`.
        state_dim: D.   input_dim: U.   dt: sampling interval, in the task's unit of time.
        truth: what an oracle is told, see `truth_of`; None for every other model.
        options: fields of the model's `Config`.
    Raises:
        ValueError: for an unknown model or option, or options that contradict each other or the task.
    Example:
        >>> model = make_model("resnet", state_dim=2, layers=1, hidden_dim=16)
        >>> sum(p.numel() for p in model.parameters())
        322
    """
    cls, config = model_class(name), model_config(name, **options)
    if issubclass(cls, Oracle):
        return cls(state_dim, config, truth=truth, input_dim=input_dim, dt=dt)
    if truth is not None:
        raise ValueError(f"{name} is no oracle and must not be told the truth; drop truth=")
    return cls(state_dim, config, input_dim=input_dim, dt=dt)


__all__ = ["MODELS", "StepModel", "Truth", "make_model", "model_class", "model_config", "truth_of"]
