"""Intervals over the windows of a recorded series, which overlap and which all replicas share.

Axes: R replicas, N windows, T steps, D observed state.
"""

from __future__ import annotations

import math

from ddl_dyn.experiments.evaluation.free_runs import horizons
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.metrics.starts import each_start
from ddl_dyn.metrics.windows import pooled_interval, window_overlap
from ddl_dyn.runs.stored_result import WindowInterval, WindowIntervals


def window_intervals(setup: Setup, pred: Array, true: Array) -> WindowIntervals:
    """Interval of the median replica's NRMSE over blocks of windows, at both horizons.

    Args:
        setup: its training scale, horizons and number of resamples.
        pred: (R, N, T+1, D) in physical units.   true: (N, T+1, D), windows in the order of time.
    Returns:
        short, long: windows (N), block (consecutive ones that share samples over that horizon), low and high, None
        where there are not two blocks.
    """
    steps = horizons(setup.config.eval, true.shape[1] - 1)
    return {
        "short": _interval(setup, pred, true, steps["short"]),
        "long": _interval(setup, pred, true, steps["long"]),
    }


def _interval(setup: Setup, pred: Array, true: Array, steps: int) -> WindowInterval:
    block = window_overlap(true[:, : steps + 1])
    errors = each_start(pred, true, setup.sigma, steps)
    interval = pooled_interval(errors, block=block, resamples=setup.config.eval.bootstrap, seed=0)
    low, high = (None if math.isnan(bound) else bound for bound in (interval.low, interval.high))
    return {"windows": len(true), "block": block, "low": low, "high": high}
