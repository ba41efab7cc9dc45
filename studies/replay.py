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


def replay(count: int, folder: Path, *, tolerance: float = 0.0, seed: int | None = None) -> int:
    """Do cells drawn at random again and print how far their NRMSE is from the table's.

    On the same kind of machine nothing differs; on another, training amplifies the rounding of other instructions.

    Args:
        count: cells.   folder: of the tables.   tolerance: largest |log ratio| of a median over seeds that passes.
        seed: of the draw; None draws other cells every time.
    Returns:
        0, or 1 where a median differs by more.
    """
    every = [(question, line) for question in ORDER for line in tables.read(question, "cells", folder)]
    rng = np.random.default_rng(seed)
    failed = False
    for i in rng.permutation(len(every))[:count]:
        question, line = every[i]
        numbers = execute(make_setup(resolve_run(json.loads(line["config"]))), Callbacks()).numbers
        stored: dict[tuple[str, str], list[tuple[int, float]]] = {}
        for row in tables.read(question, "scores", folder):
            if row["cell"] == line["cell"] and row["measure"] == "nrmse" and row["split"] in ("test", "ood"):
                place = (row["split"], row["steps"])
                stored.setdefault(place, []).append((int(row["seed"]), float(row["value"])))
        largest, ratio = 0.0, 0.0
        for split in dict.fromkeys(split for split, _ in stored):
            # The shorter horizon stands first.
            both = sorted((int(steps), sorted(each)) for (name, steps), each in stored.items() if name == split)
            for horizon, (_, each) in zip(("short", "long"), both, strict=False):
                old = np.array([value for _, value in each])
                new = np.array(at(numbers, f"{split}.nrmse_{horizon}"), dtype=float)
                largest = max(largest, float(np.max(np.where(old == new, 0.0, np.abs(old - new)))))
                two = np.median(old), np.median(new)
                ratio = max(ratio, 0.0 if two[0] == two[1] else abs(float(np.log(two[0] / two[1]))))
        print(f"{question} {line['task']} {line['model']} {line['cell']}: max |Δ| = {largest:.3g}")
        failed |= ratio > tolerance
    return int(failed)
