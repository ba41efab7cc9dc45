"""The truth: dynamical systems to be learned, their reference trajectories, their datasets."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from tasks.base import FlowTask, MapTask, Task, Trajectories
from tasks.chaotic import Lorenz63
from tasks.conditioned import Lorenz63Family, VanDerPolFamily
from tasks.cycles import VanDerPol
from tasks.dataset import Dataset, make_dataset
from tasks.maps import FlipFlop
from tasks.observed import Ecg, Observed, Sunspots
from tasks.oscillators import Harmonic
from tasks.planar_maps import Henon
from tasks.reflections import TwistedMirror
from tasks.simulate import integrate, iterate, trust_horizon

TASKS: dict[str, type[Task]] = {
    # oscillators
    "harmonic": Harmonic,
    "van_der_pol": VanDerPol,
    # chaotic flows
    "lorenz63": Lorenz63,
    # families with the parameter as an input
    "van_der_pol_family": VanDerPolFamily,
    "lorenz63_family": Lorenz63Family,
    # maps
    "flip_flop": FlipFlop,
    "henon": Henon,
    # reflections
    "twisted_mirror": TwistedMirror,
    # observed series
    "sunspots": Sunspots,
    "ecg": Ecg,
    "observed": Observed,
}


def make_task(name: str, **params: Any) -> Task:
    """Build a task by its registry key.

    Args:
        name: a key of `TASKS`.
        params: the task's parameters, see its docstring.
    Returns:
        The task.
    Raises:
        ValueError: when the name or a parameter is unknown, or a value out of range.
    """
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}{_nearest(name, TASKS)}; available: {', '.join(sorted(TASKS))}")
    cls = TASKS[name]
    fields = dataclasses.fields(cls)
    valid = [field.name for field in fields if field.init]
    for param in params:
        if param not in valid:
            raise ValueError(
                f"{name} has no parameter {param!r}{_nearest(param, valid)}; its parameters: {', '.join(valid)}"
            )
    for field in fields:
        if field.init and field.default is dataclasses.MISSING and field.name not in params:
            raise ValueError(f"{name} needs the parameter {field.name!r}; its parameters: {', '.join(valid)}")
    return cls(**params)


def _nearest(word: str, valid: Any) -> str:
    match = difflib.get_close_matches(word, list(valid), n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""


__all__ = [
    "TASKS",
    "Dataset",
    "FlowTask",
    "MapTask",
    "Task",
    "Trajectories",
    "integrate",
    "iterate",
    "make_dataset",
    "make_task",
    "trust_horizon",
]
