"""Resident memory of this process, in MiB; on a card, what its allocator held at most."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path


def resident() -> float:
    """Resident set now."""
    return _field("VmRSS")


def restart_peak() -> None:
    """Let `peak` count from now on, where the kernel allows it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """Largest resident set since `restart_peak`."""
    return _field("VmHWM")


def lifetime_peak() -> float:
    """Largest resident set since the process began."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _field(name: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return lifetime_peak()
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) / 1024 if found else lifetime_peak()
