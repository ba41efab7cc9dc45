"""A run's task and data, made and checked before anything is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ddl_dyn.config.parsing import ConfigError
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.engine.device import choose_device
from ddl_dyn.tasks import make_dataset, make_task
from ddl_dyn.tasks.base import Task
from ddl_dyn.tasks.dataset import Dataset


def make_data(config: RunConfig) -> tuple[Dataset, ...]:
    """The data sets of a run, with their task: one for each data seed, all with the same test and ood split.

    Raises:
        ValueError: when the data cannot be had, or do not fit the training and evaluation asked for.
    """
    choose_device(config.train.device)
    task = make_task(config.task, **config.task_args)
    if config.keep_portraits and task.input_dim:
        raise ValueError(
            f"keep_portraits = {config.keep_portraits}, but {config.task} is driven by inputs "
            f"({', '.join(task.input_names)}), so its map has no one portrait; leave keep_portraits out"
        )
    options = config.data.model_dump(exclude={"normalize", "seeds"})
    data = _dataset(task, tuple(options.items()))
    if config.train.horizon > data.train.steps:
        raise ValueError(
            f"train.horizon = {config.train.horizon} needs training trajectories of that many steps, but those of "
            f"{config.task} have {data.train.steps}; lower train.horizon or raise data.steps"
        )
    # The first n of 2n trajectories are the n: one test trajectory is the cheapest, and the first set's replace it.
    light = options | {"n_test": 1, "n_ood": 0}
    others = [make_dataset(task, **(light | {"seed": config.data.seed + g})) for g in range(1, config.data.seeds or 1)]
    if not others:
        return (data,)
    digest = hashlib.sha256(" ".join(one.content_hash for one in (data, *others)).encode()).hexdigest()
    return tuple(
        replace(one, test=data.test, ood=data.ood, trust_steps=data.trust_steps, content_hash=digest)
        for one in (data, *others)
    )


def _dataset(task: Task, options: tuple[tuple[str, Any], ...]) -> Dataset:
    """The task's data. A simulation is kept for the process's next run, since the runs of a comparison share it."""
    # A file may hold another series by then.
    return make_dataset(task, **dict(options)) if task.recorded else _simulated(task, options)


@lru_cache(maxsize=1)
def _simulated(task: Task, options: tuple[tuple[str, Any], ...]) -> Dataset:
    return make_dataset(task, **dict(options))


def check_data(cells: Iterable[RunConfig]) -> None:
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
                make_data(probe)
            except (ValueError, OSError) as error:
                problems.append(f"{cell.task}: {error}")
    if problems:
        raise ConfigError(problems)
