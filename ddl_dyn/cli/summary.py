"""What the terminal shows of runs: one in full, the difference of two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ddl_dyn.config.formats import DASH, counted, number
from ddl_dyn.config.parsing import flatten
from ddl_dyn.experiments.progress import duration, sentence
from ddl_dyn.metrics.decisions import covered_median
from ddl_dyn.metrics.registry import METRICS, PRIMARY, Metric
from ddl_dyn.metrics.statistics import Interval
from ddl_dyn.results.comparison.groups import data_sets, group_runs
from ddl_dyn.results.comparison.verdicts import coverage_words, window_words
from ddl_dyn.runs import COMPLETED, Run, RunError
from ddl_dyn.runs.heartbeat import seconds_since
from ddl_dyn.runs.index import clean
from ddl_dyn.runs.result import SPLIT_NAMES, at

START_MEDIAN, START_BEYOND = METRICS["start_median"], METRICS["start_beyond"]


def print_run(where: Path, run_id: str) -> None:
    """The short result of a run that has just ended."""
    run = Run(where / run_id)
    print(f"run {run.id} {run.status}: {run.path}")
    for line in result_lines(run):
        print(f"  {line}")


def result_lines(run: Run) -> list[str]:
    """Primary error, what it hides of starts and windows, and a word task's accuracy: medians over replicas."""
    lines = []
    for comparison in (c for setting in group_runs([run]) for c in setting.comparisons):
        (label,) = comparison.values
        metric, place = comparison.setting.metric, f"over {comparison.over}, {SPLIT_NAMES[comparison.split]}"
        seeds, covered = comparison.values[label].size, coverage_words([comparison.coverages[label]])
        lines.append(f"{metric.title} {place}: {_over_seeds(comparison.intervals[label], covered, seeds, metric)}")
        median, beyond = comparison.starts[label]
        if median is not None:
            threshold = number(at(run.config, "eval.threshold"))
            told = f"{START_MEDIAN.text(median)}, {START_BEYOND.text(beyond)} of starts beyond {threshold}"
            few = "; few starts decide the pooled error" if comparison.few_starts(label) else ""
            lines.append(f"  {START_MEDIAN.title}, {place}: {told}{few}")
        if windows := comparison.windows[label]:
            lines.append(f"  interval over windows, {place}: {window_words(windows, metric)}")
    tracked = _accuracies(run)
    pooled = [f"{PRIMARY.title} is pooled over starts: the primary score"] if lines and not tracked else []
    return [*lines, *tracked, *pooled]


def _over_seeds(interval: Interval, covered: str, seeds: int, metric: Metric) -> str:
    """Median with its interval and what that covers, and the number of seeds."""
    middle, low, high = map(metric.text, interval)
    return f"{middle} ({f'{low} to {high} covers {covered}, ' if covered else ''}{counted(seeds, 'seed')})"


def _accuracies(run: Run) -> list[str]:
    """Token accuracy of a word task at the trained and the longest length; empty for another."""
    facts = at(run.result, "tracking")
    if not isinstance(facts, Mapping):
        return []
    lines = []
    for name, length in (("accuracy_trained", "trained_length"), ("accuracy_longest", "longest_tested")):
        metric, values = METRICS[name], at(run.result, METRICS[name].path)
        interval, covered = covered_median(values, data_sets(run, len(values)), resamples=2000, seed=0)
        told = _over_seeds(interval, coverage_words([covered]), len(values), metric)
        lines.append(f"{metric.title} after {facts[length]} tokens: {told}, {metric.text(facts['chance'])} by chance")
    return lines


def describe(run: Run) -> list[tuple[str, str]]:
    """Everything worth showing of a run, as pairs of name and text.

    Raises:
        RunError: when run.json cannot be read.
    """
    entry = run.entry
    pairs = [("run", str(run.path)), ("status", run.status)]
    if isinstance(entry.get("progress"), Mapping) and run.status != COMPLETED:
        try:
            pairs.append(("progress", sentence(entry["progress"])))
        except (KeyError, TypeError, ValueError):
            pairs.append(("progress", "unreadable"))
    for name in ("error", "kind", "name", "comment", "note", "tags", "start_time", "stop_time", "device", "data_hash"):
        if entry.get(name):
            value = entry[name]
            pairs.append(
                (name.replace("_", " "), clean(", ".join(map(str, value)) if isinstance(value, list) else value))
            )
    if entry.get("heartbeat") and run.status not in (COMPLETED,):
        age = seconds_since(entry["heartbeat"])
        pairs.append(("last heartbeat", f"{duration(age)} ago" if math.isfinite(age) else "never"))
    for name in ("host", "git", "versions"):
        stored = entry.get(name)
        known = flatten(stored) if isinstance(stored, Mapping) else ()
        text = ", ".join(f"{key} {value}" for key, value in known if value is not None)
        pairs += [(name, clean(text))] if text else []
    pairs.append(("command", clean(entry.get("command_line", ""))))
    pairs.append(("attempts", str(len(entry.get("attempts", [])))))
    if run.members:
        pairs.append(("runs", ", ".join(run.members)))
    pairs += [("result", line) for line in result_lines(run)] if run.kind == "run" else []
    pairs.append(
        (
            "files",
            ", ".join(
                sorted(
                    str(p.relative_to(run.path))
                    for p in run.path.rglob("*")
                    if p.is_file() and not p.name.startswith(".")
                )
            ),
        )
    )
    return pairs


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Pairs of name and text, aligned and wrapped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in pairs:
        table.add_row(Text(name), Text(text))
    Console().print(table)


def difference(first: Run, second: Run) -> list[tuple[str, str, str]]:
    """What differs between two runs: configuration, versions, code, data and numbers.

    Returns:
        triples of dotted name and the two values, `–` where one has none.
    """
    sides = []
    for run in (first, second):
        try:
            found = {f"config.{key}": value for key, value in flatten(run.config)}
            found |= {f"result.{key}": value for key, value in flatten(run.result)}
        except RunError:
            found = {}
        for name in ("versions", "git"):
            found |= {f"{name}.{key}": value for key, value in flatten(run.entry.get(name) or {})}
        found |= {name: run.entry.get(name) for name in ("device", "data_hash")}
        sides.append(found | {"status": run.status})
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    return [
        (name, _shown(sides[0].get(name)), _shown(sides[1].get(name)))
        for name in names
        if sides[0].get(name) != sides[1].get(name)
    ]


def _shown(value: Any) -> str:
    if value is None:
        return DASH
    if isinstance(value, list) and all(isinstance(item, (int, float)) for item in value):
        return "[" + ", ".join(number(float(item)) for item in value) + "]"
    return clean(number(value) if isinstance(value, float) else value)


def print_difference(first: Run, second: Run, found: Sequence[tuple[str, str, str]]) -> None:
    """The difference of two runs as a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not found:
        print(f"runs {first.id} and {second.id} do not differ")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("", f"run {first.id}", f"run {second.id}"):
        table.add_column(name, overflow="fold")
    for line in found:
        table.add_row(*(Text(cell) for cell in line))
    Console().print(table)
