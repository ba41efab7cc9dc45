"""The catalogues `ddl-dyn tasks` and `ddl-dyn models`: equations, parameters, sources.

The list of tasks loads neither torch nor matplotlib and integrates nothing. Axes: D state components.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH = 100

# D and time scale at the default parameters, to four digits, of tasks that find them by integration, by scipy's special
# functions or from their data: the list must not wait for that. tests/test_catalogue.py finds them anew.
FOUND: dict[str, tuple[int, float]] = {
    "cubic_spiral": (2, 0.927),
    "pendulum": (2, 6.7),
    "hardening_duffing": (2, 4.768),
    "van_der_pol": (2, 6.663),
    "fitzhugh_nagumo": (2, 39.47),
    "brusselator": (2, 7.157),
    "lotka_volterra": (2, 8.027),
    "van_der_pol_family": (2, 7.197),
    "lorenz63_family": (3, 1.139),
    "logistic_family": (1, 1.091),
    "logistic": (1, 2.015),
    "tent": (1, 1.453),
    "ricker": (1, 2.411),
    "gauss": (1, 2.608),
    "henon": (2, 2.38),
    "lozi": (2, 2.13),
    "ikeda": (2, 1.975),
    "duffing_map": (2, 2.081),
    "sunspots": (3, 11.0),
    "ecg": (4, 0.5167),
}


def task_class(name: str) -> Any:
    """The class of a task by its registry key or by `path/to/file.py:Class`.

    Raises:
        ValueError: for an unknown name.
    """
    from tasks import TASKS
    from tasks.user_file import is_file_reference, load_class

    return load_class(name) if is_file_reference(name) else _one(name, TASKS, "task")


def _one(name: str, registry: Mapping[str, Any], what: str) -> Any:
    if name not in registry:
        near = difflib.get_close_matches(name, registry, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"unknown {what} {name!r}{hint}; there are {', '.join(sorted(registry))}")
    return registry[name]


def required_parameters(cls: Any) -> list[str]:
    """Names of the parameters a task cannot be built without."""
    missing = dataclasses.MISSING
    return [f.name for f in dataclasses.fields(cls) if f.init and f.default is missing and f.default_factory is missing]


def reading(cls: Any, timescale: float) -> str:
    """A time scale with its unit, to four digits; the steps of a map are counted."""
    unit = cls.time_unit
    if unit == "time":
        # What has no unit of its own and advances by one is counted in steps.
        unit = "step" if getattr(cls, "dt", None) == 1.0 else ""
    plural = unit if unit in ("", "s") or timescale == 1 else f"{unit}s"
    return f"{timescale:.4g} {plural}".rstrip()


def obstruction_of(cls: Any) -> str:
    """The obstruction's name; "unknown" for recorded data."""
    return "unknown" if cls.recorded else cls.obstruction


def size_and_time(name: str, cls: Any) -> tuple[str, str]:
    """D and time scale at the default parameters, found without integration."""
    if required_parameters(cls):
        return "–", "by the file"
    if name in FOUND:
        return str(FOUND[name][0]), reading(cls, FOUND[name][1])
    task = cls()
    return str(task.state_dim), reading(cls, task.timescale)


def list_tasks() -> list[tuple[str, str, str, str, str]]:
    """Name, family, D, time scale and obstruction of every task at its default parameters."""
    from tasks import TASKS

    return [(name, cls.family, *size_and_time(name, cls), obstruction_of(cls)) for name, cls in TASKS.items()]


def print_tasks(name: str | None) -> None:
    """All tasks, one a line, or one task's datasheet.

    Raises:
        ValueError: for an unknown name.
    """
    if name is None:
        _print_table(("task", "family", "D", "time scale", "obstruction"), list_tasks())
        return
    cls = task_class(name)
    title, _, sheet = (inspect.getdoc(cls) or "").partition("\n")
    print(f"{name}: {title}\n{sheet}\n")
    if "Equations:" not in sheet:
        print(f"equations: {cls.equations}")
    if not required_parameters(cls):
        _print_facts(cls())
    print("parameters:")
    for field in dataclasses.fields(cls):
        if field.init:
            text = "required" if field.name in required_parameters(cls) else f"= {_default(field)!r}"
            doc = field.metadata.get("doc", "") or ("sampling interval" if field.name == "dt" else "")
            print(f"  task_args.{field.name} {text}{_range(field)}{'  ' + doc if doc else ''}")
    reason = f". {cls.obstruction_reason}" if cls.obstruction_reason else ""
    print(_wrapped(f"obstruction to a flow: {obstruction_of(cls)}{reason}"))
    print(_wrapped(f"source: {cls.source}"))


def _print_facts(task: Any) -> None:
    print(_wrapped(f"state: {_several(task.state_names)} (D = {task.state_dim})"))
    if task.input_dim:
        print(_wrapped(f"inputs: {_several(task.input_names)} (U = {task.input_dim})"))
    doc = inspect.getdoc(type(task).timescale) or ""
    print(_wrapped(f"time scale: {reading(type(task), task.timescale)}. {doc.splitlines()[0] if doc else ''}"))


def _default(field: Any) -> Any:
    return field.default if field.default is not dataclasses.MISSING else field.default_factory()


def _several(names: Sequence[str], most: int = 12) -> str:
    return ", ".join([*names[:most], f"… {names[-1]}"] if len(names) > most else names)


def _range(field: Any) -> str:
    metadata = field.metadata
    low, high = (0.0, None) if field.name == "dt" else (metadata.get("low"), metadata.get("high"))
    if low is None and high is None:
        return ""
    left = "(" if field.name == "dt" or metadata.get("open_low") or low is None else "["
    lower, upper = "−∞" if low is None else f"{low:g}", "∞)" if high is None else f"{high:g}]"
    return f"  in {left}{lower}, {upper}"


def draw_task(name: str, folder: Path) -> Path | None:
    """Draw a task's portrait into a folder; None where the task cannot be built without a parameter."""
    from ddl_dyn.gallery import EXAMPLES, portrait
    from ddl_dyn.plots import save

    cls = task_class(name)
    if required_parameters(cls) and name not in EXAMPLES:
        return None
    return save(portrait(name), folder / name.rpartition(":")[2])[0]


def print_models(name: str | None) -> None:
    """All models, one a line, or one model's equation, options, size and source.

    Raises:
        ValueError: for an unknown name.
    """
    from ddl_dyn.models import MODELS, model_class

    if name is None:
        rows = [(key, _kind(cls), cls.equation) for key, cls in MODELS.items()]
        _print_table(("model", "kind", "equation of a step"), rows)
        return
    cls: Any = model_class(name) if ".py" in name else _one(name, MODELS, "model")
    print(f"{name}\n\n{inspect.getdoc(cls)}\n\n  {cls.equation}\n")
    for base in reversed(cls.Config.__mro__):
        own = [key for key in getattr(base, "__annotations__", {}) if key in cls.Config.model_fields]
        if own and inspect.getdoc(base):
            print(f"{inspect.getdoc(base)}\n")
    print("options:")
    for key, field in cls.Config.model_fields.items():
        default = field.get_default(call_default_factory=True)
        print(_wrapped(f"  model_args.{key} = {default!r}{_bounds(field)}"))
    print(_wrapped(f"parameters: {_size(name, cls)}"))
    print(_wrapped(f"source: {cls.source}"))


def _kind(cls: Any) -> str:
    return "solved" if cls.dynamics == "floor" else cls.dynamics


def _size(name: str, cls: Any) -> str:
    from ddl_dyn.models.oracles import Oracle

    if issubclass(cls, Oracle):
        return "none, it is told the truth"
    if cls.closed_form:
        return "solved from the training data, none is trained"
    import torch

    from ddl_dyn.budget import count_parameters
    from ddl_dyn.models import make_model

    with torch.random.fork_rng(devices=[]):
        return f"{count_parameters(make_model(name, state_dim=2)):,} at these options and D = 2"


def _bounds(field: Any) -> str:
    from typing import Literal, get_args, get_origin

    symbols = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{symbol} {getattr(item, name):g}"
        for item in field.metadata
        for name, symbol in symbols.items()
        if getattr(item, name, None) is not None
    ]
    choices = [f"{part!r}" for part in get_args(field.annotation)] if get_origin(field.annotation) is Literal else []
    found += [" | ".join(choices)] if choices else []
    return f"  ({', '.join(found)})" if found else ""


def draw_model(name: str, folder: Path) -> Path | None:
    """Draw how signal and gradient pass an untrained stack of the model; None for a model that is not trained."""
    from ddl_dyn.models import model_class

    if model_class(name).closed_form:
        return None
    from ddl_dyn import plots
    from ddl_dyn.initialisation import initial_statistics

    found = initial_statistics(name)
    note = f"{len(found.state_std)} seeds, D = 8, untied layers at the default options"
    figure = plots.initial_statistics(
        found.layers, {name: found.state_std}, {name: found.gradient_norm}, title=name.rpartition(":")[2], note=note
    )
    return plots.save(figure, folder / name.rpartition(":")[2])[0]


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(str(row[i])) for row in [columns, *rows]) for i in range(len(columns))]
    for row in [columns, *rows]:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        print(line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…")
