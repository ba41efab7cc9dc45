"""Recorded series kept in the folder of their run, and the configuration that reads them there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddl_dyn.config.files import TABLE_LIMIT, FileError, open_member
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.trust import check_code
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


def stored_config(stored: Run) -> dict[str, Any]:
    """The configuration of a stored run that may be done again here, its series read from the run's own folder.

    Raises:
        RunError: when the configuration was edited after the start, the run would execute code that the user has not
            named, or the copy of its series is no regular file of its folder.
    """
    check_code(stored)
    stored.check_config()
    given = stored.config.get("task_args")
    if not isinstance(given, Mapping) or "path" not in given or not os.path.lexists(stored.path / SERIES_COPY):
        return stored.config
    try:
        open_member(stored.path, SERIES_COPY, TABLE_LIMIT).close()
    except FileError as error:
        raise RunError(str(error)) from error
    return {**stored.config, "task_args": {**given, "path": str(stored.path / SERIES_COPY)}}
