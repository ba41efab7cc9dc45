"""Paired tests over seeds, and ranks over settings.

Axes: R replicas, K settings, M models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ddl_dyn.metrics.significance import critical_difference, holm, paired_test, seeds_needed
from ddl_dyn.metrics.statistics import probability_of_improvement
from ddl_dyn.results.comparison.groups import SPLIT_NAMES, Contest, Contestant, spoken
from ddl_dyn.runs import Run

from .document import Cell, Column, Table, joined, shown
from .headline import FOCUS


def pairs(contest: Contest) -> list[tuple[str, str]]:
    """Which contestants are tested against each other: every DDL against every other model, else the first against all.

    Only runs with the same seeds are pairs.
    """
    here = [c for c in contest.setting.contestants if c.label in contest.values]
    focus = [c for c in here if c.model == FOCUS] or here[:1]
    return [
        (first.label, second.label)
        for first in focus
        for second in here
        if second not in focus and _same_seeds(first, second) and contest.values[first.label].size > 1
    ]


def _same_seeds(first: Contestant, second: Contestant) -> bool:
    def seeds(run: Run) -> tuple[object, object]:
        return run.config.get("seed"), run.config.get("seeds")

    return seeds(first.run) == seeds(second.run)


def paired_table(grouped: Sequence[Sequence[Contest]]) -> Table | None:
    """Probability of improvement, signed-rank test with Holm's correction over the whole table, seeds needed."""
    cases = [(contest, *pair) for group in grouped for contest in group for pair in pairs(contest)]
    if not cases:
        return None
    raw = [paired_test(c.values[a], c.values[b]) for c, a, b in cases]
    rows = []
    for (contest, a, b), p, adjusted in zip(cases, raw, holm(raw), strict=True):
        better = probability_of_improvement(contest.values[a], contest.values[b])
        wanted = seeds_needed(contest.values[a], contest.values[b])
        rows.append(
            (
                Cell(contest.setting.task),
                Cell(contest.setting.protocol),
                Cell(contest.title),
                Cell(f"{spoken(a)} against {spoken(b)}"),
                Cell(f"{better.estimate:.2f} [{better.low:.2f}, {better.high:.2f}]", better.estimate),
                Cell(shown(p), p),
                Cell(shown(float(adjusted)), float(adjusted), strong=bool(adjusted < 0.05)),
                Cell("no difference seen" if math.isinf(wanted) else f"{wanted:,.0f}", wanted),
            )
        )
    columns = (
        Column("task"),
        Column("protocol"),
        Column("test"),
        Column("pair"),
        Column("first is better", numeric=True, help="share of seeds on which the first has the lower error"),
        Column("p", numeric=True, help="two-sided Wilcoxon signed-rank test over seeds"),
        Column("p, corrected", numeric=True, help="Holm's correction over all rows"),
        Column("seeds needed", numeric=True, help="for power .8 at level .05, were these differences typical"),
    )
    least = 2.0 ** (1 - max(c.values[a].size for c, a, _ in cases))
    note = (
        f"Same data, same order of batches, same seeds. Brackets: Wilson's 95 % interval. With the seeds at hand p "
        f"cannot fall below {shown(least)}, and after Holm's correction over {len(cases)} rows not below "
        f"{shown(min(1.0, least * len(cases)))} for all of them."
    )
    return Table("Seed by seed", columns, tuple(rows), note)


def rank_sentences(grouped: Sequence[Sequence[Contest]]) -> list[str]:
    """Mean ranks over settings with Nemenyi's critical difference, where three models meet in two settings or more."""
    out = []
    shapes = dict.fromkeys((c.split, c.horizon) for group in grouped for c in group)
    for split, horizon in shapes:
        found = [c for group in grouped for c in group if (c.split, c.horizon) == (split, horizon)]
        common = [label for label in found[0].intervals if all(label in c.intervals for c in found)]
        if len(found) < 2 or len(common) < 3:
            continue
        table = np.array([[c.intervals[label].estimate for label in common] for c in found])
        ranking = critical_difference(table)
        order = np.argsort(ranking.mean_ranks, kind="stable")
        listed = joined(f"{spoken(common[i])} {ranking.mean_ranks[i]:.2f}" for i in order)
        apart = ranking.mean_ranks.max() - ranking.mean_ranks.min() > ranking.critical_difference
        out.append(
            f"Mean rank over {len(found)} settings, {SPLIT_NAMES[split]}, {horizon} horizon (1 is best): {listed}. "
            f"Ranks closer than {ranking.critical_difference:.2f} are not told apart"
            f"{'' if apart else ', so none of these are'}; Friedman's p = {shown(ranking.pvalue)}."
        )
    return out
