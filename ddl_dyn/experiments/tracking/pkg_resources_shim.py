"""Sacred imports `pkg_resources`, which setuptools has dropped; this stands in for the few names Sacred uses."""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any


class _Distribution:
    """A distribution with the attributes that Sacred reads."""

    def __init__(self, source: Distribution) -> None:
        self._source = source
        self.project_name, self.version = source.metadata["Name"], source.version

    def _get_metadata(self, name: str) -> list[str]:
        return (self._source.read_text(name) or "").split()


class _WorkingSet:
    """Installed distributions, looked up when asked for."""

    def __iter__(self) -> Iterator[_Distribution]:
        return (_Distribution(item) for item in distributions() if item.metadata["Name"])

    @property
    def by_key(self) -> dict[str, _Distribution]:
        return {item.project_name.lower(): item for item in self}


def _resource_filename(package: str, name: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no package {package!r}")
    return os.fspath(Path(spec.origin).parent / name)


def install() -> None:
    """Put the stand-in where `import pkg_resources` finds it, for the duration of Sacred's own import."""
    if "pkg_resources" in sys.modules:
        return
    module: Any = types.ModuleType("pkg_resources")
    module.working_set = _WorkingSet()
    module.resource_filename = _resource_filename
    sys.modules["pkg_resources"] = module


def remove() -> None:
    """Take the stand-in away again: another package that looks for the real one must not meet it."""
    if isinstance(getattr(sys.modules.get("pkg_resources"), "working_set", None), _WorkingSet):
        del sys.modules["pkg_resources"]
