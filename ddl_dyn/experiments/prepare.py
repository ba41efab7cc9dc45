"""A run's task and dataset, made before anything is written so that bad data is met first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from ddl_dyn.config.parsing import ConfigError
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.engine.device import choose_device


@dataclass(frozen=True)
class Prepared:
    """A run's task and dataset, made before anything is written so that bad data is met first."""

    config: RunConfig
    task: Any
    data: Any

    @cached_property
    def normalizer(self) -> Any:
        """Scale of the training split."""
        from ddl_dyn.engine.normalizer import Normalizer

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
    from ddl_dyn.tasks import make_task

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
    from ddl_dyn.tasks import make_dataset
    from ddl_dyn.tasks.series.observed import Observed

    # A file may hold another series by then.
    return make_dataset(task, **dict(options)) if isinstance(task, Observed) else _simulated(task, options)


@lru_cache(maxsize=1)
def _simulated(task: Any, options: tuple[tuple[str, Any], ...]) -> Any:
    from ddl_dyn.tasks import make_dataset

    return make_dataset(task, **dict(options))


def normalization(mode: str, task: Any) -> Any:
    """How states are scaled. `auto`: all components alike where they share one geometry, one-hot codes not at all."""
    if mode != "auto":
        return mode
    if task.state_kind == "categorical":
        return "none"
    return "isotropic" if task.isotropic else "component"


def check_data(cells: list[RunConfig]) -> None:
    """Meet bad data before anything is written: a few trajectories of each task, once.

    Raises:
        ConfigError: with the problems of all tasks.
    """
    problems = []
    seen = set()
    for cell in cells:
        data = cell.data.model_copy(update={"n_train": 1, "n_val": 1, "n_test": 1, "n_ood": min(cell.data.n_ood, 1)})
        probe = cell.model_copy(update={"data": data, "model_args": {}, "model": ""})
        key = probe.model_dump_json()
        if key not in seen:
            seen.add(key)
            try:
                prepare(probe)
            except (ValueError, OSError) as error:
                problems.append(f"{cell.task}: {error}")
    if problems:
        raise ConfigError(problems)
