"""Tables of errors, of motion and of cost, one row per entry of a setting.

Axes: R replicas.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from ddl_dyn.config.formats import DASH, bracketed, decimal, joined
from ddl_dyn.config.labels import model_label
from ddl_dyn.metrics.decisions import Decision, covered_median
from ddl_dyn.metrics.registry import METRICS, PRIMARY, Metric, in_group
from ddl_dyn.results.comparison.groups import Comparison, Setting, replica_data_sets, spoken
from ddl_dyn.results.comparison.verdicts import (
    FAMILY,
    NO_EVIDENCE_SAYS,
    Contrast,
    coverage_words,
    evidence_words,
    few_words,
    seed_words,
    starred,
    window_words,
)
from ddl_dyn.results.report.answers import against, mark, shade
from ddl_dyn.results.report.document import ReportTable, TableCell, TableColumn, sort_value, text_cells, text_columns
from ddl_dyn.runs import Run
from ddl_dyn.runs.result import FLOORS, SPLIT_NAMES, at

LATENT = METRICS["latent_dim"]
FEW_MARK = "‡"
# The model first: it stays in sight where a table is wider than the screen.
PLACE = (*text_columns("model", "task", "protocol"), TableColumn(LATENT.heading, numeric=True, help=LATENT.help))


def place(setting: Setting, label: str) -> tuple[TableCell, ...]:
    """Cells under `PLACE`; no latent size for what is not an entry of the setting."""
    entry = next((entry for entry in setting.entries if entry.label == label), None)
    size = at(entry.run.result, LATENT.path) if entry else None
    named = TableCell(spoken(label), model=label if entry else "")
    return (named, *text_cells(setting.task, setting.protocol), TableCell(LATENT.page(size), sort_value(size)))


def metric_column(metric: Metric) -> TableColumn:
    """Heading of a metric's column."""
    direction = f"{metric.better} is better" if metric.better else ""
    return TableColumn(metric.heading, numeric=True, help="; ".join(filter(None, (metric.help, direction))))


def comparison_table(found: Sequence[Setting], judged: Sequence[Contrast]) -> ReportTable:
    """Median primary error with its interval for every entry, then the floors, for each split and horizon.

    Args:
        found: settings of one error.   judged: from `contrasts`, of these settings.
    """
    metric = found[0].metric
    every = [c for setting in found for c in setting.comparisons]
    known = {(c.split, c.horizon) for c in every}
    shapes = [shape for shape in itertools.product(SPLIT_NAMES, metric.horizons) if shape in known]
    columns = [*PLACE]
    for split, horizon in shapes:
        steps = sorted({c.steps or 0 for c in every if (c.split, c.horizon) == (split, horizon)})
        over = "–".join(dict.fromkeys((str(steps[0]), str(steps[-1]))))
        meant = f"median {metric.heading} over seeds"
        columns.append(TableColumn(f"{over} steps", numeric=True, help=meant, group=SPLIT_NAMES[split]))
    columns.append(TableColumn("failed seeds", numeric=True, help="of all seeds, those with a free run that failed"))
    columns.append(TableColumn("evidence", help=NO_EVIDENCE_SAYS))
    rows: list[tuple[TableCell, ...]] = []
    muted: set[int] = set()
    for setting in found:
        by_shape = {(c.split, c.horizon): c for c in setting.comparisons}
        for entry in setting.entries:
            scores = [c.values[entry.label] for c in setting.comparisons if entry.label in c.values]
            if scores:
                lost = max(int(np.isinf(values).sum()) for values in scores)
                cells = [_score(by_shape.get(shape), entry.label, judged) for shape in shapes]
                failed = TableCell(f"{lost} of {max(values.size for values in scores)}", float(lost))
                told = TableCell(evidence_words(setting) or DASH)
                rows.append((*place(setting, entry.label), *cells, failed, told))
        for name in (name for name in FLOORS if any(name in c.floors for c in setting.comparisons)):
            muted.add(len(rows))
            values = [by_shape[shape].floors.get(name) if shape in by_shape else None for shape in shapes]
            cells = [TableCell(metric.page(value), sort_value(value)) for value in values]
            rows.append(
                (*place(setting, f"floor: {model_label(name)}"), *cells, *text_cells("", evidence_words(setting)))
            )
    note = (
        f"{metric.title}: {metric.help}. {_brackets(every)}★ marks a primary win ({FAMILY}) against every other "
        "model of its setting at parameters matched within 5 %; every other column is exploratory. "
        "Floors are what a model must beat to have learned anything. Colours and words: the verdict on the first model "
        "against the model of the row; strokes: medians and intervals, the same logarithmic axis down a column."
    )
    if any(c.few_starts(label) for c in every for label in c.values):
        note += f" {few_words(FEW_MARK)}."
    if any(map(evidence_words, found)):
        note += f" {NO_EVIDENCE_SAYS}."
    caption = (
        f"Free-run {'token ' if metric is not PRIMARY else ''}error on unseen initial states, {metric.better} is better"
    )
    return ReportTable(caption, tuple(columns), tuple(rows), note, frozenset(muted))


def _brackets(every: Sequence[Comparison]) -> str:
    """Explanation of the brackets behind a median: the interval and its coverage."""
    covered = coverage_words(value for c in every for value in c.coverages.values())
    seeds = seed_words(
        (values.size, len(set(replica_data_sets(entry.run, values.size))))
        for c in every
        for entry in c.setting.entries
        if (values := c.values.get(entry.label)) is not None
    )
    return (
        f"Brackets: bootstrap interval of the median over {seeds}, which covers at most {covered}. " if covered else ""
    )


def _score(comparison: Comparison | None, label: str, judged: Sequence[Contrast]) -> TableCell:
    if comparison is None or label not in comparison.intervals:
        return TableCell(DASH)
    interval = comparison.intervals[label]
    best = starred(judged, comparison, label)
    marks = (" ★" if best else "") + (f" {FEW_MARK}" if comparison.few_starts(label) else "")
    found = against(judged, comparison, label)
    return TableCell(
        quoted(interval) + marks,
        sort_value(interval.estimate),
        strong=best or label == comparison.order()[0],
        span=_span(comparison, interval),
        verdict=shade(found) if found else "",
        mark=mark(found) if found else "",
    )


def _span(comparison: Comparison, interval: tuple[float, float, float]) -> tuple[float, float, float] | None:
    """An interval on a logarithmic axis over all medians and floors of its comparison, as shares of it."""
    every = [i.estimate for i in comparison.intervals.values()] + list(comparison.floors.values())
    known = [value for value in every if 0 < value < math.inf]
    if not known or not 0 < interval[0] < math.inf:
        return None
    low, high = math.log(min(known)) - 0.3, math.log(max(known)) + 0.3
    middle, *ends = ((math.log(v) - low) / (high - low) if 0 < v < math.inf else None for v in interval)
    assert middle is not None
    left, right = (middle if end is None else min(max(end, 0.0), 1.0) for end in ends)
    return left, middle, right


def quoted(interval: tuple[float, float, float]) -> str:
    """The primary error's `median [low, high]`."""
    return bracketed(*interval, PRIMARY.digits)


def ratio_words(found: Decision) -> str:
    """The ratio of medians with its interval."""
    return bracketed(*found.ratio)


def starts_table(found: Sequence[Setting]) -> ReportTable | None:
    """Pooled error beside its median over starts and the share of starts beyond the threshold; None without any.

    Args:
        found: settings; those of a recorded series bring the interval over blocks of its windows.
    """
    median, beyond = METRICS["start_median"], METRICS["start_beyond"]
    rows: list[tuple[TableCell, ...]] = []
    muted: set[int] = set()
    every = [c for setting in found for c in setting.comparisons]
    series = any(any(c.windows.values()) for c in every)
    for c in every:
        for name in [*c.values, *c.floors]:
            middle, share = c.starts[name]
            if middle is None:
                continue
            if name in c.floors:
                muted.add(len(rows))
            pooled = c.intervals[name].estimate if name in c.values else c.floors[name]
            mark = f" {FEW_MARK}" if c.few_starts(name) else ""
            label = f"floor: {model_label(name)}" if name in c.floors else name
            windows = c.windows.get(name)
            over = text_cells(window_words(windows, PRIMARY) if windows else "") if series else ()
            cells = (TableCell(median.page(middle), sort_value(middle)), TableCell(beyond.page(share), share))
            first = TableCell(PRIMARY.page(pooled) + mark, sort_value(pooled))
            rows.append((*place(c.setting, label), TableCell(c.title), first, *cells, *over))
    if not rows:
        return None
    score = TableColumn(f"{PRIMARY.heading}, pooled (primary score)", numeric=True, help=PRIMARY.help)
    last = text_columns("interval over windows") if series else ()
    columns = (*PLACE, TableColumn("test"), score, metric_column(median), metric_column(beyond), *last)
    limits = sorted({at(entry.run.config, "eval.threshold") for setting in found for entry in setting.entries})
    note = f"Medians over seeds. The threshold is {joined(map(decimal, limits))}."
    if any(FEW_MARK in row[len(PLACE) + 1].text for row in rows):
        note += f" {few_words(FEW_MARK)}."
    if series:
        note += (
            " Windows of a recorded series are shared by all seeds, and overlap: intervals over seeds leave out what "
            "other windows would have given, the last column is the interval of the pooled error over them."
        )
    return ReportTable("What the pooled error hides of its starts", columns, tuple(rows), note, frozenset(muted))


def motion_table(found: Sequence[Setting]) -> ReportTable | None:
    """Valid prediction time and errors of period and amplitude; None where no run has any."""
    metrics = [metric for _, metric in in_group("motion")]
    rows: list[tuple[TableCell, ...]] = []
    coverages: list[float] = []
    for setting in found:
        for split, name in SPLIT_NAMES.items():
            for entry in setting.entries:
                cells = [_median(entry.run, metric, split, coverages) for metric in metrics]
                if any(cell.text != DASH for cell in cells):
                    rows.append((*place(setting, entry.label), TableCell(name), *cells))
    if not rows:
        return None
    columns = (*PLACE, TableColumn("test"), *map(metric_column, metrics))
    covered = coverage_words(coverages)
    brackets = f"Brackets: bootstrap interval, which covers at most {covered}. " if covered else ""
    time = METRICS["vpt"].title
    note = (
        f"Medians over the seeds that have a value. {brackets}{time[:1].upper()}{time[1:]} is in units of the task's "
        "time scale (period, relaxation or Lyapunov time). A dash: the quantity is not defined for the true motion; "
        "failed: it is for the truth and not for the free runs."
    )
    return ReportTable("How long the forecast holds, and whether the motion is right", columns, tuple(rows), note)


def _median(run: Run, metric: Metric, split: str, coverages: list[float]) -> TableCell:
    """Median over the seeds that have a value; what its interval covers is added to `coverages`."""
    stored = at(run.result, metric.found_at(split=split))
    values = stored if isinstance(stored, list) else []
    known = [r for r, value in enumerate(values) if value is not None and not math.isnan(value)]
    if not known:
        return TableCell(DASH)
    numbers = [float(values[r]) for r in known]
    if metric.share:
        middle = float(np.median(numbers))
        return TableCell(metric.page(middle), middle)
    sets = replica_data_sets(run, len(values))
    interval, covered = covered_median(numbers, [sets[r] for r in known], resamples=2000, seed=0)
    coverages.append(covered)
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
