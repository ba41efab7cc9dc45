"""Writing one run directory: every file is replaced whole or only appended to."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from ddl_dyn.runs.atomic_files import append_line, plain, write_arrays, write_json, write_with
from ddl_dyn.runs.leftovers import remove_torn, remove_undescribed
from ddl_dyn.runs.lock import RunLock
from ddl_dyn.runs.run import ids

ID_ATTEMPTS = 10_000


class StoreError(RuntimeError):
    """The run directory cannot be written."""


class BusyError(StoreError):
    """The run directory is another process's to write, or holds a finished run."""


def check_writable(base: Path) -> None:
    """Check that runs can be made in a folder, without making anything.

    Raises:
        StoreError: when the folder, or its nearest existing parent, is a file or cannot be written to.
    """
    place = base.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise StoreError(f"cannot keep runs in {base}: {place} is not a folder; choose another with --runs DIR")
    if not os.access(place, os.W_OK | os.X_OK):
        raise StoreError(
            f"cannot keep runs in {base}: no permission to write in {place}; choose another with --runs DIR"
        )


class RunWriter:
    """One run's own directory, being written.

    Args:
        base: the runs folder; made when the run starts.
        entry: what run.json holds from the start (kind, task, model, seeds, tags, note, …).
        run_id: the directory's name; by default the next free number.
        beat_interval: seconds between two heartbeats, from which readers judge whether the run still lives.
        resume: continue an existing directory as a further attempt.
    """

    def __init__(
        self,
        base: Path,
        *,
        entry: Mapping[str, object],
        run_id: str | None = None,
        beat_interval: float = 10.0,
        resume: bool = False,
    ) -> None:
        self.base, self.run_id, self.resume = Path(base), run_id, resume
        self.entry: dict[str, Any] = dict(plain(entry)) | {"beat_interval": beat_interval}
        self.path: Path | None = None
        self.failure: OSError | None = None
        self._lock = threading.RLock()
        self._claim: RunLock | None = None

    @property
    def directory(self) -> Path:
        """The run's directory.

        Raises:
            StoreError: before the run has started.
        """
        if self.path is None:
            raise StoreError("the run has no directory yet; it is made when the run starts")
        return self.path

    def record(self, values: Mapping[str, object]) -> None:
        """Append one record to metrics.jsonl and keep it as the run's progress.

        Raises:
            StoreError: when this or an earlier write failed.
        """
        with self.guard():
            append_line(self.directory / "metrics.jsonl", values)

    def progress(self, values: Mapping[str, object]) -> None:
        """Keep a short account of how far the run is, written with the next heartbeat."""
        with self._lock:
            self.entry["progress"] = plain(values)

    def update(self, **values: object) -> None:
        """Add to run.json at once."""
        with self.guard():
            self.entry |= plain(values)
            self.save_entry()

    def fail(self, reason: str) -> None:
        """Note why the run, though it comes to its end, is not complete: it will be FAILED."""
        self.update(error=reason)

    def save_json(self, name: str, value: object) -> None:
        """Write a JSON file of the run directory."""
        with self.guard():
            write_json(self.directory / name, value)

    def save_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write arrays.npz."""
        with self.guard():
            write_arrays(self.directory / "arrays.npz", arrays)

    def save_with(self, name: str, write: Callable[[IO[bytes]], None]) -> None:
        """Write a file of the run directory with a function that fills it."""
        with self.guard():
            write_with(self.directory / name, write)

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Write under the lock; the first failure of the file system ends all writing as a StoreError."""
        with self._lock:
            if self.failure is not None:
                raise StoreError(_complaint(self.failure)) from self.failure
            try:
                yield
            except OSError as error:
                self.failure = error
                raise StoreError(_complaint(error)) from error

    def save_entry(self) -> None:
        """Write run.json."""
        write_json(self.directory / "run.json", self.entry)

    def make(self, run_id: str | None = None) -> None:
        """Make the directory, or take up the one to be resumed, for this process alone to write.

        Raises:
            BusyError: when another process writes there.
        """
        chosen = run_id or self.run_id
        self.base.mkdir(parents=True, exist_ok=True)
        if self.resume:
            self._take_up(self.base / str(chosen))
            return
        remove_undescribed(self.base)
        if chosen is not None:
            (self.base / chosen).mkdir()
            self._take(self.base / chosen, required=False)
            return
        number = max((int(name) for name in ids(self.base) if name.isdecimal()), default=0)
        for candidate in range(number + 1, number + 1 + ID_ATTEMPTS):
            # Of many processes only one makes the folder; the others try the next number.
            with contextlib.suppress(FileExistsError):
                (self.base / str(candidate)).mkdir()
                self._take(self.base / str(candidate), required=False)
                return
        raise FileExistsError(errno.EEXIST, "no free run number", str(self.base))

    def _take_up(self, path: Path) -> None:
        """Take the folder of a run that is to be continued, or that another process has just removed as abandoned."""
        path.mkdir(exist_ok=True)
        try:
            self._take(path, required=True)
        except FileNotFoundError:
            path.mkdir(exist_ok=True)
            self._take(path, required=True)
        remove_torn(path)

    def _take(self, path: Path, *, required: bool) -> None:
        claim = RunLock(path)
        if not claim.acquire(required=required):
            raise BusyError(f"run {path.name} is being written by another process; wait for it, or stop it first")
        self._claim, self.path = claim, path

    def leave(self) -> None:
        """Let other processes write the directory from now on."""
        if self._claim is not None:
            self._claim.release()


_FULL = (errno.ENOSPC, errno.EDQUOT)
_IN_PLACE = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


def _complaint(error: OSError) -> str:
    """Message about a failed write: the file, the reason and a remedy."""
    place = error.filename2 or error.filename
    advice = "look at the disk, or choose another folder with --runs DIR"
    if error.errno in _FULL:
        advice = "free some space or choose another folder with --runs DIR"
    elif error.errno == errno.ENOENT:
        advice = "the run's folder was removed or moved while it was being written; start the run anew"
    elif error.errno in _IN_PLACE:
        advice = "something that is no file of a run stands in its place; move it away"
    elif error.errno in _DENIED:
        advice = "get the permission to write there, or choose another folder with --runs DIR"
    return f"cannot write{f' {place}' if place else ''}: {error.strerror or error}; {advice}"
