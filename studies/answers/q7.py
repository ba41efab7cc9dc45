"""Question 7: how many trajectories a reflection takes, against its dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.sweep import Panel, scores_against
from studies.answers.common import NRMSE, TRAINING, error, folded, rewrite_of, training
from studies.cells import Cell
from studies.report import compare, draw, median_text, table, verdict_table

# Error at which a reflection counts as learned.
LEARNED = 0.1
LINEAR_MAP = "linear map"


def question_7(cells: Sequence[Cell]) -> str:
    """Error against the number of training trajectories for each dimension; the number at which it falls below .1."""
    dimensions = sorted({int(c.config["task_args"]["d"]) for c in cells})
    panels, pairs = [], []
    lines: dict[int, dict[str, dict[float, Array]]] = {d: {} for d in dimensions}
    for cell in cells:
        d, n = int(cell.config["task_args"]["d"]), int(cell.config["data"]["n_train"])
        lines[d].setdefault(rewrite_of(cell), {})[n] = error(cell)
        if cell.line["linear"] not in ("", "None"):
            lines[d].setdefault(LINEAR_MAP, {})[n] = np.array([float(cell.line["linear"])])
    for d in dimensions:
        panels.append(Panel(title=f"d = {d}", lines=lines[d]))
        here = {
            rewrite_of(c): c for c in cells if (c.config["task_args"]["d"], c.config["data"]["n_train"]) == (d, 2 * d)
        }
        pairs += [
            (f"d = {d}, n = {2 * d}: DDL against {other}", here["DDL"], here[other])
            for other in ("write-only", "ResNet", "ResNet affine")
            if {"DDL", other} <= set(here)
        ]
    figure = scores_against(panels, axis="training trajectories", score=NRMSE, log_x=True)
    labels = list(dict.fromkeys(label for found in lines.values() for label in found))
    needed = [[label, *(count_text(lines[d].get(label, {})) for d in dimensions)] for label in labels]
    rows = [
        [str(c.config["task_args"]["d"]), str(c.config["data"]["n_train"]), rewrite_of(c), median_text(c, error(c)),
         c.line["linear"], training(c)]
        for c in cells
    ]  # fmt: skip
    header = ["d", "n", "model", NRMSE, LINEAR_MAP, TRAINING]
    return "\n\n".join(
        [
            draw(figure, "q7", "Error on a mirror in d dimensions against the number of training trajectories"),
            f"Trajectories at which the median error falls below {LEARNED:g}, interpolated in their logarithms:",
            table(["model", *(f"d = {d}" for d in dimensions)], needed),
            verdict_table(compare(pairs, error)),
            folded("Every cell", table(header, rows)),
        ]
    )


def count_text(line: Mapping[float, Array]) -> str:
    """Trajectories at which the median error first falls below `LEARNED`; between two counts by a power law.

    Args:
        line: trajectories -> (R,) errors.
    """
    counts = sorted(line)
    medians = [float(np.median(line[n])) for n in counts]
    for i, median in enumerate(medians):
        if median >= LEARNED:
            continue
        if i == 0:
            return f"≤ {counts[0]:g}"
        if not np.isfinite(medians[i - 1]):
            return f"{counts[i]:g}"
        share = np.log(medians[i - 1] / LEARNED) / np.log(medians[i - 1] / median)
        return f"{counts[i - 1] * (counts[i] / counts[i - 1]) ** share:.3g}"
    return f"> {counts[-1]:g}" if counts else ""
