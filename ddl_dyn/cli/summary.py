"""Terminal output of runs: one that has just ended, the difference of two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ddl_dyn.config.formats import DASH, number
from ddl_dyn.config.parsing import flatten
from ddl_dyn.config.terminal import print_table, say
from ddl_dyn.results.score_lines import result_lines
from ddl_dyn.runs import Run, RunError


def print_run(runs: Path, run_id: str) -> None:
    """The short result of a run that has just ended."""
    run = Run(runs / run_id)
    say(f"run {run.id} {run.status}: {run.path}")
    for line in result_lines(run):
        say(f"  {line}")


def difference(first: Run, second: Run) -> list[tuple[str, str, str]]:
    """Differences between two runs: configuration, versions, code, data and numbers.

    Returns:
        triples of dotted name and the two values, `–` where one has none.
    """
    sides = []
    for run in (first, second):
        try:
            found = {f"config.{key}": value for key, value in flatten(run.config)}
            found |= {f"result.{key}": value for key, value in flatten(run.result)}
        except RunError:
            found = {}
        for name in ("versions", "git"):
            found |= {f"{name}.{key}": value for key, value in flatten(run.entry.get(name) or {})}
        found |= {name: run.entry.get(name) for name in ("device", "data_hash")}
        sides.append(found | {"status": run.status})
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    return [
        (name, _shown(sides[0].get(name)), _shown(sides[1].get(name)))
        for name in names
        if sides[0].get(name) != sides[1].get(name)
    ]


def _shown(value: object) -> str:
    if value is None:
        return DASH
    if isinstance(value, list) and all(isinstance(item, (int, float)) for item in value):
        return "[" + ", ".join(number(float(item)) for item in value) + "]"
    return number(value) if isinstance(value, float) else str(value)


def print_difference(first: Run, second: Run, found: Sequence[tuple[str, str, str]]) -> None:
    """Print the difference of two runs as a table.

    Args:
        first, second: the runs, whose ids head the columns.
        found: from `difference`.
    """
    if not found:
        say(f"runs {first.id} and {second.id} do not differ")
        return
    print_table(("", f"run {first.id}", f"run {second.id}"), found)
