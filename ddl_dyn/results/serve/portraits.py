"""Portraits of a map while it trains, as small drawings that follow a page's colours.

Axes: K kept portraits, P grid points, D observed state, G points a side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import limits, spread
from ddl_dyn.results.report.charts import svg_line
from ddl_dyn.runs import Run

# Portraits that are shown, arrows a side, and the size of a drawing in its own units.
_SHOWN, _ARROWS, _SIDE = 8, 14, 150
# Arrows are as long as their distance at this quantile of the last field's steps; a head is this part of its arrow.
_QUANTILE, _HEAD = 0.9, 0.35


@dataclass(frozen=True)
class SmallPortrait:
    """One portrait: the updates made before it, and its arrows, or the graph of its map, as a path of SVG."""

    update: int
    path: str


@dataclass(frozen=True)
class FormingPortraits:
    """The map of a run's first replica at up to eight updates: step fields, or graphs where the state is one number.

    Args:
        kind: `field` or `graph`.   side: of each drawing.   diagonal: of a graph's drawing, as a path; else empty.
    """

    kind: str
    side: int
    diagonal: str
    panels: tuple[SmallPortrait, ...]


def forming_portraits(run: Run) -> FormingPortraits | None:
    """Portraits that a run in training has kept so far; None where there are none.

    Raises:
        RunError: when their file cannot be read.
        ValueError: when its arrays are not those of portraits.
    """
    arrays = run.portraits
    if not arrays:
        return None
    updates, grid, steps = (np.asarray(arrays[name]) for name in ("kept_update", "portrait_grid", "kept_step"))
    if grid.ndim != 2 or steps.shape != (updates.size, *grid.shape) or updates.ndim != 1 or not updates.size:
        raise ValueError(
            f"portraits should have shapes (K,), (P, D), (K, P, D), got {updates.shape}, {grid.shape}, {steps.shape}"
        )
    shown = spread(updates.size, _SHOWN)
    if grid.shape[1] == 1:
        graphs = (grid + steps[shown])[..., 0]
        paths, diagonal = _graphs(grid[:, 0], graphs)
        kind = "graph"
    else:
        paths, diagonal, kind = _fields(grid[:, :2], steps[shown][..., :2]), "", "field"
    panels = tuple(SmallPortrait(int(updates[i]), path) for i, path in zip(shown, paths, strict=True))
    return FormingPortraits(kind, _SIDE, diagonal, panels)


def _graphs(x: Array, graphs: Array) -> tuple[list[str], str]:
    """Graphs (K, P) of maps of x (P,), and the diagonal."""
    low, high = limits([x, graphs[-1]], pad=0.02)
    place = lambda values: _SIDE * (values - low) / (high - low)  # noqa: E731
    far = lambda values: np.clip(_SIDE - place(values), -_SIDE, 2 * _SIDE)  # noqa: E731
    return [svg_line(place(x), far(graph)) for graph in graphs], svg_line(place(x[[0, -1]]), far(x[[0, -1]]))


def _fields(grid: Array, steps: Array) -> list[str]:
    """Arrows of step fields (K, P, 2) at grid points (P, 2), all to the scale of the last field."""
    side = round(len(grid) ** 0.5)
    if side * side != len(grid) or side < 2:
        raise ValueError(f"portraits should lie on a square grid, got {len(grid)} points")
    every = -(-side // _ARROWS)
    chosen = np.arange((side - 1) % every // 2, side, every)
    kept = (chosen[:, None] * side + chosen).ravel()
    low, high = grid.min(axis=0), grid.max(axis=0)
    scale = _SIDE / np.where(high > low, high - low, 1.0)
    cell = _SIDE / len(chosen)
    # In the drawing's units, in which up is less.
    at = (grid[kept] - low) * scale * (1 - cell / _SIDE) + cell / 2
    at[:, 1] = _SIDE - at[:, 1]
    moved = steps[:, kept].astype(np.float64) * scale * (1.0, -1.0)
    lengths = np.hypot(*moved[-1].T)
    known = lengths[np.isfinite(lengths)]
    longest = float(np.quantile(known, _QUANTILE)) if known.size else 0.0
    moved *= cell / (longest or 1.0)
    reach = np.hypot(moved[..., 0], moved[..., 1])
    moved *= np.minimum(1.0, 1.6 * cell / np.maximum(reach, 1e-12))[..., None]
    return ["".join(map(_arrow, at, field)) for field in moved]


def _arrow(at: Array, step: Array) -> str:
    """A stroke with two short ones for its head; nothing where the step is not finite."""
    if not np.isfinite(step).all():
        return ""
    (x, y), (u, v) = at, step
    back = -_HEAD * np.array([[0.87 * u - 0.5 * v, 0.5 * u + 0.87 * v], [0.87 * u + 0.5 * v, -0.5 * u + 0.87 * v]])
    tip = f"{x + u:.1f} {y + v:.1f}"
    (a, b), (c, d) = back
    return f"M{x:.1f} {y:.1f}L{tip}l{a:.1f} {b:.1f}M{tip}l{c:.1f} {d:.1f}"
