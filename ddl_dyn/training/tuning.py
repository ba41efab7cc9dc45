"""Tuning of the learning rate by trials: all rates for few seeds and a quarter of the updates, the best two for a third
of the seeds and all updates. Validation chooses; then all seeds are trained at the rate that it preferred.

With twelve seeds and six rates that is 6 · 2 · ¼ + 2 · 4 + 12 = 23 trainings of a seed, and at most one more where the
grid grows: no more than twice the twelve of an untuned run.

Axes: R replicas (seeds), F learning rates; candidates are numbered rate by rate, (F·S,) for S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ddl_dyn.config.sections import TrainConfig
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.runs.stored_result import Trial, Tuning
from ddl_dyn.training.result import FitResult, Progress
from ddl_dyn.training.schedule import worth_compiling
from ddl_dyn.training.series import TrajectorySet
from ddl_dyn.training.trainer import Trainer, fit

# Share of the updates of a first trial, rates that go on to the second, how often the grid may grow beyond an edge.
_SHARE, FINALISTS, EXTENSIONS = 0.25, 2, 2


@dataclass(kw_only=True)
class Trials:
    """Trials so far, in plain numbers, so that a checkpoint can hold them.

    Args:
        grid, finals: for each rate lr, median_val, best_val (S,), diverged; of the first and of the second kind.
        batches: of the first kind.   seconds: spent.
    """

    grid: list[Trial] = field(default_factory=list)
    finals: list[Trial] = field(default_factory=list)
    batches: int = 0
    seconds: float = 0.0


def some(replicas: Replicas, count: int) -> list[int]:
    """Numbers of so many replicas, at least one, spread over the data sets."""
    count = min(max(count, 1), replicas.size)
    return [r * replicas.size // count for r in range(count)]


def few(replicas: Replicas) -> list[int]:
    """The replicas of a first trial: two, or one of fewer than twelve."""
    return some(replicas, min(2, replicas.size // 6))


def third(replicas: Replicas) -> list[int]:
    """The replicas of a second trial."""
    return some(replicas, round(replicas.size / 3))


def trial_config(config: TrainConfig) -> TrainConfig:
    """The configuration of a first trial: the whole schedule in a quarter of the updates."""
    return config.model_copy(update={"updates": max(1, math.ceil(_SHARE * config.updates))})


def candidates(replicas: Replicas, rows: Sequence[int], rates: Sequence[float]) -> tuple[Replicas, list[float]]:
    """Some replicas once per learning rate, from the same initial parameters.

    Args:
        replicas: R, untrained.   rows: S of them.   rates: F.
    Returns:
        F·S replicas, and the rate of each.
    """
    return replicas.select([r for _ in rates for r in rows]), [rate for rate in rates for _ in rows]


def stages(replicas: Replicas, config: TrainConfig) -> list[tuple[Replicas, float]]:
    """The replicas of each stage, extensions of the grid left out, and its share of the updates of an untuned run."""
    rates = len(config.lr_grid)
    found = [(replicas, 1.0)]
    if rates > 1:
        found.append((candidates(replicas, third(replicas), [config.lr] * min(rates, FINALISTS))[0], 1.0))
    if rates > FINALISTS:
        found.append((candidates(replicas, few(replicas), [config.lr] * rates)[0], _SHARE))
    return found


def tune(
    replicas: Replicas,
    train: TrajectorySet | Sequence[TrajectorySet],
    val: TrajectorySet | Sequence[TrajectorySet],
    config: TrainConfig,
    *,
    trials: Trials,
    on_epoch: Callable[[Progress], None] | None = None,
    on_update: Callable[[Trainer], None] | None = None,
    state: dict[str, object] | None = None,
) -> tuple[FitResult, Tuning]:
    """Train all replicas in place at the learning rate of a grid that validation prefers in trials.

    One of the best two rates at an edge of the grid adds the next one beyond it, at most twice. The choice is made for
    all seeds together: choosing per seed would reward a model for its variance.

    Args:
        replicas, train, val, on_epoch, on_update: as for `fit`; during trials `Progress.trial` is True.
        config: its `lr_grid` holds the rates.
        trials: those already made, extended in place.
        state: checkpoint of the fit that follows them.
    Returns:
        result: of `fit` at the chosen rate, its seconds those of the trials as well.
        record: lr (chosen), edge (whether it is the lowest or highest of all tried), grid and finals (as in `Trials`,
            by rate), trial_seeds and final_seeds.
    Raises:
        ValueError: as `fit`.
    """
    rates, begun = sorted(config.lr_grid), state
    told = None if on_epoch is None else lambda progress: on_epoch(replace(progress, trial=True))
    trained = [(stage.size, share * config.updates) for stage, share in stages(replicas, config)]
    if not replicas.template.closed_form and worth_compiling(config, trained):
        # A trial alone might be too short to pay for what its copies share with the rest.
        replicas.compile()

    def attempt(rows: list[int], batch: list[float], schedule: TrainConfig) -> list[Trial]:
        nonlocal begun
        copies, each = candidates(replicas, rows, batch)
        result = fit(copies, train, val, schedule, rates=each, on_epoch=told, on_update=on_update, state=begun)
        begun = None
        trials.seconds += result.seconds
        return _table(result, batch)

    while len(rates) > FINALISTS and not trials.finals and (batch := _next_batch(trials, rates, config.lr)):
        trials.grid += attempt(few(replicas), batch, trial_config(config))
        trials.batches += 1
    if len(rates) > 1 and not trials.finals:
        best = [row["lr"] for row in _ranked(trials.grid, config.lr)[:FINALISTS]] or rates
        trials.finals += attempt(third(replicas), best, config)
    lr = _ranked(trials.finals, config.lr)[0]["lr"] if trials.finals else rates[0]
    chosen = config.model_copy(update={"lr": lr})
    result = fit(replicas, train, val, chosen, on_epoch=on_epoch, on_update=on_update, state=begun)
    return replace(result, seconds=result.seconds + trials.seconds), _record(replicas, trials, lr)


def _record(replicas: Replicas, trials: Trials, lr: float) -> Tuning:
    grid, finals = (sorted(rows, key=lambda row: row["lr"]) for rows in (trials.grid or trials.finals, trials.finals))
    return {
        "lr": lr,
        "edge": bool(grid) and lr in (grid[0]["lr"], grid[-1]["lr"]),
        "grid": grid,
        "finals": finals,
        "trial_seeds": [replicas.seeds[r] for r in few(replicas)] if trials.batches else [],
        "final_seeds": [replicas.seeds[r] for r in third(replicas)] if finals else [],
    }


def _next_batch(made: Trials, rates: Sequence[float], lr: float) -> list[float]:
    """The rates of the next trial: the grid's, then one beyond an edge on which one of the best two lies, then none."""
    if not made.batches:
        return list(rates)
    if made.batches > EXTENSIONS:
        return []
    tried = sorted(row["lr"] for row in made.grid)
    beyond = {tried[0]: tried[0] ** 2 / tried[1], tried[-1]: tried[-1] ** 2 / tried[-2]}
    best = [row["lr"] for row in _ranked(made.grid, lr)[:FINALISTS] if math.isfinite(row["median_val"])]
    # .0001 · .0001 / .0003 has digits that nobody typed.
    return [float(f"{beyond[rate]:.3g}") for rate in best if rate in beyond][:1]


def _table(result: FitResult, rates: Sequence[float]) -> list[Trial]:
    """For each rate its seeds' best validation errors and their median; a seed that diverged counts as ∞."""
    errors = np.where(result.diverged | np.isnan(result.best_val), np.inf, result.best_val).reshape(len(rates), -1)
    diverged = result.diverged.reshape(errors.shape).sum(axis=1)
    return [
        {"lr": rate, "median_val": float(np.median(row)), "best_val": row.tolist(), "diverged": int(count)}
        for rate, row, count in zip(rates, errors, diverged, strict=True)
    ]


def _ranked(rows: Sequence[Trial], lr: float) -> list[Trial]:
    """Rates by their median error, best first; equals, such as rates that all diverged, by their distance from `lr`."""
    return sorted(rows, key=lambda row: (row["median_val"], abs(math.log(row["lr"] / lr)), row["lr"]))
