"""The cells of a grid, each a whole configuration of a run, from what a user typed."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ddl_dyn.config.hints import nearest_key
from ddl_dyn.config.parsing import ConfigError, explained, merged, nested, plain_values, shaped
from ddl_dyn.config.sections import LR_GRID, RunConfig
from ddl_dyn.experiments.data import check_data
from ddl_dyn.experiments.fingerprint import config_hash
from ddl_dyn.experiments.memory import check_memory
from ddl_dyn.experiments.resolve import fixes_rate, resolve_run
from ddl_dyn.experiments.sweep.axes import List, axes, list_keys, settings
from ddl_dyn.experiments.sweep.config import RUN_KEYS, CompareConfig, GridConfig, SweepConfig, check_grid

# Beyond this even listing the store takes minutes; see docs/cluster.md.
MOST_CELLS = 1_000_000
# The comparison of default tasks and models: without a lift the theorems hold, so that a prediction can fail.
DEFAULT_PER_TASK = {"twisted_mirror": {"model_args": {"lift": "identity"}}}
# Letters of a cell's hash in its run's id: 60 bits, in which a million cells collide with probability 4e-7.
ID_DIGITS = 15


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of a grid.

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


def resolve_compare(updates: Mapping[str, Any]) -> tuple[CompareConfig, list[Cell]]:
    """The whole configuration of a comparison and its cells, each checked like a run.

    Args:
        updates: nested; values are Python's own or `Typed` text from the command line.
    Raises:
        ConfigError: with every problem found, one line each.
    """
    values = shaped(CompareConfig, updates)
    if not {"tasks", "models", "model_args", "per_task", "per_model"} & set(updates):
        values["per_task"] = DEFAULT_PER_TASK
    if isinstance(values.get("train"), Mapping):
        # A section that is given in part keeps the comparison's own default of the rest.
        values["train"] = ({} if fixes_rate(values) else {"lr_grid": LR_GRID}) | values["train"]
    for section in ("per_task", "per_model"):
        if isinstance(updates.get(section), Mapping):
            values[section] = {
                name: shaped(RunConfig, own) if isinstance(own, Mapping) else plain_values(own)
                for name, own in updates[section].items()
            }
    try:
        config = CompareConfig(**values)
    except ValidationError as error:
        raise ConfigError(explained(CompareConfig, error)) from None
    return config, _cells(config, [])


def resolve_sweep(updates: Mapping[str, object], *, data: bool = True) -> tuple[SweepConfig, list[Cell]]:
    """The whole configuration of a sweep and its cells, each checked like a run.

    Args:
        updates: nested; values are Python's own (a list is an axis) or `Typed` text from the command line.
        data: whether the data of every cell are made and checked, too, which takes seconds where tasks are many.
    Raises:
        ConfigError: with every problem of every cell, one line each.
    """
    own = {key: value for key, value in updates.items() if key in SweepConfig.model_fields}
    # Sacred would draw a seed where none is given.
    rest = {"seed": RunConfig.model_fields["seed"].default, **updates}
    rest = {key: value for key, value in rest.items() if key not in SweepConfig.model_fields}
    values = shaped(SweepConfig, {key: value for key, value in own.items() if key not in ("per_task", "per_model")})
    values |= {key: settings(own[key]) for key in ("per_task", "per_model") if key in own}
    valid = [*SweepConfig.model_fields, *RUN_KEYS]
    plural = {"task": " (did you mean 'tasks'?)", "model": " (did you mean 'models'?)"}
    unknown = [
        f"unknown key {key!r}{plural.get(key) or nearest_key(key, valid)}; keys here: {', '.join(valid)}"
        for key in rest
        if key not in RUN_KEYS
    ]
    try:
        config = SweepConfig(**values, **settings(rest))
    except ValidationError as error:
        raise ConfigError([*unknown, *explained(SweepConfig, error)]) from None
    return config, _cells(config, unknown, data=data)


def _cells(config: GridConfig, problems: list[str], *, data: bool = True) -> list[Cell]:
    problems = problems + check_grid(config)
    if problems:
        raise ConfigError(problems)
    cells = expand_grid(config)
    check_memory(cell.config for cell in cells)
    if data:
        check_data(_distinct_data(cells))
    return cells


def expand_grid(config: GridConfig) -> list[Cell]:
    """The cells of a grid by task, carry, model and axis, the last axis fastest; equal ones once.

    Raises:
        ConfigError: with the problems of all cells.
    """
    trees = [(names, axes(tree)) for names, tree in config.trees]
    count = sum(math.prod(len(choices) for _, choices in spans) for _, spans in trees)
    if count > MOST_CELLS:
        raise ConfigError([f"the grid has {count} cells, more than {MOST_CELLS}; shorten its lists"])
    varying = {name for _, spans in trees for name, choices in spans if len(choices) > 1}
    out: dict[str, Cell] = {}
    problems: list[str] = []
    for names, spans in trees:
        for place in itertools.product(*(choices for _, choices in spans)):
            cell: dict[str, object] = {"tags": list(config.tags), "note": config.note}
            cell |= {"task": names["task"], "model": names["model"]}
            for (path, _), value in zip(spans, place, strict=True):
                cell = merged(cell, nested(path, list(value) if isinstance(value, List) else value))
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
        found = {name for _, spans in trees for name, choices in spans if any(isinstance(c, List) for c in choices)}
        raise ConfigError([*problems, *(_hint(name) for name in sorted(found - list_keys()) if config.kind == "sweep")])
    return list(out.values())


def _hint(name: str) -> str:
    return f"{name}: brackets make one value that is a list; to span a grid leave them out, e.g. {name}=1,2,4"


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
