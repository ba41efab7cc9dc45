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
    """The data sets of a run, with their task: one for each data seed, all with the same test and ood split and radii.

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
    sizes = tuple(config.data.model_dump(exclude={"normalize", "seeds"}).items())
    # A simulation is kept for the process's next run, since the runs of a comparison share it; a recorded series is
    # not, for its file may hold another by then.
    make = _data_sets.__wrapped__ if task.recorded else _data_sets
    found = make(task, sizes, config.data.seeds or 1)
    data = found[0]
    if config.train.horizon > data.train.steps:
        raise ValueError(
            f"train.horizon = {config.train.horizon} needs training trajectories of that many steps, but those of "
            f"{config.task} have {data.train.steps}; lower train.horizon or raise data.steps"
        )
    return found


@lru_cache(maxsize=1)
def _data_sets(task: Task, sizes: tuple[tuple[str, Any], ...], number: int) -> tuple[Dataset, ...]:
    options = dict(sizes)
    first = make_dataset(task, **options)
    # The first n of 2n trajectories are the n: one test trajectory is the cheapest, and the first set's replace it.
    light = options | {"n_test": 1, "n_ood": 0, "radii": ()}
    others = [make_dataset(task, **(light | {"seed": options["seed"] + g})) for g in range(1, number)]
    if not others:
        return (first,)
    digest = hashlib.sha256(" ".join(one.content_hash for one in (first, *others)).encode()).hexdigest()
    return tuple(
        replace(
            one,
            test=first.test,
            ood=first.ood,
            radii=first.radii,
            trust_steps=first.trust_steps,
            content_hash=digest,
        )
        for one in (first, *others)
    )


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
