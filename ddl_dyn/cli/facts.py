"""Facts about the registered tasks that need no integration: size, time scale, obstruction, required parameters."""

from __future__ import annotations

import dataclasses
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


def list_tasks() -> list[tuple[str, str, str, str, str]]:
    """Name, family, D, time scale and obstruction of every task at its default parameters."""
    from ddl_dyn.tasks import TASKS

    return [(name, cls.family, *size_and_time(name, cls), obstruction_of(cls)) for name, cls in TASKS.items()]
