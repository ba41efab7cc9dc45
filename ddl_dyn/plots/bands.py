"""Medians and bands over replicas where some of them have failed; limits that ignore what is not finite.

Axes: R replicas.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.style import model_style


def quantile(values: ArrayLike, q: float, *, failed: Literal["infinite", "missing"]) -> Array:
    """Quantile over the first axis, interpolated linearly between replicas, without warnings.

    Args:
        values: (R, …), one row per replica.
        q: in [0, 1].
        failed: "infinite" counts a non-finite entry as an infinitely large error, so that the quantile of a mostly
            failed sample is inf; "missing" leaves it out.
    Returns:
        (…), inf where the failed share reaches the quantile, NaN where nothing is left.
    """
    x = np.array(values, dtype=np.float64)
    bad = ~np.isfinite(x)
    x[bad] = np.inf
    x.sort(axis=0)
    count = np.full(x.shape[1:], x.shape[0]) if failed == "infinite" else (~bad).sum(axis=0)
    position = q * np.maximum(count - 1, 0)
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    weight = position - low
    a = np.take_along_axis(x, low[None], axis=0)[0]
    b = np.take_along_axis(x, high[None], axis=0)[0]
    gap = np.subtract(b, a, out=np.full_like(a, np.inf), where=np.isfinite(b) & np.isfinite(a))
    out = np.where(weight > 0, a + np.where(weight > 0, gap, 0.0) * np.where(weight > 0, weight, 1.0), a)
    return out if failed == "infinite" else np.where(count > 0, out, np.nan)


def band(
    values: ArrayLike, level: float, *, failed: Literal["infinite", "missing"] = "infinite"
) -> tuple[Array, Array, Array]:
    """Median and central interval over replicas.

    Args:
        values: (R, …).
        level: share of the replicas inside the interval, in (0, 1].
        failed: a non-finite value counts as "infinite" or as "missing".
    Returns:
        (median, low, high), each (…).
    Raises:
        ValueError: when level lies outside (0, 1].
    """
    if not 0.0 < level <= 1.0:
        raise ValueError(f"level must lie in (0, 1], got {level!r}: it is the share of the seeds inside the band")
    tail = (1.0 - level) / 2.0
    return tuple(quantile(values, q, failed=failed) for q in (0.5, tail, 1.0 - tail))  # type: ignore[return-value]


def finite(values: ArrayLike) -> Array:
    """A float copy with every non-finite entry replaced by NaN, which matplotlib leaves as a gap."""
    x = np.array(values, dtype=np.float64)
    x[~np.isfinite(x)] = np.nan
    return x


def limits(arrays: Iterable[object], *, pad: float = 0.08, clip: float = 0.0) -> tuple[float, float]:
    """Axis limits holding the finite entries of all arrays, with a margin.

    Args:
        arrays: anything that numpy can flatten.
        pad: margin as a share of the range.
        clip: share of the entries left out at each end, so that one runaway does not set the scale.
    Returns:
        (low, high), (−1, 1) when nothing is finite.
    """
    parts = [np.asarray(a, dtype=np.float64).ravel() for a in arrays]
    x = np.concatenate(parts) if parts else np.empty(0)
    x = x[np.isfinite(x)]
    if x.size == 0:
        return -1.0, 1.0
    low, high = np.quantile(x, [clip, 1.0 - clip])
    margin = pad * (high - low) or max(abs(low), 1.0) * 0.1
    return float(low - margin), float(high + margin)


def log_limits(arrays: Iterable[object], *, decades: float = 7.0, pad: float = 0.06) -> tuple[float, float]:
    """Limits of a logarithmic axis that hold the positive finite entries of all arrays, with a margin.

    Args:
        arrays: anything that numpy can flatten.
        decades: most that are shown below the largest entry.
        pad: margin as a share of the decades shown.
    Returns:
        (low, high), (0.1, 10) when nothing is positive and finite.
    """
    parts = [np.asarray(a, dtype=np.float64).ravel() for a in arrays]
    x = np.concatenate(parts) if parts else np.empty(0)
    x = x[np.isfinite(x) & (x > 0)]
    if x.size == 0:
        return 0.1, 10.0
    low, high = np.log10(x.min()), np.log10(x.max())
    low = max(low, high - decades)
    margin = max(pad * (high - low), 0.05)
    return float(10 ** (low - margin)), float(10 ** (high + margin))


def mark_places(ax: Axes, places: Sequence[float]) -> None:
    """Tick the horizontal axis at given places alone, in plain decimals.

    Args:
        ax: linear or logarithmic.   places: values on its horizontal axis.
    """
    ax.xaxis.set_major_locator(FixedLocator(list(places)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def spread(n: int, chosen: int) -> NDArray[np.intp]:
    """Up to `chosen` indices spread evenly over range(n), the first always among them."""
    return np.unique(np.linspace(0, n - 1, min(chosen, n)).round().astype(np.intp)) if n else np.empty(0, dtype=np.intp)


def strands(values: Array) -> list[NDArray[np.intp]]:
    """Indices of the lines that show a positive curve (T,): all its points, or even and odd ones apart.

    Along a cycle of period two the error of persistence jumps at every step, and one line through it fills the panel.
    """
    every = np.arange(len(values))
    known = values[np.isfinite(values) & (values > 0)]
    jumps = np.diff(np.log(known)) if len(known) > 8 else np.zeros(1)
    alternates = np.mean(jumps[1:] * jumps[:-1] < 0) > 0.8 if len(jumps) > 2 else False
    return [every[::2], every[1::2]] if alternates and np.median(np.abs(jumps)) > np.log(1.5) else [every]


def banded_line(ax: Axes, t: Array, name: str, curves: tuple[Array, Array, Array], high: float) -> None:
    """Draw the median line and the seed band of one model; what is infinite runs out of the top of the panel.

    Args:
        ax: logarithmic panel.   t: (T,), horizontal places.   name: of the model.
        curves: median, low and high end of the band, (T,) each.   high: upper limit of the panel.
    """
    median, lower, upper = curves
    look = model_style(name)
    top = np.minimum(upper, high * 100)
    ax.fill_between(t, positive(lower), positive(top), color=look.colour, alpha=0.18, linewidth=0)
    ax.plot(
        t, positive(median), color=look.colour, linestyle=look.line, marker=look.marker, label=look.label,
        markevery=max(t.size // 8, 1), markersize=3.5,
    )  # fmt: skip
    _mark_end(ax, t, median, look.colour)


def _mark_end(ax: Axes, t: Array, median: Array, colour: str) -> None:
    """A cross where the median run stops being finite."""
    alive = np.flatnonzero(np.isfinite(median))
    if alive.size and alive[-1] < t.size - 1:
        at = alive[-1]
        ax.plot(t[at], median[at], marker="x", ms=6, mew=1.6, color=colour, ls="none", zorder=5, gid="diverged")


def positive(values: Array) -> Array:
    """Values with NaN, a gap, where a logarithmic axis has no place for them."""
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)
