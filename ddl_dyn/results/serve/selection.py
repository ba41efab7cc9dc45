"""Selected runs as points over the settings in which they differ, with their scores."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ddl_dyn.config.formats import shortened
from ddl_dyn.config.terminal import clean
from ddl_dyn.metrics.registry import METRICS, PRIMARY
from ddl_dyn.results.comparison.groups import differing
from ddl_dyn.results.report.figures import PROBLEMS
from ddl_dyn.runs import COMPLETED, Run, RunError
from ddl_dyn.runs.result import SPLIT_NAMES, at, primary_of, scores

Number = float | str | None
# Ratio from which an axis is logarithmic: settings such as learning rates are chosen by their ratios.
_LOG_FROM = 8
# Costs that stand beside the errors.
_COSTS = ("parameters", "seconds", "flops_per_step")


def selection_data(runs: Sequence[Run]) -> dict[str, Any]:
    """Axes and points of the selected runs, in JSON's types.

    Returns:
        runs (id, title, model, status of each), settings and scores (name, title, kind, values: one a run; a number,
        a text, `failed` for infinite, None for none), left (ids that cannot be read, with the reason).
    """
    known, left = [], []
    for run in runs:
        try:
            # Reading is the test: what is left out is said, and the rest is shown.
            _ = run.entry, run.config, run.result
            known.append(run)
        except PROBLEMS as error:
            left.append({"id": run.id, "reason": clean(shortened(error, 200))})
    settings = [_axis(name, name, values) for name, values in differing(known).items()]
    facts = [
        {
            "id": run.id,
            "title": clean(f"{run.config.get('model')} on {run.config.get('task')}"),
            "model": clean(run.config.get("model")),
            "status": run.status,
        }
        for run in known
    ]
    return {"runs": facts, "settings": settings, "scores": _scores(known), "left": left}


def _axis(name: str, title: str, values: Sequence[Any]) -> dict[str, Any]:
    plain = [_plain(value) for value in values]
    numeric = all(value is None or isinstance(value, (int, float)) or value == "failed" for value in plain)
    known = {value for value in plain if isinstance(value, (int, float))}
    if not numeric or not known:
        plain = [None if value is None else clean(shortened(value, 60)) for value in plain]
    positive = [value for value in known if value > 0]
    log = len(positive) == len(known) > 1 and max(positive) / min(positive) >= _LOG_FROM
    return {
        "name": clean(name),
        "title": clean(title),
        "kind": "number" if numeric and known else "text",
        "log": log,
        "values": plain,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return value if math.isfinite(value) else "failed"
    if value is None or isinstance(value, (int, str)):
        return value
    return json.dumps(value, default=str, ensure_ascii=False)


def _scores(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Medians over replicas of the errors, and costs, of which any of the runs has one."""
    found = []
    titles = {_title(run) for run in runs if run.status == COMPLETED}
    title = " or ".join(sorted(titles)) or PRIMARY.title
    for split, where in SPLIT_NAMES.items():
        for horizon in PRIMARY.horizons:
            values = [median_error(run, split, horizon) for run in runs]
            found.append(_axis(f"{split}.{horizon}", f"{title}, {where}, {horizon} horizon", values))
    for name in _COSTS:
        metric = METRICS[name]
        values = [_number(at(run.result, metric.path)) for run in runs]
        found.append(_axis(name, metric.heading, values))
    return [axis for axis in found if any(value is not None for value in axis["values"])]


def _title(run: Run) -> str:
    return primary_of(run).title


def median_error(run: Run, split: str, horizon: str, *, digits: int = 6) -> Number:
    """Median over replicas of the primary error; `failed` where infinite, None where there is none to read.

    Args:
        run: a finished one.   split, horizon: of the error.   digits: significant ones that are kept.
    """
    try:
        values = scores(run, split, horizon)
    except (RunError, TypeError, ValueError, OverflowError):
        return None
    return None if values is None else _number(float(np.median(values)), digits)


def _number(value: object, digits: int = 6) -> Number:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(f"{value:.{digits}g}") if math.isfinite(value) else "failed"
