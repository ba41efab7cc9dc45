"""A user's own class, by the name of its file: `path/to/file.py:Class`."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ddl_dyn.config.files import CODE_LIMIT, read_input


def is_file_reference(name: str) -> bool:
    """Recognise a model's or task's name that is a file and a class in it."""
    return ".py:" in name or name.endswith(".py")


def load_class(reference: str, *, role: str, base: type[object], base_name: str, needs: Sequence[str]) -> Any:
    """The class of a user's file.

    Args:
        reference: `path/to/file.py:Class`, relative to the working directory or absolute.
        role: the option that names it, "model" or "task".   base: what it must be a subclass of.
        base_name: how a message names the base.   needs: class attributes it must have.
    Raises:
        ValueError: when the file does not exist or does not run, or has no such class, or the class is abstract or
            lacks an attribute.
    """
    path, _, name = reference.rpartition(":") if not reference.endswith(".py") else (reference, "", "")
    given = f"{role}={reference}"
    if not name:
        raise ValueError(f"{given}: name the class too, as in {given}:My{'Step' if role == 'model' else 'Task'}")
    module = _module(Path(path), given)
    found = vars(module).get(name)
    if found is None:
        names = [n for n, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        listed = ", ".join(names) or "none"
        raise ValueError(f"{given}: {path} defines no {name!r}{hint}; its classes: {listed}")
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"{given}: {name} must be a subclass of {base_name}, got {found!r}")
    missing = [text for text in needs if not hasattr(found, text)]
    missing += sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise ValueError(f"{given}: {name} still needs {', '.join(missing)}; see docs/adding.md")
    return found


def _module(path: Path, given: str) -> ModuleType:
    """The file as a module, run once for each state of the file."""
    if not path.is_file():
        raise ValueError(f"{given}: there is no file {path} (looked in {Path.cwd()})")
    try:
        source = read_input(path, CODE_LIMIT)
    except OSError as error:
        raise ValueError(f"{given}: {path} cannot be read: {error.strerror or error}") from error
    digest = hashlib.sha256(str(path.resolve()).encode() + b"\0" + source).hexdigest()[:16]
    module_name = f"ddl_dyn_user_{path.stem}_{digest}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # A Config and a dataclass look their annotations up here while the class is made.
    sys.modules[module_name] = module
    try:
        # Not the loader: it takes cached bytecode of another state of the file, if both are of one second and one size.
        exec(compile(source, path, "exec"), vars(module))
    except Exception as error:
        del sys.modules[module_name]
        raise ValueError(f"{given}: {path} does not run: {type(error).__name__}: {error}") from error
    return module
