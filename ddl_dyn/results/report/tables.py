"""Tables of errors, of motion and of cost, one row per contestant.

Axes: R replicas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ddl_dyn.metrics.statistics import median_interval
from ddl_dyn.results.comparison.groups import SPLIT_NAMES, Contest, Setting, spoken
from ddl_dyn.runs.result import FLOORS, HORIZONS, SPLITS, at

from .document import DASH, Cell, Column, Table, joined, percent, shown, sort_value

FLOOR_NAMES = {
    "persistence": "persistence",
    "mean": "training mean",
    "linear": "linear map",
    "analogue": "nearest analogue",
}
_PLACE = (Column("task"), Column("protocol"), Column("model"))


def place(setting: Setting, label: str) -> tuple[Cell, ...]:
    """The first three cells of a row."""
    return Cell(setting.task), Cell(setting.protocol), Cell(spoken(label))


def interval_text(estimate: float, low: float, high: float) -> str:
    """`median [low, high]`; without bounds where there are none."""
    if math.isinf(low):
        return shown(float(estimate))
    bounds = "" if math.isnan(low) or math.isnan(high) else f" [{shown(low)},\u00a0{shown(high)}]"
    return shown(float(estimate)) + bounds


def comparison_table(grouped: Sequence[Sequence[Contest]]) -> Table:
    """Median NRMSE with its 95 % interval for every contestant, then the floors, for each split and horizon.

    Args:
        grouped: the contests of each setting.
    """
    shapes = [
        (s, h) for s in SPLITS for h in HORIZONS if any(c.split == s and c.horizon == h for g in grouped for c in g)
    ]
    columns = [*_PLACE]
    for split, horizon in shapes:
        steps = sorted({str(c.steps) for g in grouped for c in g if (c.split, c.horizon) == (split, horizon)}, key=int)
        over = f"{steps[0]} steps" if len(steps) == 1 else f"{steps[0]}–{steps[-1]} steps"
        columns.append(Column(f"{SPLIT_NAMES[split]}, {over}", numeric=True, help="median NRMSE over seeds"))
    columns += [
        Column("failed seeds", numeric=True, help="of all seeds, those with a free run that failed"),
    ]
    rows, muted = [], set()
    for group in grouped:
        by_shape = {(c.split, c.horizon): c for c in group}
        setting = group[0].setting
        for contestant in setting.contestants:
            label = contestant.label
            cells = [_score(by_shape.get(shape), label) for shape in shapes]
            lost = max(int(np.isinf(c.values[label]).sum()) for c in group if label in c.values)
            seeds = max(c.values[label].size for c in group if label in c.values)
            rows.append((*place(setting, label), *cells, Cell(f"{lost} of {seeds}", float(lost))))
        for name in (name for name in FLOORS if any(name in c.floors for c in group)):
            muted.add(len(rows))
            values = [by_shape[shape].floors.get(name) if shape in by_shape else None for shape in shapes]
            cells = [Cell(shown(value), sort_value(value)) for value in values]
            rows.append((*place(setting, f"floor: {FLOOR_NAMES[name]}"), *cells, Cell(DASH)))
    note = (
        "NRMSE: root mean square error of free runs in units of the training standard deviation; about 1 for a mean "
        "forecast, about 1.41 for an independent copy of the motion. Brackets: 95 % bootstrap interval of the median "
        "over seeds. ★ marks a model whose interval lies below that of every other in its setting; where intervals "
        "overlap nothing is marked. Floors are what a model must beat to have learned anything."
    )
    return Table(
        "Free-run error on unseen initial states, lower is better", tuple(columns), tuple(rows), note, frozenset(muted)
    )


def _score(contest: Contest | None, label: str) -> Cell:
    if contest is None or label not in contest.intervals:
        return Cell(DASH)
    interval = contest.intervals[label]
    best = contest.best == label
    return Cell(interval_text(*interval) + (" ★" if best else ""), sort_value(interval.estimate), strong=best)


# Key in the result, heading, explanation.
_MOTION = (
    ("vpt", "valid prediction time", "time until NRMSE exceeds the threshold, in the task's time scale"),
    ("vpt_censored", "not yet exceeded", "share of free runs still below the threshold at the end of the test"),
    ("period_error", "period error", "relative error of the period"),
    ("amplitude_error", "amplitude error", "relative error of the amplitude"),
)  # fmt: skip


def motion_table(found: Sequence[Setting]) -> Table | None:
    """Valid prediction time and errors of period and amplitude; None where no run has any."""
    rows: list[tuple[Cell, ...]] = []
    for setting in found:
        for split in SPLITS:
            for contestant in setting.contestants:
                stored = contestant.run.result.get(split)
                if not isinstance(stored, Mapping):
                    continue
                cells = [_median(stored.get(key), share=key == "vpt_censored") for key, _, _ in _MOTION]
                if any(cell.text != DASH for cell in cells):
                    rows.append((*place(setting, contestant.label), Cell(SPLIT_NAMES[split]), *cells))
    if not rows:
        return None
    columns = (*_PLACE, Column("test"), *(Column(title, numeric=True, help=text) for _, title, text in _MOTION))
    note = (
        "Medians over seeds with 95 % bootstrap intervals. Valid prediction time is in units of the task's time scale "
        "(period, relaxation or Lyapunov time). A dash: the quantity is not defined for the true motion; "
        "failed: it is for the truth and not for the free runs."
    )
    return Table("How long the forecast holds, and whether the motion is right", columns, tuple(rows), note)


def _median(values: Any, *, share: bool) -> Cell:
    known = [float(v) for v in values if v is not None and not math.isnan(v)] if isinstance(values, list) else []
    if not known:
        return Cell(DASH)
    if share:
        middle = float(np.median(known))
        return Cell(percent(middle), middle)
    interval = median_interval(known, resamples=2000, seed=0)
    return Cell(interval_text(*interval), sort_value(interval.estimate))


def cost_table(found: Sequence[Setting]) -> Table:
    """Parameters, FLOPs per step, updates, time, memory and learning rate of every contestant."""
    rows = []
    for setting in found:
        for contestant in setting.contestants:
            result, training = contestant.run.result, at(contestant.run.result, "training")
            training = training if isinstance(training, Mapping) else {}
            nfe, memory = training.get("nfe_total") or None, training.get("peak_memory_bytes")
            numbers = (
                result.get("parameters"),
                result.get("flops_per_step"),
                training.get("updates"),
                training.get("seconds"),
                training.get("milliseconds_per_update"),
                result.get("milliseconds_per_step"),
                None if memory is None else memory / 2**20,
                nfe,
            )
            cells = [Cell(shown(v), sort_value(v) if isinstance(v, (int, float)) else None) for v in numbers]
            rate = at(result, "tuning.lr")
            tried = [row["lr"] for row in at(result, "tuning.grid") or []]
            cells.append(Cell(f"{shown(rate)} of {joined([shown(r) for r in tried])}" if tried else DASH, rate))
            target = at(result, "budget.target")
            met = "" if target is None else f"{shown(target)} {'met' if at(result, 'budget.met') else 'not met'}"
            device = str(contestant.run.entry.get("device") or DASH)
            rows.append((*place(setting, contestant.label), *cells, Cell(met or "none"), Cell(device)))
    columns = (
        *_PLACE,
        Column("parameters", numeric=True, help="trainable numbers of one replica"),
        Column("FLOPs per step", numeric=True, help="of one replica for one state and one sampling interval"),
        Column("updates", numeric=True),
        Column("training [s]", numeric=True, help="wall-clock time for all seeds together"),
        Column("ms per update", numeric=True, help="wall-clock time of one update of all seeds together"),
        Column("ms per step", numeric=True, help="wall-clock time of one free-run step of all seeds on one batch"),
        Column("memory [MiB]", numeric=True, help="that training needed at its highest, beyond what was in use before"),
        Column("evaluations", numeric=True, help="evaluations of the vector field by the solver, where there is one"),
        Column("learning rate", help="kept by tuning, of those tried; chosen on validation for all seeds together"),
        Column("budget"),
        Column("device"),
    )
    note = "Times are wall-clock, of all seeds of a run together, and depend on what else the machine was doing."
    return Table("What each run cost", columns, tuple(rows), note)
