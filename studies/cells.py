"""Cells of the study's tables with their scores."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies import tables

SHORT = 20


@dataclass(frozen=True)
class Cell:
    """A line of a question's cells with its scores: (split, radius, steps, measure) -> value of each seed, in order."""

    line: dict[str, str]
    values: dict[tuple[str, str, str, str], NDArray[np.float64]]
    data_sets: list[int]

    @property
    def task(self) -> str:
        """Registry key of the task."""
        return self.line["task"]

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration that the cell was run with."""
        found: dict[str, Any] = json.loads(self.line["config"])
        return found

    def option(self, name: str) -> Any:
        """One of the model's options."""
        return self.config["model_args"].get(name)

    def scores(
        self, measure: str = "nrmse", *, split: str = "test", steps: int | str = SHORT, radius: str = ""
    ) -> NDArray[np.float64]:
        """(R,) values of one measure; empty where the cell has none."""
        return self.values.get((split, radius, str(steps), measure), np.empty(0))

    def trained(self, measure: str) -> NDArray[np.float64]:
        """(R,) values of a measure of the trained map, which no horizon belongs to; empty where the cell has none."""
        return self.scores(measure, steps="")

    def lengths(self, measure: str) -> list[int]:
        """Steps at which a measure of the test set stands, in order; empty where the cell has none."""
        return sorted(int(place[2]) for place in self.values if place[3] == measure and place[0] == "test")


def read_cells(question: str, folder: Path) -> list[Cell]:
    """The cells that stand in a question's tables."""
    grouped: dict[str, dict[tuple[str, str, str, str], list[tuple[int, int, float]]]] = {}
    for row in tables.read(question, "scores", folder):
        place = (row["split"], row["radius"], row["steps"], row["measure"])
        value = (int(row["seed"]), int(row["data_set"]), float(row["value"]))
        grouped.setdefault(row["cell"], {}).setdefault(place, []).append(value)
    found = []
    for line in tables.read(question, "cells", folder):
        values = {place: sorted(each) for place, each in grouped.get(line["cell"], {}).items()}
        sets = next((e for p, e in values.items() if p[3] in ("nrmse", "accuracy")), [])
        found.append(Cell(line, {p: np.array([v for *_, v in e]) for p, e in values.items()}, [g for _, g, _ in sets]))
    return found
