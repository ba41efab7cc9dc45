"""Leftovers of a killed process: half-written files, and folders in which no run was described yet.

Both are removed by the owner of the folder's lock alone, so that nobody's work is taken away.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import time
from pathlib import Path

from ddl_dyn.runs.lock import NAME, RunLock
from ddl_dyn.runs.run import ids

# Files as `config.files.replacing` names them until they are whole.
TORN = ".*.tmp"
# What a run writes before its run.json.
BEFORE_ENTRY = (NAME, ".reserve", "config.json", "environment.json", "git.diff", TORN)
# A process that has just made its folder has not locked it yet.
YOUNG_S = 60.0


def remove_torn(folder: Path) -> None:
    """Remove the half-written files of a run; for the owner of its lock."""
    for path in (*folder.glob(TORN), *folder.glob(f"figures/{TORN}")):
        if not folder.joinpath("figures").is_symlink() or path.parent == folder:
            with contextlib.suppress(OSError):
                path.unlink()


def remove_undescribed(base: Path) -> None:
    """Remove the folders of runs that were killed before run.json was written, those of running processes excepted."""
    for name in ids(base):
        folder = base / name
        with contextlib.suppress(OSError):
            if not os.path.lexists(folder / "run.json") and _is_abandoned(folder):
                _remove(folder)


def _is_abandoned(folder: Path) -> bool:
    """True for a real folder that holds what a run begins with and nothing else, for some time."""
    if folder.is_symlink() or time.time() - folder.stat().st_mtime < YOUNG_S:
        return False
    names = os.listdir(folder)
    known = all(any(fnmatch.fnmatchcase(name, pattern) for pattern in BEFORE_ENTRY) for name in names)
    # An empty folder of another name may be the user's.
    return known and (bool(names) or folder.name.isdecimal())


def _remove(folder: Path) -> None:
    lock = RunLock(folder)
    if not lock.acquire(required=True):
        return
    try:
        if not (folder / "run.json").exists():
            for name in os.listdir(folder):
                os.unlink(folder / name)
            folder.rmdir()
    finally:
        lock.release()
