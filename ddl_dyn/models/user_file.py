"""A user's own step model, by the name of its file: `path/to/file.py:MyStep`."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

from ddl_dyn.config import ModelConfig
from ddl_dyn.models.base import StepModel


def is_file_reference(name: str) -> bool:
    """Whether a model's name is a file and a class in it."""
    return ".py:" in name or name.endswith(".py")


def load_class(reference: str) -> type[StepModel]:
    """The step model of a user's file.

    Args:
        reference: `path/to/file.py:Class`, relative to the working directory or absolute.
    Raises:
        ValueError: when the file does not exist or does not run, or has no such class, or the class is not a complete
            step model.
    """
    path, _, name = reference.rpartition(":") if not reference.endswith(".py") else (reference, "", "")
    if not name:
        raise ValueError(f"model={reference}: name the class too, as in model={reference}:MyStep")
    module = _module(Path(path), reference)
    found = vars(module).get(name)
    if found is None:
        names = [n for n, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        listed = ", ".join(names) or "none"
        raise ValueError(f"model={reference}: {path} defines no {name!r}{hint}; its classes: {listed}")
    if not (isinstance(found, type) and issubclass(found, StepModel)):
        raise ValueError(f"model={reference}: {name} must be a subclass of ddl_dyn.models.StepModel, got {found!r}")
    missing = [text for text in ("Config", "equation", "source") if not hasattr(found, text)]
    missing += sorted(found.__abstractmethods__)
    if missing:
        raise ValueError(f"model={reference}: {name} still needs {', '.join(missing)}; see docs/adding.md")
    if not (isinstance(found.Config, type) and issubclass(found.Config, ModelConfig)):
        raise ValueError(f"model={reference}: {name}.Config must be a subclass of ddl_dyn.config.ModelConfig")
    return found


def _module(path: Path, reference: str) -> ModuleType:
    """The file as a module, run once for each state of the file."""
    if not path.is_file():
        raise ValueError(f"model={reference}: there is no file {path} (looked in {Path.cwd()})")
    digest = hashlib.sha256(str(path.resolve()).encode() + b"\0" + path.read_bytes()).hexdigest()[:16]
    module_name = f"ddl_dyn_user_{path.stem}_{digest}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Annotations of a Config are looked up here while the class is made.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise ValueError(f"model={reference}: {path} does not run: {type(error).__name__}: {error}") from error
    return module
