"""Settings as their classes declare them, read from the source: completion and `show` must not wait for torch.

Nothing is imported or executed. What a class does beyond declaring fields (its checks, its presets) is not seen here.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parents[1]
SECTIONS_FILE = _PACKAGE / "config" / "sections.py"
# Stands for a default that is no plain value, or none.
UNKNOWN = object()


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A declared field.

    Args:
        choices: names it takes, where the type lists them; true and false of a truth value.
        default: a plain value, or `UNKNOWN`.
        section: class of its own keys, where it is a section; "" otherwise.
    """

    choices: tuple[str, ...]
    default: Any
    section: str = ""


@functools.cache
def registered(kind: str) -> Mapping[str, str]:
    """Class of each name of a registry: of `models` or `tasks`.

    Args:
        kind: the package that holds it.
    """
    for name, value in _assignments(_module(_PACKAGE / kind / "__init__.py").body):
        if name == kind.upper() and isinstance(value, ast.Dict):
            pairs = zip(value.keys, value.values, strict=True)
            return {str(k.value): v.id for k, v in pairs if isinstance(k, ast.Constant) and isinstance(v, ast.Name)}
    raise LookupError(f"{kind}/__init__.py declares no {kind.upper()}")


def model_options(name: str) -> dict[str, Declared]:
    """Options of a registered model, by name; of another name those that every model shares."""
    place = _PACKAGE / "models" / "__init__.py", registered("models").get(name, "")
    for path, node in _line(*place):
        for option, value in _assignments(node.body):
            if option == "Config" and isinstance(value, ast.Name):
                return fields(path, value.id)
    return fields(SECTIONS_FILE, "ModelConfig")


def task_parameters(name: str) -> dict[str, Declared]:
    """Parameters of a registered task, by name; empty for another name."""
    return fields(_PACKAGE / "tasks" / "__init__.py", registered("tasks").get(name, ""))


def fields(path: Path, name: str) -> dict[str, Declared]:
    """Fields of a class and of those it inherits from, by name, as far as their source is this package's.

    Args:
        path: of the module in which the class is defined or imported.   name: of the class.
    """
    found: dict[str, Declared] = {}
    for place, node in reversed(list(_line(path, name))):
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                if "ClassVar" in ast.unparse(item.annotation) or _keyword(item.value, "init") is False:
                    continue
                found[item.target.id] = _declared(place, item)
    return found


def _declared(path: Path, item: ast.AnnAssign) -> Declared:
    section = item.annotation.id if isinstance(item.annotation, ast.Name) else ""
    section = section if section.endswith("Config") else ""
    return Declared(choices=_choices(path, item.annotation), default=_default(item.value), section=section)


def _default(value: ast.expr | None) -> Any:
    """The default of `= value`, `= Field(default=value)` or `= parameter(value, …)`."""
    if isinstance(value, ast.Call):
        given = _keyword(value, "default")
        if given is not None or any(keyword.arg == "default" for keyword in value.keywords):
            return given
        value = value.args[0] if value.args else None
    return _literal(value)


def _keyword(value: ast.expr | None, name: str) -> Any:
    """A keyword's plain value in a call; None where it is not given."""
    for keyword in value.keywords if isinstance(value, ast.Call) else ():
        if keyword.arg == name:
            return _literal(keyword.value)
    return None


def _literal(value: ast.expr | None) -> Any:
    try:
        return UNKNOWN if value is None else ast.literal_eval(value)
    except ValueError:
        return UNKNOWN


def _choices(path: Path, annotation: ast.expr) -> tuple[str, ...]:
    """Names in the Literals of a type, behind an alias too."""
    found: list[str] = []
    for node in ast.walk(annotation):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
            found += [str(part.value) for part in ast.walk(node.slice) if isinstance(part, ast.Constant)]
        elif isinstance(node, ast.Name) and node.id == "bool":
            found += ["true", "false"]
        elif isinstance(node, ast.Name):
            alias = _assigned(path, node.id)
            found += _choices(path, alias) if alias is not None else ()
    return tuple(dict.fromkeys(found))


def _assigned(path: Path, name: str) -> ast.expr | None:
    """The value of a module's `name = …`, here or where it is imported from."""
    for found, value in _assignments(_module(path).body):
        if found == name:
            return value
    source = _imports(path).get(name)
    return None if source is None else _assigned(source, name)


def _assignments(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.expr | None]]:
    """Names of a module or class that are given a value, and the values."""
    for item in body:
        target: ast.expr | None = item.target if isinstance(item, ast.AnnAssign) else None
        target = item.targets[0] if isinstance(item, ast.Assign) else target
        if isinstance(item, (ast.Assign, ast.AnnAssign)) and isinstance(target, ast.Name):
            yield target.id, item.value


def _line(path: Path, name: str) -> Iterator[tuple[Path, ast.ClassDef]]:
    """A class and those it inherits from, nearest first, each with its module."""
    for node in _module(path).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            yield path, node
            for base in node.bases:
                if isinstance(base, ast.Name):
                    yield from _line(path, base.id)
            return
    source = _imports(path).get(name)
    if source is not None:
        yield from _line(source, name)


@functools.cache
def _imports(path: Path) -> Mapping[str, Path]:
    """Names that a module imports from this package, and the files they come from."""
    found: dict[str, Path] = {}
    for node in _module(path).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{_PACKAGE.name}."):
            place = _PACKAGE.joinpath(*node.module.split(".")[1:])
            source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            found |= {alias.asname or alias.name: source for alias in node.names if source.is_file()}
    return found


@functools.cache
def _module(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())
