"""Cells of the tables done again, to find changes of code that change a published number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ddl_dyn.experiments.execute import execute
from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.setup import make_setup
from ddl_dyn.runs.result import at
from studies import tables
from studies.questions import ORDER


def replay(count: int, folder: Path, seed: int | None = None) -> int:
    """Do cells drawn at random again and print max |Δ| of their NRMSE against the table.

    Args:
        count: cells.   folder: of the tables.   seed: of the draw; None draws other cells every time.
    Returns:
        0, or 1 where a number differs by more than the table's six digits can tell.
    """
    every = [(question, line) for question in ORDER for line in tables.read(question, "cells", folder)]
    rng = np.random.default_rng(seed)
    worst = 0
    for i in rng.permutation(len(every))[:count]:
        question, line = every[i]
        numbers = execute(make_setup(resolve_run(json.loads(line["config"]))), Callbacks()).numbers
        stored = [row for row in tables.read(question, "scores", folder) if row["cell"] == line["cell"]]
        difference = 0.0
        for row in stored:
            if row["measure"] == "nrmse" and row["split"] in ("test", "ood"):
                values = [at(numbers, f"{row['split']}.nrmse_{horizon}") for horizon in ("short", "long")]
                seed_number = int(row["seed"]) - json.loads(line["config"])["seed"]
                found = [float(v[seed_number]) for v in values]
                x = float(row["value"])
                difference = max(difference, min(_relative(x, y) for y in found))
        print(f"{question} {line['task']} {line['model']} {line['cell'][:12]}: max relative |Δ| = {difference:.2g}")
        worst |= difference > 1e-5
    return int(worst)


def _relative(x: float, y: float) -> float:
    return 0.0 if x == y else abs(x - y) / max(abs(x), abs(y))
