"""Question 8: the gates of trained stacks, and the sign that the frozen operator gives away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.sweep import scatter
from studies.answers.common import NRMSE, error, folded, marked, rewrite_of, share
from studies.answers.q3 import value_of
from studies.cells import Cell
from studies.report import draw, median_text, table


def question_8(cells: Sequence[Cell]) -> str:
    """Sign of Π(1 − β) against the sign of the learned map's det J, at lift = identity."""
    stacks = [c for c in cells if c.trained("frozen_agrees").size and c.option("gate") != "fixed"]
    reversing = [c for c in stacks if c.trained("reversed_true")[0] == 1]
    points: dict[str, tuple[Array, Array]] = {}
    for label, above in (("β < 1 or below", False), ("β may exceed 1", True)):
        mine = [c for c in reversing if (c.option("gate_max") > 1.0) == above]
        if mine:
            share_reversed = np.array([np.median(c.trained("reversed")) for c in mine])
            points[label] = share_reversed, np.array([np.median(error(c)) for c in mine])
    pictures = []
    if points:
        figure = scatter(
            points, x="share of test states where the learned map has det J < 0", y=NRMSE,
            note="A point is a Delta stack on a task whose map reverses orientation: medians over the seeds of a cell",
        )  # fmt: skip
        pictures.append(
            draw(figure, "q8", "Error against the share of states with a reversing Jacobian, by the gate's cap")
        )
    capped = [c for c in reversing if c.option("gate_max") <= 1.0 and value_of(c) == "v of the state"]
    wrong = [c for c in capped if np.median(c.trained("frozen_agrees")) < 0.5]
    flows = [
        c for c in stacks
        if c.trained("reversed_true")[0] == 0
        and (rewrite_of(c), c.option("gate_max"), value_of(c)) == ("DDL", 2.0, "v of the state")
    ]  # fmt: skip
    lines = [
        [
            marked(cells, c.task),
            rewrite_of(c),
            value_of(c) if rewrite_of(c) == "DDL" else "",
            f"{c.option('gate_max'):g}",
            median_text(c, error(c)),
            share(c),
            *(percent(c.trained(m)) for m in ("reversed_true", "reversed", "frozen_reversed", "frozen_agrees")),
        ]
        for c in stacks
    ]
    header = [
        "task",
        "rewrite",
        "v",
        "largest β",
        NRMSE,
        "rewrites with β > 1 a step",
        "truth det J < 0",
        "learned det J < 0",
        "Π(1 − β) < 0",
        "same sign",
    ]
    said = [
        "With the gate held below 1 and v of the state the frozen product cannot be negative, and on tasks that "
        "reverse orientation it disagrees with the learned map's own determinant in most states in "
        f"{len(wrong)} of {len(capped)} cells.",
    ]
    if flows:
        shares = ", ".join(f"{marked(cells, c.task)} {share(c)}" for c in flows)
        said.append(f"Rewrites with β > 1 a step on tasks that keep orientation (β < 2, v of the state): {shares}.")
    return "\n\n".join([*pictures, " ".join(said), folded("Every cell", table(header, lines))])


def percent(values: Array) -> str:
    """The median of shares in per cent."""
    return f"{100 * float(np.median(values)):.0f} %" if values.size else ""
