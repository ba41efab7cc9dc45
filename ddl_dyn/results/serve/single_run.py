"""One run as its page shows it: curves of training as they grow, figures, scores, settings and the end of its output.

Axes: E validations, R replicas.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ddl_dyn.config.files import open_member
from ddl_dyn.config.formats import counted, percent, shortened
from ddl_dyn.config.labels import model_label
from ddl_dyn.config.terminal import clean
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.plots.bands import log_limits, spread
from ddl_dyn.results.comparison.groups import flat_config
from ddl_dyn.results.figures.registry import known_figures
from ddl_dyn.results.report.charts import LineChart, curve_of_model
from ddl_dyn.results.report.figures import PROBLEMS
from ddl_dyn.results.score_lines import result_lines
from ddl_dyn.runs import COMPLETED, Run
from ddl_dyn.runs.reading import TEXT_LIMIT
from ddl_dyn.runs.run import FIGURES_FOLDER, PORTRAITS_FILE

# Points of a curve: more than its drawing has pixels to tell apart.
_POINTS = 300
_LEVEL, _DECADES = 0.8, 6
# End of the output that is shown, and most figures.
_OUTPUT_BYTES, _FIGURES = 16_384, 60
_FIGURE_FILE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,59})\.(?:png|svg)")
# Files whose change may change what the page shows.
_WATCHED = ("run.json", "metrics.jsonl", "cout.txt", "result.json", PORTRAITS_FILE, FIGURES_FOLDER)


def page_stamp(run: Run, status: str) -> str:
    """Text that changes whenever what the page shows may have.

    Args:
        run: of the page.   status: as a reader infers it, which no file says of a process that has gone.
    """
    found = [status]
    for name in _WATCHED:
        try:
            stat = os.stat(run.path / name, follow_symlinks=False)
            found.append(f"{stat.st_mtime_ns:x}-{stat.st_size:x}")
        except OSError:
            found.append("")
    return ".".join(found)


def training_charts(run: Run) -> list[LineChart]:
    """Training loss and validation error against updates, medians with the band over seeds; none before two records.

    Raises:
        RunError: when the records cannot be read.
    """
    records = run.metrics
    records = [records[i] for i in spread(len(records), _POINTS)]
    model = clean(run.entry.get("model", ""))
    titles = {"loss": ("training loss", "loss"), "val": (f"validation free-run {PRIMARY.heading}", PRIMARY.heading)}
    charts = []
    for key, (title, ylabel) in titles.items():
        updates, values = _history(records, key)
        if len(updates) < 2 or not (np.isfinite(values) & (values > 0)).any():
            continue
        seeds = counted(values.shape[1], "seed")
        lost = int((~np.isfinite(values[-1])).sum())
        note = f"Median over {seeds}" + (f", band: central {percent(_LEVEL)} of them" if values.shape[1] > 1 else "")
        curve = curve_of_model(model, model_label(model), updates, values.T, level=_LEVEL, missing=True)
        charts.append(
            LineChart(
                key,
                title,
                "updates",
                ylabel,
                f"{title} against updates, {note}",
                (curve,),
                log_y=True,
                box=log_limits([values], decades=_DECADES),
                note=f"{note}{f'; {lost} diverged' if lost else ''}.",
            )
        )
    return charts


def _history(records: Sequence[Mapping[str, Any]], key: str) -> tuple[Array, Array]:
    """Updates (E,) and values (E, R) of the records that hold as many values as the first."""
    updates: list[int] = []
    rows: list[list[float]] = []
    for record in records:
        row = record.get(key)
        if not isinstance(row, list) or not row or (rows and len(row) != len(rows[0])):
            continue
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            rows.append([math.nan if value is None else float(value) for value in row])
            updates.append(record["update"])
    return np.asarray(updates, dtype=np.float64), np.asarray(rows, dtype=np.float64).reshape(len(rows), -1)


def stored_figures(run: Run) -> list[tuple[str, str]]:
    """Name and text of each figure that lies with a run; a folder that is a link has none."""
    folder = run.path / FIGURES_FOLDER
    if folder.is_symlink():
        return []
    try:
        with os.scandir(folder) as entries:
            found = {match[1] for entry in entries if (match := _FIGURE_FILE.fullmatch(entry.name))}
    except OSError:
        return []
    known = known_figures("stored")
    order = {name: place for place, name in enumerate(known)}
    names = sorted(found, key=lambda name: (order.get(name, len(order)), name))
    return [(name, known[name].shows if name in known else name.replace("_", " ")) for name in names[:_FIGURES]]


def score_sentences(run: Run, status: str) -> list[str]:
    """Scores of a finished run in words; empty for another.

    Args:
        run: of the page.   status: of it.
    """
    if status != COMPLETED:
        return []
    try:
        return [line.strip() for line in result_lines(run)]
    except PROBLEMS as error:
        return [f"Its scores cannot be read: {shortened(error, 300)}"]


def settings_table(run: Run) -> list[tuple[str, str]]:
    """Dotted name and value of every setting; one line that says why not where they cannot be read."""
    try:
        return [(clean(name), clean(shortened(value, 300))) for name, value in flat_config(run).items()]
    except PROBLEMS as error:
        return [("unreadable", clean(shortened(error, 300)))]


def output_end(run: Run) -> str:
    """The last lines that a run printed; of a line that was written over, what it said last."""
    try:
        with open_member(run.path, "cout.txt", TEXT_LIMIT) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(size - _OUTPUT_BYTES, 0))
            text = file.read(_OUTPUT_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        return clean(error)
    if size > _OUTPUT_BYTES:
        text = "…\n" + text.partition("\n")[2]
    return "\n".join(_lines(text))


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        yield clean(line.rstrip("\r").rpartition("\r")[2])
