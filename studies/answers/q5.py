"""Question 5: beyond the data."""

from __future__ import annotations

from collections.abc import Sequence

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.sweep import Panel, scores_against
from studies.answers.common import LINEAR, NRMSE, TRAINING, folded, marked, rewrite_of, tasks, training
from studies.cells import Cell
from studies.report import compare, draw, median_text, table, verdict_table

FAR = (
    "Far σ_min and σ_max: smallest and largest singular value of a step's Jacobian 100 standard deviations from the "
    "data, medians over rays. A bounded branch on the identity brings both to 1 in the limit. Errors are "
    "in units of the training data's standard deviation, so that an error grows with the radius as the states do. "
    + LINEAR
)


def question_5(cells: Sequence[Cell]) -> str:
    """Error against the radius of the starts."""
    radii = sorted({place[1] for c in cells for place in c.values if place[0] == "radius"}, key=float)

    def at(cell: Cell, radius: str) -> Array:
        return cell.scores(split="radius", radius=radius)

    panels, pairs = [], []
    for task in tasks(cells):
        here = {rewrite_of(c): c for c in cells if c.task == task}
        lines = {
            label: {1.0: cell.scores()} | {float(r): at(cell, r) for r in radii if at(cell, r).size}
            for label, cell in here.items()
        }
        panels.append(Panel(title=marked(cells, task), lines=lines))
        far = "4.0" if "4.0" in radii else radii[-1] if radii else ""
        pairs += [
            (f"{marked(cells, task)}, radius {float(far):g}: DDL against {other}", here["DDL"], here[other])
            for other in ("ResNet", "write-only", "ResNet relu affine")
            if far and {"DDL", other} <= set(here) and at(here["DDL"], far).size
        ]
    figure = scores_against(panels, axis="radius of the starts (1: training)", score=NRMSE, log_x=True)
    ends = ("far_smallest", "far_largest")
    rows = [
        [marked(cells, c.task), rewrite_of(c), median_text(c, c.scores()), *(median_text(c, at(c, r)) for r in radii),
         *(median_text(c, c.trained(end)) for end in ends), training(c)]
        for c in cells
    ]  # fmt: skip
    header = ["task", "model", "radius 1", *(f"radius {float(r):g}" for r in radii), "far σ_min", "far σ_max", TRAINING]
    picture = draw(figure, "q5", "Error against the radius of the starts")
    found = verdict_table(compare(pairs, lambda cell: at(cell, far)))
    return "\n\n".join([picture, found, FAR, folded("Every cell", table(header, rows))])
