"""One cell of a sweep, done by a worker: begun, continued, waited for, or found complete."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any, TypedDict

from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.runs import COMPLETED, RUNNING, UNREADABLE, Run, heartbeat
from ddl_dyn.runs.lock import is_locked
from ddl_dyn.runs.writer import BusyError

# Between two looks at a run that another process writes.
POLL_SECONDS = 1.0


class Job(TypedDict):
    """A cell to be done, in JSON's types."""

    run_id: str
    config: dict[str, Any]


def do_cell(job: Job, launch: Launch) -> None:
    """Bring a cell's run to its end: from its checkpoint where there is one, not at all where it is complete.

    While another process writes the run this one waits; when that process dies, it takes the run over.

    Args:
        job: its run and its resolved configuration.
        launch: where and how.
    Raises:
        BusyError: when the run's folder cannot be read.
        StoreError, ValueError: as `run.run`.
    """
    stored = Run(launch.base / job["run_id"])
    config = None
    while True:
        fresh = Run(stored.path)
        if fresh.status == COMPLETED:
            return
        if is_taken(fresh):
            time.sleep(POLL_SECONDS)
            continue
        config = config or resolve_run(job["config"])
        try:
            run(config, dataclasses.replace(launch, run_id=job["run_id"]))
            return
        except BusyError:
            # Somebody else was quicker. A folder that cannot be read will not mend by itself.
            if Run(stored.path).status == UNREADABLE and not is_locked(stored.path):
                raise


def is_taken(stored: Run) -> bool:
    """True while another process writes the run: on this machine by its lock, on another by its heartbeat.

    A copy of a folder says that its run is running, too, but nobody holds its lock.
    """
    if is_locked(stored.path):
        return True
    if stored.status != RUNNING:
        return False
    process = stored.entry.get("process")
    return not isinstance(process, Mapping) or process.get("machine") != heartbeat.machine()
