"""The training of a run as a whole: tuning, a budget of time, portraits and checkpoints around one `fit`.

Axes: R replicas, F learning rates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from ddl_dyn.config.sections import TrainConfig
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.experiments.evaluation.snapshots import PortraitSeries
from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.tasks.base import Trajectories
from ddl_dyn.training import timing, tuning
from ddl_dyn.training.budget import TOLERANCE, reference_options
from ddl_dyn.training.result import FitResult
from ddl_dyn.training.trainer import Trainer, fit


@dataclass(frozen=True, kw_only=True)
class Training:
    """Trained replicas, and what was decided on the way.

    Args:
        setup: its replicas hold their best checkpoints.   result: of `fit`, for these replicas.
        budget: target, and whether it was met.   pace: what a budget of time decided (None for other budgets).
        tuning: the learning rates tried (None without tuning).   arrays: portraits kept on the way.
    """

    setup: Setup
    result: FitResult
    budget: dict[str, Any]
    pace: dict[str, Any] | None
    tuning: dict[str, Any] | None
    arrays: dict[str, NDArray[Any]]


def train(setup: Setup, callbacks: Callbacks) -> Training:
    """Train a run's replicas, in place or, under tuning, in copies of which one learning rate's are kept."""
    config, replicas = setup.config, setup.replicas
    parts = setup.scaled(setup.data.train), setup.scaled(setup.data.val)
    schedule, pace = config.train, None
    solved = replicas.template.closed_form
    if config.budget.kind == "wall_clock" and not solved:
        pace = callbacks.pace if callbacks.state is None else callbacks.state["pace"]
        pace = pace or _pace(setup, parts)
        schedule = schedule.model_copy(update={"updates": pace["updates"], "compile": pace["compile"]})
    factors = () if solved else schedule.lr_factors
    each = None
    if factors:
        replicas, each = tuning.candidates(replicas, factors)
    portraits = _portraits(setup, schedule.updates, callbacks.state)
    result = fit(
        replicas,
        *parts,
        schedule,
        factors=each,
        on_epoch=callbacks.on_epoch,
        on_update=_visitor(callbacks, portraits, pace),
        state=None if callbacks.state is None else dict(callbacks.state),
    )
    if portraits is not None and not portraits.update:
        # Solved in closed form: there was no update to keep one at.
        portraits.take(result.updates)
    record = None
    if factors:
        choice = tuning.choose(replicas, result, factors=factors, lr=schedule.lr)
        replicas, result, record = choice.replicas, choice.result, choice.record
    budget = {"target": setup.budget.target, "met": setup.budget.met}
    if pace is not None:
        off = abs(result.seconds - pace["seconds"])
        budget = {"target": pace["seconds"], "met": off <= TOLERANCE * pace["seconds"]}
    return Training(
        setup=replace(setup, replicas=replicas),
        result=result,
        budget=budget,
        pace=None if pace is None else dict(pace),
        tuning=record,
        arrays={} if portraits is None else portraits.arrays(),
    )


def _pace(setup: Setup, parts: tuple[Trajectories, Trajectories]) -> dict[str, Any]:
    """What a budget of time decides by the clock, kept so that a resumed or repeated run decides the same."""
    config, schedule = setup.config, setup.config.train
    if config.budget.target is not None:
        seconds = float(config.budget.target)
    else:
        ddl = setup.untrained("ddl", reference_options(config.model_args))
        seconds = timing.seconds_per_update(_candidates(ddl, schedule), *parts, schedule)[0] * schedule.updates
    each, compiled = timing.seconds_per_update(_candidates(setup.replicas, schedule), *parts, schedule)
    # What was timed is what must run: with another number of updates `auto` might decide otherwise.
    compile = "on" if compiled else "off"
    return {"seconds": seconds, "updates": timing.updates_within(seconds, each), "compile": compile}


def _candidates(replicas: Replicas, schedule: TrainConfig) -> Replicas:
    return tuning.candidates(replicas, schedule.lr_factors)[0] if schedule.lr_factors else replicas


def _portraits(setup: Setup, updates: int, state: Mapping[str, Any] | None) -> PortraitSeries | None:
    """The series of portraits to keep, with those that an earlier attempt kept; None where none are asked for."""
    if not setup.config.keep_portraits:
        return None
    last = 0 if setup.replicas.template.closed_form else updates
    series = PortraitSeries(setup, last)
    if state is not None:
        series.load(state["portraits"])
    elif last:
        series.visit(0)
    return series


def _visitor(
    callbacks: Callbacks, portraits: PortraitSeries | None, pace: Mapping[str, Any] | None
) -> Callable[[Trainer], None] | None:
    """What is done after each update: a portrait where one is due, a checkpoint every few seconds."""
    keep = callbacks.on_checkpoint
    if keep is None and portraits is None:
        return None
    last = [time.monotonic()]

    def on_update(trainer: Trainer) -> None:
        if portraits is not None:
            portraits.visit(trainer.update)
        if keep is not None and time.monotonic() - last[0] >= callbacks.seconds:
            kept = {} if portraits is None else {"portraits": portraits.state()}
            keep(trainer.state_dict() | kept | {"pace": pace})
            last[0] = time.monotonic()

    return on_update
