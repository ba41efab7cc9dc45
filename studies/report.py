"""Figures, tables and verdicts of the study, from its tables alone.

Writes docs/study/*.png and the parts of docs/study.md between `<!-- qN -->` and `<!-- /qN -->`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddl_dyn.metrics.decisions import Decision, PairedScores, covered_median, decide
from ddl_dyn.plots.style import save
from ddl_dyn.runs.atomic_files import write_text
from studies import tables
from studies.questions import FOLDER, sweeps

DOCS = FOLDER.parent / "docs"
PAGE, FIGURES = DOCS / "study.md", DOCS / "study"
SHORT, LONG = 20, 100


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


def load(question: str, folder: Path) -> list[Cell]:
    """The cells of a question that stand in its tables, in the order of its sweep files."""
    grouped: dict[str, dict[tuple[str, str, str, str], list[tuple[int, int, float]]]] = {}
    for row in tables.read(question, "scores", folder):
        place = (row["split"], row["radius"], row["steps"], row["measure"])
        value = (int(row["seed"]), int(row["data_set"]), float(row["value"]))
        grouped.setdefault(row["cell"], {}).setdefault(place, []).append(value)
    order = {cell.digest[: tables.DIGITS]: i for i, cell in enumerate(c for _, each in sweeps(question) for c in each)}
    lines = [line for line in tables.read(question, "cells", folder) if line["cell"] in order]
    found = []
    for line in sorted(lines, key=lambda line: order[line["cell"]]):
        values = {place: sorted(each) for place, each in grouped.get(line["cell"], {}).items()}
        sets = next((e for p, e in values.items() if p[3] in ("nrmse", "accuracy_longest")), [])
        found.append(Cell(line, {p: np.array([v for *_, v in e]) for p, e in values.items()}, [g for _, g, _ in sets]))
    return found


def median_text(cell: Cell, values: NDArray[np.float64], digits: int = 2) -> str:
    """Median with its interval over seeds, stratified by data set."""
    if not values.size:
        return ""
    interval, _ = covered_median(values, cell.data_sets, resamples=2000, seed=0)
    if not np.isfinite(interval.estimate):
        return "failed"
    return f"{_number(interval.estimate, digits)} ({_number(interval.low, digits)}–{_number(interval.high, digits)})"


def _number(value: float, digits: int) -> str:
    if not np.isfinite(value):
        return "∞" if value > 0 else "?"
    text = f"{value:.{digits}g}"
    return f"{float(text):g}" if "e" in text and 1e-4 < abs(value) < 1e6 else text


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = ["| " + " | ".join(line) + " |" for line in (header, ["---"] * len(header), *lines)]
    return "\n".join(rows)


@dataclass(frozen=True)
class Pair:
    """A comparison of two cells that was declared beforehand."""

    label: str
    first: Cell
    second: Cell
    decision: Decision


def compare(pairs: Sequence[tuple[str, Cell, Cell]], score: Callable[[Cell], NDArray[np.float64]]) -> list[Pair]:
    """Verdicts on pairs of cells, corrected over all of them.

    Args:
        pairs: label, the cell that the verdict is about, the other.   score: (R,) errors of a cell.
    """
    given = [PairedScores(label=label, first=score(a), second=score(b), data_sets=a.data_sets) for label, a, b in pairs]
    return [Pair(*pair, decision) for pair, decision in zip(pairs, decide(given), strict=True)]


def verdict_table(pairs: Sequence[Pair]) -> str:
    """Every comparison with ratio, interval, corrected p and verdict."""
    lines = []
    for pair in pairs:
        d = pair.decision
        ratio = f"{_number(d.ratio.estimate, 3)} ({_number(d.ratio.low, 2)}–{_number(d.ratio.high, 2)})"
        lines.append([pair.label, ratio, f"{d.corrected:.3f}" if d.corrected >= 5e-4 else "< .0005", d.verdict])
    return table(["first against second", "ratio of medians", "corrected p", "verdict"], lines)


def put(question: str, text: str) -> None:
    """Put a question's results between its marks on the page.

    Raises:
        ValueError: when the page has no such marks.
    """
    page = PAGE.read_text(encoding="utf-8")
    marks = re.compile(rf"(<!-- {question} -->\n).*?(<!-- /{question} -->)", re.DOTALL)
    if not marks.search(page):
        raise ValueError(f"{PAGE} has no marks <!-- {question} --> … <!-- /{question} -->")
    write_text(PAGE, marks.sub(lambda m: f"{m[1]}{text.strip()}\n{m[2]}", page))


def draw(figure: Any, name: str, alt: str) -> str:
    """Write a figure's PNG beside the page; its Markdown."""
    FIGURES.mkdir(exist_ok=True)
    for path in save(figure, FIGURES / name):
        if path.suffix != ".png":
            path.unlink()
    return f"![{alt}](study/{name}.png)"


def main(folder: Path) -> int:
    """Write the results of every question whose tables are there."""
    from studies.answers import ANSWERS

    for question, answer in ANSWERS.items():
        cells = load(question, folder)
        if cells:
            wanted = sum(len(each) for _, each in sweeps(question))
            partly = f"**{len(cells)} of {wanted} cells are done; p is corrected over the comparisons that are there.**"
            put(question, "\n\n".join([*([partly] if len(cells) < wanted else []), answer(cells)]))
            print(f"{question}: {len(cells)} of {wanted} cells")
        else:
            print(f"{question}: no table")
    return 0
