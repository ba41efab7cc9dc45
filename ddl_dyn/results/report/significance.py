"""Paired tests over seeds, and ranks over tasks.

Axes: R replicas, K tasks, M models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ddl_dyn.config.formats import DASH, counted, decimal
from ddl_dyn.metrics.decisions import ALPHA, RATIO
from ddl_dyn.metrics.significance import Ranking, critical_difference
from ddl_dyn.results.comparison.groups import Comparison, Setting, spoken
from ddl_dyn.results.comparison.verdicts import FAMILY, Contrast, coverage_words, seed_words, verdict_words
from ddl_dyn.results.report.answers import shade
from ddl_dyn.results.report.document import ReportTable, TableCell, TableColumn, sort_value, text_cells, text_columns
from ddl_dyn.results.report.tables import ratio_words
from ddl_dyn.runs.result import SPLIT_NAMES


def paired_table(judged: Sequence[Contrast]) -> ReportTable | None:
    """Verdict, ratio and tests of every contrast; None where there is none.

    Args:
        judged: from `contrasts`, of the whole report.
    """
    if not judged:
        return None
    family = sum(contrast.decision.primary for contrast in judged)
    columns = (
        *text_columns("pair", "task", "protocol", "test", "comparison"),
        TableColumn("verdict", help="win or loss: p < .05 and a ratio that far from 1; tie: shown to lie within"),
        TableColumn("ratio of medians", numeric=True, help="first by second, with its bootstrap interval"),
        TableColumn("first is lower", numeric=True, help="seeds on which the first has the lower error, of all seeds"),
        TableColumn("data sets agree", numeric=True, help="data sets whose seeds point where the ratio points"),
        TableColumn("p", numeric=True, help="two-sided sign-flip test on ranks, stratified by data set"),
        TableColumn("p, corrected", numeric=True, help=f"Holm's correction over the primary comparisons, {family}"),
        TableColumn("p of a tie", numeric=True, help="the larger of two one-sided tests"),
        TableColumn("seeds needed", numeric=True, help="to resolve it with power .8, were these differences typical"),
    )
    covered = coverage_words(contrast.decision.coverage for contrast in judged)
    seeds = seed_words((contrast.decision.seeds, contrast.decision.data_sets) for contrast in judged)
    least = 2.0 ** (1 - max(contrast.decision.seeds for contrast in judged))
    note = (
        f"Same data, same order of batches, same seeds: {seeds}. Primary: {FAMILY}; {counted(family, 'comparison')}, "
        f"over which p is corrected. All others are exploratory, their p is not corrected. Win: p < {ALPHA:g} and "
        f"ratio ≤ {RATIO:g}. Loss: p < {ALPHA:g} and ratio ≥ {1 / RATIO:g}. Tie: p of a tie < {ALPHA:g}, ratio within "
        f"[{RATIO:g}, {1 / RATIO:g}]. Else unresolved. With the seeds at hand p cannot fall below {decimal(least)}."
    )
    if covered:
        note += f" Brackets: bootstrap interval, which covers at most {covered}."
    return ReportTable("Seed by seed", columns, tuple(map(_row, judged)), note)


def _row(contrast: Contrast) -> tuple[TableCell, ...]:
    found, comparison = contrast.decision, contrast.comparison
    resolved = found.verdict != "unresolved"
    verdict = verdict_words(found.verdict, matched=contrast.matched, seeds_needed=math.nan, evidence=contrast.evidence)
    wanted = DASH if resolved or math.isnan(found.seeds_needed) else f"{found.seeds_needed:,.0f}"
    return (
        TableCell(
            f"{spoken(contrast.first.label)} against {spoken(contrast.second.label)}", model=contrast.second.label
        ),
        *text_cells(comparison.setting.task, comparison.setting.protocol, comparison.title),
        TableCell("primary" if found.primary else "exploratory"),
        TableCell(verdict, strong=contrast.marked, verdict=shade(contrast)),
        TableCell(ratio_words(found), sort_value(found.ratio.estimate)),
        TableCell(f"{found.lower} of {found.seeds}", found.lower / found.seeds),
        TableCell(f"{found.agreeing} of {found.data_sets}", found.agreeing / found.data_sets),
        TableCell(decimal(found.pvalue), found.pvalue),
        TableCell(decimal(found.corrected), sort_value(found.corrected)),
        TableCell(decimal(found.pvalue_tie), found.pvalue_tie),
        TableCell("no number would" if math.isinf(found.seeds_needed) else wanted, sort_value(found.seeds_needed)),
    )


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
