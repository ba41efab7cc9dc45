"""The run directory: written, read, listed, followed, locked, trusted. The reader's names are given here."""

from __future__ import annotations

from ddl_dyn.runs.run import (
    COMPLETED,
    DEAD,
    FAILED,
    ID,
    INTERRUPTED,
    QUEUED,
    RUNNING,
    SCHEMA,
    STATUSES,
    UNREADABLE,
    Run,
    RunError,
    ids,
    load,
    open_run,
    read_json,
    scan,
    status_of,
)

__all__ = [
    "COMPLETED",
    "DEAD",
    "FAILED",
    "ID",
    "INTERRUPTED",
    "QUEUED",
    "RUNNING",
    "SCHEMA",
    "STATUSES",
    "UNREADABLE",
    "Run",
    "RunError",
    "ids",
    "load",
    "open_run",
    "read_json",
    "scan",
    "status_of",
]
