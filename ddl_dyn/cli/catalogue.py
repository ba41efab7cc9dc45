"""The catalogues `ddl-dyn tasks` and `ddl-dyn models`: equations, parameters, sources.

The list of tasks loads neither torch nor matplotlib and integrates nothing. Axes: D state components.
"""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from ddl_dyn.cli.facts import list_tasks, obstruction_of, reading, required_parameters

if TYPE_CHECKING:
    from ddl_dyn.tasks import Task

WIDTH = 100
# Of a title in the list of tasks: beside name, D and flow, in a terminal of 80 columns.
TITLE = 46


def print_tasks(name: str | None) -> None:
    """All tasks, one a line, or one task's datasheet.

    Raises:
        ValueError: for an unknown name.
    """
    if name is None:
        _print_table(("task", "D", "flow", "what it is"), list_tasks(TITLE))
        print("\nD: components of the state. flow: no, where the map cannot be the time-dt map")
        print("of a flow; –, where that is not known. `ddl-dyn tasks NAME` has equations,")
        print("parameters, time scale and source of one.")
        return
    from ddl_dyn.tasks import task_class

    cls: Any = task_class(name)
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
            print(f"  task_args.{field.name} {text}{range_text(cls, field)}{'  ' + doc if doc else ''}")
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


def range_text(cls: type[Task], field: dataclasses.Field[object]) -> str:
    """Choices or bounds of a task's parameter, after two blanks; empty where there are none."""
    from ddl_dyn.tasks.fields import Bounds, bounds_of, field_types

    bounds, kind = bounds_of(field), field_types(cls)[field.name]
    if get_origin(kind) is Literal:
        return f"  ({' | '.join(map(repr, get_args(kind)))})"
    return "" if bounds == Bounds() else f"  in {bounds}"


def print_systems(name: str | None) -> None:
    """All systems of the package dysts, one a line, or the datasheet of one.

    Raises:
        ValueError: when the package is not installed, the name unknown, or the system no task.
    """
    from ddl_dyn.tasks.flows.dysts_systems import find_system, stored_facts

    if name is None:
        rows = [(key, *_system_row(key, facts)) for key, facts in stored_facts().items()]
        _print_table(("system", "D", "largest exponent", "period", "what it is, or why it is no task"), rows)
        return
    found, task = find_system(name), _system_task(name)
    print(f"{name}: {found.description}\n")
    print(_wrapped(f"run: ddl-dyn run with task=dysts task_args.system={name}"))
    print(_wrapped(f"state: {_several(task.state_names)} (D = {task.state_dim})"))
    for key, value in found.parameters.items():
        print(_wrapped(f"parameter {key} = {value}"))
    print(f"time scale: {found.period:.6g}, the stored period; task_args.dt = {task.dt:.6g}")
    print(f"largest exponent, stored: {found.exponent:.6g}")
    if found.spectrum:
        print(_wrapped(f"spectrum of exponents, stored: {', '.join(f'{value:.4g}' for value in found.spectrum)}"))
    print(_wrapped(f"source: {found.citation}"))


def _system_task(name: str) -> Task:
    from ddl_dyn.tasks import make_task

    return make_task("dysts", system=name)


def _system_row(name: str, facts: dict[str, Any]) -> tuple[str, str, str, str]:
    """Dimension, exponent, period, and what the system is or why it is no task."""
    stored = f"{facts['maximum_lyapunov_estimated']:.4g}", f"{facts['period']:.4g}"
    try:
        return str(_system_task(name).state_dim), *stored, facts["description"]
    except ValueError as reason:
        return "–", *stored, str(reason).rpartition(" is no task: ")[2]


def draw_system(name: str, folder: Path) -> Path:
    """Draw the portrait of a system of dysts into a folder."""
    from ddl_dyn.cli.gallery import portrait_of_task
    from ddl_dyn.plots import save

    return save(portrait_of_task("dysts", system=name), folder / name)[0]


def draw_task(name: str, folder: Path) -> Path | None:
    """Draw a task's portrait into a folder; None where the task cannot be built without a parameter."""
    from ddl_dyn.cli.gallery import EXAMPLES, portrait_of_task
    from ddl_dyn.plots import save
    from ddl_dyn.tasks import task_class

    cls: Any = task_class(name)
    if required_parameters(cls) and name not in EXAMPLES:
        return None
    return save(portrait_of_task(name), folder / name.rpartition(":")[2])[0]


def print_models(name: str | None) -> None:
    """All models, one a line, or one model's equation, options, size and source.

    Raises:
        ValueError: for an unknown name.
    """
    from ddl_dyn.models import MODELS, model_class

    if name is None:
        rows = [(key, kind_text(cls), cls.equation) for key, cls in MODELS.items()]
        _print_table(("model", "kind", "equation of a step"), rows)
        return
    cls: Any = model_class(name)
    print(f"{name}\n\n{inspect.getdoc(cls)}\n\n  {cls.equation}\n")
    for base in reversed(cls.Config.__mro__):
        own = [key for key in getattr(base, "__annotations__", {}) if key in cls.Config.model_fields]
        if own and inspect.getdoc(base):
            print(f"{inspect.getdoc(base)}\n")
    print("options:")
    for key, field in cls.Config.model_fields.items():
        default = field.get_default(call_default_factory=True)
        print(_wrapped(f"  model_args.{key} = {default!r}{bounds_text(field)}"))
    print(_wrapped(f"parameters: {size_text(name, cls)}"))
    print(_wrapped(f"source: {cls.source}"))


def kind_text(cls: Any) -> str:
    """Class of maps that theory may take a model's step for, in a word."""
    return "solved" if cls.dynamics == "floor" else cls.dynamics


def size_text(name: str, cls: Any) -> str:
    """Number of a model's parameters, or why it has none."""
    from ddl_dyn.models.oracles import Oracle

    if issubclass(cls, Oracle):
        return "none, it is told the truth"
    if cls.closed_form:
        return "solved from the training data, none is trained"
    import torch

    from ddl_dyn.models import make_model
    from ddl_dyn.training.budget import count_parameters

    with torch.random.fork_rng(devices=[]):
        return f"{count_parameters(make_model(name, state_dim=2)):,} at these options and D = 2"


def bounds_text(field: Any) -> str:
    """Bounds and choices of a model's option, after two blanks; empty where there are none."""
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
    from ddl_dyn.experiments.evaluation.propagation import propagation

    found = propagation(name)
    note = f"{len(found.state_std)} seeds, D = 8, untied layers at the default options"
    figure = plots.signal_propagation(
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
