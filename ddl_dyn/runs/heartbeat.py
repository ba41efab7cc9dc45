"""The process that owns a run: identity, machine, life."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# A heartbeat this many intervals old is stale: a busy disk or a suspended machine may delay a few.
STALE_BEATS = 6
# Clocks of machines that share a store disagree by seconds.
STALE_FLOOR_S = 60.0


def now() -> str:
    """The present time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def machine() -> str:
    """A name under which process numbers are comparable: host, boot and process namespace."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def process_start(pid: int) -> str | None:
    """Start of a process in the kernel's ticks since boot; None where the system does not tell."""
    with contextlib.suppress(OSError, IndexError):
        # The second field is the command in brackets and may hold spaces; the start time is the 22nd.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return None


def process_identity() -> dict[str, Any]:
    """Record of this process: pid, its start (numbers are used again) and the machine."""
    return {"pid": os.getpid(), "pid_start": process_start(os.getpid()), "machine": machine()}


def process_lives(pid: int, started: str | None) -> bool:
    """True while that very process runs on this machine."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError, OSError):
        pass
    return started is None or process_start(pid) in (started, None)


def seconds_since(stamp: str | None) -> float:
    """Age of an ISO 8601 time stamp in seconds; infinite where there is none or it cannot be read."""
    if not isinstance(stamp, str):
        return float("inf")
    try:
        then = datetime.fromisoformat(stamp)
    except ValueError:
        return float("inf")
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return (datetime.now(UTC) - then).total_seconds()


def is_dead(entry: Mapping[str, Any]) -> bool:
    """True for a run that calls itself RUNNING and has lost its process.

    On the machine that ran it the process is looked up; elsewhere the age of the last heartbeat decides.
    """
    process = entry.get("process")
    if not isinstance(process, Mapping):
        return True
    pid = process.get("pid")
    if process.get("machine") == machine() and isinstance(pid, int):
        started = process.get("pid_start")
        return not process_lives(pid, started if isinstance(started, str) else None)
    interval = entry.get("beat_interval")
    beat = float(interval) if isinstance(interval, (int, float)) else STALE_FLOOR_S
    return seconds_since(entry.get("heartbeat")) > max(STALE_FLOOR_S, STALE_BEATS * beat)
