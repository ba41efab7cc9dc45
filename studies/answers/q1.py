"""Question 1: where does DDL win, tie, lose?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.metrics.decisions import Decision
from ddl_dyn.plots.sweep import outcome_matrix
from studies.answers.common import NRMSE, TRAINING, folded, marked, rewrite_of, tasks, training
from studies.cells import SHORT, Cell
from studies.report import LONG, compare, draw, median_text, table, verdict_table

COLOURS = (
    "Ratios of medians; blue: DDL wins, orange: it loses, grey: a tie, white: open, hatched: not run; "
    "*: settings may be chosen on this task"
)
# Tasks on which settings may be chosen; the others are reported.
CHOOSING = ("van_der_pol", "lorenz63", "henon", "twisted_mirror")
# These have no lift under any protocol.
CLOSED_FORM = ("nvar", "esn")
PROTOCOLS = {
    "identity": "lift = identity", "observed": "carry = observed, H = 8", "latent": "carry = latent, H = 8",
}  # fmt: skip


def question_1(cells: Sequence[Cell]) -> str:
    """Verdicts of DDL against every other model, a matrix for each protocol and horizon; p over the short horizon."""
    labelled: dict[str, tuple[str, str, str]] = {}
    pairs: list[tuple[str, Cell, Cell]] = []
    for protocol, said in PROTOCOLS.items():
        here = [c for c in cells if protocol_of(c) == protocol]
        for task in tasks(here):
            known = {rewrite_of(c): c for c in here if c.task == task}
            for other, cell in known.items():
                if "DDL" in known and other != "DDL":
                    failed = "" if np.isfinite(np.median(at(SHORT)(cell))) else ", which failed"
                    label = f"{marked(cells, task)}, {said}: DDL against {other}{failed}"
                    labelled[label] = (protocol, task, other)
                    pairs.append((label, known["DDL"], cell))
    parts: list[str] = []
    for steps, role in ((SHORT, "fixed beforehand"), (LONG, "families of their own")):
        # One family a protocol: over all comparisons the least p of 12 pairs, 2/4096, would not reach .05.
        families = [[pair for pair in pairs if labelled[pair[0]][0] == protocol] for protocol in PROTOCOLS]
        found = [decision for family in families for decision in compare(family, at(steps))]
        parts += [f"{steps} steps, {role}, corrected within each protocol: {counts(found)}."]
        for protocol, said in PROTOCOLS.items():
            mine = {labelled[d.label][1:]: d for d in found if labelled[d.label][0] == protocol}
            if mine:
                parts.append(
                    matrix(cells, mine, f"q1_{protocol}_{steps}", f"DDL against others, {said}, {steps} steps")
                )
        if steps == SHORT:
            parts.append(folded("Every comparison over 20 steps", verdict_table(found)))
    rows = [
        [PROTOCOLS[protocol_of(c)], marked(cells, c.task), rewrite_of(c), c.line["latent_dim"],
         median_text(c, c.scores()), median_text(c, c.scores(steps=LONG)), training(c)]
        for c in cells
    ]  # fmt: skip
    header = ["protocol", "task", "model", "H", NRMSE, f"NRMSE, {LONG} steps", TRAINING]
    return "\n\n".join([*parts, folded("Every cell", table(header, rows))])


def at(steps: int) -> Callable[[Cell], Array]:
    """NRMSE at a horizon; the longest that a short record allows where it has no such horizon."""

    def score(cell: Cell) -> Array:
        return cell.scores(steps=min(steps, cell.lengths("nrmse")[-1]))

    return score


def protocol_of(cell: Cell) -> str:
    """`identity` without a lift, else the carried state; closed forms stand beside models of the same carried state."""
    lifted = cell.option("lift") != "identity" or cell.line["model"] in CLOSED_FORM
    return str(cell.option("carry") or "observed") if lifted else "identity"


def counts(found: Sequence[Decision]) -> str:
    """Wins, losses, ties and open comparisons in words."""
    number = {word: sum(d.verdict == word for d in found) for word in ("win", "loss", "tie", "unresolved")}
    failed = sum(d.verdict == "win" and d.ratio.estimate == 0 for d in found)
    said = f" ({failed} against a model that failed)" if failed else ""
    return (
        f"{number['win']} wins{said}, {number['loss']} losses, {number['tie']} ties, {number['unresolved']} unresolved"
    )


def matrix(cells: Sequence[Cell], found: dict[tuple[str, str], Decision], stem: str, alt: str) -> str:
    """A coloured matrix of verdicts with the ratios of medians, reported tasks first."""
    rows = sorted(dict.fromkeys(task for task, _ in found), key=lambda task: task in CHOOSING)
    columns = list(dict.fromkeys(other for _, other in found))
    outcomes = [[found[r, c].verdict if (r, c) in found else "" for c in columns] for r in rows]
    texts = [[ratio_text(found[r, c]) if (r, c) in found else "" for c in columns] for r in rows]
    labels = [marked(cells, r) + ("*" if r in CHOOSING else "") for r in rows]
    figure = outcome_matrix(labels, columns, outcomes, texts=texts, title=alt, note=COLOURS)
    return draw(figure, stem, alt)


def ratio_text(found: Decision) -> str:
    """A ratio in a field of the matrix: three places at most, powers of ten as words would say them."""
    ratio = found.ratio.estimate
    if ratio == 0:
        return "other fails"
    if not np.isfinite(ratio):
        return "DDL fails"
    return f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.2g}"
