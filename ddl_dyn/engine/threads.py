"""Threads that a run may use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

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


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """One thread for torch's own operations: on the small arrays of an analysis a team costs six times their work."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
