"""The catalogues `ddl-dyn tasks` and `ddl-dyn models`: equations, parameters, sources."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Mapping
from typing import Any


def _first_line(item: Any) -> str:
    return (inspect.getdoc(item) or "").split("\n", 1)[0]


def _one(name: str, registry: Mapping[str, Any], what: str) -> Any:
    if name not in registry:
        near = difflib.get_close_matches(name, registry, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"unknown {what} {name!r}{hint}; there are {', '.join(sorted(registry))}")
    return registry[name]


def print_tasks(name: str | None) -> None:
    """All tasks in one table, or one task's datasheet with its parameters.

    Raises:
        ValueError: for an unknown name.
    """
    from tasks import TASKS

    if name is None:
        _print_table(
            ("task", "state", "what", "obstruction"),
            [(key, _state(cls), _first_line(cls), cls.obstruction) for key, cls in TASKS.items()],
        )
        return
    cls = _one(name, TASKS, "task")
    print(f"{name}\n\n{inspect.getdoc(cls)}\n")
    for field in dataclasses.fields(cls):
        if field.init:
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            text = "required" if required else f"= {field.default!r}"
            doc = field.metadata.get("doc", "")
            print(f"  task_args.{field.name} {text}{_range(field.metadata)}{'  ' + doc if doc else ''}")
    if cls.obstruction != "none":
        print(f"\nobstruction: {cls.obstruction}. {cls.obstruction_reason}")
    print(f"\nsource: {getattr(cls, 'source', '–')}")


def _state(cls: Any) -> str:
    names = getattr(cls, "state_names", None)
    # A task whose size depends on its parameters names its components only once it is built.
    return ", ".join(names) if isinstance(names, tuple) else "by its parameters"


def _range(metadata: Mapping[str, Any]) -> str:
    low, high = metadata.get("low"), metadata.get("high")
    if low is None and high is None:
        return ""
    left = "(" if metadata.get("open_low") or low is None else "["
    lower, upper = "−∞" if low is None else f"{low:g}", "∞)" if high is None else f"{high:g}]"
    return f"  in {left}{lower}, {upper}"


def print_models(name: str | None) -> None:
    """All models in one table, or one model's equation, source and options.

    Raises:
        ValueError: for an unknown name.
    """
    from ddl_dyn.models import MODELS

    if name is None:
        _print_table(
            ("model", "equation", "what"), [(key, cls.equation, _first_line(cls)) for key, cls in MODELS.items()]
        )
        return
    cls = _one(name, MODELS, "model")
    print(f"{name}\n\n{inspect.getdoc(cls)}\n\n  {cls.equation}\n")
    for base in reversed(cls.Config.__mro__):
        own = [key for key in getattr(base, "__annotations__", {}) if key in cls.Config.model_fields]
        if own and inspect.getdoc(base):
            print(f"{inspect.getdoc(base)}\n")
    for key, field in cls.Config.model_fields.items():
        print(f"  model_args.{key} = {field.get_default(call_default_factory=True)!r}{_bounds(field.metadata)}")
    print(f"\nsource: {cls.source}")


def _bounds(metadata: list[Any]) -> str:
    symbols = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{symbol} {getattr(item, name):g}"
        for item in metadata
        for name, symbol in symbols.items()
        if getattr(item, name, None) is not None
    ]
    return f"  ({', '.join(found)})" if found else ""


def _print_table(columns: tuple[str, ...], lines: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, no_wrap=number == 0, overflow="fold")
    for line in lines:
        table.add_row(*(Text(str(cell)) for cell in line))
    Console().print(table)
