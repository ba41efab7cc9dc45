"""The systems of the package dysts: right-hand side, parameters, stored facts; which can be tasks, and why others not.

Axes: N states, D components there.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from typing import Any

import numpy as np

from ddl_dyn.config.hints import nearest_name
from ddl_dyn.metrics.arrays import Array

StateField = Callable[[Array], Array]

# Their right-hand sides hold a sign or a step that nothing multiplies by zero where it jumps.
DISCONTINUOUS = ("FluidTrampoline", "SprottMore", "StickSlipOscillator")
# States on which a right-hand side is tried: a prime number, which no array of parameters has for its length.
_TRIED = 11
# Share by which values a period apart may differ: rounding of sin(2π + x), amplified by its factors.
_SAME = 1e-9


@dataclass(frozen=True, kw_only=True)
class DystsSystem:
    """A system of dysts.

    Args:
        name: there.   state_names: its D components.   field: (N, D) -> (N, D).
        start: (D,), a state on the attractor.
        periods: (component, period) of each angle, which grows without bound.
        parameters: by name, numbers or arrays.   period: of the dominant oscillation.
        exponent: stored estimate of the largest Lyapunov exponent.   spectrum: stored exponents, empty where none are.
        description, citation: there.
    """

    name: str
    state_names: tuple[str, ...]
    field: StateField
    start: Array
    periods: tuple[tuple[int, float], ...]
    parameters: Mapping[str, Any]
    period: float
    exponent: float
    spectrum: tuple[float, ...]
    description: str
    citation: str


@functools.cache
def stored_facts() -> dict[str, dict[str, Any]]:
    """Facts that dysts stores of each of its continuous systems, by name.

    Raises:
        ValueError: when the package is not installed.
    """
    if importlib.util.find_spec("dysts") is None:
        raise ValueError(_missing("dysts"))
    file = resources.files("dysts").joinpath("data/chaotic_attractors.json")
    found: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _missing(package: str) -> str:
    return (
        f"task dysts needs the package {package}, which is not installed; `pip install 'ddl-dyn[dysts]'`, in an "
        "environment of its own where others need pandas 3"
    )


def dysts_version() -> str:
    """Version of the installed package."""
    return metadata.version("dysts")


@functools.lru_cache(maxsize=256)
def find_system(name: str) -> DystsSystem:
    """A system by its name in dysts.

    Raises:
        ValueError: when the package is not installed, the name unknown, or the system none of a bounded state whose
            field is continuous and the same at all times.
    """
    facts = stored_facts()
    if name not in facts:
        near = nearest_name(name, facts)
        raise ValueError(f"unknown system {name!r} of dysts{near}; `ddl-dyn tasks --dysts` lists them")
    stored = facts[name]
    if stored["delay"]:
        raise _refusal(name, "a delay equation, whose state is a history; task mackey_glass is one of these")
    if name in DISCONTINUOUS:
        raise _refusal(name, "its right-hand side jumps, and an integrator of smooth fields loses its order there")
    system = _instance(name)
    field = _batched(system, int(stored["embedding_dimension"]))
    start = np.asarray(stored["initial_conditions"], dtype=np.float64)
    near_start = start + 0.01 * (1 + np.abs(start)) * np.random.default_rng(0).random((_TRIED, len(start)))
    if not np.array_equal(field(near_start, 0.0), field(near_start, 0.37 * stored["period"])):
        raise _refusal(name, "its right-hand side depends on time and carries no phase")
    names = _names(system, len(start))
    return DystsSystem(
        name=name,
        state_names=names,
        field=lambda x: field(x, 0.0),
        start=start,
        periods=tuple((i, _period(name, names[i], i, field, near_start)) for i in stored["unbounded_indices"]),
        parameters=stored["parameters"],
        period=float(stored["period"]),
        exponent=float(stored["maximum_lyapunov_estimated"]),
        spectrum=tuple(float(value) for value in stored["lyapunov_spectrum_estimated"] or ()),
        description=str(stored["description"]),
        citation=str(stored["citation"]),
    )


def _refusal(name: str, reason: str) -> ValueError:
    return ValueError(f"system={name} of dysts is no task: {reason}")


def _instance(name: str) -> Any:
    try:
        with warnings.catch_warnings():
            # It says that numba is absent.
            warnings.simplefilter("ignore")
            import dysts.flows
    except ImportError as error:
        raise ValueError(_missing(error.name or "dysts")) from error
    return getattr(dysts.flows, name)()


def _batched(system: Any, dim: int) -> Callable[[Array, float], Array]:
    """The right-hand side on rows: in one call where that gives what one row after another does."""
    # Those with a method of their own take the components along the first axis, the others turn rows over themselves.
    turned = "rhs" in vars(type(system))

    def at_once(x: Array, t: float) -> Array:
        out = np.empty_like(x)
        for i, part in enumerate(system.rhs(x.T if turned else x, t)):
            out[:, i] = part
        return out

    def row_by_row(x: Array, t: float) -> Array:
        return np.array([np.asarray(system.rhs(row, t), dtype=np.float64) for row in x]).reshape(x.shape)

    states = 0.1 + np.random.default_rng(0).random((_TRIED, dim))
    with np.errstate(all="ignore"):
        try:
            same = np.allclose(at_once(states, 0.0), row_by_row(states, 0.0), rtol=1e-12, equal_nan=True)
        except (ValueError, IndexError, TypeError):
            same = False
    return at_once if same else row_by_row


def _names(system: Any, dim: int) -> tuple[str, ...]:
    """Names of the components, as its right-hand side calls them, else x1, x2, …"""
    function = getattr(type(system), "_rhs", None)
    named = list(inspect.signature(getattr(function, "py_func", function)).parameters)[:dim] if function else []
    return tuple(named) if len(named) == dim and "X" not in named else tuple(f"x{i + 1}" for i in range(dim))


def _period(name: str, component: str, i: int, field: Callable[[Array, float], Array], x: Array) -> float:
    """Period of the field in a component that grows without bound."""
    parameters = stored_facts()[name]["parameters"]
    # Angles, phases in units of time, and angles scaled by a wave number.
    candidates = [2 * np.pi, parameters.get("tau"), 2 * np.pi / np.abs(np.ravel(parameters.get("k", 1.0))[0])]
    value = field(x, 0.0)
    size = np.abs(value).max()
    for period in candidates:
        if period is not None:
            shifted = x.copy()
            shifted[:, i] += period
            if np.allclose(field(shifted, 0.0), value, rtol=0.0, atol=_SAME * size):
                return float(period)
    raise _refusal(name, f"its component {component} grows without bound, and the field is not periodic in it")
