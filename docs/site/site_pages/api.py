"""Pages of the interface: the names that the package and its rooms offer, room by room."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import ddl_dyn
from site_pages.entries import entry
from site_pages.markdown import code, escaped, table

# Rooms with names for users, in their order; the code generator's face stands with the engine's.
ROOMS = {
    "config": ("ddl_dyn.config",),
    "plots": ("ddl_dyn.plots",),
    "tasks": ("ddl_dyn.tasks",),
    "models": ("ddl_dyn.models",),
    "runs": ("ddl_dyn.runs",),
    "engine": ("ddl_dyn.engine", "ddl_dyn.engine.cpp"),
    "training": ("ddl_dyn.training",),
    "analysis": ("ddl_dyn.analysis",),
    "results": ("ddl_dyn.results",),
}
# Registries have pages of their own.
REGISTRIES = {"TASKS": "../tasks.md", "MODELS": "../catalogue.md"}
_FACE = {name: getattr(ddl_dyn, name) for name in ddl_dyn.__all__ if name != "__version__"}


def home_of(name: str, value: Any, room: str) -> str:
    """Dotted path at which a public name is defined."""
    module = getattr(value, "__module__", None)
    return f"{module}.{name}" if module and module.startswith("ddl_dyn") else f"{room}.{name}"


def face_of(room: str) -> list[str]:
    """Dotted paths of the package's own names that live in a room."""
    homes = [home_of(name, value, ddl_dyn._SOURCES[name][0]) for name, value in _FACE.items() if name not in REGISTRIES]
    return [home for home in homes if home.split(".")[1] == room]


def returned(room: str) -> list[str]:
    """Dotted paths of the classes of a room that functions of the package's face return."""
    found = []
    for value in _FACE.values():
        # An annotation is the text of a name in the function's module.
        given = value.__globals__.get(value.__annotations__["return"]) if inspect.isfunction(value) else None
        if inspect.isclass(given) and given.__module__.split(".")[:2] == ["ddl_dyn", room]:
            found.append(f"{given.__module__}.{given.__name__}")
    return found


def _values(room: str) -> dict[str, tuple[str, Any]]:
    """Name -> (module, value) of what a room's own `__all__` names."""
    found: dict[str, tuple[str, Any]] = {}
    for module in map(importlib.import_module, ROOMS[room]):
        found |= {name: (module.__name__, getattr(module, name)) for name in getattr(module, "__all__", ())}
    return {name: pair for name, pair in found.items() if name not in REGISTRIES}


def _is_constant(value: Any) -> bool:
    return not (inspect.isclass(value) or callable(value))


def offered(room: str) -> list[str]:
    """Dotted paths of the classes and functions that a room's own `__all__` names."""
    return [home_of(name, value, module) for name, (module, value) in _values(room).items() if not _is_constant(value)]


def constants(room: str) -> dict[str, Any]:
    """Name -> value of what else a room's own `__all__` names."""
    return {name: value for name, (_, value) in _values(room).items() if _is_constant(value)}


def room_page(room: str) -> str:
    """The page of a room: the package's names first, then what they return, then the room's others."""
    shown: list[str] = []
    parts = [f"# {room}"]
    groups: tuple[tuple[str, Callable[[str], list[str]]], ...] = (
        ("From `ddl_dyn` itself", face_of),
        ("What these return", returned),
        (f"From `ddl_dyn.{room}`", offered),
    )
    for title, listed in groups:
        new = [path for path in dict.fromkeys(listed(room)) if path not in shown]
        shown += new
        if new:
            parts += [f"## {title}", *map(entry, new)]
    if others := constants(room):
        parts += [
            "## Constants",
            table(("name", "value"), [(code(name), _shown(value)) for name, value in others.items()]),
        ]
    return "\n\n".join(parts) + "\n"


def _shown(value: Any) -> str:
    text = getattr(value, "pattern", None) or repr(value)
    return code(text) if len(text) < 80 else f"{type(value).__name__} of {len(value)} entries"


def rooms() -> list[str]:
    """Rooms that have a page."""
    return [room for room in ROOMS if face_of(room) or offered(room)]


def face_page() -> str:
    """The names of `from ddl_dyn import …`, grouped by room, each with its first line."""
    parts = [
        "# Interface\n\n"
        "The names that scripts and notebooks rely on, `from ddl_dyn import …`, each loaded when it is first used. "
        "A room's page has them in full, and below them what the room offers of its own."
    ]
    for room in rooms():
        rows = []
        for name, value in _FACE.items():
            source = ddl_dyn._SOURCES[name][0]
            if source.split(".")[1] == room:
                rows.append((_link(name, value, source), escaped(_summary(name, value))))
        if rows:
            parts.append(f"## {room}\n\n" + table(("name", "what it is"), rows))
    others = ", ".join(f"[{room}]({room}.md)" for room in rooms() if not face_of(room))
    return "\n\n".join([*parts, f"Rooms of which nothing is offered by the package itself: {others}."]) + "\n"


def _link(name: str, value: Any, source: str) -> str:
    return (
        f"[{code(name)}]({REGISTRIES[name]})"
        if name in REGISTRIES
        else f"[{code(name)}][{home_of(name, value, source)}]"
    )


def _summary(name: str, value: Any) -> str:
    if name in REGISTRIES:
        return f"Registry: {len(value)} names and their classes."
    return (inspect.getdoc(value) or "").partition("\n")[0]
