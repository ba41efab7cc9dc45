"""The composition root: a configuration becomes a task, a dataset, trained replicas and an evaluation.

The one module besides `validation` that knows both the tasks and the models. It writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from numpy.typing import NDArray

from ddl_dyn.config import RunConfig


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one run leaves behind.

    Args:
        numbers: nested, plain numbers and lists of one entry per replica.
        arrays: curves, predictions and whatever the figures need.
        state: parameters of all replicas, name -> tensor.
        resolved: what was decided on the way (device, dtype, options after matching budgets, …).
    """

    numbers: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    state: Mapping[str, Any]
    resolved: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """What `execute` reports on the way.

    Args:
        on_data: called with the dataset's content hash and the device's name before training.
        on_epoch: called at each validation.
        on_checkpoint: called every `seconds` with the whole state of training.
        state: of an earlier attempt, to continue from.
        pace: of the run that is repeated, where a budget of time once decided it.
    """

    on_data: Callable[[str, str], None] | None = None
    on_epoch: Callable[[Any], None] | None = None
    on_checkpoint: Callable[[Mapping[str, Any]], None] | None = None
    state: Mapping[str, Any] | None = None
    pace: Mapping[str, Any] | None = None
    seconds: float = 10.0


@dataclass(frozen=True)
class Prepared:
    """A run's task and dataset, made before anything is written so that bad data is met first."""

    config: RunConfig
    task: Any
    data: Any

    @cached_property
    def normalizer(self) -> Any:
        """Scale of the training split."""
        from ddl_dyn.normalizer import Normalizer

        return Normalizer.fit(self.data.train.states, normalization(self.config.data.normalize, self.task))

    @cached_property
    def shape(self) -> dict[str, Any]:
        """What `make_model` needs of the task; an oracle is told the truth."""
        from ddl_dyn.models import model_class, truth_of

        oracle = model_class(self.config.model).dynamics == "oracle"
        truth = truth_of(self.task, self.normalizer) if oracle else None
        return {
            "state_dim": self.task.state_dim,
            "input_dim": self.task.input_dim,
            "dt": self.task.dt,
            "truth": truth,
        }


def prepare(config: RunConfig) -> Prepared:
    """Make the task and its data.

    Raises:
        ValueError: when the data cannot be had, or do not fit the training and evaluation asked for.
    """
    from tasks import make_task

    choose_device(config.train.device)
    task = make_task(config.task, **config.task_args)
    if config.keep_portraits and task.input_dim:
        raise ValueError(
            f"keep_portraits = {config.keep_portraits}, but {config.task} is driven by inputs "
            f"({', '.join(task.input_names)}), so its map has no one portrait; leave keep_portraits out"
        )
    if config.keep_portraits and config.train.lr_factors:
        raise ValueError(
            "keep_portraits shows one map forming, but train.lr_factors trains several and keeps one rate's; "
            "tune first, then run with train.lr at the rate that was kept"
        )
    data = make_data(task, tuple(config.data.model_dump(exclude={"normalize"}).items()))
    if config.train.horizon > data.train.steps:
        raise ValueError(
            f"train.horizon = {config.train.horizon} needs training trajectories of that many steps, but those of "
            f"{config.task} have {data.train.steps}; lower train.horizon or raise data.steps"
        )
    ready = Prepared(config, task, data)
    if config.model and ready.shape["truth"] is not None:
        from ddl_dyn.models import make_model

        # An oracle whose task has no exact solution is met before anything is written.
        make_model(config.model, **ready.shape, **config.model_args)
    return ready


def make_data(task: Any, options: tuple[tuple[str, Any], ...]) -> Any:
    """The task's data. A simulation is kept for the process's next run, since the runs of a comparison share it."""
    from tasks import make_dataset
    from tasks.observed import Observed

    # A file may hold another series by then.
    return make_dataset(task, **dict(options)) if isinstance(task, Observed) else _simulated(task, options)


@lru_cache(maxsize=1)
def _simulated(task: Any, options: tuple[tuple[str, Any], ...]) -> Any:
    from tasks import make_dataset

    return make_dataset(task, **dict(options))


def execute(config: RunConfig, callbacks: Callbacks, prepared: Prepared | None = None) -> Outcome:
    """Train all replicas on a task's data and evaluate them. No files are written here.

    Raises:
        ValueError: when configuration and task contradict each other.
    """
    from ddl_dyn import budget, evaluation
    from ddl_dyn.fitting import train

    ready = prepared or prepare(config)
    task, data = ready.task, ready.data
    device = choose_device(config.train.device)
    if callbacks.on_data is not None:
        callbacks.on_data(data.content_hash, device_name(device))
    normalizer = ready.normalizer
    size = budget.resolve(config, state_dim=task.state_dim, input_dim=task.input_dim, dt=task.dt)
    trained = train(config, size, ready.shape, data, normalizer, device, callbacks)
    replicas = trained.replicas
    found = evaluation.evaluate(replicas, data, normalizer, trained.result, config)
    return Outcome(
        numbers=found.numbers | {"budget": trained.budget, "tuning": trained.tuning},
        arrays=found.arrays | trained.arrays,
        state=replicas.state_dict(),
        resolved={
            "model_args": size.options,
            "pace": trained.pace,
            "device": device_name(device),
            "compiled": trained.result.compiled,
            "task": drawing_facts(task),
        },
    )


def drawing_facts(task: Any) -> dict[str, Any]:
    """What figures need to know of a task, so that a stored run can be drawn without it."""
    return {
        "state_names": list(task.state_names),
        "kind": "map" if _discrete(task) else "flow",
        "time_unit": task.time_unit,
        "isotropic": task.isotropic,
        "timescale": task.timescale,
        "dt": task.dt,
    }


def _discrete(task: Any) -> bool:
    """Whether time runs in steps: a map, a word of tokens, or a family whose members are maps."""
    if hasattr(task, "at") and hasattr(task, "gap"):
        return _discrete(task.at(sum(task.gap) / 2))
    return hasattr(task, "next_state") or task.state_kind == "categorical"


def choose_device(wanted: str) -> str:
    """`cpu` or `cuda`; `auto` takes a GPU where there is one.

    Raises:
        ValueError: when a GPU is asked for and there is none.
    """
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError("train.device=cuda, but torch finds no CUDA device; use train.device=cpu or auto")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """The device in words, e.g. `cuda (NVIDIA H200)`."""
    import torch

    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device


def normalization(mode: str, task: Any) -> Any:
    """How states are scaled. `auto`: all components alike where they share one geometry, one-hot codes not at all."""
    if mode != "auto":
        return mode
    if task.state_kind == "categorical":
        return "none"
    return "isotropic" if task.isotropic else "component"
