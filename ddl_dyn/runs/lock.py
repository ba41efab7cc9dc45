"""One writer per run: an advisory lock in the run's folder, held by the process that writes there."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows; there a run's status and heartbeat alone tell whether it is taken.
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"
# What file systems without locks answer.
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class RunLock:
    """flock(2) on `.lock` in a run's folder. The kernel frees it when the process ends, however it ends.

    On NFS (Linux 2.6.12 and later) the same call locks across the machines that mount the folder, unless it is mounted
    with local_lock=flock; then only processes of one machine exclude each other, and the heartbeat of run.json tells
    the other machines that a run is taken.

    Args:
        directory: the run's folder, which must exist.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self._handle: int | None = None

    def acquire(self, *, required: bool = True) -> bool:
        """Take the lock if it is free.

        Args:
            required: whether a file system without locks is an error.
        Returns:
            False when another process (or another lock of this one) holds it.
        Raises:
            OSError: when the file cannot be made, or its file system offers no locks and one is required.
        """
        if fcntl is None:
            return True
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(handle)
                if isinstance(error, BlockingIOError):
                    return False
                if error.errno not in _UNSUPPORTED:
                    raise
                if required:
                    text = "its file system offers no file locks, so two processes might write one run"
                    raise OSError(error.errno, text, str(self.path)) from error
                return True
            if self._is_current(handle):
                self._handle = handle
                return True
            # Its last holder removed the file between our opening and our locking it.
            os.close(handle)

    def _is_current(self, handle: int) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(handle), os.stat(self.path))
        return False

    def release(self) -> None:
        """Give the lock back and remove its file; nothing when it is not held."""
        if self._handle is None:
            return
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        os.close(self._handle)
        self._handle = None

    def __del__(self) -> None:
        if self._handle is not None:
            os.close(self._handle)


def is_locked(directory: Path) -> bool:
    """True while some process holds the lock of a run's folder; False where there is no folder or no lock file."""
    if not (directory / NAME).exists():
        return False
    lock = RunLock(directory)
    if not lock.acquire(required=False):
        return True
    lock.release()
    return False
