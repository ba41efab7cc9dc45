"""Paired tests over seeds, and ranks over tasks.

Axes: R replicas, K tasks, M models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ddl_dyn.config.formats import decimal
from ddl_dyn.metrics.significance import Ranking, critical_difference, holm, paired_test, seeds_needed
from ddl_dyn.metrics.statistics import probability_of_improvement
from ddl_dyn.results.comparison.groups import Comparison, Entry, Setting, spoken
from ddl_dyn.runs import Run
from ddl_dyn.runs.result import SPLIT_NAMES

from .document import ReportTable, TableCell, TableColumn, text_cells, text_columns
from .headline import FOCUS


def pairs(comparison: Comparison) -> list[tuple[str, str]]:
    """Entries that are tested against each other: every DDL against every other model, else the first against all.

    Only runs with the same seeds are pairs.
    """
    here = [c for c in comparison.setting.entries if c.label in comparison.values]
    focus = [c for c in here if c.model == FOCUS] or here[:1]
    return [
        (first.label, second.label)
        for first in focus
        for second in here
        if second not in focus and _same_seeds(first, second) and comparison.values[first.label].size > 1
    ]


def _same_seeds(first: Entry, second: Entry) -> bool:
    def seeds(run: Run) -> tuple[object, object]:
        return run.config.get("seed"), run.config.get("seeds")

    return seeds(first.run) == seeds(second.run)


def paired_table(found: Sequence[Setting]) -> ReportTable | None:
    """Probability of improvement, signed-rank test with Holm's correction over the whole table, seeds needed."""
    cases = [(c, *pair) for setting in found for c in setting.comparisons for pair in pairs(c)]
    if not cases:
        return None
    raw = [paired_test(c.values[a], c.values[b]) for c, a, b in cases]
    rows = []
    for (comparison, a, b), p, adjusted in zip(cases, raw, holm(raw), strict=True):
        first, second = comparison.values[a], comparison.values[b]
        better = probability_of_improvement(first, second)
        wanted = seeds_needed(first, second)
        rows.append(
            (
                *text_cells(comparison.setting.task, comparison.setting.protocol, comparison.title),
                TableCell(f"{spoken(a)} against {spoken(b)}"),
                TableCell(f"{better.estimate:.2f} [{better.low:.2f}, {better.high:.2f}]", better.estimate),
                TableCell(decimal(p), p),
                TableCell(decimal(float(adjusted)), float(adjusted), strong=bool(adjusted < 0.05)),
                TableCell("no difference seen" if math.isinf(wanted) else f"{wanted:,.0f}", wanted),
            )
        )
    columns = (
        *text_columns("task", "protocol", "test", "pair"),
        TableColumn("first is better", numeric=True, help="share of seeds on which the first has the lower error"),
        TableColumn("p", numeric=True, help="two-sided Wilcoxon signed-rank test over seeds"),
        TableColumn("p, corrected", numeric=True, help="Holm's correction over all rows"),
        TableColumn("seeds needed", numeric=True, help="for power .8 at level .05, were these differences typical"),
    )
    least = 2.0 ** (1 - max(c.values[a].size for c, a, _ in cases))
    note = (
        f"Same data, same order of batches, same seeds. Brackets: Wilson's 95 % interval. With the seeds at hand p "
        f"cannot fall below {decimal(least)}, and after Holm's correction over {len(cases)} rows not below "
        f"{decimal(min(1.0, least * len(cases)))} for all of them."
    )
    return ReportTable("Seed by seed", columns, tuple(rows), note)


def rankings(found: Sequence[Setting]) -> dict[str, tuple[Ranking, list[str], int]]:
    """Ranks of the models over tasks, for each protocol, split and horizon with tasks enough to tell any two apart.

    Args:
        found: settings; models are ranked by their medians over the tasks that all of a protocol's settings share.
    Returns:
        where they hold, in words -> ranking, the labels ranked, K; empty where Nemenyi's critical difference is as wide
        as the scale of ranks.
    """
    groups: dict[str, list[Comparison]] = {}
    for setting in found:
        for c in setting.comparisons:
            where = f"{setting.protocol}; {SPLIT_NAMES[c.split]}, {c.horizon} horizon"
            groups.setdefault(where, []).append(c)
    out = {}
    for where, group in groups.items():
        common = [label for label in group[0].intervals if all(label in c.intervals for c in group)]
        if len(group) < 2 or len(common) < 3:
            continue
        table = np.array([[c.intervals[label].estimate for label in common] for c in group])
        ranking = critical_difference(table)
        if ranking.critical_difference < len(common) - 1:
            out[where] = ranking, common, len(group)
    return out


def rank_sentence(where: str, ranking: Ranking, labels: Sequence[str], tasks: int) -> str:
    """Friedman's test and Nemenyi's critical difference in words.

    Args:
        where: protocol, split and horizon.   ranking: of M models.   labels: theirs.   tasks: K.
    """
    order = np.argsort(ranking.mean_ranks, kind="stable")
    listed = ", ".join(f"{spoken(labels[i])} {ranking.mean_ranks[i]:.2f}" for i in order)
    apart = np.ptp(ranking.mean_ranks) > ranking.critical_difference
    return (
        f"Mean rank over {tasks} tasks, {where} (1 is best): {listed}. Ranks closer than "
        f"{ranking.critical_difference:.2f} are not told apart{'' if apart else ', so none of these are'}; Friedman's "
        f"p = {decimal(ranking.pvalue)}."
    )
