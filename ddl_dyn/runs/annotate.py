"""Tags and notes on stored runs, and the table of runs for other programs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ddl_dyn.runs.atomic_files import write_json
from ddl_dyn.runs.run import RUNNING, UNREADABLE, Run, RunError, load, open_run


def change_tags(reference: str, where: str | os.PathLike[str], changes: Sequence[str]) -> list[str]:
    """Add tags to a run, or remove those that begin with `-`; the tags it has then.

    Raises:
        RunError: when the run is missing, unreadable or still running.
        ValueError: for an empty tag or one with a comma.
    """
    run = open_run(reference, where)
    tags = [str(tag) for tag in run.entry.get("tags") or []]
    for change in changes:
        name = change.removeprefix("-")
        if not name or "," in name:
            raise ValueError(f"a tag must be a word without commas, got {change!r}")
        tags = [tag for tag in tags if tag != name] + ([] if change.startswith("-") else [name])
    if changes:
        _update(run, tags=tags)
    return tags


def set_note(reference: str, where: str | os.PathLike[str], text: str) -> None:
    """Replace a run's note.

    Raises:
        RunError: when the run is missing, unreadable or still running.
    """
    _update(open_run(reference, where), note=text)


def _update(run: Run, **values: Any) -> None:
    # A running process rewrites run.json from memory and would undo the change.
    if run.status in (RUNNING, UNREADABLE):
        raise RunError(f"run {run.id} is {run.status}; tags and notes can be changed once it has ended")
    write_json(run.path / "run.json", {**run.entry, **values})


def export(where: str | os.PathLike[str], form: str, columns: Sequence[str] | None = None) -> str:
    """The table of runs as CSV or LaTeX.

    Args:
        where: the runs folder.
        form: `csv` or `latex`.
        columns: names of columns of `runs.load`; by default all of them for CSV, the scalar results for LaTeX.
    Raises:
        ValueError: for an unknown column, the message naming the nearest.
        RunError: when there are no runs.
    """
    table = load(Path(where))
    if table.empty:
        raise RunError(f"no runs in {os.fspath(where)}; there is nothing to export")
    if columns is None and form == "latex":
        columns = ["id", "status", "task", "model", "seeds", *_scalar_results(table)]
    if columns is not None:
        unknown = [name for name in columns if name not in table.columns]
        if unknown:
            from ddl_dyn.config.parsing import nearest_key

            near = nearest_key(unknown[0], list(table.columns))
            raise ValueError(f"unknown column {unknown[0]!r}{near}; `ddl-dyn export` without --columns shows them all")
        table = table[list(columns)]
    if form == "csv":
        return table.to_csv(index=False)
    return _latex(table)


def _scalar_results(table: Any) -> list[str]:
    found = []
    for name in table.columns:
        if name.startswith("result.test.") or name == "result.parameters":
            values = table[name].dropna()
            if len(values) and all(isinstance(value, (int, float)) for value in values):
                found.append(name)
    return found


_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    character: f"\\{character}" for character in "&%$#_{}"
}


def _latex(table: Any) -> str:
    """A booktabs table; every cell escaped."""

    def cell(value: Any) -> str:
        if value is None or value != value:
            return ""
        text = f"{value:.3g}" if isinstance(value, float) else str(value)
        return "".join(_SPECIAL.get(character, character) for character in text)

    lines = [" & ".join(cell(name) for name in table.columns) + r" \\", r"\midrule"]
    lines += [" & ".join(cell(value) for value in row) + r" \\" for row in table.itertuples(index=False)]
    body = "\n".join(lines)
    return f"\\begin{{tabular}}{{{'l' * len(table.columns)}}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"
