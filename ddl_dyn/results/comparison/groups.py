"""Groups of comparable runs and the comparison of their scores: the arithmetic behind every table of results.

Axes: R replicas.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddl_dyn.config.labels import MODEL_LABELS
from ddl_dyn.config.parsing import flatten
from ddl_dyn.metrics.decisions import covered_median
from ddl_dyn.metrics.registry import METRICS, PRIMARY, Metric
from ddl_dyn.metrics.starts import few_starts_decide
from ddl_dyn.metrics.statistics import Interval
from ddl_dyn.runs import COMPLETED, Run, RunError
from ddl_dyn.runs.result import FLOORS, SPLIT_NAMES, at, horizon_steps, primary_of, scores
from ddl_dyn.runs.run import REMARKS
from ddl_dyn.runs.stored_result import WindowInterval

# What a pooled error hides of its starts.
_STARTS = (METRICS["start_median"], METRICS["start_beyond"])
# Where and how fast a run is computed, and what else it is tested on, changes no claim made about it.
_NEUTRAL = {"train.device", "train.threads", "train.compile", "train.validate_every", "data.radii"}


@dataclass(frozen=True)
class Entry:
    """One run of a setting under the name it has there: its model, and what sets it apart from others of that model."""

    label: str
    run: Run

    @property
    def model(self) -> str:
        """Registry key of the model."""
        return str(self.run.config["model"])


@dataclass(frozen=True)
class Setting:
    """Runs that may be compared: one task on one data set under one protocol and one training budget.

    Args:
        task: its registry key.   protocol: carry, lift and whatever else tells settings of a task apart.
    """

    task: str
    protocol: str
    entries: tuple[Entry, ...]

    @property
    def title(self) -> str:
        """Task and protocol."""
        return f"{self.task} ({self.protocol})"

    @property
    def metric(self) -> Metric:
        """The error that its entries are compared by."""
        return primary_of(self.entries[0].run)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """One comparison for each split and horizon that any of the runs was tested on."""
        every = (self._compared(split, horizon) for split in SPLIT_NAMES for horizon in PRIMARY.horizons)
        return tuple(comparison for comparison in every if comparison.intervals)

    def _compared(self, split: str, horizon: str) -> Comparison:
        comparison = Comparison(self, split, horizon, horizon_steps(self.entries[0].run, split, horizon))
        path = self.metric.found_at(split=split, horizon=horizon)
        for entry in self.entries:
            values = scores(entry.run, split, horizon)
            if values is None:
                continue
            resamples = int(at(entry.run.config, "eval.bootstrap") or 2000)
            comparison.values[entry.label] = values
            comparison.intervals[entry.label], comparison.coverages[entry.label] = covered_median(
                values, replica_data_sets(entry.run, values.size), resamples=resamples, seed=0
            )
            comparison.starts[entry.label] = self._starts(entry.run, split, horizon)
            comparison.windows[entry.label] = at(entry.run.result, f"{split}.windows.{horizon}")
            for name in FLOORS:
                value = at(entry.run.result, f"floors.{name}.{path}")
                if isinstance(value, (int, float)) and not math.isnan(value):
                    comparison.floors.setdefault(name, float(value))
                    places = [m.found_at(split=split, horizon=horizon) for m in _STARTS]
                    known = [at(entry.run.result, f"floors.{name}.{place}") for place in places]
                    comparison.starts.setdefault(name, (known[0], known[1]))
        return comparison

    def _starts(self, run: Run, split: str, horizon: str) -> tuple[float | None, float | None]:
        """Of one-hot codes, between which distances say nothing, there are none."""
        if self.metric is not PRIMARY:
            return None, None
        found = [scores(run, split, horizon, metric) for metric in _STARTS]
        median, beyond = (None if values is None else float(np.median(values)) for values in found)
        return median, beyond


@dataclass(frozen=True)
class Comparison:
    """The scores of a setting's entries on one split over one horizon.

    Args:
        setting: whose entries.   split: `test` or `ood`.   horizon: `short` or `long`.   steps: of the free runs.
        values: label -> (R,), infinite where a replica failed.   intervals: label -> median with its interval.
        coverages: label -> the most that its interval covers.   floors: name -> score.
        starts: label or floor -> median over starts and share of starts beyond the threshold, medians over replicas.
        windows: label -> interval over blocks of a recorded series' windows as the run stores it; None for others.
    """

    setting: Setting
    split: str
    horizon: str
    steps: int | None
    values: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    coverages: dict[str, float] = field(default_factory=dict)
    floors: dict[str, float] = field(default_factory=dict)
    starts: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    windows: dict[str, WindowInterval | None] = field(default_factory=dict)

    def few_starts(self, name: str) -> bool:
        """True if few starts decide the pooled error of an entry or a floor (`metrics.starts.few_starts_decide`)."""
        median = self.starts[name][0]
        pooled = self.intervals[name].estimate if name in self.intervals else self.floors[name]
        return median is not None and bool(few_starts_decide(pooled, median))

    @property
    def title(self) -> str:
        """Split and horizon in words."""
        return f"{SPLIT_NAMES[self.split]}, {self.over}"

    @property
    def over(self) -> str:
        """The horizon in words."""
        return f"{self.steps if self.steps is not None else self.horizon} steps"

    @property
    def primary(self) -> bool:
        """True for the comparison declared beforehand: in distribution, over the short horizon.

        All others are exploratory.
        """
        return (self.split, self.horizon) == ("test", "short")

    def order(self) -> list[str]:
        """Labels by median, best first."""
        return sorted(self.intervals, key=lambda label: self.intervals[label].estimate)

    def best_floor(self) -> tuple[str, float] | None:
        """Name and score of the lowest floor."""
        known = {name: value for name, value in self.floors.items() if math.isfinite(value)}
        return min(known.items(), key=lambda pair: pair[1]) if known else None

    def beats(self, label: str, level: float) -> bool:
        """True if an entry's whole interval (its median, where there is none) lies below a level."""
        interval = self.intervals[label]
        return (interval.high if not math.isnan(interval.high) else interval.estimate) < level


def spoken(label: str) -> str:
    """An entry's label with its model's printed name."""
    model, bracket, rest = label.partition(" ")
    return MODEL_LABELS.get(model, model) + bracket + rest


def replica_data_sets(run: Run, replicas: int) -> list[int]:
    """Number of the data set (R,) that each replica of a run was trained on; neighbours share one."""
    number = int(at(run.config, "data.seeds") or 1)
    return [r * number // replicas for r in range(replicas)]


def complete(runs: Sequence[Run]) -> list[Run]:
    """Runs that have a result and can be read, in the order given."""
    return [run for run in runs if kind(run) == "run" and run.status == COMPLETED and _whole(run)]


def kind(run: Run) -> str:
    """`run` or `compare`; empty where run.json cannot be read."""
    try:
        return run.kind
    except RunError:
        return ""


def _whole(run: Run) -> bool:
    try:
        return bool(run.result) and {"task", "model"} <= set(run.config)
    except RunError:
        return False


def flat_config(run: Run) -> dict[str, Any]:
    """Every leaf of the configuration by its dotted name; lists stay whole, an empty section is one leaf."""
    found = dict(flatten(run.config))
    return found | {key: value for key, value in run.config.items() if value == {}}


def differing(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Settings in which runs differ, in the configuration's order: dotted name -> value of each run, None without it.

    A setting that all runs which have it agree on is none, for there the model or task says who has it; nor are
    remarks, and where and how fast a run is computed.
    """
    flats = [flat_config(run) for run in runs]
    names = dict.fromkeys(name for flat in flats for name in flat if name not in _NEUTRAL | REMARKS)
    found = {}
    for name in names:
        known = [flat[name] for flat in flats if name in flat]
        if any(value != known[0] for value in known[1:]):
            found[name] = [flat.get(name) for flat in flats]
    return found


def group_runs(runs: Sequence[Run]) -> list[Setting]:
    """Completed runs grouped by what makes them comparable, in the order in which each group first appears.

    Task, its parameters, the data (content hash), carry, lift, training and evaluation must agree; model options,
    seeds and matched budgets may differ, and are then part of an entry's name where one model appears twice.
    """
    groups: dict[str, list[Run]] = {}
    for run in complete(runs):
        groups.setdefault(json.dumps(_key(run), sort_keys=True, default=str), []).append(run)
    members = list(groups.values())
    out = []
    for place, group in enumerate(members):
        # Only what differs between settings of the same task and protocol has to be named.
        rivals = [
            flat_config(other[0])
            for i, other in enumerate(members)
            if i != place and _claim(other[0]) == _claim(group[0])
        ]
        own = _comparable(flat_config(group[0]))
        extra = [key for key, value in own.items() if any(rival.get(key) != value for rival in rivals)]
        protocol = ", ".join([_protocol(group[0]), *(f"{key} = {own[key]}" for key in extra)])
        if any(_comparable(rival) == own for rival in rivals):
            protocol += f", data {str(group[0].entry.get('data_hash'))[:8]}"
        out.append(Setting(str(group[0].config["task"]), protocol, tuple(_entries(group))))
    order = {task: i for i, task in enumerate(dict.fromkeys(setting.task for setting in out))}
    return sorted(out, key=lambda setting: order[setting.task])


def _comparable(flat: Mapping[str, object]) -> dict[str, Any]:
    roots = ("task_args", "data", "train", "eval")
    return {key: value for key, value in flat.items() if key.split(".")[0] in roots and key not in _NEUTRAL}


def _claim(run: Run) -> tuple[str, str]:
    return str(run.config["task"]), _protocol(run)


def _protocol(run: Run) -> str:
    return ", ".join(f"{name} = {at(run.config, f'model_args.{name}') or 'unstated'}" for name in ("carry", "lift"))


def _key(run: Run) -> dict[str, Any]:
    own = _comparable(flat_config(run))
    digest = run.entry.get("data_hash")
    if digest:
        own = {key: value for key, value in own.items() if not key.startswith(("data.n_", "data.steps", "data.seed"))}
    return own | {"claim": _claim(run), "data_hash": digest}


def _entries(group: Sequence[Run]) -> list[Entry]:
    flats = [flat_config(run) for run in group]
    out = []
    for run, mine in zip(group, flats, strict=True):
        twins = [flat for flat in flats if flat["model"] == mine["model"]]
        keys = [
            key
            for key in mine
            if key.startswith(("model_args.", "budget.", "seed")) and any(twin.get(key) != mine[key] for twin in twins)
        ]
        label = str(mine["model"])
        if keys:
            options = ", ".join(f"{key.split('.', 1)[-1]} = {mine[key]}" for key in keys)
            label += f" ({options})"
        out.append(Entry(label, run))
    labels = [entry.label for entry in out]
    return [Entry(f"{e.label} [run {e.run.id}]", e.run) if labels.count(e.label) > 1 else e for e in out]
