"""Terminal output of runs: one in full, the difference of two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ddl_dyn.config.formats import DASH, number
from ddl_dyn.config.parsing import flatten
from ddl_dyn.config.terminal import clean, say
from ddl_dyn.experiments.progress import duration, sentence
from ddl_dyn.results.score_lines import result_lines
from ddl_dyn.runs import COMPLETED, Run, RunError
from ddl_dyn.runs.heartbeat import seconds_since


def print_run(runs: Path, run_id: str) -> None:
    """The short result of a run that has just ended."""
    run = Run(runs / run_id)
    say(f"run {run.id} {run.status}: {run.path}")
    for line in result_lines(run):
        say(f"  {line}")


def describe(run: Run) -> list[tuple[str, str]]:
    """Everything worth showing of a run, as pairs of name and text.

    Raises:
        RunError: when run.json cannot be read.
    """
    entry = run.entry
    pairs = [("run", str(run.path)), ("status", run.status)]
    if isinstance(entry.get("progress"), Mapping) and run.status != COMPLETED:
        try:
            pairs.append(("progress", sentence(entry["progress"])))
        except (KeyError, TypeError, ValueError):
            pairs.append(("progress", "unreadable"))
    for name in ("error", "kind", "name", "comment", "note", "tags", "start_time", "stop_time", "device", "data_hash"):
        if entry.get(name):
            value = entry[name]
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            pairs.append((name.replace("_", " "), text))
    if entry.get("heartbeat") and run.status not in (COMPLETED,):
        age = seconds_since(entry["heartbeat"])
        pairs.append(("last heartbeat", f"{duration(age)} ago" if math.isfinite(age) else "never"))
    for name in ("host", "git", "versions"):
        stored = entry.get(name)
        known = flatten(stored) if isinstance(stored, Mapping) else ()
        text = ", ".join(f"{key} {value}" for key, value in known if value is not None)
        pairs += [(name, text)] if text else []
    pairs.append(("command", str(entry.get("command_line", ""))))
    pairs.append(("attempts", str(len(entry.get("attempts", [])))))
    if run.members:
        pairs.append(("runs", ", ".join(run.members)))
    pairs += [("result", line) for line in result_lines(run)] if run.kind == "run" else []
    pairs.append(
        (
            "files",
            ", ".join(
                sorted(
                    str(p.relative_to(run.path))
                    for p in run.path.rglob("*")
                    if p.is_file() and not p.name.startswith(".")
                )
            ),
        )
    )
    return pairs


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Pairs of name and text, aligned and wrapped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in pairs:
        table.add_row(Text(clean(name)), Text(clean(text)))
    Console().print(table)


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
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not found:
        say(f"runs {first.id} and {second.id} do not differ")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("", f"run {first.id}", f"run {second.id}"):
        table.add_column(name, overflow="fold")
    for line in found:
        table.add_row(*(Text(clean(cell)) for cell in line))
    Console().print(table)
