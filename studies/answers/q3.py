"""Question 3: is it β > 1?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.sweep import Panel, scores_against
from studies.answers.common import (
    LINEAR,
    NRMSE,
    TRAINING,
    accuracy,
    by_cap,
    error,
    find,
    folded,
    linear,
    marked,
    name,
    share,
    tasks,
    training,
)
from studies.cells import Cell
from studies.report import compare, draw, median_text, table, verdict_table


def question_3(cells: Sequence[Cell]) -> str:
    """Error against the gate's cap, by where v comes from."""
    swept = [cell for cell in cells if value_of(cell).startswith("v ")]
    panels: list[Panel] = []
    words: list[Panel] = []
    for task in tasks(swept):
        lines: dict[str, dict[float, Array]] = {}
        for cell in (c for c in swept if c.task == task):
            score = accuracy(cell) if accuracy(cell).size else error(cell)
            lines.setdefault(value_of(cell), {})[float(cell.option("gate_max"))] = score
        levels = linear(cells, task)
        control = find(cells, task, "ResNet", value_of)
        levels |= {"ResNet": float(np.median(error(control)))} if control else {}
        (words if task == "s3" else panels).append(Panel(title=marked(cells, task), lines=lines, levels=levels))
    pictures = []
    if panels:
        figure = scores_against(
            panels, axis="largest β that the gate allows", score=NRMSE,
            note="A linear baseline that is not drawn lies far below: a linear map solves that task",
        )  # fmt: skip
        pictures.append(draw(figure, "q3", "Error against the largest β, for v of the state, constant and zero"))
    if words:
        figure = scores_against(
            words, axis="largest β that the gate allows", score="accuracy, longest words", log_y=False, bound=1.0
        )
        pictures.append(draw(figure, "q3_words", "Accuracy on words of S₃ against the largest β"))
    pairs = []
    for task in tasks(swept):
        for value in ("v of the state", "v constant", "v = 0"):
            both = by_cap([c for c in swept if (c.task, value_of(c)) == (task, value)])
            if both:
                pairs.append((f"{marked(cells, task)}, {value}: β < 2 against β < 1", *both))
    rows = [
        [name(c.task), value_of(c), f"{c.option('gate_max'):g}" if c in swept else "", median_text(c, error(c)),
         share(c), training(c)]
        for c in [*swept, *(c for c in cells if c not in swept)]
    ]  # fmt: skip
    longest = max((cell.lengths("accuracy")[-1] for cell in cells if cell.lengths("accuracy")), default=0)
    of_words = f"; of S₃, the share of wrong states after {longest} tokens" if longest else ""
    note = f"Error is the NRMSE over 20 steps{of_words}. {LINEAR}"
    header = ["task", "v", "largest β", "error", "rewrites with β > 1 a step", TRAINING]
    return "\n\n".join(
        [*pictures, verdict_table(compare(pairs, error)), note, folded("Every cell", table(header, rows))]
    )


def value_of(cell: Cell) -> str:
    """Source of a Delta layer's v."""
    if cell.line["model"] != "ddl" or cell.option("gate") == "fixed":
        return "ResNet" if cell.line["model"] == "resnet" else "β = 1"
    if cell.option("rewrite") == "erase":
        return "v = 0"
    return "v constant" if cell.option("value") == "constant" else "v of the state"
