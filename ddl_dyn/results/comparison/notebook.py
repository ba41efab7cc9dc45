"""A comparison or sweep as a table for Python and as a page's part for a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ddl_dyn.config.formats import bracketed
from ddl_dyn.config.notebook import html_table
from ddl_dyn.results.comparison.groups import group_runs
from ddl_dyn.results.comparison.records import FIELDS, comparison_rows
from ddl_dyn.results.comparison.verdicts import contrasts
from ddl_dyn.results.report.headline import headline
from ddl_dyn.runs import Run, RunError

if TYPE_CHECKING:
    import pandas as pd

_HEAD = ("task", "protocol", "model", "error, lower is better", "verdict")


def grid_table(grid: Run) -> pd.DataFrame:
    """The columns of comparison.csv, made from those runs of a comparison or sweep that are complete."""
    import pandas as pd

    return pd.DataFrame(comparison_rows(_members(grid)), columns=list(FIELDS))


def grid_html(grid: Run, title: str) -> str:
    """Findings of a comparison or sweep in sentences, and a row a run: the test set, over the short horizon.

    Args:
        grid: the comparison or sweep.   title: of its table.
    """
    try:
        settings = group_runs(_members(grid))
        said = "".join(f"<p>{html.escape(line)}</p>" for line in headline(settings, contrasts(settings)))
        return said + html_table(title, _rows(grid_table(grid)), _HEAD)
    except RunError as error:
        return html_table(title, [(str(error),)])


def _members(grid: Run) -> list[Run]:
    found = [Run(grid.path.parent / name) for name in grid.members]
    return [run for run in found if (run.path / "run.json").is_file()]


def _rows(table: Any) -> Iterator[tuple[str, ...]]:
    chosen = table[(table["split"] == "test") & table["run"].notna()].drop_duplicates(["task", "protocol", "run"])
    for row in chosen.to_dict("records"):
        score = f"{row['metric']} over {row['horizon']}: {bracketed(row['median'], row['low'], row['high'])}"
        told = f"{row['first']} against it: {row['verdict']}" if isinstance(row["verdict"], str) else ""
        yield row["task"], row["protocol"], row["model"], score, told
