"""One-dimensional maps: cobweb diagrams and return maps.

Axes: R replicas, G grid points, T steps, P points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import finite, limits
from ddl_dyn.plots.fields import Marked, by_model, draw_marked, stability_handles
from ddl_dyn.plots.style import TRUE_COLOUR, UNDERLAY, caption_of, legend, model_style, new_figure, styled


@styled
def cobweb(
    grid: ArrayLike,
    map_true: ArrayLike,
    map_model: Mapping[str, ArrayLike] | ArrayLike,
    *,
    model: str = "ddl",
    orbit_true: ArrayLike | None = None,
    orbit_model: Mapping[str, ArrayLike] | ArrayLike | None = None,
    fixed_points_true: Sequence[tuple[float, str]] = (),
    fixed_points_model: Mapping[str, Sequence[tuple[float, str]]] | Sequence[tuple[float, str]] = (),
    state_name: str = "x",
    title: str = "",
    note: str = "",
) -> Figure:
    """Cobweb of a one-dimensional map: x⁺ = Φ(x) against x, with an orbit bouncing between graph and diagonal.

    Args:
        grid: (G,) increasing.
        map_true: (G,) Φ on the grid.
        map_model: (G,) or (R, G) learned Φ̂ of `model`, or one such array per model; the first replica is drawn strong.
        orbit_true, orbit_model: (T+1,) one orbit each (the model's: of the first replica, or one per model).
        fixed_points_true, fixed_points_model: (x*, stability type) pairs.
    """
    x, truth = np.asarray(grid, dtype=np.float64), finite(map_true)
    if x.ndim != 1 or truth.shape != x.shape:
        raise ValueError(f"grid and map_true must both have shape (G,), got {x.shape} and {truth.shape}")
    maps = {k: np.atleast_2d(finite(v)) for k, v in by_model(map_model, model).items()}
    orbits = by_model(orbit_model, model) if orbit_model is not None else {}
    marks = by_model(fixed_points_model, model)
    seeds = max(len(m) for m in maps.values())
    caption = caption_of(
        f"x⁺ = Φ(x); light grey: the true graph; {f'one of {seeds} seeds strong' if seeds > 1 else 'one seed'}",
        "Thin steps: one orbit from the same initial state" if orbit_true is not None else "",
        note,
    )
    columns = 1 + len(maps)
    side = min(7.2 / columns, 3.1)
    figure = new_figure(side * columns, side + 0.55 + 0.25 * bool(title), title=title, caption=caption)
    axes = figure.subplots(1, columns, sharex=True, sharey=True)
    box = limits([x], pad=0.0), limits([truth, x if orbit_true is not None else truth], pad=0.05)
    _cobweb_panel(axes[0], x, truth[None], orbit_true, TRUE_COLOUR, "true")
    draw_marked(axes[0], _on_diagonal(fixed_points_true), TRUE_COLOUR)
    for ax, (name, values) in zip(axes[1:], maps.items(), strict=True):
        look = model_style(name)
        ax.plot(x, truth, color=UNDERLAY, linewidth=3.0, zorder=1.5)
        _cobweb_panel(ax, x, values, orbits.get(name), look.colour, look.label)
        draw_marked(ax, _on_diagonal(marks.get(name, ())), look.colour)
    symbol = state_name if len(state_name) == 1 else rf"\mathrm{{{state_name}}}"
    for ax in axes:
        ax.set(xlim=box[0], ylim=box[1], xlabel=rf"${symbol}_n$")
    axes[0].set_ylabel(rf"${symbol}_{{n+1}}$")
    legend(
        figure,
        handles=stability_handles(
            _on_diagonal(fixed_points_true), *(_on_diagonal(marks.get(name, ())) for name in maps)
        ),
    )
    return figure


def _on_diagonal(points: Sequence[tuple[float, str]]) -> list[Marked]:
    return [((float(p), float(p)), kind) for p, kind in points]


def _cobweb_panel(ax: Axes, x: Array, maps: Array, orbit: ArrayLike | None, colour: str, label: str) -> None:
    ax.plot(x, x, color="#aaaaaa", linewidth=0.7, zorder=1, gid="diagonal")
    for values in maps[:0:-1]:
        ax.plot(x, values, color=colour, linewidth=0.6, alpha=0.3, zorder=2)
    ax.plot(x, maps[0], color=colour, linewidth=1.4, zorder=3, gid="graph")
    if orbit is not None:
        o = finite(orbit).ravel()
        across = np.repeat(o, 2)[:-1]
        up = np.concatenate([[np.nan], np.repeat(o[1:], 2)])[: across.size]
        # The first stroke rises from the axis of abscissae to the graph.
        up[0] = ax.get_ylim()[0] if not np.isfinite(o[0]) else o[0]
        ax.plot(across, up, color=colour, linewidth=0.55, alpha=0.75, zorder=2.5, gid="orbit")
        ax.plot(o[0], o[0], marker="s", ms=3.4, mfc="white", mec=colour, mew=0.8, zorder=4, ls="none", gid="start")
    ax.set_title(label, color=colour)
