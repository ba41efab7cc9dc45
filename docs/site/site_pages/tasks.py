"""Pages of the tasks: an overview of portraits, and for each family a page of datasheets."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from typing import Any

from ddl_dyn.cli.catalogue import range_text
from ddl_dyn.cli.facts import obstruction_of, required_parameters, size_and_time
from ddl_dyn.cli.gallery import DYSTS, EXAMPLES, drawn_tasks
from ddl_dyn.tasks import TASKS, make_task
from site_pages.markdown import cited, code, datasheet, definitions, escaped, table

_SHOWN = 12

OVERVIEW = """\
# Tasks

The systems that are to be learned, with their portraits: reference trajectories of the training split at the default
parameters, or those that a portrait's title names. White squares are initial states; a line map is shown as x[t+1]
against x[t], a one-hot code as a black cell a token, and three dimensions in perspective, nearer strokes darker.
A portrait leads to the task's datasheet. `task_args.NAME=VALUE` sets a parameter.

Where a map cannot be the time-dt map of a flow in its own state space, the obstruction says why; a model whose step is
a flow then needs a lift. Time scales are periods, relaxation times or Lyapunov times. For a system of your own, or a
recorded series, see [adding](adding.md).
"""


def families() -> dict[str, list[str]]:
    """Family -> names of its tasks, in the order of the registry."""
    found: dict[str, list[str]] = {}
    for name, cls in TASKS.items():
        found.setdefault(cls.family, []).append(name)
    return found


def title_of(family: str) -> str:
    """Heading of a family."""
    return family[:1].upper() + family[1:]


def page_of_family(family: str) -> str:
    """Place of a family's page in the site."""
    return f"tasks/{family.replace(' ', '_')}.md"


def portrait(name: str) -> str | None:
    """Place of a task's portrait in the site; None for one that cannot be built without a parameter of the user's."""
    return f"figures/tasks/{name}.png" if name in drawn_tasks() else None


def overview() -> str:
    """The page that shows every task's portrait."""
    parts = [OVERVIEW]
    for family, names in families().items():
        page = page_of_family(family)
        parts.append(f'## {title_of(family)}\n\n<div class="portraits" markdown>\n')
        for name in names:
            picture = f"![Portrait of {name}]({portrait(name)}){{ loading=lazy }}" if portrait(name) else ""
            parts.append(f"[{picture}<span>{escaped(name)}</span>]({page}#{name})\n")
        parts.append("</div>\n")
    return "\n".join([*parts, DYSTS])


def family_page(family: str) -> str:
    """The datasheets of a family's tasks."""
    return "\n\n".join([f"# {title_of(family)}", *map(_datasheet, families()[family])]) + "\n"


def _datasheet(name: str) -> str:
    cls: Any = TASKS[name]
    title, _, sheet = (inspect.getdoc(cls) or "").partition("\n")
    entries = [(heading or "Notes", text) for heading, text in datasheet(sheet)]
    if not any(heading.startswith("Equations") for heading, _ in entries):
        entries.insert(0, ("Equations", escaped(cls.equations)))
    parts = [f"## {escaped(name)} {{ #{name} }}", escaped(title)]
    if place := portrait(name):
        parts.append(f"![Portrait of {name}](../{place}){{ .portrait loading=lazy }}")
    parts += [definitions(_merged([*entries, *_facts(name, cls)])), _parameters(cls)]
    shown = " ".join(f"task_args.{each}=…" for each in required_parameters(cls))
    return "\n\n".join([*parts, f"    ddl-dyn run with {' '.join(filter(None, [f'task={name}', shown]))} model=ddl"])


def _merged(entries: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Entries of which no title stands twice: of two texts the second follows the first."""
    found: dict[str, str] = {}
    for heading, text in entries:
        found[heading] = f"{found[heading]}\n\n{text}" if heading in found else text
    return list(found.items())


def _facts(name: str, cls: Any) -> list[tuple[str, str]]:
    """Facts that the class states beside its docstring."""
    size, time = size_and_time(name, cls)
    said = (inspect.getdoc(cls.timescale) or "").partition("\n")[0]
    found = []
    if not required_parameters(cls):
        task = make_task(name, **EXAMPLES.get(name, {}))
        found.append(("Components", f"{_listed(task.state_names)} (D = {size})"))
        if task.input_dim:
            found.append(("Inputs", f"{_listed(task.input_names)} (U = {task.input_dim})"))
    found.append(("Time scale", escaped(f"{time}. {said}" if said else time)))
    reason = f": {cls.obstruction_reason}" if cls.obstruction_reason else ""
    found.append(("Obstruction to a flow", escaped(obstruction_of(cls) + reason)))
    return [*found, ("Source", cited(cls.source))]


def _listed(names: tuple[str, ...]) -> str:
    shown = list(itertools.islice(names, _SHOWN))
    return ", ".join(code(each) for each in [*shown, *([f"… {names[-1]}"] if len(names) > _SHOWN else [])])


def _parameters(cls: Any) -> str:
    rows = []
    for field in dataclasses.fields(cls):
        if field.init:
            default = "required" if field.name in required_parameters(cls) else code(repr(_default(field)))
            said = field.metadata.get("doc", "") or ("sampling interval" if field.name == "dt" else "")
            bounds = range_text(cls, field).strip().removeprefix("in ")
            rows.append((code(field.name), default, code(bounds) if bounds else "", escaped(said)))
    return table(("parameter", "default", "range", "meaning"), rows)


def _default(field: Any) -> Any:
    return field.default if field.default is not dataclasses.MISSING else field.default_factory()
