"""Files that may come from elsewhere: read where they are regular, up to a size, and inside a folder through no link;
written whole, by a temporary file beside the target and a rename."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import IO

MEGABYTE = 1 << 20
# Most bytes of a file that a user names: settings, code, a table of observations.
SETTINGS_LIMIT, CODE_LIMIT, TABLE_LIMIT = 16 * MEGABYTE, 16 * MEGABYTE, 1024 * MEGABYTE
# Absent on Windows. Without O_NONBLOCK opening a named pipe waits for its writer for ever.
_WAIT_FOR_NOBODY = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))


class FileError(OSError, ValueError):
    """A file that is not read: no regular one, too long, or a link where none may be."""


def open_input(path: str | os.PathLike[str], limit: int) -> BufferedReader:
    """Open a file that the user has named; links are followed.

    Args:
        path: of the file.   limit: its most bytes.
    Raises:
        FileError: when it is no regular file or longer.   OSError: when it cannot be opened.
    """
    return _opened(os.fspath(path), limit, 0)


def open_member(folder: str | os.PathLike[str], name: str, limit: int) -> BufferedReader:
    """Open a file inside a folder that may come from elsewhere; no link below the folder is followed.

    Args:
        folder: where it lies.   name: of the file, with slashes between folders.   limit: its most bytes.
    Raises:
        FileError: when it is no regular file, longer, or reached through a link.
        OSError: when it cannot be opened.
    """
    place, *rest = name.split("/")
    path = f"{os.fspath(folder)}/{place}"
    for part in rest:
        if os.path.islink(path):
            raise _link(path)
        path = f"{path}/{part}"
    return _opened(path, limit, _NO_LINK)


def read_input(path: str | os.PathLike[str], limit: int) -> bytes:
    """Content of a file that the user has named; arguments and errors as of `open_input`."""
    with open_input(path, limit) as file:
        return _whole(file, limit)


def read_member(folder: str | os.PathLike[str], name: str, limit: int) -> bytes:
    """Content of a file inside a folder that may come from elsewhere; errors as of `open_member`.

    Args:
        folder, name, limit: as for `open_member`.
    """
    with open_member(folder, name, limit) as file:
        return _whole(file, limit)


def open_appending(path: Path) -> BufferedRandom:
    """Open a file of a run to append to it and to read it, made where it is missing; not through a link."""
    return open(path, "a+b", opener=lambda name, flags: os.open(name, flags | _NO_LINK | _WAIT_FOR_NOBODY, 0o666))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` when the block ends well, and vanishes otherwise."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _umask() -> int:
    # The umask can only be read by setting it; mkstemp has made the file private, and runs are meant to be shared.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def inner_folder(folder: Path, name: str) -> Path:
    """Path of a folder to be written into, inside a folder that may come from elsewhere; made by who writes there.

    Args:
        folder: where it lies.   name: of it, with slashes between folders.
    Raises:
        FileError: when it is a link, is reached through one below `folder`, or is no folder.
    """
    place = folder
    for part in name.split("/"):
        place = place / part
        if place.is_symlink():
            raise FileError(f"{place} is a link, and nothing is written through one into a run's folder; move it away")
        if place.exists() and not place.is_dir():
            raise FileError(f"{place} is no folder, and files are to be written into one of that name; move it away")
    return place


def _opened(path: str, limit: int, flags: int) -> BufferedReader:
    try:
        handle = os.open(path, os.O_RDONLY | _WAIT_FOR_NOBODY | flags)
    except OSError as error:
        raise _link(path) if flags and error.errno == errno.ELOOP else error from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            kind = next((name for test, name in _KINDS if test(found.st_mode)), "a device")
            raise FileError(f"{path} is {kind}, and only a regular file is read")
        if found.st_size > limit:
            raise _long(path, limit)
    except BaseException:
        os.close(handle)
        raise
    return open(path, "rb", opener=lambda *_: handle)


def _whole(file: BufferedReader, limit: int) -> bytes:
    data = file.read(limit + 1)
    if len(data) > limit:
        raise _long(str(file.name), limit)
    return data


def _link(path: str) -> FileError:
    return FileError(f"{path} is a link, and a folder of runs is read through none; put the file itself there")


def _long(path: str, limit: int) -> FileError:
    return FileError(f"{path} is longer than {limit // MEGABYTE:,} MB, the most that is read of such a file")
