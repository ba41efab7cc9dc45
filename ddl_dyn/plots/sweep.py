"""Scores along an axis of a sweep, and verdicts as a matrix.

Axes: R replicas, P points on the axis.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import ArrayLike

from ddl_dyn.plots.bands import band, log_limits, mark_places
from ddl_dyn.plots.style import PAGE_WIDTH, caption_of, legend, new_figure, styled

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255", "#000000", "#666666")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")
DASHES = (":", "--", "-.", (0, (6, 2, 1, 2, 1, 2)))
# Times a panel's largest median: where a bar is cut, so that one seed that ran away does not set everyone's axis.
_BEYOND = 3.0
_OUTCOMES = ("win", "tie", "unresolved", "loss", "")
OUTCOME_COLOURS = ("#2b8cbe", "#d9d9d9", "#ffffff", "#e6845a", "#f7f7f7")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel of scores.

    Args:
        title: printed above it.
        lines: label -> place on the axis -> (R,) scores; a line may lack places.
        levels: label -> a score that does not depend on the axis, such as a baseline's.
    """

    title: str
    lines: Mapping[str, Mapping[float, ArrayLike]]
    levels: Mapping[str, float] = field(default_factory=dict)


@styled
def scores_against(
    panels: Sequence[Panel],
    *,
    axis: str,
    score: str,
    log_x: bool = False,
    log_y: bool = True,
    bound: float | None = None,
    level: float = 0.95,
    title: str = "",
    note: str = "",
) -> Figure:
    """Median scores over replicas, with bars over the central share of them, against an axis of a sweep.

    Args:
        panels: one or more; labels keep their colour and marker in all of them.
        axis, score: printed on the axes.   log_x, log_y: logarithmic axes.
        bound: largest value that a score can take, such as 1 of an accuracy; None where it has none.
        level: share of the replicas inside a bar.   title, note: printed above and below.
    Raises:
        ValueError: when there is no panel, or a level outside (0, 1].
    """
    if not panels:
        raise ValueError("scores_against needs one panel or more, got none")
    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    rows = -(-len(panels) // columns)
    goes_on = "" if bound is not None else ", ▴: a bar that goes on"
    caption = caption_of(f"Medians over seeds; bars hold {100 * level:.4g} % of them{goes_on}", note)
    figure = new_figure(PAGE_WIDTH, 2.1 * rows + 0.8, title=title, caption=caption)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True)
    places = sorted({float(x) for panel in panels for line in panel.lines.values() for x in line})
    labels = list(dict.fromkeys(label for panel in panels for label in panel.lines))
    for i, panel in enumerate(panels):
        ax = axes[i // columns, i % columns]
        _scores(ax, panel, labels, places, level, log_x=log_x, log_y=log_y, bound=bound)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for j in range(columns):
        # The lowest visible panel of a column carries the axis.
        last = max(i for i in range(len(panels)) if i % columns == j)
        axes[last // columns, j].set_xlabel(axis)
    for ax in axes.flat:
        ax.tick_params(labelbottom=True)
    for i in range(rows):
        axes[i, 0].set_ylabel(score)
    legend(figure, [ax for ax in axes.flat if ax.get_visible()])
    return figure


def _scores(
    ax: Axes, panel: Panel, labels: Sequence[str], places: Sequence[float], level: float, *, log_x: bool, log_y: bool,
    bound: float | None,
) -> None:  # fmt: skip
    # Side by side, so that equal scores do not hide one another, but near the place that they belong to.
    apart = np.diff(np.log(places) if log_x else places)
    shift = min(0.012 * apart.sum(), 0.25 * apart.min() / len(labels)) if apart.size else 0.012
    known: list[float] = []
    top = bound if bound is not None else _BEYOND * _largest_median(panel, level)
    for label, line in panel.lines.items():
        number = labels.index(label)
        xs = np.array(sorted(line))
        middle, low, high = np.array([band(np.asarray(line[x], dtype=float), level) for x in xs]).T
        offset = shift * (number - (len(labels) - 1) / 2)
        at = xs * np.exp(offset) if log_x else xs + offset
        drawn = np.isfinite(middle)
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        ax.plot(at[drawn], middle[drawn], label=label, markersize=4, linewidth=1.0, color=colour, marker=marker)
        ends = np.minimum(np.where(np.isfinite(high), high, np.inf), top)
        ax.vlines(at[drawn], low[drawn], ends[drawn], color=colour, linewidth=0.8, alpha=0.6)
        cut = drawn & (ends == top) & (bound is None)
        if cut.any():
            ax.plot(at[cut], ends[cut], linestyle="none", marker="^", markersize=3, color=colour, alpha=0.6)
        known += [*middle[drawn], *low[drawn], *ends[drawn]]
    for dashes, (name, value) in zip(itertools.cycle(DASHES), panel.levels.items()):
        ax.axhline(value, color="#777777", linestyle=dashes, linewidth=1.0, label=name)
        # A baseline that is exact to rounding would squeeze the models into a line.
        known += [value] if not log_y or not known or value > min(known) / 30 else []
    ax.set_title(panel.title)
    if log_x:
        ax.set_xscale("log")
    mark_places(ax, places)
    if log_y:
        ax.set_yscale("log")
        low, high = log_limits([known])
        ax.set_ylim(low, high)
        _plain_powers(ax.yaxis, low, high)
    elif bound is not None:
        ax.set_ylim(min(0.0, *known), 1.04 * bound)


def _largest_median(panel: Panel, level: float) -> float:
    every = [
        band(np.asarray(scores, dtype=float), level)[0] for line in panel.lines.values() for scores in line.values()
    ]
    return float(max((value for value in every if np.isfinite(value)), default=np.inf))


def _plain_powers(axis: Axis, low: float, high: float) -> None:
    """Ticks of a logarithmic axis as plain numbers."""
    # Within two decades the powers of ten alone are too few to read a value from.
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 100 * low else (1.0,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


@styled
def outcome_matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    outcomes: Sequence[Sequence[str]],
    *,
    texts: Sequence[Sequence[str]] | None = None,
    title: str = "",
    note: str = "",
) -> Figure:
    """Verdicts as a coloured matrix.

    Args:
        rows, columns: labels.   outcomes: a verdict for each cell of a row; "" where none was compared.
        texts: printed in the cells instead of the outcomes, such as ratios.   title, note: printed above and below.
    Raises:
        ValueError: when an outcome is no verdict or the shapes do not fit.
    """
    if len(outcomes) != len(rows) or any(len(line) != len(columns) for line in outcomes):
        raise ValueError(f"outcomes must have {len(rows)} rows of {len(columns)}")
    strange = {outcome for line in outcomes for outcome in line} - set(_OUTCOMES)
    if strange:
        raise ValueError(f"outcomes must be {', '.join(filter(None, _OUTCOMES))} or empty, got {sorted(strange)}")
    numbers = [[_OUTCOMES.index(outcome) for outcome in line] for line in outcomes]
    figure = new_figure(PAGE_WIDTH, 0.34 * len(rows) + 1.3, title=title, caption=caption_of(note))
    ax = figure.subplots()
    ax.imshow(
        numbers,
        cmap=ListedColormap(OUTCOME_COLOURS),
        vmin=-0.5,
        vmax=len(_OUTCOMES) - 0.5,
        aspect="auto",
        origin="upper",
    )
    for i, line in enumerate(texts or outcomes):
        for j, text in enumerate(line):
            ax.text(j, i, text, ha="center", va="center", fontsize=7)
            if not outcomes[i][j]:
                # White alone would look like an open verdict.
                empty = Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, hatch="////", edgecolor="#cccccc", linewidth=0)
                ax.add_patch(empty)
    # Words below one another where the columns are many.
    ax.set_xticks(range(len(columns)), [c.replace(" ", "\n") if len(columns) > 5 else c for c in columns])
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=2)
    ax.tick_params(which="both", length=0)
    return figure


@styled
def scatter(
    points: Mapping[str, tuple[ArrayLike, ArrayLike]], *, x: str, y: str, log_x: bool = False, log_y: bool = True,
    title: str = "", note: str = "",
) -> Figure:  # fmt: skip
    """Two scores of every cell of a sweep against one another.

    Args:
        points: label -> the two scores, (P,) each.   x, y: printed on the axes.   log_x, log_y: logarithmic axes.
        title, note: printed above and below.
    Raises:
        ValueError: when there are no points.
    """
    if not points:
        raise ValueError("scatter needs one set of points or more, got none")
    figure = new_figure(PAGE_WIDTH, 3.2, title=title, caption=caption_of(note))
    ax = figure.subplots()
    for i, (label, (a, b)) in enumerate(points.items()):
        marker = MARKERS[i % len(MARKERS)]
        ax.scatter(
            np.asarray(a), np.asarray(b), s=26, label=label, color=COLOURS[i % len(COLOURS)], marker=marker, alpha=0.7,
            linewidths=0,
        )  # fmt: skip
    ax.set(xlabel=x, ylabel=y)
    for k, (log, axis, setting) in enumerate(((log_x, ax.xaxis, ax.set_xscale), (log_y, ax.yaxis, ax.set_yscale))):
        if log:
            setting("log")
            values = np.concatenate([np.asarray(pair[k], dtype=float) for pair in points.values()])
            positive = values[np.isfinite(values) & (values > 0)]
            _plain_powers(axis, positive.min(initial=1.0), positive.max(initial=1.0))
    legend(figure, ax)
    return figure
