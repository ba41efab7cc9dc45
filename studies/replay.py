"""Cells of the tables done again, to find changes of code that change a published number."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddl_dyn.config.parsing import merged
from ddl_dyn.experiments.execute import execute
from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.setup import make_setup
from ddl_dyn.runs.result import at
from studies.cells import read_cells
from studies.questions import ORDER


def replay(count: int, folder: Path, *, tuned: bool = True, tolerance: float = 0.0, seed: int | None = None) -> int:
    """Do cells drawn at random again and print how far their NRMSE is from the table's.

    On the same kind of machine nothing differs; on another, training amplifies the rounding of other instructions.

    Args:
        count: cells.   folder: of the tables.   tuned: choose the learning rate anew; else train at the one that was
            chosen, which gives the same numbers in a third of the time.
        tolerance: largest |log ratio| of a median over seeds that passes.
        seed: of the draw; None draws other cells every time.
    Returns:
        0, or 1 where a median differs by more.
    """
    every = [(question, cell) for question in ORDER for cell in read_cells(question, folder)]
    rng = np.random.default_rng(seed)
    failed = False
    for i in rng.permutation(len(every))[:count]:
        question, cell = every[i]
        config = cell.config
        if not tuned:
            config = merged(config, {"train": {"lr": float(cell.line["lr"]), "lr_grid": []}})
        numbers = execute(make_setup(resolve_run(config)), Callbacks()).numbers
        largest, ratio = 0.0, 0.0
        for split in ("test", "ood"):
            places = sorted(
                (int(steps), place) for place in cell.values if (steps := place[2]) and _is_error(place, split)
            )
            # The shorter horizon stands first.
            for horizon, (_, place) in zip(("short", "long"), places, strict=False):
                old, new = cell.values[place], np.array(at(numbers, f"{split}.nrmse_{horizon}"), dtype=float)
                largest = max(largest, float(np.max(np.where(old == new, 0.0, np.abs(old - new)))))
                two = np.median(old), np.median(new)
                ratio = max(ratio, 0.0 if two[0] == two[1] else abs(float(np.log(two[0] / two[1]))))
        print(f"{question} {cell.task} {cell.line['model']} {cell.line['cell']}: max |Δ| = {largest:.3g}")
        failed |= ratio > tolerance
    return int(failed)


def _is_error(place: tuple[str, str, str, str], split: str) -> bool:
    return (place[0], place[3]) == (split, "nrmse")
