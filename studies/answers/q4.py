"""Question 4: how many reflections?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.sweep import Panel, scores_against
from studies.answers.common import TRAINING, by_cap, error, folded, name, tasks, training
from studies.cells import Cell
from studies.report import compare, draw, median_text, table, verdict_table

CAPS = {2.0: "token-driven k, β < 2", 1.0: "token-driven k, β < 1"}
SOLVED = "tokens with accuracy above .99"


def question_4(cells: Sequence[Cell]) -> str:
    """Accuracy against the number of reflections a token, at the trained length and at the longest words."""
    driven = [c for c in cells if c.option("generator") == "input"]
    pictures = []
    for k, (words, stem) in enumerate((("longest words", "q4"), ("trained length", "q4_trained"))):
        panels = [_panel(cells, driven, task, -1 if k == 0 else 0) for task in tasks(cells)]
        figure = scores_against(
            panels, axis="reflections a token", score=f"accuracy, {words}", log_y=False, bound=1.0,
            note="Trained on 20 tokens; grey lines: other models, at the depth that the tables give",
        )  # fmt: skip
        pictures.append(draw(figure, stem, f"Accuracy against the number of reflections a token, {words}"))
    pairs = []
    for task in tasks(cells):
        for layers in (1, 2, 3, 4):
            both = by_cap([c for c in driven if (c.task, c.option("layers")) == (task, layers)])
            if both:
                many = "reflection" if layers == 1 else "reflections"
                pairs.append((f"{name(task)}, {layers} {many}: β < 2 against β < 1", *both))
    rows = [
        [name(c.task), CAPS[c.option("gate_max")] if c in driven else control(c), str(c.option("layers")),
         *(median_text(c, at_length(c, place), 3) for place in (0, -1)), str(c.lengths("accuracy")[-1]),
         median_text(c, c.trained("longest_length"), 3), training(c)]
        for c in cells
    ]  # fmt: skip
    measured = ["accuracy, 20 tokens", "accuracy, longest words", "their tokens", SOLVED]
    header = ["task", "model", "layers", *measured, TRAINING]
    at_first = compare(pairs, lambda cell: 1.0 - at_length(cell, 0))
    return "\n\n".join(
        [
            *pictures,
            "Share of wrong states at the longest words, the comparisons fixed beforehand:",
            verdict_table(compare(pairs, error)),
            "The same at the trained length of 20 tokens, added after the results were seen (exploratory, corrected "
            "over these comparisons alone):",
            verdict_table(at_first),
            folded("Every cell", table(header, rows)),
        ]
    )


def at_length(cell: Cell, place: int) -> Array:
    """Accuracy of each seed: 0 at the trained length, −1 at the longest words."""
    return cell.scores("accuracy", steps=cell.lengths("accuracy")[place])


def _panel(cells: Sequence[Cell], driven: Sequence[Cell], task: str, place: int) -> Panel:
    lines: dict[str, dict[float, Array]] = {}
    for cell in (c for c in driven if c.task == task):
        lines.setdefault(CAPS[cell.option("gate_max")], {})[float(cell.option("layers"))] = at_length(cell, place)
    others = [c for c in cells if c.task == task and c not in driven]
    return Panel(
        title=name(task), lines=lines, levels={control(c): float(np.median(at_length(c, place))) for c in others}
    )


def control(cell: Cell) -> str:
    """The printed name of a control."""
    names = {"ddl": "DDL, state-driven", "resnet": "ResNet", "lstm": "LSTM", "highway": "signed Highway"}
    return names[cell.line["model"]]
