"""Every model of the registry on five tasks: how far each is from the best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.answers.common import NRMSE, error, folded, name, tasks
from studies.cells import Cell
from studies.report import median_text, table

WORDS = "wrong states, longest words"


def table_of_models(cells: Sequence[Cell]) -> str:
    """Median error of each model on each task with its ratio to the task's lowest; intervals and sizes folded below."""
    known = {(c.task, c.line["model"]): float(np.median(error(c))) for c in cells}
    columns = tasks(cells)
    lowest = {task: min(value for (its, _), value in known.items() if its == task) for task in columns}
    rows = [
        [f"`{model}`", *(_entry(known.get((task, model)), lowest[task]) for task in columns)]
        for model in dict.fromkeys(c.line["model"] for c in cells)
    ]
    scores = {task: WORDS if any(c.lengths("accuracy") for c in cells if c.task == task) else NRMSE for task in columns}
    header = ["model", *(f"{name(task)}: {scores[task]}" for task in columns)]
    every = [
        [name(c.task), f"`{c.line['model']}`", c.line["parameters"], c.line["latent_dim"], c.line["lr"],
         median_text(c, error(c))]
        for c in cells
    ]  # fmt: skip
    folds = table(["task", "model", "parameters", "H", "learning rate", "error (interval over seeds)"], every)
    return "\n\n".join([table(header, rows), folded("Every cell", folds)])


def _entry(value: float | None, lowest: float) -> str:
    """A median and how many times the lowest of its column it is; the lowest in bold."""
    if value is None:
        return ""
    if not np.isfinite(value):
        return "failed"
    if value == lowest:
        return f"**{value:.2g}**"
    return f"{value:.2g} ({value / lowest:.2g} ×)" if lowest > 0 else f"{value:.2g}"
