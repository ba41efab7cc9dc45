"""From what a user typed to the cells of a grid, each a whole configuration of a run.

One rule tells an axis from a value: a list spans the grid, and each of its entries is one value. A value that is itself
a list stands inside another list: `[[0.5, 1]]` is one value. On the command line commas outside brackets and quotes
make the list (`model_args.layers=1,2,4`) and brackets make a value (`train.lr_factors=[0.5,1]`, or two of them:
`[0.5,1],[1,2]`).
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from ddl_dyn.config.parsing import ConfigError, explained, merged, nearest_key, shaped
from ddl_dyn.config.sections import RunConfig, Section
from ddl_dyn.experiments.compare import CompareConfig
from ddl_dyn.experiments.data import check_data
from ddl_dyn.experiments.fingerprint import config_hash
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.sweep.axes import List, axes, list_keys, settings

# Beyond this even listing the store takes minutes; see docs/cluster.md.
MOST_CELLS = 1_000_000
# Letters of a cell's hash in its run's id: 60 bits, in which a million cells collide with probability 4e-7.
ID_DIGITS = 15


class SweepConfig(Section):
    """A sweep. Besides these keys it takes every key of a run but task and model; a list spans the grid.

    per_task, per_model: keys of a run that hold for the named task or model alone, lists spanning the grid there.
    engine: "local" is processes on this machine, "ray" a Ray cluster.
    jobs: cells side by side on this machine; None takes one per processor core.
    address: of the Ray cluster; None starts one on this machine alone.
    gpus: of each cell on a Ray cluster; fractions share a device.
    retries: how often a cell is tried again on a Ray cluster that lost its worker.
    """

    model_config = ConfigDict(extra="allow")

    tasks: tuple[str, ...] = CompareConfig.model_fields["tasks"]  # type: ignore[assignment]
    models: tuple[str, ...] = CompareConfig.model_fields["models"]  # type: ignore[assignment]
    carries: tuple[Literal["observed", "latent"], ...] = CompareConfig.model_fields["carries"]  # type: ignore[assignment]
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
    def grid(self) -> dict[str, Any]:
        """The keys of a run that were given, nested; a list is an axis."""
        return dict(self.model_extra or {})


RUN_KEYS = tuple(name for name in RunConfig.model_fields if name not in ("task", "model", "tags", "note"))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of a sweep.

    Args:
        digest: hash of its canonical configuration (`fingerprint.config_hash`).
        values: what tells it from the other cells: task, model, carry and its place on each axis.
        config: its resolved configuration.
    """

    digest: str
    values: Mapping[str, Any]
    config: RunConfig

    @property
    def run_id(self) -> str:
        """The folder of its run: made once, so that no cell can be begun twice."""
        return "c" + self.digest[:ID_DIGITS]

    @property
    def title(self) -> str:
        """Task and model, and the last word of each axis with the value there."""
        places = [f"{name.rpartition('.')[2]}={value}" for name, value in self.values.items() if "." in name]
        places += [f"{name}={self.values[name]}" for name in RUN_KEYS if name in self.values]
        return " ".join([str(self.values["task"]), str(self.values["model"]), str(self.values["carry"]), *places])


def sweep_id(cells: list[Cell]) -> str:
    """The folder of a sweep: the same cells are the same sweep, in whatever order they were written."""
    text = "\n".join(sorted(cell.digest for cell in cells))
    return "sweep-" + hashlib.sha256(text.encode()).hexdigest()[:10]


def resolve_sweep(updates: Mapping[str, Any]) -> tuple[SweepConfig, list[Cell]]:
    """The whole configuration of a sweep and its cells, each checked like a run.

    Args:
        updates: nested; values are Python's own (a list is an axis) or `Typed` text from the command line.
    Raises:
        ConfigError: with every problem of every cell, one line each.
    """
    own = {key: value for key, value in updates.items() if key in SweepConfig.model_fields}
    rest = {key: value for key, value in updates.items() if key not in SweepConfig.model_fields}
    values = shaped(SweepConfig, {key: value for key, value in own.items() if key not in ("per_task", "per_model")})
    values |= {key: settings(own[key]) for key in ("per_task", "per_model") if key in own}
    try:
        config = SweepConfig(**values, **settings(rest))
    except ValidationError as error:
        raise ConfigError([*_unknown(rest), *explained(SweepConfig, error)]) from None
    problems = _unknown(rest) + _own_problems(config)
    if not problems:
        try:
            cells = members(config)
            check_data(_distinct_data(cells))
            return config, cells
        except ConfigError as error:
            problems = error.problems
    raise ConfigError(problems)


def _unknown(rest: Mapping[str, Any]) -> list[str]:
    valid = [*SweepConfig.model_fields, *RUN_KEYS]
    known = ", ".join(valid)
    plural = {"task": " (did you mean 'tasks'?)", "model": " (did you mean 'models'?)"}
    return [
        f"unknown key {key!r}{plural.get(key) or nearest_key(key, valid)}; keys here: {known}"
        for key in rest
        if key not in RUN_KEYS
    ]


def _own_problems(config: SweepConfig) -> list[str]:
    problems = []
    for name in ("tasks", "models", "carries"):
        chosen = getattr(config, name)
        problems += [f"{name} names {item!r} twice" for item in dict.fromkeys(chosen) if chosen.count(item) > 1]
    if "carry" in config.grid.get("model_args", {}):
        problems.append("model_args.carry is set by carries in a sweep; write e.g. carries=observed,latent")
    for section, names in (("per_task", config.tasks), ("per_model", config.models)):
        for key in [key for key in getattr(config, section) if key not in names]:
            near = nearest_key(key, names)
            problems.append(f"{section}.{key} is not part of this sweep{near}; it has {', '.join(names)}")
    for prefix, tree in (("", config.grid), ("per_task.", config.per_task), ("per_model.", config.per_model)):
        problems += _axis_problems(tree, prefix)
    return problems + _engine_problems(config)


def _axis_problems(tree: Mapping[str, Any], prefix: str) -> list[str]:
    problems = []
    for name, choices in axes(tree):
        path = prefix + name
        if not choices:
            problems.append(f"{path} is an empty list; give it one value or more, or leave it out")
        problems += [
            f"{path} names {item!r} twice" for i, item in enumerate(choices) if item in choices[:i] and item is not None
        ]
        if name in list_keys() and any(not isinstance(item, List) for item in choices):
            problems.append(f"{path} is a list itself; write {path}=[…] on the command line, {path} = [[…]] in a file")
        if "" in choices:
            problems.append(f"{path} has an empty entry; write e.g. {path}=1,2,4")
    return problems


def _engine_problems(config: SweepConfig) -> list[str]:
    problems = []
    if config.engine == "local":
        given = [name for name in ("address", "gpus", "retries") if getattr(config, name) is not None]
        return [f"{name} is for engine=ray; add engine=ray or leave {name} out" for name in given]
    if config.address is not None and config.jobs is not None:
        problems.append("jobs is for this machine alone; with address the cluster's own resources decide, leave it out")
    device = config.grid.get("train", {}).get("device") if isinstance(config.grid.get("train"), Mapping) else None
    if "cuda" in (device if isinstance(device, list) else [device]) and not config.gpus:
        problems.append("train.device=cuda on a Ray cluster needs gpus, the share of each cell, e.g. gpus=0.25")
    import importlib.util

    if importlib.util.find_spec("ray") is None:
        problems.append("engine=ray needs Ray, which is not installed; `pip install 'ddl-dyn[ray]'`, or engine=local")
    return problems


def members(config: SweepConfig) -> list[Cell]:
    """The cells of a sweep by task, carry, model and axis, the last axis fastest; equal ones once.

    Raises:
        ConfigError: with the problems of all cells.
    """
    trees = list(_trees(config))
    count = sum(math.prod(len(choices) for _, choices in axes(tree)) for _, tree in trees)
    if count > MOST_CELLS:
        raise ConfigError([f"the grid has {count} cells, more than {MOST_CELLS}; shorten its lists"])
    varying = {name for _, tree in trees for name, choices in axes(tree) if len(choices) > 1}
    # What differs from one task or model to another by per_task and per_model tells cells apart as well.
    out: dict[str, Cell] = {}
    problems: list[str] = []
    for names, tree in trees:
        spans = axes(tree)
        for place in itertools.product(*(choices for _, choices in spans)):
            cell: dict[str, Any] = {"task": names["task"], "model": names["model"]}
            for (path, _), value in zip(spans, place, strict=True):
                cell = merged(cell, _nested(path, value))
            cell = merged(cell, {"tags": list(config.tags), "note": config.note})
            try:
                run = resolve_run(cell, compared=True)
            except ConfigError as error:
                problems += error.problems
                continue
            values = {path: value for (path, _), value in zip(spans, place, strict=True) if path in varying}
            carry = {"carry": run.model_args.get("carry", names["carry"])}
            digest = config_hash(run)
            out.setdefault(digest, Cell(digest=digest, values={**names, **carry, **values}, config=run))
    if problems:
        raise ConfigError([*problems, *_hints(trees)])
    return list(out.values())


def _trees(config: SweepConfig) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    for task in config.tasks:
        for carry in config.carries:
            for model in config.models:
                tree = merged(config.grid, {"model_args": {"carry": carry}})
                tree = merged(tree, config.per_task.get(task, {}))
                yield (
                    {"task": task, "model": model, "carry": carry},
                    merged(tree, config.per_model.get(model, {})),
                )


def _nested(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: list(value) if isinstance(value, List) else value}
    return value


def _hints(trees: list[tuple[dict[str, str], dict[str, Any]]]) -> list[str]:
    """How to write an axis, for those who put brackets where no list is wanted."""
    lists = list_keys()
    found = {name for _, tree in trees for name, choices in axes(tree) if any(isinstance(c, List) for c in choices)}
    return [
        f"{name}: brackets make one value that is a list; to span a grid leave them out, e.g. {name}=1,2,4"
        for name in sorted(found - lists)
    ]


def _distinct_data(cells: list[Cell]) -> list[RunConfig]:
    """The cells once for every choice that their data depend on."""
    blank = RunConfig()
    seen: dict[str, RunConfig] = {}
    for cell in cells:
        train = {name: getattr(cell.config.train, name) for name in ("horizon", "device")}
        same = {"seeds": 1, "seed": 0, "eval": blank.eval, "budget": blank.budget}
        probe = cell.config.model_copy(update={**same, "train": blank.train.model_copy(update=train)})
        key = probe.model_copy(update={"model": "", "model_args": {}}).model_dump_json()
        seen.setdefault(key, probe)
    return list(seen.values())
