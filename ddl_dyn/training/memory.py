"""Memory that a piece of work needs at its highest: of the GPU, or of this process on a CPU."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass
class Peak:
    """Memory that a piece of work needed at its highest, in bytes; None where the system does not tell."""

    bytes: int | None = None


@contextlib.contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Measures how far memory in use rises above what it was at the start: of the GPU, or of this process on a CPU.

    On a CPU it is the resident set's high-water mark, which Linux alone lets a process reset. Pages that earlier work
    left free are given back first: filled again they would not show, and a process that is used again would seem to
    need next to nothing. Where the C library cannot give them back nothing is measured.
    """
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        peak.bytes = torch.cuda.max_memory_allocated(device) - before
        return
    start = _resident_bytes("VmRSS") if _give_back_free_pages() and _reset_high_water() else None
    yield peak
    end = _resident_bytes("VmHWM")
    peak.bytes = max(end - start, 0) if start is not None and end is not None else None


def _give_back_free_pages() -> bool:
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return False
    return True


def _reset_high_water() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _resident_bytes(name: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), None)
