"""Generated C++ as a loaded library; libraries are kept on disk, by what they were made from."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from ddl_dyn.models.errors import NoCompilerError

FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-ffp-contract=fast", "-fPIC", "-shared", "-w")


def compiler() -> str | None:
    """The C++ compiler: $CXX, g++ or clang++; None where there is none."""
    wanted = os.environ.get("CXX")
    return next((found for name in (wanted, "g++", "clang++") if name and (found := shutil.which(name))), None)


def folder() -> Path:
    """Where libraries are kept: $DDL_DYN_CACHE, or the user's cache folder."""
    given = os.environ.get("DDL_DYN_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ddl_dyn"


def load(code: str) -> ctypes.CDLL:
    """Compile a source, or find it compiled.

    Raises:
        NoCompilerError: when there is no C++ compiler, or it fails.
    """
    cxx = compiler()
    if cxx is None:
        raise NoCompilerError("no C++ compiler was found (g++, clang++ or $CXX)")
    # A library made for one processor may stop on another that shares the folder.
    key = hashlib.sha256("\0".join((code, _version(cxx), _processor(), *FLAGS)).encode()).hexdigest()[:32]
    where = folder()
    library = where / f"{key}.so"
    if not library.is_file():
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=where) as made:
            source = Path(made) / f"{key}.cpp"
            source.write_text(code, encoding="utf-8")
            command = [cxx, *FLAGS, str(source), "-o", str(Path(made) / library.name)]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode:
                raise NoCompilerError(f"{cxx} failed: {result.stderr.strip()[:500]}")
            # Another process may have made the same at the same time: either is good.
            os.replace(Path(made) / library.name, library)
    return ctypes.CDLL(str(library))


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
