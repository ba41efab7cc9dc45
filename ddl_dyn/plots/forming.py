"""Formation of a map: the learned map at checkpoints of its training.

Axes: K checkpoints, G grid points per side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ddl_dyn.plots.bands import finite, limits
from ddl_dyn.plots.fields import draw_arrows, step_scale
from ddl_dyn.plots.gates import layer_panels
from ddl_dyn.plots.portrait import FIELD_LEARNED, FIELD_UNDER, plane_limits
from ddl_dyn.plots.style import UNDERLAY, caption_of, model_style, styled


@styled
def field_forming(
    updates: ArrayLike,
    grid: ArrayLike,
    steps: ArrayLike,
    step_true: ArrayLike | None = None,
    *,
    state_names: Sequence[str] = ("x", "y"),
    model: str = "ddl",
    title: str = "",
    note: str = "",
) -> Figure:
    """Learned step field at each kept checkpoint, over the true one.

    Args:
        updates: (K,) optimiser updates made before each.
        grid: (G, G, 2).
        steps: (K, G, G, 2) learned steps Φ(x) − x of one replica.
        step_true: (G, G, 2).
    """
    fields, g = finite(steps), np.asarray(grid, dtype=np.float64)
    if fields.shape[1:] != g.shape or len(fields) != np.size(updates):
        raise ValueError(
            f"steps must have shape ({np.size(updates)}, {', '.join(map(str, g.shape))}), got {fields.shape}"
        )
    box = plane_limits(np.empty((0, 0, 2)), g)
    reference = step_true if step_true is not None else fields[-1]
    scale = step_scale(reference, box)
    # Every other arrow: small panels.
    thin = slice(None, None, max(1, g.shape[0] // 14))
    caption = caption_of(
        f"Step field of {model_style(model).label} as it forms",
        "Grey: the true field" if step_true is not None else "",
        note,
    )
    cols, figure, axes = layer_panels(len(fields), title, caption)
    look: dict[str, Any] = {"limits": box, "scale": scale, "zorder": 1.2}
    for i, (ax, field, update) in enumerate(zip(axes, fields, np.asarray(updates), strict=True)):
        if step_true is not None:
            truth = np.asarray(step_true)[thin, thin]
            draw_arrows(ax, g[thin, thin], truth, colour=FIELD_UNDER, width=0.008, **look)
        draw_arrows(ax, g[thin, thin], field[thin, thin], colour=FIELD_LEARNED, width=0.005, **look)
        ax.set(xlim=box[0], ylim=box[1], title=f"update {int(update)}")
        ax.set_xlabel(state_names[0] if i + cols >= len(fields) else "")
        ax.set_ylabel(state_names[1] if i % cols == 0 else "")
    return figure


@styled
def map_forming(
    updates: ArrayLike,
    grid: ArrayLike,
    maps: ArrayLike,
    map_true: ArrayLike | None = None,
    *,
    state_name: str = "x",
    model: str = "ddl",
    title: str = "",
    note: str = "",
) -> Figure:
    """Graph of a learned one-dimensional map at each kept checkpoint, over the true one.

    Args:
        updates: (K,).   grid: (G,) increasing.   maps: (K, G) Φ of one replica.   map_true: (G,).
    """
    x, values = np.asarray(grid, dtype=np.float64), finite(maps)
    if values.shape != (np.size(updates), x.size):
        raise ValueError(f"maps must have shape ({np.size(updates)}, {x.size}), got {values.shape}")
    look = model_style(model)
    caption = caption_of(
        f"Graph of {look.label} as it forms", "Grey: the true graph" if map_true is not None else "", note
    )
    cols, figure, axes = layer_panels(len(values), title, caption)
    box = limits([values[-1] if map_true is None else map_true, x], pad=0.05)
    for i, (ax, graph, update) in enumerate(zip(axes, values, np.asarray(updates), strict=True)):
        ax.plot(x, x, color="#aaaaaa", linewidth=0.7, gid="diagonal")
        if map_true is not None:
            ax.plot(x, finite(map_true), color=UNDERLAY, linewidth=3.0)
        ax.plot(x, graph, color=look.colour, linewidth=1.4, gid="graph")
        ax.set(xlim=(x[0], x[-1]), ylim=box, title=f"update {int(update)}")
        ax.set_xlabel(f"{state_name}, nth" if i + cols >= len(values) else "")
        ax.set_ylabel(f"{state_name}, next" if i % cols == 0 else "")
    return figure
