"""Figures, tables and verdicts of the study, from its tables alone.

Writes docs/study/*.png and the parts of docs/study.md and docs/models.md between `<!-- qN -->` and `<!-- /qN -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddl_dyn.metrics.decisions import Decision, PairedScores, covered_median, decide
from ddl_dyn.plots.style import save
from ddl_dyn.runs.atomic_files import write_text
from studies import tables
from studies.cells import Cell, read_cells
from studies.questions import FOLDER, sweeps

DOCS = FOLDER.parent / "docs"
PAGES, FIGURES = (DOCS / "study.md", DOCS / "models.md"), DOCS / "study"
LONG = 100


def load(folder: Path) -> dict[str, Cell]:
    """Every cell that stands in a table, by the hash of its configuration as it is read today."""
    cells = [cell for name in tables.names(folder) for cell in read_cells(name, folder)]
    return {found: cell for cell in cells if (found := tables.digest(cell.line["config"]))}


def of_questions(questions: Iterable[str], known: Mapping[str, Cell]) -> list[Cell]:
    """The cells of questions that are known, in the order of their sweep files, those that they share once."""
    wanted = (cell for question in questions for _, cells in sweeps(question) for cell in cells)
    order = dict.fromkeys(cell.digest[: tables.DIGITS] for cell in wanted)
    return [known[digest] for digest in order if digest in known]


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


def compare(pairs: Sequence[tuple[str, Cell, Cell]], score: Callable[[Cell], NDArray[np.float64]]) -> list[Decision]:
    """Verdicts on pairs of cells, corrected over all of them.

    Args:
        pairs: label, the cell that the verdict is about, the other.   score: (R,) errors of a cell.
    """
    given = [PairedScores(label=label, first=score(a), second=score(b), data_sets=a.data_sets) for label, a, b in pairs]
    return decide(given)


def verdict_table(decisions: Sequence[Decision]) -> str:
    """Every comparison with ratio, interval, corrected p and verdict."""
    lines = []
    for d in decisions:
        ratio = f"{_number(d.ratio.estimate, 3)} ({_number(d.ratio.low, 2)}–{_number(d.ratio.high, 2)})"
        lines.append([d.label, ratio, f"{d.corrected:.3f}" if d.corrected >= 5e-4 else "< .0005", d.verdict])
    return table(["first against second", "ratio of medians", "corrected p", "verdict"], lines)


def put(question: str, text: str) -> None:
    """Put a question's results between its marks, on the page that has them.

    Raises:
        ValueError: when no page has such marks.
    """
    marks = re.compile(rf"(<!-- {question} -->\n).*?(<!-- /{question} -->)", re.DOTALL)
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        if marks.search(page):
            write_text(path, marks.sub(lambda m: f"{m[1]}{text.strip()}\n{m[2]}", page))
            return
    raise ValueError(f"no page has marks <!-- {question} --> … <!-- /{question} -->: {', '.join(map(str, PAGES))}")


def draw(figure: Any, name: str, alt: str) -> str:
    """Write a figure's PNG beside the page; its Markdown."""
    FIGURES.mkdir(exist_ok=True)
    for path in save(figure, FIGURES / name):
        if path.suffix != ".png":
            path.unlink()
    return f"![{alt}](study/{name}.png)"


def main(folder: Path) -> int:
    """Write the results of every question whose tables are there."""
    from studies.answers import ANSWERS, SECOND_READINGS, second_runs

    known = load(folder)
    for question, answer in ANSWERS.items():
        cells = of_questions([question], known)
        if cells:
            wanted = sum(len(each) for _, each in sweeps(question))
            partly = f"**{len(cells)} of {wanted} cells are done; whatever is compared, is compared over these.**"
            put(question, "\n\n".join([*([partly] if len(cells) < wanted else []), answer(cells)]))
            print(f"{question}: {len(cells)} of {wanted} cells")
        else:
            print(f"{question}: no table")
    for question, (answer, sources) in SECOND_READINGS.items():
        cells = of_questions(sources, known)
        if cells:
            put(question, answer(cells))
            print(f"{question}: from {len(cells)} cells of {' and '.join(sources)}")
    again = read_cells(tables.REPEATS, folder)
    put(tables.REPEATS, second_runs(known, again))
    print(f"cells run twice: {len(again)}")
    return 0
