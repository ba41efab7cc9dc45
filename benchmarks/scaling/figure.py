"""Time and memory of one update on log-log axes, with the fitted lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from benchmarks.scaling.lines import NAMES, Line, Point, series_of
from ddl_dyn.plots.style import PAGE_WIDTH, new_figure, styled

ROWS = (("seconds", "time / s"), ("memory", "peak memory / MiB"))


@styled
def scaling(points: Sequence[Point], what: str) -> Figure:
    """Two rows (time, memory), one column for each of steps, replicas and batch.

    Args:
        points: measured updates.   what: the model, and what it was measured on.
    """
    caption = f"One update of {what}, one thread. Lines are fitted to the larger half of the points of a series."
    figure = new_figure(PAGE_WIDTH, 4.4, caption=caption)
    axes = [axis for axis in NAMES if any(p.axis == axis for p in points)]
    panels = figure.subplots(2, len(axes), sharex="col", sharey="row", squeeze=False)
    for (axis, on), row in series_of(points).items():
        sizes = np.array([p.size for p in row])
        for i, (quantity, _) in enumerate(ROWS):
            values = [getattr(p, quantity) for p in row]
            line = Line.fit(list(sizes), values)
            ax, colour = panels[i, axes.index(axis)], "#D55E00" if on else "#0072B2"
            label = f"{'checkpointing, ' * on}slope {line.slope:.2f}"
            ax.plot(sizes, values, "s" if on else "o", color=colour, mfc="none" if on else colour, label=label)
            fitted = sizes[-max(3, (len(sizes) + 1) // 2) :]
            ax.plot(fitted, np.exp(line.intercept) * fitted**line.slope, color=colour, ls="--" if on else "-")
    for i, (_, label) in enumerate(ROWS):
        panels[i, 0].set_ylabel(label)
        for j, axis in enumerate(axes):
            panels[i, j].set(xscale="log", yscale="log")
            panels[i, j].grid(True)
            panels[i, j].legend(loc="upper left")
            if i:
                panels[i, j].set_xlabel(NAMES[axis])
    return figure
