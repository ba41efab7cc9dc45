"""Question 2: is it the erasure, or the products?"""

from __future__ import annotations

from collections.abc import Sequence

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.sweep import Panel, scores_against
from studies.answers.common import NRMSE, TRAINING, error, folded, marked, name, rewrite_of, share, tasks, training
from studies.cells import Cell
from studies.report import compare, draw, median_text, table, verdict_table


def question_2(cells: Sequence[Cell]) -> str:
    """Error against the number of training trajectories; Delta against write-only and bilinear branches."""
    panels, pairs = [], []
    for task in tasks(cells):
        lines: dict[str, dict[float, Array]] = {}
        for cell in (c for c in cells if c.task == task):
            lines.setdefault(rewrite_of(cell), {})[float(cell.config["data"]["n_train"])] = error(cell)
        panels.append(Panel(title=name(task), lines=lines, levels={}))
        for count in sorted({c.config["data"]["n_train"] for c in cells}):
            here = {rewrite_of(c): c for c in cells if c.task == task and c.config["data"]["n_train"] == count}
            pairs += [
                (f"{name(task)}, n = {count}: DDL against {other}", here["DDL"], here[other])
                for other in ("write-only", "ResNet bilinear")
                if {"DDL", other} <= set(here)
            ]
    figure = scores_against(panels, axis="training trajectories", score=NRMSE, log_x=True)
    rows = [
        [marked(cells, c.task), str(c.config["data"]["n_train"]), rewrite_of(c), median_text(c, error(c)), share(c),
         training(c)]
        for c in cells
    ]  # fmt: skip
    header = ["task", "n", "model", NRMSE, "rewrites with β > 1 a step", TRAINING]
    picture = draw(figure, "q2", "Error against the number of training trajectories")
    return "\n\n".join([picture, verdict_table(compare(pairs, error)), folded("Every cell", table(header, rows))])
