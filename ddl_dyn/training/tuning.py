"""Equal tuning: every seed is trained at every learning rate of one small grid, all in one batch; validation chooses.

Axes: R replicas (seeds), F learning rates; candidates are numbered rate by rate, (F·R,).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.training.result import FitResult, Progress


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Outcome of tuning.

    Args:
        replicas: (R,) trained at the chosen rate.   result: of `fit`, for these replicas alone.
        record: the grid as plain numbers: for each rate its validation errors, and the one taken.
    """

    replicas: Replicas
    result: FitResult
    record: dict[str, Any]


def candidates(replicas: Replicas, factors: Sequence[float]) -> tuple[Replicas, list[float]]:
    """Every seed once per learning-rate factor, from the same initial parameters.

    Args:
        replicas: R, untrained.   factors: F, each a multiple of the scheduled learning rate.
    Returns:
        F·R replicas, and the factor of each.
    """
    chosen = [r for _ in factors for r in range(replicas.size)]
    return replicas.select(chosen), [factor for factor in factors for _ in range(replicas.size)]


def choose(trained: Replicas, result: FitResult, *, factors: Sequence[float], lr: float) -> Choice:
    """The rate whose seeds have the lowest median of their best validation errors; a seed that diverged counts as ∞.

    The choice is made for all seeds together: choosing per seed would reward a model for its variance.

    Args:
        trained: F·R candidates as `candidates` orders them, after `fit`.   result: of that `fit`.
        factors: F.   lr: the learning rate that the factors multiply.
    """
    size = trained.size // len(factors)
    errors = np.where(result.diverged | np.isnan(result.best_val), np.inf, result.best_val).reshape(len(factors), size)
    with np.errstate(invalid="ignore"):
        median = np.median(errors, axis=1)
    # Where no rate leads to a finite median there is nothing to choose by: the one nearest the given rate is kept.
    order = np.lexsort((np.abs(np.log(factors)), np.where(np.isnan(median), np.inf, median)))
    best = int(order[0])
    # .003 · 3 is .009000000000000001, which nobody typed.
    rates = [float(f"{lr * factor:.12g}") for factor in factors]
    rows = range(best * size, (best + 1) * size)
    grid = [
        {
            "lr": rates[i],
            "median_val": float(median[i]),
            "best_val": [float(v) for v in errors[i]],
            "diverged": int(result.diverged.reshape(len(factors), size)[i].sum()),
        }
        for i in range(len(factors))
    ]
    record = {"lr": rates[best], "grid": grid}
    return Choice(replicas=trained.select(rows), result=_only(result, list(rows)), record=record)


def _only(result: FitResult, rows: list[int]) -> FitResult:
    def part(progress: Progress) -> Progress:
        return replace(progress, loss=progress.loss[rows], val=progress.val[rows], alive=progress.alive[rows])

    return replace(
        result,
        history=[part(progress) for progress in result.history],
        best_val=result.best_val[rows],
        best_update=result.best_update[rows],
        diverged=result.diverged[rows],
    )
