"""Tables of errors, of motion and of cost, one row per entry of a setting.

Axes: R replicas.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ddl_dyn.config.formats import DASH, bracketed, decimal, joined
from ddl_dyn.config.labels import model_label
from ddl_dyn.metrics.registry import PRIMARY, Metric, in_group
from ddl_dyn.metrics.statistics import median_interval
from ddl_dyn.results.comparison.groups import Comparison, Setting, spoken
from ddl_dyn.runs.result import FLOORS, SPLIT_NAMES, at

from .document import ReportTable, TableCell, TableColumn, sort_value, text_cells, text_columns

PLACE = text_columns("task", "protocol", "model")


def place(setting: Setting, label: str) -> tuple[TableCell, ...]:
    """Cells under `PLACE`."""
    return text_cells(setting.task, setting.protocol, spoken(label))


def metric_column(metric: Metric) -> TableColumn:
    """Heading of a metric's column."""
    direction = f"{metric.better} is better" if metric.better else ""
    return TableColumn(metric.heading, numeric=True, help="; ".join(filter(None, (metric.help, direction))))


def comparison_table(found: Sequence[Setting]) -> ReportTable:
    """Median primary error with its interval for every entry, then the floors, for each split and horizon."""
    every = [c for setting in found for c in setting.comparisons]
    known = {(c.split, c.horizon) for c in every}
    shapes = [shape for shape in itertools.product(SPLIT_NAMES, PRIMARY.horizons) if shape in known]
    columns = [*PLACE]
    for split, horizon in shapes:
        steps = sorted({c.steps or 0 for c in every if (c.split, c.horizon) == (split, horizon)})
        over = "–".join(dict.fromkeys((str(steps[0]), str(steps[-1]))))
        title = f"{SPLIT_NAMES[split]}, {over} steps"
        columns.append(TableColumn(title, numeric=True, help=f"median {PRIMARY.heading} over seeds"))
    columns.append(TableColumn("failed seeds", numeric=True, help="of all seeds, those with a free run that failed"))
    rows, muted = [], set()
    for setting in found:
        by_shape = {(c.split, c.horizon): c for c in setting.comparisons}
        for entry in setting.entries:
            scores = [c.values[entry.label] for c in setting.comparisons if entry.label in c.values]
            if scores:
                lost = max(int(np.isinf(values).sum()) for values in scores)
                cells = [_score(by_shape.get(shape), entry.label) for shape in shapes]
                failed = TableCell(f"{lost} of {max(values.size for values in scores)}", float(lost))
                rows.append((*place(setting, entry.label), *cells, failed))
        for name in (name for name in FLOORS if any(name in c.floors for c in setting.comparisons)):
            muted.add(len(rows))
            values = [by_shape[shape].floors.get(name) if shape in by_shape else None for shape in shapes]
            cells = [TableCell(PRIMARY.page(value), sort_value(value)) for value in values]
            rows.append((*place(setting, f"floor: {model_label(name)}"), *cells, TableCell(DASH)))
    note = (
        f"{PRIMARY.title}: {PRIMARY.help}. Brackets: 95 % bootstrap interval of the median over seeds. ★ marks a model "
        "whose interval lies below that of every other in its setting; where intervals overlap nothing is marked. "
        "Floors are what a model must beat to have learned anything."
    )
    caption = f"Free-run error on unseen initial states, {PRIMARY.better} is better"
    return ReportTable(caption, tuple(columns), tuple(rows), note, frozenset(muted))


def _score(comparison: Comparison | None, label: str) -> TableCell:
    if comparison is None or label not in comparison.intervals:
        return TableCell(DASH)
    interval = comparison.intervals[label]
    best = comparison.best == label
    return TableCell(quoted(interval) + (" ★" if best else ""), sort_value(interval.estimate), strong=best)


def quoted(interval: tuple[float, float, float]) -> str:
    """The primary error's `median [low, high]`."""
    return bracketed(*interval, PRIMARY.digits)


def motion_table(found: Sequence[Setting]) -> ReportTable | None:
    """Valid prediction time and errors of period and amplitude; None where no run has any."""
    metrics = [metric for _, metric in in_group("motion")]
    rows: list[tuple[TableCell, ...]] = []
    for setting in found:
        for split, name in SPLIT_NAMES.items():
            for entry in setting.entries:
                cells = [_median(at(entry.run.result, metric.found_at(split=split)), metric) for metric in metrics]
                if any(cell.text != DASH for cell in cells):
                    rows.append((*place(setting, entry.label), TableCell(name), *cells))
    if not rows:
        return None
    columns = (*PLACE, TableColumn("test"), *map(metric_column, metrics))
    note = (
        "Medians over seeds with 95 % bootstrap intervals. Valid prediction time is in units of the task's time scale "
        "(period, relaxation or Lyapunov time). A dash: the quantity is not defined for the true motion; "
        "failed: it is for the truth and not for the free runs."
    )
    return ReportTable("How long the forecast holds, and whether the motion is right", columns, tuple(rows), note)


def _median(values: Any, metric: Metric) -> TableCell:
    known = [float(v) for v in values if v is not None and not math.isnan(v)] if isinstance(values, list) else []
    if not known:
        return TableCell(DASH)
    if metric.share:
        middle = float(np.median(known))
        return TableCell(metric.page(middle), middle)
    interval = median_interval(known, resamples=2000, seed=0)
    return TableCell(bracketed(*interval, metric.digits), sort_value(interval.estimate))


def cost_table(found: Sequence[Setting]) -> ReportTable:
    """Parameters, FLOPs per step, updates, time, memory and learning rate of every entry."""
    metrics = [metric for _, metric in in_group("cost")]
    rows = []
    for setting in found:
        for entry in setting.entries:
            result = entry.run.result
            values = [at(result, metric.path) for metric in metrics]
            cells = [TableCell(m.page(v), sort_value(v)) for m, v in zip(metrics, values, strict=True)]
            rate, tried = at(result, "tuning.lr"), [row["lr"] for row in at(result, "tuning.grid") or []]
            kept = f"{decimal(rate)} of {joined(map(decimal, tried))}" if tried else DASH
            target = at(result, "budget.target")
            met = "none" if target is None else f"{decimal(target)} {'met' if at(result, 'budget.met') else 'not met'}"
            device = str(entry.run.entry.get("device") or DASH)
            rows.append((*place(setting, entry.label), *cells, TableCell(kept, rate), *text_cells(met, device)))
    columns = (
        *PLACE,
        *map(metric_column, metrics),
        TableColumn(
            "learning rate", help="kept by tuning, of those tried; chosen on validation for all seeds together"
        ),
        *text_columns("budget", "device"),
    )
    note = "Times are wall-clock, of all seeds of a run together, and depend on what else the machine was doing."
    return ReportTable("What each run cost", columns, tuple(rows), note)
