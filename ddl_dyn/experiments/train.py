"""The training of a run as a whole: tuning, a budget of time, portraits and checkpoints around one `fit`.

Axes: R replicas.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ddl_dyn.config.sections import TrainConfig
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.experiments.evaluation.snapshots import PortraitSeries
from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.metrics.arrays import Arrays
from ddl_dyn.runs import RunError
from ddl_dyn.runs.stored_result import BudgetOutcome, Tuning
from ddl_dyn.tasks.trajectories import Trajectories
from ddl_dyn.training import timing, tuning
from ddl_dyn.training.budget import TOLERANCE, reference_options
from ddl_dyn.training.result import FitResult
from ddl_dyn.training.trainer import STATE, Trainer, fit


@dataclass(frozen=True, kw_only=True)
class Training:
    """Trained replicas, and what was decided on the way.

    Args:
        result: of `fit`; the run's replicas hold their best checkpoints.
        budget: target, and whether it was met.   pace: what a budget of time decided (None for other budgets).
        tuning: record of the learning rates tried (None without tuning).   arrays: portraits kept on the way.
    """

    result: FitResult
    budget: BudgetOutcome
    pace: dict[str, Any] | None
    tuning: Tuning | None
    arrays: Arrays


def train(setup: Setup, callbacks: Callbacks) -> Training:
    """Train a run's replicas in place, at the learning rate that tuning chose where it is asked for.

    Raises:
        RunError: when the state that is to be continued is not whole.
    """
    config, replicas = setup.config, setup.replicas
    _check_state(callbacks.state, ("pace", "trials", *STATE, *(["portraits"] if config.keep_portraits else [])))
    parts = setup.scaled("train"), setup.scaled("val")
    schedule = config.train.model_copy(update={"validate_steps": validation_steps(setup)})
    pace = None
    solved = replicas.template.closed_form
    if config.budget.kind == "wall_clock" and not solved:
        pace = callbacks.pace if callbacks.state is None else callbacks.state["pace"]
        pace = pace or _pace(setup, parts, schedule)
        schedule = schedule.model_copy(update={"updates": pace["updates"], "compile": pace["compile"]})
    portraits = _portraits(setup, schedule.updates, callbacks)
    state = None if callbacks.state is None else dict(callbacks.state)
    trials = tuning.Trials(**state["trials"]) if state else tuning.Trials()
    hooks: dict[str, Any] = {
        "on_epoch": callbacks.on_epoch,
        "on_update": _visitor(callbacks, portraits, pace, trials),
        "state": state,
    }
    record = None
    if schedule.lr_grid and not solved:
        result, record = tuning.tune(replicas, *parts, schedule, trials=trials, **hooks)
    else:
        result = fit(replicas, *parts, schedule, **hooks)
    if portraits is not None and not portraits.update:
        # Solved in closed form: there was no update to keep one at.
        portraits.take(result.updates)
    budget: BudgetOutcome = {"target": setup.budget.target, "met": setup.budget.met}
    if pace is not None:
        off = abs(result.seconds - pace["seconds"])
        budget = {"target": pace["seconds"], "met": off <= TOLERANCE * pace["seconds"]}
    return Training(
        result=result,
        budget=budget,
        pace=None if pace is None else dict(pace),
        tuning=record,
        arrays={} if portraits is None else portraits.arrays(),
    )


def _check_state(state: Mapping[str, object] | None, needed: Sequence[str]) -> None:
    missing = [name for name in needed if state is not None and name not in state]
    if missing:
        raise RunError(
            f"the training state that is to be continued holds no {', '.join(missing)}; delete resume.pt and "
            "resume.previous.pt in the run's folder to begin the run anew"
        )


def validation_steps(setup: Setup) -> int:
    """Free-run steps whose error chooses the checkpoint: as configured, or the quoted horizon.

    On a chaotic task that is the Lyapunov time, where it is shorter.
    """
    config = setup.config
    if config.train.validate_steps is not None:
        return config.train.validate_steps
    time = setup.task.lyapunov_time
    return config.eval.long if time is None else max(1, min(config.eval.long, round(time / setup.task.dt)))


Parts = tuple[list[Trajectories], list[Trajectories]]


def _pace(setup: Setup, parts: Parts, schedule: TrainConfig) -> dict[str, Any]:
    """Decisions of a budget of time by the clock, kept so that a resumed or repeated run decides the same."""
    config = setup.config
    if config.budget.target is not None:
        seconds = float(config.budget.target)
    else:
        ddl = setup.untrained("ddl", reference_options(config, setup.task.state_dim))
        seconds = _seconds_per_update(ddl, parts, schedule)[0] * schedule.updates
    each, compiled = _seconds_per_update(setup.replicas, parts, schedule)
    # What was timed is what must run: with another number of updates `auto` might decide otherwise.
    compile = "on" if compiled else "off"
    return {"seconds": seconds, "updates": timing.updates_within(seconds, each), "compile": compile}


def _seconds_per_update(replicas: Replicas, parts: Parts, schedule: TrainConfig) -> tuple[float, bool]:
    """Time of the whole training by the number of its updates, tuning included, and whether it runs compiled."""
    total, compiled = 0.0, False
    for candidates, share in tuning.stages(replicas, schedule):
        each, compiled = timing.seconds_per_update(candidates, *parts, schedule)
        total += each * share
    return total, compiled


def _portraits(setup: Setup, updates: int, callbacks: Callbacks) -> PortraitSeries | None:
    """The series of portraits to keep, with those that an earlier attempt kept; None where none are asked for."""
    if not setup.config.keep_portraits:
        return None
    last = 0 if setup.replicas.template.closed_form else updates
    series = PortraitSeries(setup, last, callbacks.on_portrait)
    if callbacks.state is not None:
        series.load(callbacks.state["portraits"])
    elif last:
        series.visit(0)
    return series


def _visitor(
    callbacks: Callbacks, portraits: PortraitSeries | None, pace: Mapping[str, object] | None, trials: tuning.Trials
) -> Callable[[Trainer], None] | None:
    """Hook after each update: a portrait where one is due, a checkpoint every few seconds."""
    keep = callbacks.on_checkpoint
    if keep is None and portraits is None:
        return None
    last = [time.monotonic()]

    def on_update(trainer: Trainer) -> None:
        # Trials of learning rates train copies.
        if portraits is not None and trainer.replicas is portraits.replicas:
            portraits.visit(trainer.update)
        if keep is not None and time.monotonic() - last[0] >= callbacks.seconds:
            kept = {} if portraits is None else {"portraits": portraits.state()}
            keep(trainer.state_dict() | kept | {"pace": pace, "trials": asdict(trials)})
            last[0] = time.monotonic()

    return on_update
