"""Question 4: how many reflections?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.sweep import Panel, scores_against
from studies.answers.common import accuracy, error, folded, name, tasks
from studies.cells import Cell
from studies.report import compare, draw, median_text, table, verdict_table


def question_4(cells: Sequence[Cell]) -> str:
    """Accuracy against the number of reflections a token."""
    driven = [c for c in cells if c.option("generator") == "input"]
    cap = {2.0: "token-driven k, β < 2", 1.0: "token-driven k, β < 1"}
    panels, pairs = [], []
    for task in tasks(cells):
        lines: dict[str, dict[float, Array]] = {}
        for cell in (c for c in driven if c.task == task):
            lines.setdefault(cap[cell.option("gate_max")], {})[float(cell.option("layers"))] = accuracy(cell)
        others = [c for c in cells if c.task == task and c not in driven]
        levels = {control(c): float(np.median(accuracy(c))) for c in others}
        panels.append(Panel(title=name(task), lines=lines, levels=levels))
        for layers in (1, 2, 3, 4):
            two, one = (
                next(
                    (c for c in driven if (c.task, c.option("layers"), c.option("gate_max")) == (task, layers, g)), None
                )
                for g in (2.0, 1.0)
            )
            if two and one:
                pairs.append((f"{name(task)}, {layers} reflections: β < 2 against β < 1", two, one))
    figure = scores_against(
        panels, axis="reflections a token", score="accuracy at the longest words", log_y=False,
        note="Trained on 20 tokens; dotted lines: other models, two layers a token",
    )  # fmt: skip
    rows = [
        [name(c.task), cap[c.option("gate_max")] if c in driven else control(c), str(c.option("layers")),
         median_text(c, accuracy(c), 3), median_text(c, c.scores("accuracy_trained", steps=""), 3)]
        for c in cells
    ]  # fmt: skip
    header = ["task", "model", "layers", "accuracy, longest words", "accuracy, 20 tokens"]
    picture = draw(figure, "q4", "Accuracy against the number of reflections a token")
    return "\n\n".join([picture, verdict_table(compare(pairs, error)), folded("Every cell", table(header, rows))])


def control(cell: Cell) -> str:
    """The printed name of a control."""
    names = {"ddl": "DDL, state-driven", "resnet": "ResNet", "lstm": "LSTM", "highway": "signed Highway"}
    return names[cell.line["model"]]
