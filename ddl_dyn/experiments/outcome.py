"""Outcome of a run, and its reports on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ddl_dyn.runs.stored_result import RunResult


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """Outcome of a run.

    Args:
        numbers: contents of result.json.
        arrays: curves, predictions and whatever the figures need.
        state: parameters of all replicas, name -> tensor.
        resolved: what was decided on the way (device, dtype, options after matching budgets, …).
    """

    numbers: RunResult
    arrays: Mapping[str, NDArray[Any]]
    state: Mapping[str, Any]
    resolved: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """Reports of `execute` on the way.

    Args:
        on_data: called with the dataset's content hash and the device's name before training.
        on_epoch: called at each validation.
        on_checkpoint: called every `seconds` with the whole state of training.
        on_portrait: called with the portraits kept so far of the first replica, whenever one is added.
        state: of an earlier attempt, to continue from.
        pace: of the run that is repeated, where a budget of time once decided it.
    """

    on_data: Callable[[str, str], None] | None = None
    on_epoch: Callable[[Any], None] | None = None
    on_checkpoint: Callable[[Mapping[str, Any]], None] | None = None
    on_portrait: Callable[[Mapping[str, NDArray[Any]]], None] | None = None
    state: Mapping[str, Any] | None = None
    pace: Mapping[str, Any] | None = None
    seconds: float = 10.0
