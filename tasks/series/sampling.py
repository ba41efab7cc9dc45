"""Even sampling: missing values, gaps, resampling, rounded time stamps. Axes: T samples, C columns.

Works on one segment of a trajectory at a time, so that no value of one split is made from values of another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.series.series import Record, Series

# Steps of an even time column may differ by this share of the median step (columns rounded to a few digits).
EVENNESS = 0.01
# What stands for a missing value in many archives; the last is NetCDF's.
_FILLS = (-999.0, -999.9, -999.99, -9999.0, -99999.0, 1e20, 9.969209968386869e36)
# A longer step is a gap, in median steps: of an even series, and of one whose steps differ.
_GAP, _UNEVEN_GAP = 1.5, 10.0
_FILLED, _DROPPED = "samples with missing values filled along a line", "samples with missing values dropped"


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Rules by which a segment becomes an even one.

    Args:
        resample: step of the new grid; None keeps the samples as they are.   resample_method: of interpolation.
        gaps: `split` begins a new segment at each gap; None refuses them.   max_gap: longest step that is none.
        missing: `drop` takes out samples with missing values, `interpolate` fills them; None refuses them.
        max_missing: longest run of samples that is filled.
        missing_values: numbers that stand for a missing value; None refuses those that look as if they did.
    """

    resample: float | None = None
    resample_method: Literal["linear", "cubic"] = "linear"
    gaps: Literal["split"] | None = None
    max_gap: float | None = None
    missing: Literal["drop", "interpolate"] | None = None
    max_missing: int = 10
    missing_values: tuple[float, ...] | None = None


def without_fills(series: Series, listed: tuple[float, ...] | None) -> Series:
    """The series with NaN for the numbers listed.

    Args:
        series: as read.   listed: numbers that stand for a missing value; None for a check of the usual ones.
    Raises:
        ValueError: when none are listed and the outermost value of a column is one that archives fill gaps with.
    """
    if listed is None:
        for c, name in enumerate(series.names):
            _check_fills(series, c, name)
        return series
    return replace(
        series,
        records=tuple(
            replace(record, values=np.where(_equals(record.values, listed), np.nan, record.values))
            for record in series.records
        ),
    )


def _equals(values: Array, numbers: Sequence[float]) -> Any:
    # Single precision in a file leaves seven digits of such a number.
    return np.any([np.abs(values - number) <= 1e-6 * abs(number) for number in numbers] or [values != values], axis=0)


def _check_fills(series: Series, c: int, name: str) -> None:
    column = np.concatenate([record.values[:, c] for record in series.records])
    for fill in _FILLS:
        filled = _equals(column, (fill,))
        others = column[~filled & np.isfinite(column)]
        beyond = (others < fill).any() if fill < 0 else (others > fill).any()
        if filled.any() and not beyond:
            record = next(one for one in series.records if _equals(one.values[:, c], (fill,)).any())
            i = int(np.argmax(_equals(record.values[:, c], (fill,))))
            raise ValueError(
                f"{record.place(i, name)}: {fill:.6g} often stands for a missing value, and {int(filled.sum())} of "
                f"{len(column)} samples hold it; list it in missing_values=[{fill:.6g}], or give missing_values=[] "
                "where it is a value"
            )


def prepared(record: Record, series: Series, rules: Sampling, dt: float | None) -> tuple[list[Array], Counter[str]]:
    """Even segments (T, C) of a piece of a trajectory, and counts of what was done to it by their names.

    Args:
        record: the piece.   series: the series it is of.
        rules: of missing values, gaps and resampling.
        dt: step of the series; None where rules.resample gives it.
    Raises:
        ValueError: for the first value that is missing, gap or uneven step that the rules do not cover.
    """
    record, counts = _without_missing(record, series, rules)
    if len(record.times) < 2:
        return ([record.values] if len(record.times) else []), counts
    limit = rules.max_gap or (_UNEVEN_GAP if rules.resample else _GAP) * float(np.median(np.diff(record.times)))
    if rules.max_gap is None and dt is not None and rules.resample is None:
        limit = _GAP * dt
    stretches = _stretches(record.times, limit)
    if len(stretches) > 1 and rules.gaps is None and (rules.resample or rules.missing == "drop"):
        i = stretches[1].start
        raise ValueError(
            f"{record.place(i, series.time_name)}: a gap of {record.times[i] - record.times[i - 1]:g} before this "
            f"sample, longer than {limit:g}; gaps=split begins a new segment there, a larger max_gap lets it pass"
        )
    pieces = [record]
    if len(stretches) > 1 and rules.gaps == "split":
        pieces = [record.part(stretch) for stretch in stretches]
        counts[f"gaps longer than {limit:g}"] = len(stretches) - 1
    if rules.resample is not None:
        return [_resampled(piece, rules) for piece in pieces if len(piece.times) > 1], counts
    assert dt is not None
    for piece in pieces:
        _check_even(piece, series, dt)
    return [piece.values for piece in pieces], counts


def find_step(series: Series) -> float:
    """Sampling step: of the longest stretch without a gap, its length over its number of steps.

    Raises:
        ValueError: when no trajectory has two samples.
    """
    steps = np.concatenate([np.diff(record.times) for record in series.records])
    if not len(steps):
        raise ValueError(f"{series.records[0].place(0, series.time_name)}: too short, expected at least two samples")
    typical = float(np.median(steps))
    best = (0, typical)
    for record in series.records:
        for stretch in _stretches(record.times, _GAP * typical):
            count = stretch.stop - stretch.start - 1
            if count > best[0]:
                # A rounded column has a step more exact over its whole length than any single difference.
                best = (count, float(record.times[stretch.stop - 1] - record.times[stretch.start]) / count)
    return best[1]


def _stretches(times: Array, limit: float) -> list[slice]:
    """Samples between one step longer than `limit` and the next."""
    breaks = [int(i) + 1 for i in np.flatnonzero(np.diff(times) > limit)]
    return [slice(a, b) for a, b in zip([0, *breaks], [*breaks, len(times)], strict=True)]


def check_order(series: Series) -> None:
    """Refuse times that do not increase within a trajectory.

    Raises:
        ValueError: for the first such sample.
    """
    for record in series.records:
        steps = np.diff(record.times)
        if not (steps <= 0).any():
            continue
        i = int(np.argmax(steps <= 0)) + 1
        raise ValueError(
            f"{record.place(i, series.time_name)}: time must increase, got a step of {steps[i - 1]:g}; sort the file, "
            "or name the column that tells the trajectories apart (id_column)"
        )


def _check_even(record: Record, series: Series, dt: float) -> None:
    """Steps are even to a share of the step, or as even as stamps rounded to their last digit can be."""
    steps = np.diff(record.times)
    uneven = np.abs(steps - dt) > EVENNESS * dt
    if not uneven.any():
        return
    # Rounded up or down, a difference is off by less than one unit and no stamp by more, at two units a step.
    unit = series.resolution * (1 + 1e-9)
    grid = record.times[0] + dt * np.arange(len(record.times))
    off = record.times - grid
    if dt >= 2 * unit and (np.abs(steps - dt) < unit).all() and np.ptp(off) <= 2 * unit:
        return
    i = int(np.argmax(uneven)) + 1
    raise ValueError(
        f"{record.place(i, series.time_name)}: time must be evenly spaced by {dt:g}, got a step of {steps[i - 1]:g}; "
        "resample=STEP interpolates on an even grid, gaps=split begins a new segment at a gap"
    )


def _without_missing(record: Record, series: Series, rules: Sampling) -> tuple[Record, Counter[str]]:
    absent: Any = np.isnan(record.values)
    rows: Any = absent.any(axis=1)
    if not rows.any():
        return record, Counter()
    if rules.missing is None:
        i = int(np.argmax(rows))
        raise ValueError(
            f"{record.place(i, series.names[int(np.argmax(absent[i]))])}: a missing value (an empty cell or nan); "
            "missing=drop takes such samples out, missing=interpolate fills them"
        )
    if rules.missing == "drop":
        return record.part(~rows), Counter({_DROPPED: int(rows.sum())})
    # Nothing beyond the first or last value says what stood there.
    inside = np.flatnonzero(~rows)
    if not len(inside):
        return record.part(slice(0)), Counter({_DROPPED: len(rows)})
    span = slice(int(inside[0]), int(inside[-1]) + 1)
    cut = len(rows) - (span.stop - span.start)
    record, absent, rows = record.part(span), absent[span], rows[span]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype(int)))
    runs = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    long = [run for run in runs if run[1] - run[0] > rules.max_missing]
    if long and rules.gaps is None:
        a, b = long[0]
        raise ValueError(
            f"{record.place(a, series.names[int(np.argmax(absent[a]))])}: {b - a} samples in a row have missing "
            f"values, more than max_missing = {rules.max_missing}; raise it, or gaps=split begins a new segment there"
        )
    values = record.values.copy()
    for c in range(values.shape[1]):
        gone = absent[:, c]
        if gone.any():
            values[gone, c] = np.interp(record.times[gone], record.times[~gone], values[~gone, c])
    kept = np.ones(len(rows), dtype=bool)
    for a, b in long:
        kept[a:b] = False
    filled = int(rows[kept].sum())
    dropped = cut + int((~kept).sum())
    return replace(record, values=values).part(kept), Counter({_FILLED: filled, _DROPPED: dropped})


def _resampled(record: Record, rules: Sampling) -> Array:
    """Values on an even grid from the first time on, (T, C)."""
    step = rules.resample or 1.0
    elapsed = record.times - record.times[0]
    count = int(np.floor(elapsed[-1] / step * (1 + 1e-12) + 1e-9)) + 1
    grid = np.minimum(step * np.arange(count), elapsed[-1])
    if rules.resample_method == "cubic" and len(elapsed) > 2:
        from scipy.interpolate import CubicSpline

        return np.asarray(CubicSpline(elapsed, record.values, axis=0)(grid))
    return np.stack([np.interp(grid, elapsed, column) for column in record.values.T], axis=1)


def straight_lines(series: Series) -> list[str]:
    """A note for each value column that is a straight line, as a counter or a second time column is."""
    notes = []
    for c, name in enumerate(series.names):
        steps = np.concatenate([np.diff(record.values[:, c]) for record in series.records])
        if len(steps) > 1 and steps[0] != 0 and (np.abs(steps - steps[0]) <= 1e-9 * abs(steps[0])).all():
            notes.append(
                f"{name} is a straight line with steps of {steps[0]:g}; leave it out if it counts or is a time"
            )
    return notes
