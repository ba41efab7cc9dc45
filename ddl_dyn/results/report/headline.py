"""Findings in words: who separates from whom and where, and what the runs cannot tell.

A sentence is only ever as strong as the intervals: overlapping intervals are reported as open, not as a tie or a win.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from ddl_dyn.config.formats import counted, joined
from ddl_dyn.config.labels import model_label
from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.results.comparison.groups import Comparison, Setting, spoken

from .tables import quoted

# The architecture this suite is about; its losses are spelt out like its wins.
FOCUS = "ddl"
# Parameter counts further apart than this share are not a matched comparison.
MATCHED = 0.05
# Fewest seeds whose range can hold a median with 95 % probability: 1 − 2^(1−R) ≥ .95.
SEEDS_FOR_INTERVAL = 6


def headline(found: Sequence[Setting]) -> list[str]:
    """Opening sentences of a report of some settings."""
    every = [comparison for setting in found for comparison in setting.comparisons]
    rivalries = [comparison for comparison in every if len(comparison.intervals) > 1]
    if not every:
        return ["No run has a result yet, so there is nothing to compare."]
    out = []
    if rivalries:
        out.append(_tally(rivalries))
        out += _head_to_head(rivalries)
    else:
        out.append("Each setting holds one model, so no two are compared; the floors are the only yardstick here.")
    out += _floors(every)
    return out


def _tally(rivalries: Sequence[Comparison]) -> str:
    wins = Counter(comparison.best for comparison in rivalries)
    nobody = wins.pop(None, 0)
    where = counted(len(rivalries), "comparison") + " (task × protocol × test set × horizon)"
    if not wins:
        return f"In none of {where} does one model separate from all the others."
    won = [(spoken(str(label)), count) for label, count in wins.most_common()]
    first = f"{won[0][0]} separates from all the others in {won[0][1]}"
    rest = f"; in the other {nobody} no model does" if nobody else ""
    return f"{joined([first, *(f'{name} in {count}' for name, count in won[1:])])} of {where}{rest}."


def _head_to_head(rivalries: Sequence[Comparison]) -> list[str]:
    counts: dict[tuple[str, str], Counter[str]] = {}
    for comparison in rivalries:
        for first in _focus(comparison):
            for second in comparison.intervals:
                if second != first and second not in _focus(comparison):
                    counts.setdefault((first, second), Counter())[comparison.relation(first, second)] += 1
    return [
        f"{spoken(first)} against {spoken(second)}: better in {count['better']}, worse in {count['worse']}, "
        f"not separated in {count['open']} of {count.total()}."
        for (first, second), count in counts.items()
    ]


def _focus(comparison: Comparison) -> list[str]:
    return [c.label for c in comparison.setting.entries if c.model == FOCUS and c.label in comparison.intervals]


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


def finding(comparison: Comparison) -> str:
    """One sentence on one comparison."""
    order = comparison.order()
    best = comparison.best
    if len(order) == 1:
        text = _quoted(comparison, order[0])
    elif best is not None:
        second = next(label for label in order if label != best)
        relation = "is better than" if len(order) == 2 else "separates from all others, next"
        text = f"{_quoted(comparison, best)} {relation} {_quoted(comparison, second)}"
    else:
        first = order[0]
        open_to = [label for label in order[1:] if comparison.relation(first, label) == "open"]
        text = (
            f"no model separates from all others; the lowest median is that of {_quoted(comparison, first)}, whose "
            f"interval overlaps with {joined(_quoted(comparison, label) for label in open_to)}"
        )
        if len(order) == 2:
            text = f"the two do not separate, {joined(_quoted(comparison, label) for label in order)}"
        if math.isinf(comparison.intervals[first].estimate):
            text = "every model failed in more than half of its replicas"
    losses = [
        f"{_quoted(comparison, label)} is worse than {joined(map(spoken, ahead))}"
        for label in _focus(comparison)
        if (ahead := [other for other in order if other != label and comparison.relation(label, other) == "worse"])
        # Said already: the next to the one that separates from all others.
        and not (ahead == [best] and label == order[1])
    ]
    losses += _against_floor(comparison)
    title = comparison.title[0].upper() + comparison.title[1:]
    return f"{title}: {'; '.join([text, *losses])}."


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
        reach = 100 * (1 - 2.0 ** (1 - few[0]))
        out.append(
            f"With {few[0]} seeds no interval for a median can cover more than {reach:.4g} %, whatever level it aims "
            f"at: at least {SEEDS_FOR_INTERVAL} seeds are needed for 95 %."
        )
    unequal = _unequal(found)
    if unequal:
        out.append(f"Parameter counts are not matched within 5 %: {'; '.join(unequal)}.")
    if any(s.comparisons and not any(c.split == "ood" for c in s.comparisons) for s in found):
        out.append("Some tasks have no out-of-distribution test.")
    if sum(len(comparison.intervals) > 1 for comparison in every) > 1:
        out.append(
            "The intervals are not corrected for how many comparisons are made at once; the paired tests below are."
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
