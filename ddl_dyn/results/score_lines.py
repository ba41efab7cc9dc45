"""The scores of one run in words, a line each, for a terminal and a notebook."""

from __future__ import annotations

from collections.abc import Mapping

from ddl_dyn.config.formats import counted, number
from ddl_dyn.metrics.decisions import covered_median
from ddl_dyn.metrics.registry import METRICS, PRIMARY, Metric
from ddl_dyn.metrics.statistics import Interval
from ddl_dyn.results.comparison.groups import group_runs, replica_data_sets
from ddl_dyn.results.comparison.verdicts import coverage_words, window_words
from ddl_dyn.runs import Run
from ddl_dyn.runs.result import SPLIT_NAMES, at

START_MEDIAN, START_BEYOND = METRICS["start_median"], METRICS["start_beyond"]


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
        interval, covered = covered_median(values, replica_data_sets(run, len(values)), resamples=2000, seed=0)
        told = _over_seeds(interval, coverage_words([covered]), len(values), metric)
        lines.append(f"{metric.title} after {facts[length]} tokens: {told}, {metric.text(facts['chance'])} by chance")
    return lines
