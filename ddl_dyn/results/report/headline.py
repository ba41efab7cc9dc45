"""Findings in words: the verdicts on the first model of each setting, and what the runs cannot tell.

A sentence says what the decision rule gave: an unresolved comparison is reported as that, not as a tie or a win.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from ddl_dyn.config.formats import counted, decimal, joined
from ddl_dyn.config.labels import model_label
from ddl_dyn.metrics.decisions import ALPHA
from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.results.comparison.groups import Comparison, Setting, spoken
from ddl_dyn.results.comparison.verdicts import (
    FAMILY,
    MATCHED,
    NO_EVIDENCE_SAYS,
    OUTCOMES,
    Contrast,
    coverage_words,
    of_comparison,
    verdict_words,
)
from ddl_dyn.results.report.tables import quoted, ratio_words

# Fewest seeds whose range can hold a median with 95 % probability: 1 − 2^(1−R) ≥ .95.
SEEDS_FOR_INTERVAL = 6


def headline(found: Sequence[Setting], judged: Sequence[Contrast]) -> list[str]:
    """Opening sentences of a report.

    Args:
        found: its settings.   judged: from `contrasts`, of these settings.
    """
    every = [comparison for setting in found for comparison in setting.comparisons]
    if not every:
        return ["No run has a result yet, so there is nothing to compare."]
    primary = [contrast for contrast in judged if contrast.decision.primary]
    if judged:
        family, counts = len(primary), [contrast for contrast in judged if not contrast.evidence]
        primary = [contrast for contrast in counts if contrast.decision.primary]
        out = [
            f"Primary comparisons ({FAMILY}; p corrected by Holm over {_these(family)}): {_tally(primary)}.",
            *_head_to_head(primary),
        ]
        solved = dict.fromkeys(contrast.comparison.setting.title for contrast in judged if contrast.evidence)
        if solved:
            out.append(f"{NO_EVIDENCE_SAYS}, nor as anything else in these counts: {joined(solved)}.")
        other = [contrast for contrast in counts if not contrast.decision.primary]
        if other:
            out.append(f"Exploratory comparisons (other horizons and test sets, p not corrected): {_tally(other)}.")
    elif any(len(comparison.intervals) > 1 for comparison in every):
        out = ["No two models were trained from the same seeds and data sets, so none is tested against another."]
    else:
        out = ["Each setting holds one model, so no two are compared; the floors are the only yardstick here."]
    return out + _floors(every)


def _these(count: int) -> str:
    return "this one" if count == 1 else f"all {count}"


def _tally(judged: Sequence[Contrast]) -> str:
    counts = Counter(contrast.decision.verdict for contrast in judged)
    words = {"win": "wins", "loss": "losses", "tie": "ties"}
    return joined(f"{counts[name]} {name if counts[name] == 1 else words.get(name, name)}" for name in OUTCOMES)


def _head_to_head(primary: Sequence[Contrast]) -> list[str]:
    pairs: dict[tuple[str, str], list[Contrast]] = {}
    for contrast in primary:
        pairs.setdefault((contrast.first.label, contrast.second.label), []).append(contrast)
    return [
        f"{spoken(first)} against {spoken(second)}: {_tally(found)}" + (f" of {len(found)}." if len(found) > 1 else ".")
        for (first, second), found in pairs.items()
    ]


def _floors(every: Sequence[Comparison]) -> list[str]:
    known = [comparison for comparison in every if comparison.best_floor()]
    lost = [
        c for c in known if (floor := c.best_floor()) and not any(c.beats(label, floor[1]) for label in c.intervals)
    ]
    if not lost:
        return []
    tests, failed = (Counter(comparison.setting.title for comparison in found) for found in (known, lost))
    listed = joined(f"{title} {count} of {tests[title]}" for title, count in failed.items())
    return [f"No model is clearly below the best floor in {counted(len(lost), 'test')}: {listed}."]


def finding(comparison: Comparison, judged: Sequence[Contrast]) -> str:
    """One sentence on one comparison.

    Args:
        comparison: of one setting.   judged: from `contrasts`, of the whole report.
    """
    here = of_comparison(judged, comparison)
    order = comparison.order()
    told = [_told(contrast) for contrast in here]
    paired = {entry.label for contrast in here for entry in (contrast.first, contrast.second)}
    alone = [label for label in order if label not in paired]
    if alone:
        reason = " (other seeds or data sets: not tested against the first)" if len(order) > 1 else ""
        told.append(joined(_quoted(comparison, label) for label in alone) + reason)
    if math.isinf(comparison.intervals[order[0]].estimate):
        told.append("every model failed in more than half of its replicas")
    title = comparison.title[0].upper() + comparison.title[1:]
    kind = "" if comparison.primary or not here else " (exploratory)"
    return f"{title}{kind}: {'; '.join([*told, *_against_floor(comparison)])}."


def _told(contrast: Contrast) -> str:
    found, comparison = contrast.decision, contrast.comparison
    first, second = (_quoted(comparison, entry.label) for entry in (contrast.first, contrast.second))
    verdict = verdict_words(
        found.verdict, matched=contrast.matched, seeds_needed=found.seeds_needed, evidence=contrast.evidence
    )
    p = f"corrected p = {decimal(found.corrected)}" if found.primary else f"p = {decimal(found.pvalue)}"
    return f"{first} against {second}: {verdict}, ratio {ratio_words(found)}, {p}"


def _against_floor(comparison: Comparison) -> list[str]:
    floor = comparison.best_floor()
    if floor is None:
        return []
    weak = [label for label in comparison.order() if not comparison.beats(label, floor[1])]
    above = [label for label in weak if comparison.intervals[label].low > floor[1]]
    found = f"the best floor ({model_label(floor[0])}, {PRIMARY.page(floor[1])})"
    groups = (("above", above), ("not clearly below", [label for label in weak if label not in above]))
    return [f"{words} {found}: {joined(map(spoken, labels))}" for words, labels in groups if labels]


def _quoted(comparison: Comparison, label: str) -> str:
    return f"{spoken(label)} {quoted(comparison.intervals[label])}"


def caveats(found: Sequence[Setting]) -> list[str]:
    """Limits of what the numbers mean."""
    out = []
    every = [comparison for setting in found for comparison in setting.comparisons]
    sizes = sorted({values.size for comparison in every for values in comparison.values.values()})
    if sizes and sizes[0] == 1:
        out.append("Some runs have a single seed: they have no interval and can neither win nor lose.")
    few = [n for n in sizes if 1 < n < SEEDS_FOR_INTERVAL]
    if few:
        covered = [c.coverages[label] for c in every for label, v in c.values.items() if v.size == few[0]]
        out.append(
            f"With {few[0]} seeds the interval of a median covers at most {coverage_words([max(covered)])}, and p "
            f"cannot fall below {decimal(2.0 ** (1 - few[0]))}, so that nothing wins or loses at {ALPHA:g}: at least "
            f"{SEEDS_FOR_INTERVAL} seeds are needed for either."
        )
    decided = [f"{c.setting.title}, {c.title}, {spoken(n)}" for c in every for n in c.values if c.few_starts(n)]
    if decided:
        out.append(f"Few starts decide the pooled error (see the table of starts): {'; '.join(decided)}.")
    if any(any(c.windows.values()) for c in every):
        out.append(
            "Seeds share the overlapping windows of a recorded series: intervals over seeds and p-values hold for these"
            " windows alone; the table of starts has intervals over blocks of windows."
        )
    unequal = _unequal(found)
    if unequal:
        out.append(f"Parameter counts are not matched within 5 %: {'; '.join(unequal)}.")
    if any(s.comparisons and not any(c.split == "ood" for c in s.comparisons) for s in found):
        out.append("Some tasks have no out-of-distribution test.")
    if sum(len(comparison.intervals) > 1 for comparison in every) > 1:
        out.append(
            "Neither intervals nor exploratory p-values are corrected for how many comparisons are made at once."
        )
    return out


def _unequal(found: Sequence[Setting]) -> list[str]:
    out: dict[str, None] = {}
    for setting in found:
        sizes = {c.label: c.run.result.get("parameters") for c in setting.entries}
        known = {label: n for label, n in sizes.items() if isinstance(n, int) and n > 0}
        if len(known) > 1 and max(known.values()) > (1 + MATCHED) * min(known.values()):
            listed = joined(f"{spoken(label)} {n:,}" for label, n in sorted(known.items(), key=lambda pair: pair[1]))
            out[f"{setting.task}: {listed}"] = None
    return list(out)
