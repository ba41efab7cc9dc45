"""Surroundings of every test: set here, not found on the machine, and unchanged by the test before."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = pytest.StashKey[Path]()
# Read by rich, matplotlib, git, Ray and the tests' own helpers: what a shell or a git hook has set is not a test's.
FOREIGN = (
    *("LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "MPLBACKEND"),
    *("PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE", "PYTHONOPTIMIZE", "PYTHONIOENCODING", "PYTHONUTF8"),
    *(
        "MATPLOTLIBRC",
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "RAY_ADDRESS",
        "DDL_DYN_THREADS",
        "MKL_NUM_THREADS",
    ),
    *("OPENBLAS_NUM_THREADS", "PYTEST_ADDOPTS", "FAKE_FAIL", "FAKE_DIE", "FAKE_SECONDS", "FAKE_PAGE"),
)


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before any library reads it; xdist's workers inherit the folder of their session."""
    for name in FOREIGN:
        os.environ.pop(name, None)
    # A width is part of what a test of a table asks for; its own is 80 unless it says another.
    os.environ["COLUMNS"] = "80"
    # One thread each: sums in the same order on any machine, and workers side by side.
    os.environ["OMP_NUM_THREADS"] = "1"
    # Compiled with few optimisations a library is equal to rounding and done seven times sooner.
    os.environ["CXXFLAGS"] = "-O1"
    # Commands that tests start import this checkout, whichever copy is installed.
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([path] if path and path != str(ROOT) else [])])
    if not hasattr(config, "workerinput"):
        folder = Path(tempfile.mkdtemp(prefix="ddl_dyn_tests_"))
        config.stash[FOLDER] = folder
        # No library that was compiled and no font list that was written before: each session begins cold.
        for name in ("DDL_DYN_CACHE", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
            place = folder / name.lower()
            place.mkdir(mode=0o700)
            os.environ[name] = str(place)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the session's caches."""
    if FOLDER in config.stash:
        shutil.rmtree(config.stash[FOLDER], ignore_errors=True)


@pytest.fixture
def compiled_as_for_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the C++ compiler optimise as it does outside the tests."""
    monkeypatch.delenv("CXXFLAGS")


def surroundings() -> dict[str, object]:
    """State of the process that a test could leave changed for the next one."""
    found: dict[str, object] = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    found["working directory"] = os.getcwd()
    found |= {str(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if torch := sys.modules.get("torch"):
        found |= {"dtype": str(torch.get_default_dtype()), "gradients": torch.is_grad_enabled()}
    return {"dtype": "torch.float32", "gradients": True} | found


@pytest.fixture(autouse=True)
def _leaves_no_trace() -> Iterator[None]:
    """Fail the test that leaves the process changed, not the one that meets the change."""
    before = surroundings()
    yield
    after = surroundings()
    changed = {
        name: (before.get(name), after.get(name)) for name in before | after if before.get(name) != after.get(name)
    }
    assert changed == {}, "the test left the process changed: name: (before, after)"


@pytest.fixture
def no_warnings() -> Iterator[None]:
    """Any warning while a figure is made or drawn is an error, matplotlib's own included."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
