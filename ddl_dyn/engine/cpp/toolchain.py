"""Generated C++ as a loaded library; libraries are kept on disk, by their sources, with texts that belong to them."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

from ddl_dyn.config.files import MEGABYTE, read_member
from ddl_dyn.models.errors import NoCompilerError

FLAGS = ("-std=c++17", "-march=native", "-fno-math-errno", "-ffp-contract=fast", "-fPIC", "-shared", "-pthread", "-w")
# For a library that runs a few times only, compiling counts.
FAST, QUICK = "-O3", "-O1"
# Most bytes of a library or a text that is read.
_LIMIT = 1024 * MEGABYTE


def compiler() -> str | None:
    """The C++ compiler: $CXX, g++ or clang++; None where there is none."""
    wanted = os.environ.get("CXX")
    return next((found for name in (wanted, "g++", "clang++") if name and (found := shutil.which(name))), None)


def folder() -> Path:
    """Folder of the libraries: $DDL_DYN_CACHE, or a part of the user's cache folder; made where it is missing.

    What lies there is executed: a folder that is another's, or that others may write to, is left alone with a warning,
    and one of this process takes its place.
    """
    given = os.environ.get("DDL_DYN_CACHE")
    wanted = Path(given or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ddl_dyn")
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return _instead(wanted, f"which cannot be made ({error.strerror})")
    return wanted if is_private(wanted) else _instead(wanted, "which is another's or may be written to by others")


def is_private(path: Path) -> bool:
    """True for a file or folder of this user that nobody else may write to."""
    if not hasattr(os, "geteuid"):
        return True
    found = path.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@functools.cache
def _instead(wanted: Path, reason: str) -> Path:
    made = tempfile.mkdtemp(prefix="ddl_dyn-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    warnings.warn(
        f"compiled code is not kept in {wanted}, {reason}; set DDL_DYN_CACHE to a folder of your own (`chmod go-w`)",
        RuntimeWarning,
        stacklevel=4,
    )
    return Path(made)


def compile_libraries(codes: Sequence[tuple[str, str]]) -> list[Path]:
    """Compile sources side by side, or find them compiled.

    Args:
        codes: C++ and level of optimisation of each.
    Returns:
        The libraries' paths.
    Raises:
        NoCompilerError: when there is no C++ compiler, or it fails.
    """
    cxx, machine = _machine()
    commands = [(code, (cxx, level, *_flags())) for code, level in codes]
    found = [folder() / f"{_key(code, *machine, *flags)}.so" for code, flags in commands]
    missing = {path: made for path, made in zip(found, commands, strict=True) if not _is_whole(path)}
    if missing:
        with tempfile.TemporaryDirectory(dir=folder()) as made:
            started = [(path, _started(Path(made), path, *how)) for path, how in missing.items()]
            for path, process in started:
                _, said = process.communicate()
                if process.returncode:
                    raise NoCompilerError(f"{cxx} failed: {said.strip()[:500]}")
                _keep(Path(made) / path.name, path)
    return found


def _is_whole(library: Path) -> bool:
    """True for a library that is here, private, and what was compiled."""
    try:
        told = read_member(library.parent, f"{library.stem}.sha256", _LIMIT)
        return is_private(library) and told.decode() == _digest(library)
    except (OSError, UnicodeDecodeError):
        return False


def _keep(made: Path, library: Path) -> None:
    """Move a compiled library and its digest to their place, whatever the umask is."""
    digest = made.with_suffix(".sha256")
    digest.write_text(_digest(made))
    made.chmod(0o700)
    # Another process that makes the same at the same time may compile it otherwise: until both are of one of them the
    # digest does not fit, and the library is made once more.
    os.replace(made, library)
    os.replace(digest, library.with_suffix(".sha256"))


def _digest(library: Path) -> str:
    return hashlib.sha256(read_member(library.parent, library.name, _LIMIT)).hexdigest()


def load(code: str, level: str = FAST) -> ctypes.CDLL:
    """Compile a source, or find it compiled, and load it.

    Raises:
        NoCompilerError: when there is no C++ compiler, or it fails.
    """
    return ctypes.CDLL(str(compile_libraries([(code, level)])[0]))


def remembered(of: Sequence[str], find: Callable[[], str]) -> str:
    """Text that is found once and kept beside the libraries.

    Args:
        of: everything that it depends on, beside compiler and processor.   find: makes it.
    Raises:
        NoCompilerError: when there is no C++ compiler.
    """
    path = folder() / f"{_key(*_machine()[1], *_flags(), *of)}.txt"
    with contextlib.suppress(OSError):
        if is_private(path):
            return read_member(path.parent, path.name, _LIMIT).decode()
    text = find()
    with tempfile.TemporaryDirectory(dir=folder()) as made:
        new = Path(made) / path.name
        new.write_text(text, encoding="utf-8")
        new.chmod(0o600)
        os.replace(new, path)
    return text


def source_file(name: str) -> str:
    """A file of this folder."""
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _machine() -> tuple[str, tuple[str, str]]:
    """The compiler; its version and the processor, since a library made for one may stop on another."""
    cxx = compiler()
    if cxx is None:
        raise NoCompilerError("no C++ compiler was found (g++, clang++ or $CXX)")
    return cxx, (_version(cxx), _processor())


def _flags() -> tuple[str, ...]:
    """Flags of every library; those of $CXXFLAGS come last, so that theirs count."""
    try:
        return (*FLAGS, *shlex.split(os.environ.get("CXXFLAGS", "")))
    except ValueError as error:
        raise NoCompilerError(f"$CXXFLAGS is no list of flags: {error}") from None


def _key(*of: str) -> str:
    return hashlib.sha256("\0".join(of).encode()).hexdigest()[:32]


def _started(made: Path, library: Path, code: str, command: tuple[str, ...]) -> subprocess.Popen[str]:
    source = (made / library.name).with_suffix(".cpp")
    source.write_text(code, encoding="utf-8")
    whole = [*command, str(source), "-o", str(made / library.name)]
    return subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@functools.cache
def _version(cxx: str) -> str:
    return subprocess.run([cxx, "--version"], capture_output=True, text=True, check=False).stdout


@functools.cache
def _processor() -> str:
    described = platform.machine() + platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        described += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return described
