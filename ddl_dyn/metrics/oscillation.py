"""Oscillation of one component: period, amplitude, phase error and drift, turning points.

Axes: R replicas, N trajectories, T steps. A series x has shape (..., T+1) with any leading axes, e.g. states[..., d];
the truth broadcasts over them. Discard a transient before calling: nothing here does.
A descriptor of a non-finite or non-oscillating series is NaN; the error it causes against a truth that does oscillate
is ∞. Where the truth itself has no such descriptor the error is not defined, hence NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddl_dyn.metrics.arrays import Array, aligned

# Swings below this share of the largest |x| are rounding, not oscillation.
_ROUNDING = 1e-12


class PhaseError(NamedTuple):
    """Phase of the prediction less that of the truth, each (...): `final` and `rms` in rad, `drift` in rad per time."""

    final: Array
    rms: Array
    drift: Array


class TurningPointError(NamedTuple):
    """Predicted count less true count (...), and mean distance in time from true to predicted turning points (...)."""

    surplus: Array
    timing: Array


def _series(x: ArrayLike) -> Array:
    s = np.asarray(x, dtype=np.float64)
    if s.ndim < 1 or s.shape[-1] < 2:
        raise ValueError(f"a series must have shape (..., T+1) with T ≥ 1, got {s.shape}")
    return s


def _positive(name: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a positive number, got {value!r}")


def _each(x: Array, describe: Callable[[Array], float]) -> Array:
    """Apply a descriptor to each finite series; NaN for the others."""
    rows = x.reshape(-1, x.shape[-1])
    values = [describe(row) if np.isfinite(row).all() else np.nan for row in rows]
    return np.array(values, dtype=np.float64).reshape(x.shape[:-1])


def upward_crossings(x: ArrayLike) -> Array:
    """Fractional sample indices at which one series (T+1,) crosses its mean upwards, by linear interpolation.

    t = i + (m − xᵢ)/(xᵢ₊₁ − xᵢ) wherever xᵢ < m ≤ xᵢ₊₁, m the mean over the window.
    """
    s = _series(x)
    if not np.isfinite(s).all() or np.ptp(s) <= _ROUNDING * np.abs(s).max():
        return np.empty(0)
    above = s - s.mean()
    i = np.flatnonzero((above[:-1] < 0) & (above[1:] >= 0))
    crossings: Array = i + above[i] / (above[i] - above[i + 1])
    return crossings


def period(x: ArrayLike, dt: float) -> Array:
    """Period: the median interval between successive upward crossings of the mean, in the unit of dt.

    Args:
        x: (..., T+1), series.
        dt: sampling interval.
    Returns:
        (...); NaN for a non-finite series or one with fewer than two crossings.
    Raises:
        ValueError: on a series without steps or a dt that is not positive.
    """
    _positive("dt", dt)

    def describe(row: Array) -> float:
        crossings = upward_crossings(row)
        return dt * float(np.median(np.diff(crossings))) if crossings.size >= 2 else np.nan

    return _each(_series(x), describe)


def amplitude(x: ArrayLike) -> Array:
    """Amplitude: half the peak-to-peak range, (max x − min x)/2, in the unit of x.

    Args:
        x: (..., T+1), series.
    Returns:
        (...); NaN for a non-finite series.
    """
    return _each(_series(x), lambda row: float(row.max() / 2 - row.min() / 2))


def _relative_error(pred: Array, true: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        error = np.abs(pred - true) / true
    undefined = ~(true > 0)
    return np.where(undefined, np.nan, np.where(np.isnan(pred), np.inf, error))


def period_error(pred: ArrayLike, true: ArrayLike, dt: float) -> Array:
    """Relative error of the period, |P̂ − P| / P (dimensionless).

    Args:
        pred: (..., T+1), predicted series.
        true: broadcasts to pred.
        dt: sampling interval.
    Returns:
        (...); ∞ when the prediction has no period, NaN when the truth has none.
    Raises:
        ValueError: on shapes that do not match or a non-finite truth.
    """
    p, x = aligned(pred, true, axes=1)
    return _relative_error(period(p, dt), period(x, dt))


def amplitude_error(pred: ArrayLike, true: ArrayLike) -> Array:
    """Relative error of the amplitude, |Â − A| / A (dimensionless).

    Args:
        pred: (..., T+1), predicted series.
        true: broadcasts to pred.
    Returns:
        (...); ∞ when the prediction is not finite, NaN when the truth is constant.
    Raises:
        ValueError: on shapes that do not match or a non-finite truth.
    """
    p, x = aligned(pred, true, axes=1)
    return _relative_error(amplitude(p), amplitude(x))


def phase(x: ArrayLike) -> Array:
    """Unwrapped phase in rad by upward crossings of the mean, 2π per crossing and linear in time between.

    φ(t) = 2π (n + (t − t_n)/(t_{n+1} − t_n)) for t_n ≤ t ≤ t_{n+1}

    Args:
        x: (..., T+1), series.
    Returns:
        (..., T+1); NaN before the first and after the last crossing, and throughout a series without two of them.
    Source:
        Pikovsky, Rosenblum and Kurths (2001), Synchronization, section 6.2, doi:10.1017/CBO9780511755743.
    """
    s = _series(x)
    rows = s.reshape(-1, s.shape[-1])
    samples = np.arange(s.shape[-1], dtype=np.float64)
    out = np.full(rows.shape, np.nan)
    for row, angles in zip(rows, out, strict=True):
        crossings = upward_crossings(row)
        if crossings.size >= 2:
            count = 2 * np.pi * np.arange(crossings.size)
            angles[:] = np.interp(samples, crossings, count, left=np.nan, right=np.nan)
    return out.reshape(s.shape)


def phase_error(pred: ArrayLike, true: ArrayLike, dt: float) -> PhaseError:
    """Phase error over the samples at which both phases are defined, and its drift.

    Δφ(t) = φ̂(t) − φ(t), unwrapped, its first value in [−π, π); `final` is the last value, `rms` the root mean square,
    `drift` the least-squares slope of Δφ(t), which is the error in angular frequency.

    Args:
        pred: (..., T+1), predicted series.
        true: broadcasts to pred.
        dt: sampling interval.
    Returns:
        PhaseError; ∞ when the prediction has no phase, or shares fewer than two samples of it with the truth; NaN when
        the truth has none.
    Raises:
        ValueError: on shapes that do not match, a non-finite truth or a dt that is not positive.
    """
    _positive("dt", dt)
    p, x = aligned(pred, true, axes=1)
    true_phase = phase(x).reshape(-1, x.shape[-1])
    gaps = phase(p).reshape(-1, p.shape[-1]) - true_phase
    out = np.empty((3, gaps.shape[0]))
    for row, gap in enumerate(gaps):
        t = np.flatnonzero(np.isfinite(gap))
        if t.size < 2:
            out[:, row] = np.nan if np.isnan(true_phase[row]).all() else np.inf
            continue
        delta = gap[t] - 2 * np.pi * np.floor((gap[t[0]] + np.pi) / (2 * np.pi))
        centred = t - t.mean()
        slope = float(centred @ delta) / float(centred @ centred) / dt
        out[:, row] = delta[-1], np.sqrt(np.mean(delta**2)), slope
    return PhaseError(*out.reshape(3, *p.shape[:-1]))


def turning_points(x: ArrayLike, *, resolution: float = 0.0) -> tuple[Array, NDArray[np.int64]]:
    """Turning points of one series (T+1,): fractional sample indices and kinds (+1 maximum, −1 minimum).

    Interior local extrema, placed at the vertex of the parabola through the three samples around each (a plateau: at
    its middle). With a resolution, the series must turn back by more than that for a turning point to count.

    Args:
        x: (T+1,), finite series.
        resolution: least reversal that counts, in the unit of x, non-negative.
    Returns:
        (n,) indices ascending, and (n,) kinds, alternating.
    Raises:
        ValueError: on another shape, a non-finite series or a negative resolution.
    """
    s = _series(x)
    if s.ndim != 1 or not np.isfinite(s).all() or not resolution >= 0:
        raise ValueError(f"need one finite series and resolution ≥ 0, got shape {s.shape}, resolution {resolution!r}")
    starts = np.concatenate(([0], np.flatnonzero(np.diff(s)) + 1))
    ends = np.concatenate((starts[1:], [s.size])) - 1
    level = s[starts]
    direction = np.sign(np.diff(level))
    corners = np.flatnonzero(direction[1:] != direction[:-1]) + 1
    floor = max(resolution, _ROUNDING * float(np.abs(s).max()))
    kept = _significant(level[np.concatenate(([0], corners, [level.size - 1]))], floor)
    i = corners[kept - 1] if corners.size else corners
    places = [_vertex(s, int(a), int(b)) for a, b in zip(starts[i], ends[i], strict=True)]
    return np.array(places, dtype=np.float64), direction[i - 1].astype(np.int64)


def _significant(level: Array, floor: float) -> NDArray[np.int64]:
    """Positions in a zigzag (start, corners, end) at which it turns back by more than `floor`."""
    kept: list[int] = []
    best, trend, low, high = 0, 0.0, 0, 0
    for j in range(1, level.size):
        if trend == 0.0:
            low, high = (j if level[j] < level[low] else low), (j if level[j] > level[high] else high)
            if level[high] - level[low] > floor:
                trend, best = (1.0, high) if high > low else (-1.0, low)
        elif trend * (level[j] - level[best]) > 0:
            best = j
        elif trend * (level[best] - level[j]) > floor:
            kept.append(best)
            trend, best = -trend, j
    return np.array(kept, dtype=np.int64)


def _vertex(s: Array, start: int, end: int) -> float:
    if start != end:
        return (start + end) / 2
    left, right = s[start] - s[start - 1], s[start + 1] - s[start]
    vertex: float = start + 0.5 * (left + right) / (left - right)
    return vertex


def turning_point_error(pred: ArrayLike, true: ArrayLike, dt: float, *, resolution: float = 0.0) -> TurningPointError:
    """Errors in the number and the times of turning points.

    surplus = n̂ − n; timing = mean over true turning points of the time to the nearest predicted one of the same kind.

    Args:
        pred: (..., T+1), predicted series.
        true: broadcasts to pred.
        dt: sampling interval.
        resolution: least reversal that counts, in the unit of the series.
    Returns:
        TurningPointError; a non-finite prediction scores ∞ in both, a missing kind ∞ in timing; timing is NaN when the
        truth has no turning point.
    Raises:
        ValueError: on shapes that do not match, a non-finite truth or a dt that is not positive.
    """
    _positive("dt", dt)
    p, x = aligned(pred, true, axes=1)
    out = np.full((2, *p.shape[:-1]), np.inf)
    for index in np.ndindex(p.shape[:-1]):
        if not np.isfinite(p[index]).all():
            continue
        at, kind = turning_points(p[index], resolution=resolution)
        true_at, true_kind = turning_points(x[index], resolution=resolution)
        out[(0, *index)] = at.size - true_at.size
        nearest = [np.min(np.abs(at[kind == k] - t), initial=np.inf) for t, k in zip(true_at, true_kind, strict=True)]
        out[(1, *index)] = dt * float(np.mean(nearest)) if nearest else np.nan
    return TurningPointError(*out)
