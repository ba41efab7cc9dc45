"""Tags and notes on stored runs."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ddl_dyn.runs.atomic_files import write_json
from ddl_dyn.runs.reading import RunError
from ddl_dyn.runs.run import RUNNING, UNREADABLE, Run, find_run


def change_tags(reference: str, runs: str | os.PathLike[str], changes: Sequence[str]) -> list[str]:
    """Add tags to a run, or remove those that begin with `-`; the tags it has then.

    Args:
        reference, runs: as for `find_run`.   changes: words without commas.
    Raises:
        RunError: when the run is missing, unreadable or still running.
        ValueError: for an empty tag or one with a comma.
    """
    run = find_run(reference, runs)
    tags = [str(tag) for tag in run.entry.get("tags") or []]
    for change in changes:
        name = change.removeprefix("-")
        if not name or "," in name:
            raise ValueError(f"a tag must be a word without commas, got {change!r}")
        tags = [tag for tag in tags if tag != name] + ([] if change.startswith("-") else [name])
    if changes:
        _update(run, tags=tags)
    return tags


def set_note(reference: str, runs: str | os.PathLike[str], text: str) -> None:
    """Replace a run's note.

    Args:
        reference, runs: as for `find_run`.   text: the note.
    Raises:
        RunError: when the run is missing, unreadable or still running.
    """
    _update(find_run(reference, runs), note=text)


def _update(run: Run, **values: object) -> None:
    # A running process rewrites run.json from memory and would undo the change.
    if run.status in (RUNNING, UNREADABLE):
        raise RunError(f"run {run.id} is {run.status}; tags and notes can be changed once it has ended")
    write_json(run.path / "run.json", {**run.entry, **values})
