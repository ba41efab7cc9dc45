"""Error of free runs against the radius of their starts.

Axes: K radii, R replicas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ddl_dyn.config.formats import percent
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.plots.bands import band, banded_line, finite, log_limits, mark_places, positive
from ddl_dyn.plots.style import PAGE_WIDTH, caption_of, legend, model_style, new_figure, styled

# Panels side by side, and decades below the largest error that are shown.
_COLUMNS, DECADES = 3, 6.0
# Models whose bands can be told apart in one panel.
BANDS = 4


class RadiusPanel(NamedTuple):
    """Errors of some models on one task over one horizon.

    Args:
        title: above the panel.   curves: model -> radii (K,), the first of them 1, and errors (K, R).
        floors: name -> radii (K,) and errors (K,).
    """

    title: str
    curves: Mapping[str, tuple[Array, Array]]
    floors: Mapping[str, tuple[Array, Array]]


@styled
def error_by_radius(panels: Sequence[RadiusPanel], *, level: float = 0.8, title: str = "", note: str = "") -> Figure:
    """Error of free runs against the radius of their starts, both axes logarithmic.

    Args:
        panels: at least one.
        level: share of the seeds inside the band.
    Raises:
        ValueError: when there is no panel, or radii and errors do not go together.
    """
    _check(panels)
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    seeds = sorted({np.shape(errors)[1] for panel in panels for _, errors in panel.curves.values()})
    over = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]}–{seeds[-1]}"
    banded = max(len(panel.curves) for panel in panels) <= BANDS
    caption = caption_of(
        "Free runs from starts at multiples of the training radius; 1: the test split",
        f"Lines: median over {over} seeds" + (f"; bands: central {percent(level)}" if banded else ""),
        "A diverged run counts as infinite (×: the median does)" if _diverges(panels) else "",
        "Grey: floors" if any(panel.floors for panel in panels) else "",
        "A floor of less than a tenth of every median leaves its panel below" if any(map(_below, panels)) else "",
        "Flat: as good outside the training support as inside it; as steep as the training mean: nothing learned "
        "inside carries over",
        note,
    )
    width = PAGE_WIDTH if columns > 1 else 0.7 * PAGE_WIDTH
    figure = new_figure(width, 2.3 * rows + 0.9, title=title, caption=caption)
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = list(grid.flat)
    for ax, panel in zip(axes, panels, strict=False):
        _draw(ax, panel, level if banded else 0.0)
    for ax in axes[len(panels) :]:
        ax.remove()
    for row in grid:
        row[0].set_ylabel(PRIMARY.heading)
    legend(figure, axes[: len(panels)])
    return figure


def _draw(ax: Axes, panel: RadiusPanel, level: float) -> None:
    """One panel; level: share of the seeds inside the bands, 0 for lines alone."""
    bands = {name: band(errors.T, level or 1.0) for name, (_, errors) in panel.curves.items()}
    floors = {name: finite(errors) for name, (_, errors) in panel.floors.items()}
    # A floor that is right to the last digit must not press the models together at the top.
    least = _least(panel)
    near = [np.where(floor >= least, floor, np.nan) for floor in floors.values()]
    low, high = log_limits([*(median for median, _, _ in bands.values()), *near], decades=DECADES)
    ticks = sorted({float(r) for radii, _ in panel.curves.values() for r in radii})
    for name, (radii, _) in panel.curves.items():
        median, lower, upper = bands[name]
        ends = (lower, upper) if level else (median, median)
        banded_line(ax, radii, name, (median, *ends), high)
    for name, (radii, _) in panel.floors.items():
        look = model_style(name)
        ax.plot(
            radii, positive(floors[name]), color=look.colour, linestyle=look.line, linewidth=0.8, zorder=1.5,
            label=look.label,
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", ylim=(low, high), xlabel="radius [training radii]")
    ax.set_title(panel.title)
    mark_places(ax, ticks)


def _least(panel: RadiusPanel) -> float:
    """A tenth of the least median of a panel; 0 where none is positive and finite."""
    medians = np.concatenate([positive(band(errors.T, 1.0)[0]) for _, errors in panel.curves.values()])
    return float(np.nanmin(medians)) / 10 if np.isfinite(medians).any() else 0.0


def _below(panel: RadiusPanel) -> bool:
    """True if a floor lies below a panel at some radius."""
    least = _least(panel)
    return any((floor < least).any() for _, floor in panel.floors.values())


def _diverges(panels: Sequence[RadiusPanel]) -> bool:
    return any(not np.isfinite(errors).all() for panel in panels for _, errors in panel.curves.values())


def _check(panels: Sequence[RadiusPanel]) -> None:
    if not panels:
        raise ValueError("panels must hold at least one, got none: evaluate a run of a task that has a radius first")
    for panel in panels:
        shapes: list[tuple[str, Array, Array, int]] = [
            (name, radii, errors, ndim)
            for group, ndim in ((panel.curves, 2), (panel.floors, 1))
            for name, (radii, errors) in group.items()
        ]
        for name, radii, errors, ndim in shapes:
            if radii.ndim != 1 or errors.ndim != ndim or len(errors) != len(radii):
                wanted = "(K, R)" if ndim == 2 else "(K,)"
                raise ValueError(
                    f"{name}: errors must have shape {wanted} for radii (K,), got {errors.shape} for {radii.shape}"
                )
