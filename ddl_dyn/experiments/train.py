"""The training of a run as a whole: tuning, a budget of time, portraits and checkpoints around one `fit`.

Axes: R replicas, F learning rates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray

from ddl_dyn.config.sections import RunConfig, TrainConfig
from ddl_dyn.engine.normalizer import Normalizer
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.experiments.evaluation.snapshots import PortraitSeries
from ddl_dyn.models import make_model
from ddl_dyn.training import timing, tuning
from ddl_dyn.training.budget import TOLERANCE, Budget, reference_options
from ddl_dyn.training.result import FitResult
from ddl_dyn.training.trainer import Trainer, fit

if TYPE_CHECKING:
    from ddl_dyn.experiments.outcome import Callbacks


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A run's trained replicas and what deciding about them left behind.

    Args:
        replicas: (R,), with their best checkpoints.   result: of `fit`, for these replicas.
        budget: target, and whether it was met.   pace: what a budget of time decided (None for other budgets).
        tuning: the learning rates tried (None without tuning).   arrays: portraits kept on the way.
    """

    replicas: Replicas
    result: FitResult
    budget: dict[str, Any]
    pace: dict[str, Any] | None
    tuning: dict[str, Any] | None
    arrays: dict[str, NDArray[Any]]


def train(
    config: RunConfig,
    size: Budget,
    shape: Mapping[str, Any],
    data: Any,
    normalizer: Normalizer,
    device: str,
    callbacks: Callbacks,
) -> Trained:
    """Build a run's replicas and train them.

    Args:
        config: of the run.   size: its model's options under its budget.   shape: what `make_model` needs of the task.
        data: with .train and .val in physical units.   normalizer: of the training split.
        device: "cpu" or "cuda".   callbacks: see `execution.Callbacks`.
    """
    parts = _series(data.train, normalizer), _series(data.val, normalizer)
    replicas = build_replicas(config, config.model, size.options, shape, device)
    schedule, pace = config.train, None
    solved = replicas.template.closed_form
    if config.budget.kind == "wall_clock" and not solved:
        pace = callbacks.pace if callbacks.state is None else callbacks.state["pace"]
        pace = pace or _pace(config, replicas, shape, parts, device)
        schedule = schedule.model_copy(update={"updates": pace["updates"], "compile": pace["compile"]})
    factors = () if solved else schedule.lr_factors
    each = None
    if factors:
        replicas, each = tuning.candidates(replicas, factors)
    portraits = _portraits(config, schedule.updates, replicas, data, normalizer, callbacks.state)
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
    budget = {"target": size.target, "met": size.met}
    if pace is not None:
        off = abs(result.seconds - pace["seconds"])
        budget = {"target": pace["seconds"], "met": off <= TOLERANCE * pace["seconds"]}
    return Trained(
        replicas=replicas,
        result=result,
        budget=budget,
        pace=None if pace is None else dict(pace),
        tuning=record,
        arrays={} if portraits is None else portraits.arrays(),
    )


def build_replicas(
    config: RunConfig, model: str, options: Mapping[str, Any], shape: Mapping[str, Any], device: str
) -> Replicas:
    """A run's replicas, untrained, on their device and in their precision."""
    seeds = range(config.seed, config.seed + config.seeds)
    return Replicas(lambda: make_model(model, **shape, **options), seeds).to(device, getattr(torch, config.train.dtype))


def _pace(config: RunConfig, replicas: Replicas, shape: Mapping[str, Any], parts: Any, device: str) -> dict[str, Any]:
    """What a budget of time decides by the clock, kept so that a resumed or repeated run decides the same."""
    schedule, (train, val) = config.train, parts
    if config.budget.target is not None:
        seconds = float(config.budget.target)
    else:
        ddl = build_replicas(config, "ddl", reference_options(config.model_args), shape, device)
        seconds = timing.seconds_per_update(_candidates(ddl, schedule), train, val, schedule)[0] * schedule.updates
    each, compiled = timing.seconds_per_update(_candidates(replicas, schedule), train, val, schedule)
    # What was timed is what must run: with another number of updates `auto` might decide otherwise.
    compile = "on" if compiled else "off"
    return {"seconds": seconds, "updates": timing.updates_within(seconds, each), "compile": compile}


def _candidates(replicas: Replicas, schedule: TrainConfig) -> Replicas:
    return tuning.candidates(replicas, schedule.lr_factors)[0] if schedule.lr_factors else replicas


def _series(part: Any, normalizer: Normalizer) -> Any:
    return part.replace(states=normalizer.normalize(part.states))


def _portraits(
    config: RunConfig, updates: int, replicas: Replicas, data: Any, normalizer: Normalizer, state: Any
) -> PortraitSeries | None:
    """The series of portraits to keep, with those that an earlier attempt kept; None where none are asked for."""
    if not config.keep_portraits:
        return None
    last = 0 if replicas.template.closed_form else updates
    series = PortraitSeries(replicas, data.train.states, normalizer, count=config.keep_portraits, updates=last)
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
