"""The list of runs, quick for many: from run.json alone, and from an index of those that have ended.

`.index.jsonl` in the runs folder has a line for each run that has ended: its id, the size, time and number (inode) of
its run.json, and what the list shows of it. A line counts only while all three are still those of the file, so a
changed run is read again; a missing or damaged index, or one that cannot be written, costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ddl_dyn.config.files import open_member
from ddl_dyn.config.terminal import CONTROL, clean, say
from ddl_dyn.runs.reading import JSON_LIMIT, RunError, read_json
from ddl_dyn.runs.run import COMPLETED, FAILED, GRIDS, INTERRUPTED, RUNNING, UNREADABLE, ids, status_of

INDEX = ".index.jsonl"
# Fewer runs than this are read as quickly as an index of them.
INDEXED_FROM = 200
COLUMNS = ("id", "status", "kind", "task", "model", "seeds", "started", "tags", "note")


def list_line(run_id: str, entry: Mapping[str, Any], status: str) -> dict[str, str]:
    """One line of the list.

    Args:
        run_id: the run's folder.
        entry: contents of its run.json.
        status: what a reader makes of it (`runs.status_of`).
    Returns:
        text by column; `hash`, which is not shown, is that of the canonical configuration.
    """
    line = {"id": run_id, "status": status}
    if status == UNREADABLE:
        return line
    kind = str(entry.get("kind", "run"))
    if kind in GRIDS:
        line |= {name: ",".join(map(str, entry.get(f"{name}s", []))) for name in ("task", "model")}
    else:
        line |= {name: str(entry.get(name, "")) for name in ("task", "model")}
    line["kind"] = kind
    line["seeds"] = str(entry.get("seeds", ""))
    line["started"] = str(entry.get("start_time") or "")[:19].replace("T", " ")
    line["tags"] = ",".join(map(str, entry.get("tags") or []))
    line["note"] = str(entry.get("note") or entry.get("comment") or "")
    progress = entry.get("progress")
    if status == RUNNING and isinstance(progress, Mapping):
        line["note"] = f"{progress.get('update')}/{progress.get('updates')} {line['note']}".strip()
    line["hash"] = str(entry.get("config_hash", ""))
    return {name: clean(value) for name, value in line.items()}


def all_lines(runs: Path) -> list[dict[str, str]]:
    """A line for every run of a folder, in order of id; folders without run.json are passed over."""
    base = os.fspath(runs)
    known = _read_index(base)
    lines, fresh = [], []
    for name in ids(base):
        path = f"{base}/{name}/run.json"
        try:
            now = os.stat(path)
        except OSError:
            continue
        state = (now.st_size, now.st_mtime_ns, now.st_ino)
        cached = known.get(name)
        if cached is not None and cached[0] == state:
            lines.append(cached[1])
            fresh.append((name, *cached))
            continue
        try:
            entry = read_json(Path(path))
            line = list_line(name, entry, status_of(entry))
        except (RunError, TypeError):
            line = list_line(name, {}, UNREADABLE)
        lines.append(line)
        if line["status"] in (COMPLETED, FAILED, INTERRUPTED):
            fresh.append((name, state, line))
    if len(fresh) >= INDEXED_FROM and (
        len(fresh) != len(known) or any(known.get(n, ((),))[0] != s for n, s, _ in fresh)
    ):
        _write_index(base, fresh)
    return lines


def _read_index(base: str) -> dict[str, tuple[tuple[int, ...], dict[str, str]]]:
    found = {}
    with (
        contextlib.suppress(OSError, ValueError, TypeError, RecursionError),
        open_member(base, INDEX, JSON_LIMIT) as file,
    ):
        for text in file:
            name, state, line = json.loads(text)
            if _is_line(name, line):
                found[name] = (tuple(state), line)
    return found


def _is_line(name: object, line: object) -> bool:
    # An index may come from elsewhere with the folder: only texts, and clean ones, are taken from it.
    return (
        isinstance(line, dict)
        and line.get("id") == name
        and all(isinstance(value, str) and not CONTROL.search(value) for value in line.values())
    )


def _write_index(base: str, fresh: Sequence[tuple[str, tuple[int, ...], dict[str, str]]]) -> None:
    from ddl_dyn.runs.atomic_files import write_text

    text = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in fresh)
    with contextlib.suppress(OSError):
        write_text(Path(base) / INDEX, text)


def list_runs(
    runs: Path, *, filters: Mapping[str, str], sort: str = "id", reverse: bool = False
) -> list[dict[str, str]]:
    """Lines of the list that match every filter, sorted.

    Args:
        runs: the runs folder.
        filters: column -> value; a tag matches any of the run's tags.
        sort: a column.
    """
    lines = [{name: line[name] for name in line if name != "hash"} for line in all_lines(runs)]
    kept = [line for line in lines if all(_matches(line, name, value) for name, value in filters.items())]
    if sort != "id":
        kept.sort(key=lambda line: line.get(sort, ""))
    return kept[::-1] if reverse else kept


def _matches(line: Mapping[str, str], name: str, value: str) -> bool:
    mine = line.get(name, "")
    wanted = value.split(",")
    return bool(set(mine.split(",")) & set(wanted)) if name in ("tags", "task", "model") else mine in wanted


def print_list(lines: Sequence[Mapping[str, str]], runs: Path) -> None:
    """The list as a table, a line for each run; columns that are empty everywhere are left out."""
    if not lines:
        say(f"no runs in {runs}")
        return
    for text in table(lines):
        say(text)


def table(lines: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Lines of text in aligned columns, under their names."""
    shown = [name for name in COLUMNS if any(line.get(name) for line in lines)]
    heads = {name: name for name in shown}
    texts = [[line.get(name, "").replace("\n", " ") for name in shown] for line in (heads, *lines)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    right = {"id", "seeds"}
    for row in texts:
        cells = [
            text.rjust(width) if name in right else text.ljust(width)
            for name, text, width in zip(shown, row, widths, strict=True)
        ]
        yield "  ".join(cells).rstrip()
