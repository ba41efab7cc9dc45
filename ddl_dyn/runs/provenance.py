"""Provenance of a run: code, packages, machine. Recording it never stops a run."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

# A diff longer than this holds data or generated files, not a change to be read.
DIFF_LIMIT = 1_000_000
GIT_TIMEOUT_S = 5.0
# Up to the last @: a password that holds one, though it should not, is no reason to show half of it.
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s'\"]*@")
# The options of a database's address hold passwords under many names.
_OPTIONS = re.compile(r"(mongodb(?:\+srv)?://[^\s?'\"]*\?)[^\s'\"]*")
_TOKEN = re.compile(r"(?i)\b((?:access_|auth_|api_?)?(?:token|key|password|passwd|secret)=)[^&\s'\"]+")

PACKAGE = Path(__file__).resolve().parents[1]


def strip_credentials(text: str) -> str:
    """The text without user names and passwords in addresses, and without the values of token-like parameters."""
    return _TOKEN.sub(r"\1***", _OPTIONS.sub(r"\1***", _USERINFO.sub(r"\1", text)))


def command_line() -> str:
    """The command that started this process, as one would type it, without credentials."""
    name = "ddl-dyn" if Path(sys.argv[0]).stem in ("ddl-dyn", "__main__") else Path(sys.argv[0]).name
    return strip_credentials(shlex.join([name, *sys.argv[1:]]))


def _git(folder: Path, *arguments: str) -> str | None:
    # Locks are optional so that recording never disturbs a command of the user's; no prompt may wait for an answer.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            env=environment,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def git_state(folder: Path | None = None) -> tuple[dict[str, Any], str]:
    """Commit, branch, dirty flag and remote of the repository that holds this package, and its diff to the commit.

    Args:
        folder: where to look; by default where this package lies.
    Returns:
        ({}, "") where git is missing, refuses, or does not track the package (an installed copy).
    """
    place = folder or PACKAGE
    # An environment inside somebody's repository must not be taken for a checkout of this project.
    if folder is None and _git(place, "ls-files", "--error-unmatch", "__init__.py") is None:
        return {}, ""
    commit = _git(place, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return {}, ""
    diff = _git(place, "diff", "--no-color", "--no-ext-diff", "--no-textconv", "HEAD") or ""
    untracked = _git(place, "ls-files", "--others", "--exclude-standard", ":/") or ""
    remote = _git(place, "config", "--get", "remote.origin.url")
    state = {
        "commit": commit.strip(),
        "branch": (_git(place, "rev-parse", "--abbrev-ref", "HEAD") or "").strip() or None,
        "dirty": bool(diff.strip()) or bool(untracked.strip()),
        "remote": strip_credentials(remote.strip()) if remote else None,
    }
    if len(diff) > DIFF_LIMIT:
        diff = diff[:DIFF_LIMIT] + f"\n[cut: {len(diff)} characters]\n"
    return state, strip_credentials(diff)


def package_version(name: str) -> str | None:
    """Installed version of a distribution, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def versions() -> dict[str, str | None]:
    """Versions of what decides the numbers."""
    named = {name: package_version(name) for name in ("ddl-dyn", "torch", "torchdiffeq", "numpy", "scipy", "sacred")}
    return {"python": platform.python_version(), **named}


def environment() -> dict[str, Any]:
    """Every installed distribution with its version, and the SHA-256 digest of each source file of the package."""
    # In a checkout `tasks` is a link, which rglob does not follow by itself.
    found = {path for place in (PACKAGE, PACKAGE / "tasks") for kind in ("*.py", "*.hpp") for path in place.rglob(kind)}
    sources = {
        path.relative_to(PACKAGE.parent).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(found)
    }
    packages = {item.metadata["Name"]: item.version for item in distributions() if item.metadata["Name"]}
    return {
        "packages": dict(sorted(packages.items(), key=lambda pair: pair[0].lower())),
        "sources": sources,
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1) if found else platform.processor()
