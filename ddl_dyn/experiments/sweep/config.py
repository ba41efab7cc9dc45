"""Comparisons and sweeps as typed sections: the same grid over tasks, carries and models.

They differ in what a list means among the other keys. In a comparison it is a value. In a sweep it spans the grid, and
each of its entries is one value; a value that is itself a list stands inside another list: `[[1e-3, 1e-2]]`. On a
sweep's command line commas outside brackets and quotes make the list (`model_args.layers=1,2,4`) and brackets make a
value (`train.lr_grid=[1e-3,1e-2]`, or two of them: `[1e-3,1e-2],[1e-2]`).
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from ddl_dyn.config.hints import nearest_key
from ddl_dyn.config.parsing import merged
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
from ddl_dyn.experiments.resolve import fixes_rate
from ddl_dyn.experiments.sweep.axes import List, axes, list_keys, single

Tree = dict[str, Any]
RUN_KEYS = tuple(name for name in RunConfig.model_fields if name not in ("task", "model", "tags", "note"))


class GridConfig(Section):
    """A grid of runs with the same data and the same seeds, and the workers that do them.

    per_task and per_model: keys of a run that hold for the named task or model alone; cells that become the same by
        them are run once.
    engine: "local" is processes on this machine, "ray" a Ray cluster.
    jobs: cells side by side on this machine; None takes one per processor core.
    address: of the Ray cluster; None starts one on this machine alone.
    gpus: of each cell on a Ray cluster; fractions share a device.
    retries: how often a cell is tried again on a Ray cluster that lost its worker.
    """

    kind: ClassVar[str]
    word: ClassVar[str]

    tasks: tuple[str, ...] = Field(default=("van_der_pol", "twisted_mirror"), min_length=1)
    models: tuple[str, ...] = Field(default=("ddl", "resnet", "highway", "neural_ode"), min_length=1)
    carries: tuple[Literal["observed", "latent"], ...] = Field(default=("observed",), min_length=1)
    per_task: dict[str, dict[str, Any]] = Field(default_factory=dict)
    per_model: dict[str, dict[str, Any]] = Field(default_factory=dict)
    engine: Literal["local", "ray"] = "local"
    jobs: int | None = Field(default=None, ge=1, le=1024)
    address: str | None = None
    gpus: float | None = Field(default=None, ge=0.0, le=1024.0)
    retries: int | None = Field(default=None, ge=0, le=1000)
    tags: tuple[str, ...] = ()
    note: str = ""

    @property
    def trees(self) -> Iterator[tuple[dict[str, str], Tree]]:
        """Task, carry and model of each combination, and its nested keys, in which a list is an axis."""
        common, per_task, per_model = self.given
        for task, carry, model in itertools.product(self.tasks, self.carries, self.models):
            tree = merged(merged(common, {"model_args": {"carry": carry}}), _untuned(per_task.get(task, {})))
            yield {"task": task, "model": model, "carry": carry}, merged(tree, _untuned(per_model.get(model, {})))

    @property
    def given(self) -> tuple[Tree, Tree, Tree]:
        """Keys of a run, nested, in which a list is an axis: for all cells, per task and per model."""
        raise NotImplementedError


def _is_tuned(grids: object) -> bool:
    """True where an axis of grids of learning rates has one with rates."""
    return any(grids) if isinstance(grids, (list, tuple)) else grids is not None


def _untuned(own: Tree) -> Tree:
    """Settings of one task or model, in which a learning rate that is given is not tuned."""
    return merged(own, {"train": {"lr_grid": [List()]}}) if fixes_rate(own) else own


class CompareConfig(GridConfig):
    """A comparison: every model on every task under every protocol, with the same data and the same seeds."""

    kind = "compare"
    word = "comparison"

    task_args: dict[str, Any] = Field(default_factory=dict)
    model_args: dict[str, Any] = Field(default_factory=dict)
    seeds: int = Field(default=SEEDS, ge=1, le=100_000)
    seed: int = RunConfig.model_fields["seed"]  # type: ignore[assignment]
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig(lr_grid=LR_GRID)
    eval: EvalConfig = EvalConfig()
    budget: BudgetConfig = BudgetConfig()

    @property
    def given(self) -> tuple[Tree, Tree, Tree]:
        values = single(self.model_dump(mode="json"))
        return {key: values[key] for key in RUN_KEYS if key in values}, values["per_task"], values["per_model"]


class SweepConfig(GridConfig):
    """A sweep. Besides these keys it takes every key of a run but task and model; a list spans the grid."""

    model_config = ConfigDict(extra="allow")
    kind = "sweep"
    word = "sweep"

    @property
    def given(self) -> tuple[Tree, Tree, Tree]:
        return dict(self.model_extra or {}), self.per_task, self.per_model


def check_grid(config: GridConfig) -> list[str]:
    """Problems of a grid that no single run of it has, one line each."""
    problems = []
    for name in ("tasks", "models", "carries"):
        chosen = getattr(config, name)
        problems += [f"{name} names {item!r} twice" for item in dict.fromkeys(chosen) if chosen.count(item) > 1]
    common, per_task, per_model = config.given
    if not isinstance(common.get("model_args", {}), Mapping):
        # The carry of each cell would be put in its place.
        problems.append(f"model_args is a section, got {common['model_args']!r}; set one of its keys, e.g. layers")
    elif "carry" in common.get("model_args", {}):
        problems.append(f"model_args.carry is set by carries in a {config.word}; write e.g. carries=observed,latent")
    problems += _axis_problems(common, "")
    if config.kind == "sweep":
        # A comparison's settings are always whole, with the default of each.
        for tree in (common, *per_task.values(), *per_model.values()):
            train = tree.get("train")
            if isinstance(train, Mapping) and "lr" in train and _is_tuned(train.get("lr_grid")):
                problems.append("train.lr_grid tunes the rate that train.lr sets; leave one of them out")
    for section, own, names in (("per_task", per_task, config.tasks), ("per_model", per_model, config.models)):
        for key, tree in own.items():
            if key not in names:
                near = nearest_key(key, names)
                problems.append(f"{section}.{key} is not part of this {config.word}{near}; it has {', '.join(names)}")
            problems += _axis_problems(tree, f"{section}.{key}.")
    return problems + _engine_problems(config)


def _axis_problems(tree: Mapping[str, object], prefix: str) -> list[str]:
    problems, lists = [], list_keys()
    for name, choices in axes(tree):
        path = prefix + name
        if not choices:
            problems.append(f"{path} is an empty list; give it one value or more, or leave it out")
        problems += [
            f"{path} names {item!r} twice" for i, item in enumerate(choices) if item in choices[:i] and item is not None
        ]
        if name in lists and any(not isinstance(item, List) for item in choices):
            problems.append(f"{path} is a list itself; write {path}=[…] on the command line, {path} = [[…]] in a file")
        if "" in choices:
            problems.append(f"{path} has an empty entry; write e.g. {path}=1,2,4")
    return problems


def _engine_problems(config: GridConfig) -> list[str]:
    problems = []
    if config.engine == "local":
        given = [name for name in ("address", "gpus", "retries") if getattr(config, name) is not None]
        return [f"{name} is for engine=ray; add engine=ray or leave {name} out" for name in given]
    if config.address is not None and config.jobs is not None:
        problems.append("jobs is for this machine alone; with address the cluster's own resources decide, leave it out")
    if "cuda" in dict(axes(config.given[0])).get("train.device", ()) and not config.gpus:
        problems.append("train.device=cuda on a Ray cluster needs gpus, the share of each cell, e.g. gpus=0.25")
    if importlib.util.find_spec("ray") is None:
        problems.append("engine=ray needs Ray, which is not installed; `pip install 'ddl-dyn[ray]'`, or engine=local")
    return problems
