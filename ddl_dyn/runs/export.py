"""The table of runs for other programs: CSV, LaTeX and parquet."""

from __future__ import annotations

import importlib.util
import io
import json
import math
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ddl_dyn.config.files import replacing
from ddl_dyn.config.formats import cell, number
from ddl_dyn.config.hints import nearest_key
from ddl_dyn.metrics.registry import PRIMARY, PRIMARY_OF_WORDS
from ddl_dyn.runs.reading import RunError
from ddl_dyn.runs.result import SPLIT_NAMES
from ddl_dyn.runs.table import load_runs

if TYPE_CHECKING:
    import pandas as pd


def export(runs: str | os.PathLike[str], form: str, columns: Sequence[str] | None = None) -> str:
    """Export the table of runs as CSV or LaTeX.

    Args:
        runs: the runs folder.
        form: `csv` or `latex`.
        columns: of `load_runs`; by default all of them for CSV, errors and scalar results for LaTeX.
    Raises:
        ValueError: for an unknown column, the message naming the nearest.
        RunError: when there are no runs.
    """
    table = _table(runs)
    if columns is None and form == "latex":
        columns = ["id", "status", "task", "model", "seeds", *_results(table)]
    table = _only(table, columns)
    if form == "csv":
        text: str = table.map(cell).rename(columns=cell).to_csv(index=False)
        return text
    return _latex(table)


def export_parquet(runs: str | os.PathLike[str], path: Path, columns: Sequence[str] | None = None) -> None:
    """Write the table of runs as parquet: a row a run and seed, numbers as numbers, lists as JSON.

    Args:
        runs: the runs folder.   path: of the file.   columns: of `load_runs(by="seed")`; by default all of them.
    Raises:
        ValueError: for an unknown column, or where pyarrow is missing.
        RunError: when there are no runs.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ValueError("parquet needs pyarrow, which is not installed: pip install 'ddl-dyn[parquet]'")
    table = _only(_table(runs, by="seed"), columns)
    for name in table.columns:
        if table[name].map(lambda value: isinstance(value, (list, dict))).any():
            table[name] = table[name].map(json.dumps)
        elif table[name].dtype == object and table[name].dropna().map(type).nunique() > 1:
            # What is a number in one run and a word in another has one type here.
            table[name] = table[name].map(lambda value: None if value is None else str(value))
    whole = io.BytesIO()
    table.to_parquet(whole, index=False)
    with replacing(path) as file:
        file.write(whole.getvalue())


def _table(runs: str | os.PathLike[str], by: Literal["run", "seed"] = "run") -> pd.DataFrame:
    table = load_runs(Path(runs), by=by)
    if table.empty:
        raise RunError(f"no runs in {os.fspath(runs)}; there is nothing to export")
    return table


def _only(table: pd.DataFrame, columns: Sequence[str] | None) -> pd.DataFrame:
    if columns is None:
        return table
    unknown = [name for name in columns if name not in table.columns]
    if unknown:
        near = nearest_key(unknown[0], list(table.columns))
        raise ValueError(f"unknown column {unknown[0]!r}{near}; `ddl-dyn export` without --columns shows them all")
    return table[list(columns)]


def _results(table: pd.DataFrame) -> list[str]:
    """Columns of the primary errors, and of results that are one number a run."""
    errors = {
        f"result.{metric.found_at(split=split, horizon=horizon)}"
        for metric in (PRIMARY, PRIMARY_OF_WORDS)
        for split in SPLIT_NAMES
        for horizon in metric.horizons
    }
    found = []
    for name in table.columns:
        values = table[name].dropna()
        single = len(values) and all(isinstance(value, (int, float)) for value in values)
        if name in errors or (single and (name.startswith("result.test.") or name == "result.parameters")):
            found.append(name)
    return found


_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    character: f"\\{character}" for character in "&%$#_{}"
}


def _latex(table: pd.DataFrame) -> str:
    """A booktabs table; every cell escaped, values of several seeds as their median and extremes."""

    def escaped(value: object) -> str:
        text = _over_seeds(value) if isinstance(value, list) else number(value)
        return "".join(_SPECIAL.get(character, character) for character in text)

    lines = [" & ".join(escaped(name) for name in table.columns) + r" \\", r"\midrule"]
    lines += [" & ".join(escaped(value) for value in row) + r" \\" for row in table.itertuples(index=False)]
    body = "\n".join(lines)
    return f"\\begin{{tabular}}{{{'l' * len(table.columns)}}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"


def _over_seeds(values: list[Any]) -> str:
    if not all(value is None or isinstance(value, (int, float)) for value in values):
        return ", ".join(map(str, values))
    # A replica that failed has no number.
    known = sorted(math.inf if value is None or math.isnan(value) else float(value) for value in values)
    if len(known) < 2:
        return "".join(map(number, known))
    return f"{number(statistics.median(known))} ({number(known[0])} to {number(known[-1])})"
