"""The run directory: written, read, listed, followed, locked, trusted. The reader's names are given here."""

from __future__ import annotations

from ddl_dyn.runs.reading import RunError, read_json
from ddl_dyn.runs.run import (
    COMPLETED,
    DEAD,
    FAILED,
    INTERRUPTED,
    QUEUED,
    RUN_ID,
    RUNNING,
    SCHEMA,
    STATUSES,
    UNREADABLE,
    Run,
    find_run,
    ids,
    scan,
    status_of,
)
from ddl_dyn.runs.table import load_runs

__all__ = [
    "COMPLETED",
    "DEAD",
    "FAILED",
    "INTERRUPTED",
    "QUEUED",
    "RUNNING",
    "RUN_ID",
    "SCHEMA",
    "STATUSES",
    "UNREADABLE",
    "Run",
    "RunError",
    "find_run",
    "ids",
    "load_runs",
    "read_json",
    "scan",
    "status_of",
]
