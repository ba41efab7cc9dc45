"""Cells that were run twice: what another kind of processor does to a published number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from studies import tables
from studies.answers.common import NRMSE, marked, rewrite_of
from studies.answers.q1 import PROTOCOLS, protocol_of
from studies.cells import Cell
from studies.report import median_text, table


def second_runs(known: Mapping[str, Cell], again: Sequence[Cell]) -> str:
    """Medians and tuned rates of both runs of each cell, and the ratio of the medians.

    Args:
        known: hash -> the run that stands in the tables.   again: the second runs.
    """
    lines = []
    for second in again:
        first = known.get(tables.digest(second.line["config"]) or "")
        if first is None:
            continue
        old, new = (float(np.median(cell.scores())) for cell in (first, second))
        lines.append(
            [marked([first], first.task), rewrite_of(first), PROTOCOLS[protocol_of(first)],
             median_text(first, first.scores()), median_text(second, second.scores()), f"{new / old:.2f}",
             " → ".join(dict.fromkeys(cell.line["lr"] for cell in (first, second)))]
        )  # fmt: skip
    return table(
        ["task", "model", "protocol", f"{NRMSE}: in the tables", "second run", "ratio", "learning rate"], lines
    )
