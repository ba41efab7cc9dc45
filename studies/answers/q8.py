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
    stacks = [c for c in cells if of(c, "frozen_agrees").size and c.option("gate") != "fixed"]
    points: dict[str, tuple[Array, Array]] = {}
    for cap, label in ((1.0, "β < 1 or below"), (2.0, "β may exceed 1")):
        mine = [
            c for c in stacks if (float(c.option("gate_max")) > 1.0) == (cap > 1.0) and of(c, "reversed_true")[0] == 1
        ]
        if mine:
            points[label] = (
                np.array([np.median(of(c, "reversed")) for c in mine]),
                np.array([np.median(error(c)) for c in mine]),
            )
    pictures = []
    if points:
        figure = scatter(points, x="share of test states where the learned map has det J < 0", y=NRMSE)
        pictures.append(
            draw(figure, "q8", "Error against the share of states with a reversing Jacobian, by the gate's cap")
        )
    capped = [c for c in stacks if float(c.option("gate_max")) <= 1.0 and value_of(c) == "v of the state"]
    wrong = [c for c in capped if of(c, "reversed_true")[0] == 1 and np.median(of(c, "frozen_agrees")) < 0.5]
    truly = [c for c in capped if of(c, "reversed_true")[0] == 1]
    free = [
        c
        for c in stacks
        if rewrite_of(c) == "DDL" and float(c.option("gate_max")) == 2.0 and value_of(c) == "v of the state"
    ]
    lines = [
        [
            marked(cells, c.task),
            rewrite_of(c),
            value_of(c) if rewrite_of(c) == "DDL" else "",
            f"{c.option('gate_max'):g}",
            median_text(c, error(c)),
            share(c),
            *(percent(of(c, m)) for m in ("reversed_true", "reversed", "frozen_reversed", "frozen_agrees")),
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
    flows = [c for c in free if of(c, "reversed_true")[0] == 0]
    said = [
        "With the gate held below 1 and v of the state the frozen product cannot be negative, and on tasks that "
        "reverse orientation it disagrees with the learned map's own determinant in most states in "
        f"{len(wrong)} of {len(truly)} cells.",
    ]
    if flows:
        shares = ", ".join(f"{marked(cells, c.task)} {share(c)}" for c in flows)
        said.append(f"Rewrites with β > 1 a step on tasks that keep orientation (β < 2, v of the state): {shares}.")
    return "\n\n".join([*pictures, " ".join(said), folded("Every cell", table(header, lines))])


def of(cell: Cell, measure: str) -> Array:
    """A measure of the trained map, one value a seed; empty where the cell has none."""
    return cell.scores(measure, steps="")


def percent(values: Array) -> str:
    """The median of shares in per cent."""
    return f"{100 * float(np.median(values)):.0f} %" if values.size else ""
