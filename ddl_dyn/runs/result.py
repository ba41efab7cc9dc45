"""Numbers read out of a run's stored result.

Axes: R replicas, K radii.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ddl_dyn.metrics.registry import PRIMARY, PRIMARY_OF_WORDS, Metric
from ddl_dyn.runs.run import Run

# Splits in a run's result and their names in tables.
SPLIT_NAMES = {"test": "in distribution", "ood": "out of distribution"}
FLOORS = ("persistence", "mean", "linear", "analogue")


def at(value: object, path: str) -> Any:
    """The item under a dotted path of nested mappings, or None."""
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def primary_of(run: Run) -> Metric:
    """The error that a finished run is compared by: NRMSE, or the token error where its states are one-hot codes."""
    return PRIMARY_OF_WORDS if isinstance(at(run.result, "tracking"), Mapping) else PRIMARY


def scores(run: Run, split: str, horizon: str, metric: Metric | None = None) -> np.ndarray | None:
    """An error of each replica.

    Args:
        run: a finished run.   split: of `SPLIT_NAMES`.   horizon: of `PRIMARY.horizons`.
        metric: which error; by default the run's primary one.
    Returns:
        (R,), infinite for a replica that failed; None where the run has no such test.
    """
    stored = at(run.result, (metric or primary_of(run)).found_at(split=split, horizon=horizon))
    values = stored.get("values") if isinstance(stored, Mapping) else stored
    if not isinstance(values, (list, tuple)) or not values:
        return None
    return _per_replica(values)


def _per_replica(values: Sequence[Any]) -> np.ndarray:
    """Errors (R,), infinite where one is missing or no number."""
    found = np.array([math.inf if item is None else float(item) for item in values], dtype=np.float64)
    return np.where(np.isnan(found), math.inf, found)


def horizon_steps(run: Run, split: str, horizon: str) -> int | None:
    """Steps of a horizon as they were run: those asked for, or all that the split's trajectories have.

    Args:
        run: a finished run.   split: of `SPLIT_NAMES`.   horizon: of `PRIMARY.horizons`.
    Returns:
        None where the configuration names no such horizon.
    """
    asked, held = at(run.config, f"eval.{horizon}"), at(run.result, f"data.splits.{split}.steps")
    if not isinstance(asked, int):
        return None
    return min(asked, held) if isinstance(held, int) else asked


class RadiusScores(NamedTuple):
    """Primary errors of a run over K radii of its starts: 1, the test split, and those beyond, ascending.

    Args:
        radii: (K,), in units of the training radius.   values: (K, R), infinite for a replica that failed.
        floors: name -> (K,).   steps: of the free runs.
    """

    radii: np.ndarray
    values: np.ndarray
    floors: dict[str, np.ndarray]
    steps: int


def radius_scores(run: Run, horizon: str) -> RadiusScores | None:
    """Primary error of each replica at each radius.

    Args:
        run: a finished run.   horizon: of `PRIMARY.horizons`.
    Returns:
        None where the run was tested at no radius.
    """
    inside, stored = scores(run, "test", horizon), at(run.result, "radii")
    if inside is None or not isinstance(stored, Mapping):
        return None
    key = PRIMARY.found_at(horizon=horizon).removeprefix(".")
    known = {float(radius): one for radius, one in stored.items() if len(at(one, key) or ()) == inside.size}
    if not known:
        return None
    order = sorted(known)
    floors = {
        name: [at(run.result, f"floors.{name}.test.{key}"), *(at(known[r], f"floors.{name}.{key}") for r in order)]
        for name in FLOORS
    }
    return RadiusScores(
        np.array([1.0, *order]),
        np.stack([inside, *(_per_replica(at(known[r], key)) for r in order)]),
        {name: _per_replica(values) for name, values in floors.items() if None not in values},
        int(at(known[order[0]], f"steps.{horizon}")),
    )
