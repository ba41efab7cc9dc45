"""Reading numbers out of a run's stored result.

Axes: R replicas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ddl_dyn.runs.run import Run

SPLITS = ("test", "ood")
# Horizon names in a run's result and the configuration key that says how many steps they are.
HORIZONS = ("short", "long")
FLOORS = ("persistence", "mean", "linear", "analogue")


def at(value: Any, path: str) -> Any:
    """The item under a dotted path of nested mappings, or None."""
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def scores(run: Run, split: str, horizon: str) -> np.ndarray | None:
    """(R,) NRMSE of each replica, infinite for one that failed; None where the run has no such test."""
    stored = at(run.result, f"{split}.nrmse_{horizon}")
    values = stored.get("values") if isinstance(stored, Mapping) else stored
    if not isinstance(values, (list, tuple)) or not values:
        return None
    found = np.array([math.inf if item is None else float(item) for item in values], dtype=np.float64)
    return np.where(np.isnan(found), math.inf, found)


def number(value: Any) -> str:
    """Three significant digits; `failed` for infinity, an empty cell for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and math.isinf(value):
        return "failed"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
