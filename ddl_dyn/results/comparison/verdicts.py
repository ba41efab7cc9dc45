"""Verdicts on the first model of each setting against every other, and the words that terminal and page use for them.

Axes: R replicas.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ddl_dyn.config.formats import counted
from ddl_dyn.metrics.decisions import Decision, Outcome, PairedScores, decide
from ddl_dyn.metrics.registry import METRICS, PRIMARY, Metric
from ddl_dyn.metrics.starts import DISAGREEMENT
from ddl_dyn.results.comparison.groups import Comparison, Entry, Setting, replica_data_sets
from ddl_dyn.runs import Run
from ddl_dyn.runs.result import at
from ddl_dyn.runs.stored_result import WindowInterval

# Parameter counts further apart than this share are not a matched comparison.
MATCHED = 0.05
# What every text calls the comparisons that p is corrected over.
FAMILY = "first model against each other, in distribution, short horizon, per task and protocol"
# A least-squares linear map with a lower error than this, in distribution over the short horizon, solves the task: a
# model that is better still shows nothing about the motion's nonlinearity.
LINEAR_SUFFICES = 0.1
NO_EVIDENCE = "linear: no evidence"
NO_EVIDENCE_SAYS = (
    f"“{NO_EVIDENCE}” marks tasks on which a linear map's {PRIMARY.title}, in distribution over the short horizon, is "
    f"below {LINEAR_SUFFICES:g}; verdicts there are not counted as wins"
)
OUTCOMES: tuple[Outcome, ...] = ("win", "loss", "tie", "unresolved")


@dataclass(frozen=True)
class Contrast:
    """Two entries tested on the same data and seeds.

    Args:
        comparison: where.   first: the setting's first entry, which the verdict is on.   second: another entry of it.
        decision: the verdict and the numbers behind it.
    """

    comparison: Comparison
    first: Entry
    second: Entry
    decision: Decision

    @property
    def matched(self) -> bool:
        """True if both have as many parameters, within `MATCHED`; unknown counts are not matched."""
        sizes = [at(entry.run.result, METRICS["parameters"].path) for entry in (self.first, self.second)]
        return all(isinstance(size, int) for size in sizes) and max(sizes) <= (1 + MATCHED) * min(sizes)

    @property
    def evidence(self) -> str:
        """`NO_EVIDENCE` on a task that a linear map solves, else empty."""
        return evidence_words(self.comparison.setting)

    @property
    def marked(self) -> bool:
        """True for a primary win at matched parameters, on a task that no linear map solves; tables set it off."""
        return self.decision.primary and self.decision.verdict == "win" and self.matched and not self.evidence


def evidence_words(setting: Setting) -> str:
    """`NO_EVIDENCE` where the linear baseline's error, in distribution over the short horizon, is below .1; else empty.

    Verdicts on such a setting are shown, and not counted as wins.
    """
    primary = [comparison for comparison in setting.comparisons if comparison.primary]
    solved = any(c.floors.get("linear", math.inf) < LINEAR_SUFFICES for c in primary)
    return NO_EVIDENCE if solved else ""


def contrasts(found: Sequence[Setting]) -> list[Contrast]:
    """Verdicts on the first entry of every setting against each other entry of the same seeds and data sets.

    The comparisons in distribution over the short horizon, those of all settings together, are the primary family that
    p is corrected over; all others are exploratory.

    Args:
        found: settings of one table or page.
    Returns:
        In the order of the settings, their comparisons and their entries.
    """
    cases = [(c, first, second) for setting in found for c in setting.comparisons for first, second in _pairs(c)]
    scores = [
        PairedScores(
            label=f"{first.label} against {second.label}",
            first=comparison.values[first.label],
            second=comparison.values[second.label],
            data_sets=replica_data_sets(first.run, comparison.values[first.label].size),
            primary=comparison.primary,
        )
        for comparison, first, second in cases
    ]
    return [Contrast(*case, decision) for case, decision in zip(cases, decide(scores), strict=True)]


def _pairs(comparison: Comparison) -> list[tuple[Entry, Entry]]:
    """The first entry with each other that was trained and tested pair by pair with it."""
    first, *others = comparison.setting.entries
    if first.label not in comparison.values:
        return []
    here = [entry for entry in others if entry.label in comparison.values]
    return [(first, second) for second in here if _paired(first.run) == _paired(second.run)]


def _paired(run: Run) -> tuple[object, ...]:
    return tuple(at(run.config, name) for name in ("seed", "seeds", "data.seeds"))


def of_comparison(judged: Iterable[Contrast], comparison: Comparison) -> list[Contrast]:
    """The contrasts of one comparison."""
    return [contrast for contrast in judged if contrast.comparison is comparison]


def starred(judged: Iterable[Contrast], comparison: Comparison, label: str) -> bool:
    """True for an entry with a primary win at matched parameters against every other entry of its comparison.

    Args:
        judged: from `contrasts`.   comparison: of one setting.   label: of one of its entries.
    """
    own = [contrast for contrast in of_comparison(judged, comparison) if contrast.first.label == label]
    return bool(own) and len(own) == len(comparison.values) - 1 and all(contrast.marked for contrast in own)


def verdict_words(verdict: str, *, matched: bool, seeds_needed: float, evidence: str = "") -> str:
    """A verdict with what qualifies it: unequal sizes, a task that shows nothing, or the seeds that would resolve it.

    Args:
        verdict: of `OUTCOMES`.   matched: whether the two have equally many parameters.
        seeds_needed: pairs that would resolve an unresolved one; ∞ where none would, NaN where nothing is known.
        evidence: from `evidence_words`, of its setting.
    """
    qualified = [evidence] if evidence else []
    if verdict != "unresolved":
        qualified += [] if matched else ["parameters not matched"]
    elif not math.isnan(seeds_needed):
        wanted = "no number of seeds" if math.isinf(seeds_needed) else f"about {seeds_needed:,.0f} seeds"
        qualified.append(f"{wanted} would resolve it")
    return f"{verdict} ({'; '.join(qualified)})" if qualified else verdict


def window_words(windows: WindowInterval, metric: Metric) -> str:
    """Interval over blocks of a recorded series' windows, as `.1 to .2 over blocks of 3 overlapping windows`.

    Args:
        windows: as a run stores them for one split and horizon.   metric: whose digits are printed.
    """
    block = f"blocks of {windows['block']} overlapping windows"
    if windows["block"] == 1:
        block = f"{windows['windows']} windows that do not overlap"
    if windows["low"] is None or windows["high"] is None:
        return f"none (fewer than two {block if windows['block'] > 1 else 'windows'})"
    return f"{metric.text(windows['low'])} to {metric.text(windows['high'])} over {block}"


def coverage_words(coverages: Iterable[float]) -> str:
    """Attained coverages in per cent, as `93.75 %` or `50–95 %`; empty where there is no interval."""
    known = sorted({round(100 * value, 2) for value in coverages if value > 0})
    return f"{'–'.join(f'{value:.4g}' for value in dict.fromkeys((known[0], known[-1])))} %" if known else ""


def seed_words(pairs: Iterable[tuple[int, int]]) -> str:
    """Numbers of seeds and of data sets, as `12 seeds on 4 data sets`.

    Args:
        pairs: seeds and data sets of each model.
    """
    known = sorted(set(pairs))
    return " or ".join(f"{counted(seeds, 'seed')} on {counted(sets, 'data set')}" for seeds, sets in known)


def few_words(mark: str) -> str:
    """Sentence on numbers that bear a mark because few starts decide them."""
    pooled, median = PRIMARY.title, METRICS["start_median"].title
    return (
        f"{mark} few starts decide this number: {pooled} pooled over starts and its {median} are more than a factor of "
        f"{DISAGREEMENT:g} apart"
    )
