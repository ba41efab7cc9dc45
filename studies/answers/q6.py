"""Question 6: off the manifold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.sweep import Panel, scatter, scores_against
from studies.answers.common import NRMSE, TRAINING, find, folded, name, rewrite_of, tasks, training
from studies.cells import Cell
from studies.report import LONG, compare, draw, median_text, table, verdict_table


def question_6(cells: Sequence[Cell]) -> str:
    """Error of free latent runs against re-encoding; drift against neutral directions."""
    delta = [c for c in cells if c.line["model"] == "ddl"]
    panels, pairs = [], []
    for task in tasks(cells):
        lines: dict[str, dict[float, Array]] = {}
        for cell in (c for c in delta if c.task == task):
            lines.setdefault(rewrite_of(cell), {})[float(cell.option("reencode") or 0.0)] = cell.scores(steps=LONG)
        others = [c for c in cells if c.task == task and c not in delta]
        levels = {rewrite_of(c): float(np.median(c.scores(steps=LONG))) for c in others}
        panels.append(Panel(title=name(task), lines=lines, levels=levels))
        here = {float(c.option("reencode") or 0.0): c for c in delta if c.task == task and rewrite_of(c) == "DDL"}
        resnet = find(cells, task, "ResNet", rewrite_of)
        if resnet and 0.1 in here:
            pairs.append((f"{name(task)}: DDL re-encoded by .1 against ResNet", here[0.1], resnet))
        if {0.0, 0.1} <= set(here):
            pairs.append((f"{name(task)}: DDL re-encoded by .1 against free", here[0.1], here[0.0]))
    figure = scores_against(
        panels, axis="re-encoding μ", score=f"NRMSE, {LONG} steps", note="Grey lines: other models, free"
    )
    free = [c for c in cells if not c.option("reencode") and c.trained("neutral").size]
    points: dict[str, tuple[list[float], list[float]]] = {}
    for cell in free:
        x, y = points.setdefault(rewrite_of(cell), ([], []))
        x.append(float(np.median(cell.trained("neutral"))))
        y.append(float(np.median(cell.trained("distance_100"))))
    every = [np.concatenate([np.array(p[i]) for p in points.values()]) for i in (0, 1)]
    rho = float(spearmanr(*every).statistic)
    second = scatter(
        points, x="exponents above −.005 a step (of 8)", y="distance from the manifold, 100 steps",
        note="A point is a model on one of the four tasks: medians over the seeds of a cell",
    )  # fmt: skip
    pictures = [
        draw(figure, "q6", "Error at 100 steps against re-encoding"),
        draw(second, "q6_neutral", "Distance from the manifold against neutral exponents"),
    ]
    rows = [
        [name(c.task), rewrite_of(c), f"{c.option('reencode') or 0:g}", median_text(c, c.scores()),
         median_text(c, c.scores(steps=LONG)), median_text(c, c.trained("neutral")),
         median_text(c, c.trained("distance_100")), training(c)]
        for c in cells
    ]  # fmt: skip
    header = ["task", "model", "μ", NRMSE, f"NRMSE, {LONG} steps", "neutral exponents", "distance, 100 steps", TRAINING]
    found = verdict_table(compare(pairs, lambda cell: cell.scores(steps=LONG)))
    correlation = (
        f"Rank correlation of neutral exponents with the distance at 100 steps, over {len(every[0])} cells: {rho:.2f}."
    )
    return "\n\n".join([*pictures, correlation, found, folded("Every cell", table(header, rows))])
