"""What the terminal shows of runs: a list, one run in full, the difference of two."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ddl_dyn.comparison_table import number
from ddl_dyn.contests import HORIZONS, SPLITS, at, scores
from ddl_dyn.liveness import seconds_since
from ddl_dyn.progress import duration, sentence
from ddl_dyn.runs import COMPLETED, RUNNING, UNREADABLE, Run, RunError, flatten, scan

# A stored text may come from elsewhere: escape sequences in it must not reach the terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(value: Any) -> str:
    """Text without control characters."""
    return _CONTROL.sub("�", str(value))


def brief(run: Run) -> dict[str, str]:
    """One line of the list, from run.json alone."""
    status = run.status
    line = {"id": run.id, "status": status}
    if status == UNREADABLE:
        return line
    entry = run.entry
    if run.kind in ("compare", "sweep"):
        line |= {
            "task": ",".join(map(clean, entry.get("tasks", []))),
            "model": ",".join(map(clean, entry.get("models", []))),
        }
    else:
        line |= {"task": clean(entry.get("task", "")), "model": clean(entry.get("model", ""))}
    line["kind"] = run.kind
    line["seeds"] = clean(entry.get("seeds", ""))
    line["started"] = clean(entry.get("start_time") or "")[:19].replace("T", " ")
    line["tags"] = ",".join(map(clean, entry.get("tags") or []))
    line["note"] = clean(entry.get("note") or entry.get("comment") or "")
    progress = entry.get("progress")
    if status == RUNNING and isinstance(progress, Mapping):
        line["note"] = f"{progress.get('update')}/{progress.get('updates')} {line['note']}".strip()
    return line


def list_runs(
    where: Path, *, filters: Mapping[str, str], sort: str = "id", reverse: bool = False
) -> list[dict[str, str]]:
    """Lines of the list that match every filter, sorted.

    Args:
        where: the runs folder.
        filters: column -> value; a tag matches any of the run's tags.
        sort: a column.
    """
    lines = [brief(run) for run in scan(where)]
    kept = [line for line in lines if all(_matches(line, name, value) for name, value in filters.items())]
    if sort != "id":
        kept.sort(key=lambda line: line.get(sort, ""))
    return kept[::-1] if reverse else kept


def _matches(line: Mapping[str, str], name: str, value: str) -> bool:
    mine = line.get(name, "")
    wanted = value.split(",")
    return bool(set(mine.split(",")) & set(wanted)) if name in ("tags", "task", "model") else mine in wanted


def print_list(lines: Sequence[Mapping[str, str]], where: Path) -> None:
    """The list as a table; columns that are empty everywhere are left out."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not lines:
        console.print(f"no runs in {where}", markup=False)
        return
    columns = [
        name
        for name in ("id", "status", "kind", "task", "model", "seeds", "started", "tags", "note")
        if any(line.get(name) for line in lines)
    ]
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in ("id", "seeds") else "left", overflow="fold")
    for line in lines:
        table.add_row(*(Text(line.get(name, "")) for name in columns))
    console.print(table)


def print_run(where: Path, run_id: str) -> None:
    """The short result of a run that has just ended."""
    run = Run(where / run_id)
    print(f"run {run.id} {run.status}: {run.path}")
    for line in result_lines(run):
        print(f"  {line}")


def result_lines(run: Run) -> list[str]:
    """Median NRMSE with its range over replicas, one line a split and horizon."""
    import numpy as np

    lines = []
    for split in SPLITS:
        for horizon in HORIZONS:
            values = scores(run, split, horizon)
            if values is not None:
                place = "in distribution" if split == "test" else "out of distribution"
                median = float(np.quantile(values, 0.5, method="inverted_cdf" if np.isinf(values).any() else "linear"))
                seeds = "1 seed" if len(values) == 1 else f"{len(values)} seeds"
                lines.append(
                    f"NRMSE over {at(run.config, f'eval.{horizon}')} steps, {place}: {number(median)} "
                    f"({number(float(values.min()))} to {number(float(values.max()))}, {seeds})"
                )
    return lines


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
            pairs.append(
                (name.replace("_", " "), clean(", ".join(map(str, value)) if isinstance(value, list) else value))
            )
    if entry.get("heartbeat") and run.status not in (COMPLETED,):
        age = seconds_since(entry["heartbeat"])
        pairs.append(("last heartbeat", f"{duration(age)} ago" if math.isfinite(age) else "never"))
    for name in ("host", "git", "versions"):
        stored = entry.get(name)
        known = flatten(stored) if isinstance(stored, Mapping) else ()
        text = ", ".join(f"{key} {value}" for key, value in known if value is not None)
        pairs += [(name, clean(text))] if text else []
    pairs.append(("command", clean(entry.get("command_line", ""))))
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
        table.add_row(Text(name), Text(text))
    Console().print(table)


def difference(first: Run, second: Run) -> list[tuple[str, str, str]]:
    """What differs between two runs: configuration, versions, code, data and numbers.

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


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list) and all(isinstance(item, (int, float)) for item in value):
        return "[" + ", ".join(number(float(item)) for item in value) + "]"
    return clean(number(value) if isinstance(value, float) else value)


def print_difference(first: Run, second: Run, found: Sequence[tuple[str, str, str]]) -> None:
    """The difference of two runs as a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not found:
        print(f"runs {first.id} and {second.id} do not differ")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("", f"run {first.id}", f"run {second.id}"):
        table.add_column(name, overflow="fold")
    for line in found:
        table.add_row(*(Text(cell) for cell in line))
    Console().print(table)
