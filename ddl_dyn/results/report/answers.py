"""The verdicts of each task in one sentence, and their short marks in tables and under figures."""

from __future__ import annotations

from collections.abc import Sequence

from ddl_dyn.config.formats import joined
from ddl_dyn.results.comparison.groups import Comparison, Setting, spoken
from ddl_dyn.results.comparison.verdicts import OUTCOMES, Contrast, of_comparison
from ddl_dyn.results.report.document import Answer

_SIGNS = {"win": "✓", "loss": "✗", "tie": "=", "unresolved": "?"}
_VERBS = {"win": "wins against", "loss": "loses to", "tie": "ties with", "unresolved": "is not told apart from"}


def mark(contrast: Contrast) -> str:
    """A verdict as a sign and words, as `✓ DDL wins`; in brackets what keeps it from counting."""
    verdict, first = contrast.decision.verdict, spoken(contrast.first.label)
    words = {"win": f"{first} wins", "loss": f"{first} loses", "tie": f"tie with {first}", "unresolved": "unresolved"}
    limits = ["no evidence"] if contrast.evidence else []
    limits += ["sizes differ"] if verdict != "unresolved" and not contrast.matched else []
    return f"{_SIGNS[verdict]} {words[verdict]}" + (f" ({', '.join(limits)})" if limits else "")


def shade(contrast: Contrast) -> str:
    """The verdict whose colour a cell has; that of none where the verdict does not count."""
    counts = not contrast.evidence and (contrast.matched or contrast.decision.verdict == "unresolved")
    return contrast.decision.verdict if counts else "unresolved"


def against(judged: Sequence[Contrast], comparison: Comparison | None, label: str) -> Contrast | None:
    """The contrast of the first entry of a comparison with another.

    Args:
        judged: from `contrasts`.   comparison: of one setting.   label: of the other entry.
    """
    found = of_comparison(judged, comparison) if comparison else []
    return next((contrast for contrast in found if contrast.second.label == label), None)


def primary(setting: Setting) -> Comparison | None:
    """The comparison declared beforehand: in distribution, over the short horizon."""
    return next((comparison for comparison in setting.comparisons if comparison.primary), None)


def answer(setting: Setting, judged: Sequence[Contrast], target: str, title: str) -> Answer | None:
    """Verdicts of a setting's primary comparison in one sentence; None without one.

    Args:
        setting: one task.   judged: from `contrasts`, of the whole report.   target: id of its section.   title: its.
    """
    comparison = primary(setting)
    if comparison is None:
        return None
    here = of_comparison(judged, comparison)
    clauses = []
    for verdict in OUTCOMES:
        those = [contrast for contrast in here if contrast.decision.verdict == verdict]
        if those:
            unequal = (
                " (parameters not matched)" if verdict != "unresolved" and not all(c.matched for c in those) else ""
            )
            clauses.append(f"{_VERBS[verdict]} {joined(spoken(c.second.label) for c in those)}{unequal}")
    first = spoken(setting.entries[0].label)
    if not clauses:
        reason = "no other model" if len(comparison.intervals) == 1 else "no model of the same seeds and data sets"
        clauses = [f"has {reason} to be tested against"]
    shades = {shade(contrast) for contrast in here}
    text = f"{first} {'; '.join(clauses)}. {_numbers(comparison)}{_limits(comparison, here)}"
    return Answer(title, target, text, shades.pop() if len(shades) == 1 else "")


def _numbers(comparison: Comparison) -> str:
    """The two lowest medians, best first."""
    metric = comparison.setting.metric
    told = [f"{spoken(n)} {metric.page(comparison.intervals[n].estimate)}" for n in comparison.order()[:2]]
    return f"Lowest median {metric.title} after {comparison.over}: {', '.join(told)}."


def _limits(comparison: Comparison, here: Sequence[Contrast]) -> str:
    """Reasons against taking the verdicts as evidence: a linear map solves the task, no model beats a floor."""
    told = ""
    if any(contrast.evidence for contrast in here):
        told += " A linear map solves this task, so it is no evidence."
    floor = comparison.best_floor()
    if floor and not any(comparison.beats(label, floor[1]) for label in comparison.intervals):
        told += " No model is clearly below the best floor."
    return told
