"""Line charts of a page, drawn as SVG in the page's source: they follow its colours, and a model in them can be hidden.

Axes: R replicas, P points of a curve.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import band, limits, log_limits, strands
from ddl_dyn.plots.style import model_style

# Size of the drawing in its own units, which are CSS pixels where it is shown unscaled; margins for ticks and labels.
CHART_WIDTH, CHART_HEIGHT = 420, 250
CHART_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 10, 42
# Most decades below the largest entry of a logarithmic axis.
_DECADES = 6


@dataclass(frozen=True)
class ChartCurve:
    """One curve.

    Args:
        name: printed.   model: its label; empty for the truth and for a floor.   kind: `truth`, `model` or `floor`.
        x, y: (P,).   low, high: (P,), ends of its band; None for none.   colour, dash: of an SVG stroke.
    """

    name: str
    model: str
    kind: str
    x: Array
    y: Array
    low: Array | None = None
    high: Array | None = None
    colour: str = ""
    dash: str = ""


@dataclass(frozen=True)
class LineChart:
    """A chart of curves over one axis.

    Args:
        name: unique on the page.   title, xlabel, ylabel, note: printed.   alt: text in its place.
        log_x, log_y: logarithmic axes.   box: limits of y, where they are not those of all curves.
        dots: the points of a curve stand alone, as those of a map, which jumps.
    """

    name: str
    title: str
    xlabel: str
    ylabel: str
    alt: str
    curves: tuple[ChartCurve, ...]
    log_x: bool = False
    log_y: bool = False
    note: str = ""
    box: tuple[float, float] | None = None
    dots: bool = False


@dataclass(frozen=True)
class ChartAxis:
    """One axis of a drawing: value → place between `start` and `end` in the drawing's units.

    Args:
        low, high: values at both ends.   start, end: their places.   log: logarithmic.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, values: Array | float) -> Array:
        """Places of values; NaN for what a logarithmic axis has no place for."""
        x = np.asarray(values, dtype=np.float64)
        if not self.log:
            return self.start + (x - self.low) / (self.high - self.low) * (self.end - self.start)
        known = np.log(np.where(np.isfinite(x) & (x > 0), x, np.nan))
        share = (known - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return self.start + share * (self.end - self.start)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Places and texts of its ticks."""
        return [(round(float(self.place(value)), 1), f"{value:g}") for value in self._values()]

    def _values(self) -> list[float]:
        if not self.log:
            step = _round_step((self.high - self.low) / 7)
            first = math.ceil(self.low / step - 1e-9)
            return [round(k * step, 12) for k in range(first, math.floor(self.high / step + 1e-9) + 1)]
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        within = math.log10(self.high / self.low)
        parts = (1, 2, 5) if within < 2 else (1,)
        every = max(1, math.ceil((last - first) / 7))
        found = [part * 10.0**k for k in range(first, last + 1, every) for part in parts]
        return [float(f"{v:.6g}") for v in found if self.low <= v <= self.high]


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is no less than a step."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


@dataclass(frozen=True)
class DrawnCurve:
    """A curve as paths of SVG, with its values (one a point of the longest curve) for the pointer."""

    curve: ChartCurve
    line: str
    area: str
    values: str


@dataclass(frozen=True)
class DrawnChart:
    """A chart in the units of its drawing; `x` holds values and places of the points, for the pointer."""

    x_axis: ChartAxis
    y_axis: ChartAxis
    curves: tuple[DrawnCurve, ...]
    x: str
    places: str


def drawn(chart: LineChart) -> DrawnChart:
    """The paths of a chart."""
    xs = np.concatenate([curve.x for curve in chart.curves])
    x_axis = ChartAxis(float(xs.min()), float(xs.max()), CHART_LEFT, CHART_WIDTH - _RIGHT, chart.log_x)
    y_axis = ChartAxis(*_heights(chart), CHART_HEIGHT - _BOTTOM, _TOP, chart.log_y)
    longest = max((curve.x for curve in chart.curves), key=len)
    curves = []
    for curve in chart.curves:
        places = x_axis.place(curve.x)
        area = ""
        if curve.low is not None and curve.high is not None:
            area = _area(places, _clipped(y_axis, curve.low), _clipped(y_axis, curve.high))
        heights = _clipped(y_axis, curve.y)
        parts = strands(curve.y) if curve.kind == "floor" else [np.arange(len(curve.y))]
        path = svg_dots if chart.dots else svg_line
        line = "".join(path(places[part], heights[part]) for part in parts)
        curves.append(DrawnCurve(curve, line, area, _numbers(curve.y[: len(longest)], 4)))
    return DrawnChart(x_axis, y_axis, tuple(curves), _numbers(longest, 6), _numbers(x_axis.place(longest), 5))


def _heights(chart: LineChart) -> tuple[float, float]:
    if chart.box is not None:
        return chart.box
    if not chart.log_y:
        return limits([curve.y for curve in chart.curves])
    models = [curve.y for curve in chart.curves if curve.kind == "model"]
    known = [y[np.isfinite(y) & (y > 0)] for y in models]
    least = min((float(y.min()) for y in known if y.size), default=0.0) / 10
    # A floor that is right to the last digit must not press the models together at the top.
    floors = [np.where(curve.y >= least, curve.y, np.nan) for curve in chart.curves if curve.kind == "floor"]
    return log_limits([*models, *floors], decades=_DECADES)


def _clipped(axis: ChartAxis, values: Array) -> Array:
    """Places, those far outside moved to just beyond the frame; NaN for what is not finite."""
    low, high = sorted((axis.start, axis.end))
    return np.clip(axis.place(np.where(np.isfinite(values), values, np.nan)), low - 40, high + 40)


def svg_dots(x: Array, y: Array) -> str:
    """Path of points at places x, y (P,): strokes of no length, which round ends make dots."""
    known = np.isfinite(x) & np.isfinite(y)
    return "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x[known], y[known], strict=True))


def svg_line(x: Array, y: Array) -> str:
    """Path through places x, y (P,), interrupted where one is not finite."""
    parts, pen = [], "M"
    for a, b in zip(x, y, strict=True):
        if not (math.isfinite(a) and math.isfinite(b)):
            pen = "M"
            continue
        parts.append(f"{pen}{a:.1f} {b:.1f}")
        pen = "L"
    return "".join(parts)


def _area(x: Array, low: Array, high: Array) -> str:
    """The band, left out where an end is missing; an upper end without a place leaves through the frame."""
    top = np.where(np.isfinite(high), high, _TOP - 40.0)
    known = np.isfinite(x) & np.isfinite(low)
    if known.sum() < 2:
        return ""
    there, back = svg_line(x[known], low[known]), svg_line(x[known][::-1], top[known][::-1])
    return f"{there}L{back[1:]}Z"


def _numbers(values: Array, digits: int) -> str:
    return json.dumps([float(f"{v:.{digits}g}") if math.isfinite(v) else None for v in values], separators=(",", ":"))


def curve_of_model(
    label: str, name: str, x: Array, values: Array, *, level: float, missing: bool = False
) -> ChartCurve:
    """Median over replicas with its band.

    Args:
        label, name: of the model.   x: (P,).   values: (R, P).   level: share of the replicas inside the band.
        missing: a failed replica is left out, instead of counting as infinitely large.
    """
    middle, low, high = band(values, level, failed="missing" if missing else "infinite")
    look = model_style(label)
    return ChartCurve(name, label, "model", x, middle, low, high, look.colour, dashes(look.line))


def curve_of_floor(label: str, name: str, x: Array, y: Array) -> ChartCurve:
    """Grey curve of a floor.

    Args:
        label, name: of the floor.   x, y: (P,).
    """
    return ChartCurve(name, "", "floor", x, y, dash=dashes(model_style(label).line))


def dashes(line: object) -> str:
    """A line style of `plots.style` as SVG's stroke-dasharray."""
    if not isinstance(line, tuple):
        return ""
    lengths: Sequence[float] = line[1]
    return " ".join(f"{1.6 * length:g}" for length in lengths)
