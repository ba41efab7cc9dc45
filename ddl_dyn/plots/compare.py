"""Comparisons over tasks and models: medians with intervals, floors, and what diverged.

Axes: none; one row per (task, model, protocol, horizon).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ddl_dyn.metrics.registry import PRIMARY, Metric
from ddl_dyn.plots.bands import log_limits
from ddl_dyn.plots.style import PAGE_WIDTH, caption_of, legend, model_style, new_figure, styled

_Row = Mapping[str, Any]
# A median this many times the typical one lies beyond the panel: it must not press all others together.
_FAR = 30.0
_FIELDS = ("task", "model", "protocol", "horizon", "median", "low", "high")


@styled
def interval_chart(
    rows: Sequence[_Row], *, level: float = 0.95, seeds: int | None = None, metric: Metric = PRIMARY, title: str = "",
    note: str = "",
) -> Figure:  # fmt: skip
    """Dot and interval per task and model on a logarithmic axis: a column per horizon, a row of panels per protocol.

    Args:
        rows: mappings with task, model, protocol (for example "carry = latent"), horizon (printed above the column, for
            example "20 steps"), median, low, high. A non-finite median is "diverged" and drawn at the right border, an
            infinite `high` runs into it. Rows of a floor (persistence, mean, linear, analogue) become grey strokes.
        level: coverage of the intervals [low, high], for the caption; 0 where there are none.
        seeds: number of replicas, for the caption.
        metric: which error the rows hold.
    Raises:
        ValueError: when there are no rows, or a row lacks a field.
    """
    _check(rows)
    protocols, horizons = _unique(rows, "protocol"), _unique(rows, "horizon")
    models = _unique([r for r in rows if not model_style(r["model"]).floor], "model")
    floors = _unique([r for r in rows if model_style(r["model"]).floor], "model")
    tasks = {p: _unique([r for r in rows if r["protocol"] == p], "task") for p in protocols}
    slot = max(len(models), 1) + 0.9
    heights = [len(tasks[p]) * slot for p in protocols]
    over = f" over {seeds} seeds" if seeds else ""
    covered = f" with its {100 * level:.4g} % interval" if level else ""
    caption = caption_of(
        f"Median {metric.title}{over} on unseen initial states{covered}",
        f"{metric.better.capitalize()} is better" if metric.better else "",
        "▸: diverged, or beyond the panel; ◂: smaller than the axis shows" if _leaves(rows) else "",
        note,
    )
    height = 0.125 * sum(heights) + 0.6 * len(protocols) + 0.75 + 0.25 * bool(title)
    figure = new_figure(PAGE_WIDTH, height, title=title, caption=caption)
    axes = figure.subplots(
        len(protocols), len(horizons), sharex="col", sharey="row", squeeze=False, height_ratios=heights
    )
    for j, h in enumerate(horizons):
        here = [r for r in rows if r["horizon"] == h]
        span = _span(here)
        for i, p in enumerate(protocols):
            _panel(axes[i, j], [r for r in here if r["protocol"] == p], tasks[p], models, slot, span)
            # On two lines: three columns of long protocols would run into one another.
            axes[i, j].set_title(f"{p}\n{h}" if p else h)
        axes[-1, j].set_xlabel(metric.heading)
    legend(figure, handles=[_handle(m) for m in models] + [_handle(f) for f in floors])
    return figure


def _span(rows: Sequence[_Row]) -> tuple[float, float]:
    """Limits that hold the medians and what of the intervals lies within a decade of them."""
    medians = np.array([float(r["median"]) for r in rows])
    known = medians[np.isfinite(medians) & (medians > 0)]
    known = known[known <= _FAR * np.median(known)] if known.size else known
    ends = np.array([[float(r["low"]), float(r["high"])] for r in rows])
    ends[~np.isfinite(ends)] = np.nan
    if known.size:
        ends = np.clip(ends, known.min() / 10, known.max() * 10)
    low, high = log_limits([known, ends], pad=0.04)
    # Room at the right border for the marks of what diverged.
    return low, high * (high / low) ** 0.08


def _check(rows: Sequence[_Row]) -> None:
    if not rows:
        raise ValueError("rows must hold at least one comparison, got none: evaluate a run first")
    for i, row in enumerate(rows):
        missing = [f for f in _FIELDS if f not in row]
        if missing:
            raise ValueError(f"row {i} lacks {', '.join(missing)}: each row needs {', '.join(_FIELDS)}")


def _leaves(rows: Sequence[_Row]) -> bool:
    """True if anything may be marked at a border."""
    shown = [r for r in rows if not model_style(r["model"]).floor]
    values = np.array([[float(r["median"]), float(r["high"])] for r in shown]).reshape(-1, 2)
    medians = values[np.isfinite(values[:, 0]), 0]
    far = bool(medians.size) and bool((medians > _FAR * np.median(medians)).any())
    return far or bool((~np.isfinite(values) | (values == 0)).any())


def _unique(rows: Sequence[_Row], field: str) -> list[Any]:
    return list(dict.fromkeys(r[field] for r in rows))


def _handle(name: str) -> Line2D:
    look = model_style(name)
    if look.floor:
        return Line2D([], [], color=look.colour, linestyle=look.line, linewidth=1.1, label=look.label)
    return Line2D([], [], color=look.colour, marker=look.marker, linewidth=1.1, label=look.label)


def _panel(
    ax: Axes, rows: Sequence[_Row], tasks: Sequence[str], models: Sequence[str], slot: float, span: tuple[float, float]
) -> None:
    ax.set(xscale="log", xlim=span)
    for t, task in enumerate(tasks):
        base = t * slot
        if t:
            ax.axhline(base - 0.95, color="#dddddd", linewidth=0.6, gid="task-border")
        for row in (r for r in rows if r["task"] == task):
            look = model_style(row["model"])
            if look.floor:
                if np.isfinite(float(row["median"])):
                    ends = (base - 0.5, base + len(models) - 0.5)
                    ax.plot([row["median"]] * 2, ends, color=look.colour, ls=look.line, lw=1.0, zorder=1, gid="floor")
            else:
                _dot(ax, row, base + models.index(row["model"]), span)
    centres = [t * slot + (len(models) - 1) / 2 for t in range(len(tasks))]
    ax.set_yticks(centres, [task.replace("_", " ") for task in tasks])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim((len(tasks) - 1) * slot + len(models) - 0.05, -0.95)
    ax.grid(axis="x", which="major")


def _dot(ax: Axes, row: _Row, y: float, span: tuple[float, float]) -> None:
    look = model_style(row["model"])
    median, low, high = (float(row[f]) for f in ("median", "low", "high"))
    right, left = span[1] * (span[0] / span[1]) ** 0.018, span[0] * (span[1] / span[0]) ** 0.018
    start = low if np.isfinite(low) else right
    end = high if np.isfinite(high) else right
    if median <= right:
        ax.plot(
            [max(start, span[0]), min(end, right)], [y, y], color=look.colour, linewidth=1.3, zorder=2, gid="interval"
        )
        # An error of exactly zero has no place on the axis: an arrow at the left border stands for it.
        below = median < span[0]
        marker, gid = ("<", "below") if below else (look.marker, "median")
        ax.plot(max(median, left), y, marker=marker, color=look.colour, ls="none", markersize=4.8, zorder=3, gid=gid)
    else:
        ax.plot(
            [min(start, right), right],
            [y, y],
            color=look.colour,
            linewidth=1.3,
            linestyle=":",
            zorder=2,
            gid="interval",
        )
    if end > right or not np.isfinite(high) or not np.isfinite(median):
        size = 4.5 if median <= right else 6.5
        ax.plot(right, y, marker=">", color=look.colour, ls="none", markersize=size, zorder=3, gid="diverged")
