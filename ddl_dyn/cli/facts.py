"""Facts about the registered tasks that need no integration: title, size, time scale, obstruction, parameters."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ddl_dyn.tasks import Task

# D and time scale at the default parameters, to four digits, of tasks that find them by integration, by scipy's special
# functions or from their data: the list must not wait for that. tests/cli/test_catalogue.py finds them anew.
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


def required_parameters(cls: type[Task]) -> list[str]:
    """Names of the parameters a task cannot be built without."""
    missing = dataclasses.MISSING
    return [f.name for f in dataclasses.fields(cls) if f.init and f.default is missing and f.default_factory is missing]


def reading(cls: type[Task], timescale: float) -> str:
    """A time scale with its unit, to four digits; the steps of a map are counted."""
    unit = cls.time_unit
    if unit == "time":
        # What has no unit of its own and advances by one is counted in steps.
        unit = "step" if getattr(cls, "dt", None) == 1.0 else ""
    plural = unit if unit in ("", "s") or timescale == 1 else f"{unit}s"
    return f"{timescale:.4g} {plural}".rstrip()


def obstruction_of(cls: type[Task] | Task) -> str:
    """The obstruction's name; "unknown" for recorded data."""
    return "unknown" if cls.recorded else cls.obstruction


def size_and_time(name: str, cls: type[Task]) -> tuple[str, str]:
    """D and time scale at the default parameters, found without integration."""
    if required_parameters(cls):
        return "–", "by the system" if "system" in required_parameters(cls) else "by the file"
    if name in FOUND:
        return str(FOUND[name][0]), reading(cls, FOUND[name][1])
    task = cls()  # type: ignore[call-arg]  # every field has a default here
    return str(task.state_dim), reading(cls, task.timescale)


def short_title(cls: type[Task], width: int) -> str:
    """First line of a task's docstring without its full stop; where that is too long, up to a colon or comma in it.

    Args:
        cls: the task.   width: most characters.
    """
    title = (inspect.getdoc(cls) or "").partition("\n")[0].removesuffix(".")
    if len(title) <= width:
        return title
    ends = [found.start() for found in re.finditer("[:,;] ", title) if found.start() <= width]
    return title[: ends[-1]] if ends else f"{title[: width - 1]}…"


def list_tasks(width: int) -> list[tuple[str, str, str, str]]:
    """Name, D at the default parameters, whether a flow can be it, and a short title, of every task.

    Args:
        width: most characters of a title.
    """
    from ddl_dyn.tasks import TASKS

    flow = {"none": "yes", "unknown": "–"}
    return [
        (name, size_and_time(name, cls)[0], flow.get(obstruction_of(cls), "no"), short_title(cls, width))
        for name, cls in TASKS.items()
    ]
