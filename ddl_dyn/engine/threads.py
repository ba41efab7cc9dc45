"""Threads that a run may use."""

from __future__ import annotations

import contextlib
import os

# Set for the processes of runs side by side, each of which has a share of the cores.
THREADS_VARIABLE = "DDL_DYN_THREADS"


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_threads() -> int:
    """Threads for compiled free runs: $DDL_DYN_THREADS, else all cores, but no more than $OMP_NUM_THREADS allows."""
    for name in (THREADS_VARIABLE, "OMP_NUM_THREADS"):
        with contextlib.suppress(ValueError):
            return max(1, min(int(os.environ.get(name, "").partition(",")[0]), cores()))
    return cores()
