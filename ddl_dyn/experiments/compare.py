"""Comparisons: one run per task, model and protocol, paired by data and seeds, then a table made from finished runs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from pydantic import Field, ValidationError

from ddl_dyn import runs
from ddl_dyn.config.parsing import ConfigError, explained, merged, nearest_key, shaped
from ddl_dyn.config.sections import (
    LR_GRID,
    SEEDS,
    BudgetConfig,
    DataConfig,
    EvalConfig,
    RunConfig,
    Section,
    TrainConfig,
)
from ddl_dyn.experiments.data import check_data
from ddl_dyn.experiments.progress import Bars
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, make_store, start
from ddl_dyn.experiments.tracking.sacred import make_experiment
from ddl_dyn.experiments.workers import Ended, cores, default_jobs, run_all
from ddl_dyn.runs.observer import RunStore


class Conclude(Protocol):
    """What is made of a comparison's finished runs; returns what is printed in short."""

    def __call__(
        self, store: RunStore, run_ids: Sequence[str], failed: Sequence[str], *, jobs: int = 1
    ) -> dict[str, Any]: ...


class CompareConfig(Section):
    """A comparison: every model on every task under every protocol, with the same data and the same seeds.

    per_task and per_model: keys of a run that hold for the named task or model alone; cells that become the same by
        them are run once.
    jobs: runs side by side; None takes one per processor core.
    """

    tasks: tuple[str, ...] = Field(default=("van_der_pol", "twisted_mirror"), min_length=1)
    models: tuple[str, ...] = Field(default=("ddl", "resnet", "highway", "neural_ode"), min_length=1)
    carries: tuple[Literal["observed", "latent"], ...] = Field(default=("observed",), min_length=1)
    task_args: dict[str, Any] = Field(default_factory=dict)
    model_args: dict[str, Any] = Field(default_factory=dict)
    per_task: dict[str, dict[str, Any]] = Field(default_factory=dict)
    per_model: dict[str, dict[str, Any]] = Field(default_factory=dict)
    seeds: int = Field(default=SEEDS, ge=1, le=100_000)
    seed: int = RunConfig.model_fields["seed"]  # type: ignore[assignment]
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig(lr_grid=LR_GRID)
    eval: EvalConfig = EvalConfig()
    budget: BudgetConfig = BudgetConfig()
    jobs: int | None = Field(default=None, ge=1, le=1024)
    tags: tuple[str, ...] = ()
    note: str = ""


SHARED = ("task_args", "model_args", "seeds", "seed", "data", "train", "eval", "budget", "tags", "note")


def resolve_compare(updates: Mapping[str, Any]) -> CompareConfig:
    """The whole configuration of a comparison, each of its runs checked.

    Raises:
        ConfigError: with every problem found, one line each.
    """
    values = shaped(CompareConfig, updates)
    try:
        config = CompareConfig(**values)
    except ValidationError as error:
        raise ConfigError(explained(CompareConfig, error)) from None
    problems = []
    for name in ("tasks", "models", "carries"):
        chosen = getattr(config, name)
        problems += [f"{name} names {item!r} twice" for item in dict.fromkeys(chosen) if chosen.count(item) > 1]
    if "carry" in config.model_args:
        problems.append("model_args.carry is set by carries in a comparison; write e.g. carries=observed,latent")
    for section, names in (("per_task", config.tasks), ("per_model", config.models)):
        for key in [key for key in getattr(config, section) if key not in names]:
            near = nearest_key(key, names)
            problems.append(f"{section}.{key} is not part of this comparison{near}; it compares {', '.join(names)}")
    try:
        check_data(members(config, updates))
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    return config


def members(config: CompareConfig, updates: Mapping[str, Any] | None = None) -> list[RunConfig]:
    """The runs of a comparison in the order of its table: by task, protocol, model.

    Args:
        config: the comparison.
        updates: what was typed, where values may still be text; by default the configuration's own values.
    Raises:
        ConfigError: with the problems of all runs.
    """
    given = dict(updates) if updates is not None else config.model_dump()
    shared = {key: given[key] for key in SHARED if key in given}
    out, problems = [], []
    for task in config.tasks:
        for carry in config.carries:
            for model in config.models:
                cell = merged(shared, {"task": task, "model": model, "model_args": {"carry": carry}})
                for section, name in (("per_task", task), ("per_model", model)):
                    own = given.get(section, {})
                    cell = merged(cell, own.get(name, {}) if isinstance(own, Mapping) else {})
                try:
                    run = resolve_run(cell, compared=True)
                except ConfigError as error:
                    problems += error.problems
                    continue
                # per_task and per_model can make two cells the same, such as one protocol held for one task.
                if run not in out:
                    out.append(run)
    if problems:
        raise ConfigError(problems)
    return out


def compare(config: CompareConfig, launch: Launch, conclude: Conclude) -> int:
    """Run a comparison, store it as a run of kind `compare`, print its table.

    A run's folder is made for each cell before any begins, so that a comparison that was stopped knows which run holds
    which cell and does only what is missing.

    Args:
        config: a resolved comparison.
        launch: where and how; with a run_id, that of the stopped comparison to continue.
        conclude: makes table, figure and page of the finished runs, see `results.comparison.records`.
    Returns:
        0, or 1 when one of its runs failed.
    Raises:
        StoreError: when runs cannot be written.
    """
    if not launch.observed:
        raise ConfigError(["compare needs its runs on disk to compare them; leave --unobserved out"])
    cells = members(config)
    entry: dict[str, Any] = {
        "kind": "compare",
        "tasks": config.tasks,
        "models": config.models,
        "carries": config.carries,
    }
    known = runs.Run(launch.base / launch.run_id).members if launch.run_id is not None else []
    entry |= {"seeds": config.seeds, "tags": config.tags, "note": config.note, "cells": len(cells), "members": known}
    store = make_store(launch, entry)
    assert store is not None
    failed: list[str] = []

    def body(_run: Any, _config: Mapping[str, Any]) -> Any:
        names = known if len(known) == len(cells) else _folders(store, len(cells))
        ends = _train(cells, names, config, launch)
        failed.extend(f"{_title(cells[end.number])}: {end.error}" for end in ends if end.error is not None)
        done = [name for name in names if (launch.base / name / "run.json").exists()]
        return conclude(store, done, failed, jobs=config.jobs or cores())

    experiment = make_experiment("compare", CompareConfig().model_dump(mode="json"), body, resolve_compare)
    start(experiment, launch, store, config.model_dump(mode="json"))
    return 1 if failed else 0


def _title(cell: RunConfig) -> str:
    return f"{cell.task} {cell.model} {cell.model_args['carry']}"


def _folders(store: RunStore, count: int) -> list[str]:
    """Make so many numbered folders and note them as the comparison's runs; their names."""
    made: list[str] = []
    with store.guard():
        number = max((int(name) for name in runs.ids(store.base) if name.isdecimal()), default=0)
        while len(made) < count:
            number += 1
            with contextlib.suppress(FileExistsError):
                (store.base / str(number)).mkdir()
                made.append(str(number))
    store.update(members=made)
    return made


def _train(cells: list[RunConfig], names: list[str], config: CompareConfig, launch: Launch) -> list[Ended]:
    from ddl_dyn.experiments.cell import do_cell, job

    passed_on = ("--beat-interval", "--comment", "--capture", "--store")
    options = {key: value for key, value in launch.options.items() if key in passed_on}
    with Bars([_title(cell) for cell in cells], config.train.updates) as bars:

        def on_end(end: Ended) -> None:
            bars.end(end.number, f"run {names[end.number]}" if end.error is None else f"failed: {end.error}")

        return run_all(
            [job(name, cell) for name, cell in zip(names, cells, strict=True)],
            launch.base,
            jobs=config.jobs or default_jobs(config.train.device),
            do=do_cell,
            options=options,
            on_account=bars.show,
            on_end=on_end,
        )
