"""The copy of a recorded series that lies in its run's folder, so that the folder is whole without the user's file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddl_dyn.config.files import TABLE_LIMIT, FileError, open_member
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.writer import RunWriter
from ddl_dyn.tasks.base import Task
from ddl_dyn.tasks.series.observed import Observed

SERIES_COPY = "series.npz"


def keep_series(store: RunWriter, config: RunConfig, task: Task) -> None:
    """Write the series that a run was told to read into its folder, and in run.json where it was.

    Args:
        store: of the run.   config: its configuration; one without `task_args.path` reads nothing of the user's.
        task: made from it.
    """
    if not isinstance(task, Observed) or "path" not in config.task_args:
        return
    store.save_with(SERIES_COPY, task.series.write)
    if Path(task.path).name != SERIES_COPY:
        store.update(series={"path": os.path.abspath(task.path), "sha256": task.series.digest})


def with_own_series(run: Run, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a stored run, its series read from the copy in the run's folder where there is one.

    Raises:
        RunError: when the copy is no regular file of the folder.
    """
    given = config.get("task_args")
    if not isinstance(given, Mapping) or "path" not in given or not os.path.lexists(run.path / SERIES_COPY):
        return dict(config)
    try:
        open_member(run.path, SERIES_COPY, TABLE_LIMIT).close()
    except FileError as error:
        raise RunError(str(error)) from error
    return {**config, "task_args": {**given, "path": str(run.path / SERIES_COPY)}}
