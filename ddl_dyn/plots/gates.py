"""Gates, directions and eigenvalues of a stack: over the plane, over layers and over time.

Axes: L layers, G grid points per side, P places (states), d key dimension, H latent dimension, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap, ListedColormap, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from ddl_dyn.config.formats import counted
from ddl_dyn.metrics.arrays import Array, Complex
from ddl_dyn.plots.bands import finite
from ddl_dyn.plots.fields import on_axes, regular_grid
from ddl_dyn.plots.portrait import Kind
from ddl_dyn.plots.style import PAGE_WIDTH, caption_of, legend, model_style, new_figure, styled

# Inches: a figure whose text can be read on a phone.
NARROW = 3.05
# Paper for skip, orange up to overwrite, and towards purple only where the operator reflects (β > 1).
_SKIP, _OVERWRITE, _REFLECT = "#ffffff", ("#fdd9a8", "#f0a24a", "#d9741c"), ("#a8487a", "#6b2f93", "#3d1a78")
_BELOW = LinearSegmentedColormap.from_list("gate_below_one", [_SKIP, *_OVERWRITE])
_WHOLE = LinearSegmentedColormap.from_list("gate", [_SKIP, *_OVERWRITE, *_REFLECT])

# Ends of a scale that stays below 1, with the number of its ticks.
_ENDS = {0.02: 5, 0.05: 6, 0.1: 6, 0.2: 5, 0.3: 4, 0.5: 6, 0.75: 4, 1.0: 5}


def gate_look(beta: ArrayLike) -> dict[str, Any]:
    """Colour map and range of gates: up to their largest, so that small ones show, and never past one hue below β = 1.

    Args:
        beta: any shape, in [0, 2].
    Returns:
        `cmap` and `norm`, as matplotlib's drawing functions take them.
    """
    b = finite(beta)
    top = float(np.nanmax(b)) if np.isfinite(b).any() else 2.0
    if top > 1.0:
        return {"cmap": _WHOLE, "norm": TwoSlopeNorm(vmin=0.0, vcenter=1.0, vmax=2.0)}
    return {"cmap": _BELOW, "norm": Normalize(0.0, next(end for end in _ENDS if end >= top - 1e-9))}


@styled
def gate_map(
    grid: ArrayLike,
    beta: ArrayLike,
    *,
    state_names: Sequence[str] = ("x", "y"),
    borders: tuple[float, float] = (0.5, 1.5),
    orbits: ArrayLike | None = None,
    kind: Kind = "flow",
    columns: int | None = None,
    title: str = "",
    note: str = "",
) -> Figure:
    """Gate β over the phase plane, one panel per layer, with contours where the regime changes.

    β = 0 skips, β = 1 overwrites, β = 2 reflects; det A = 1 − β changes sign at β = 1.

    Args:
        grid: (G, G, 2).
        beta: (L, G, G) in [0, 2].
        borders: β at which "skip" ends and at which "over-relaxed" begins in the drawing.
        orbits: (N, T+1, 2) drawn on top.
        kind: "flow" joins the samples of an orbit, "map" leaves them points.
        columns: panels in a row; None for as many as fit a printed page.
    """
    b = finite(beta)
    b = b[None] if b.ndim == 2 else b
    x, y, first_is_x = regular_grid(grid)
    if b.shape[1:] != np.shape(grid)[:2]:
        raise ValueError(f"beta must have shape (L, {np.shape(grid)[0]}, {np.shape(grid)[1]}), got {b.shape}")
    drawn = [
        level for level in (borders[0], 1.0, borders[1]) if np.isfinite(b).any() and np.nanmin(b) < level < np.nanmax(b)
    ]
    each = ", ".join("1 (solid: det A = 1 − β changes sign)" if v == 1.0 else f"{v:g} (dashed)" for v in drawn)
    caption = caption_of(
        "β of one replica: paper where the layer skips, purple where it reflects",
        f"Contours: β = {each}"
        if each
        else f"Between {np.nanmin(b):.2g} and {np.nanmax(b):.2g} here"
        if np.isfinite(b).any()
        else "",
        "Grey: true orbits" if orbits is not None else "",
        note,
    )
    look = gate_look(b)
    cols, figure, axes = layer_panels(len(b), title, caption, columns=columns)
    for l, ax in enumerate(axes):
        shown = on_axes(b[l], first_is_x)
        image = ax.pcolormesh(x, y, shown, shading="gouraud", rasterized=True, **look)
        if np.isfinite(shown).any():
            _contours(ax, x, y, shown, borders)
        if orbits is not None:
            o = finite(orbits)
            line: dict[str, Any] = {"lw": 0.7} if kind == "flow" else {"ls": "none", "marker": "o", "ms": 1.6, "mew": 0}
            ax.plot(o[..., 0].T, o[..., 1].T, color="#666666", alpha=0.75, gid="orbit", **line)
        ax.set(xlim=(x.min(), x.max()), ylim=(y.min(), y.max()), title=f"layer {l + 1}")
        ax.set_xlabel(state_names[0] if l + cols >= len(b) else "")
        ax.set_ylabel(state_names[1] if l % cols == 0 else "")
    gate_bar(figure, image, axes)
    return figure


def _contours(ax: Axes, x: Array, y: Array, values: Array, borders: tuple[float, float]) -> None:
    for level, line, width in ((borders[0], "--", 0.8), (1.0, "-", 1.1), (borders[1], "--", 0.8)):
        # matplotlib warns of a level outside the data.
        if np.nanmin(values) < level < np.nanmax(values):
            ax.contour(x, y, np.ma.masked_invalid(values), [level], colors="#222222", linestyles=line, linewidths=width)


def layer_panels(
    count: int, title: str, caption: str, *, share: bool = True, columns: int | None = None
) -> tuple[int, Figure, list[Axes]]:
    """A grid of nearly square panels, at most four a row.

    Args:
        count: number of panels.   title, caption: of the figure; empty for none.   share: one scale on all axes.
        columns: panels in a row; None for as many as fit a printed page.
    Returns:
        (columns, figure, panels).
    """
    cols = columns or (min(count, 4) if count != 6 else 3)
    rows = -(-count // cols)
    width = NARROW if columns == 1 else min(PAGE_WIDTH, max(2.5 * cols + 0.8, 4.0))
    height = rows * (width - 0.9) / cols * 0.92 + 0.6 + 0.25 * bool(title)
    figure = new_figure(width, height, title=title, caption=caption)
    axes = list(figure.subplots(rows, cols, sharex=share, sharey=share, squeeze=False).ravel())
    for spare in axes[count:]:
        spare.remove()
    for i in range(max(count - cols, 0), count):
        axes[i].tick_params(labelbottom=True)
    return cols, figure, axes[:count]


def gate_bar(figure: Figure, image: Any, axes: Sequence[Axes]) -> None:
    """Draw the colour bar of a gate β with its regimes.

    Args:
        figure: gets the bar.   image: matplotlib's mappable, scaled by `gate_look`.   axes: beside which it stands.
    """
    top = float(image.norm.vmax)
    ticks = [0.0, 0.5, 1.0, 1.5, 2.0] if top > 1 else list(np.linspace(0.0, top, _ENDS[top]))
    named = {0.0: "  skip", 1.0: "  overwrite", 2.0: "  reflect"}
    bar = figure.colorbar(image, ax=list(axes), shrink=0.85, aspect=22, pad=0.015, ticks=ticks)
    bar.set_label("gate β")
    bar.ax.set_yticklabels([f"{tick:.3g}{named.get(tick, '')}" for tick in ticks])
    bar.outline.set_visible(False)


@styled
def layer_spectra_plane(
    frozen: ArrayLike,
    jacobian: ArrayLike,
    *,
    model: str = "ddl",
    stacked: bool = False,
    title: str = "",
    note: str = "",
) -> Figure:
    """Layer eigenvalues against the unit circle: the frozen operator A beside the layer's true Jacobian.

    Args:
        frozen: (L, P, d) complex eigenvalues of A = I − βkkᵀ (or of the architecture's frozen operator).
        jacobian: (L, P, H) complex eigenvalues of ∂X⁺/∂X at the same states.
        stacked: one panel below the other, in a narrow figure.
    """
    sets = [np.asarray(v, dtype=np.complex128) for v in (frozen, jacobian)]
    layers = max(len(s) for s in sets)
    colour_map = ListedColormap(colormaps["viridis"](np.linspace(0.0, 0.86, max(layers, 2))))
    flat = any(_on_axis(layer) for values in sets for layer in values)
    caption = caption_of(
        f"{model_style(model).label}, {counted(layers, 'layer')}, {counted(sets[1].shape[1], 'state')} of one replica",
        "Left of zero: the layer turns a direction over; outside the circle: it stretches one",
        "Real eigenvalues stand a layer above the other" if flat and layers > 1 else "",
        _outside(sets),
        note,
    )
    box = _circle_limits(sets)
    tall = (box[1][1] - box[1][0]) / (box[0][1] - box[0][0])
    panel = (NARROW - 0.6 if stacked else 0.43 * PAGE_WIDTH) * float(np.clip(tall, 0.5, 1.1))
    width, height = (NARROW, 2 * panel + 1.9) if stacked else (PAGE_WIDTH, panel + 1.25)
    figure = new_figure(width, height + 0.2 * bool(title), title=title, caption=caption)
    axes = figure.subplots(*((2, 1) if stacked else (1, 2)), sharex=True, sharey=True)
    for ax, values, name in zip(axes, sets, ("frozen operator A", "Jacobian of the layer"), strict=True):
        angle = np.linspace(0, 2 * np.pi, 361)
        ax.plot(np.cos(angle), np.sin(angle), color="#777777", linewidth=0.8, zorder=1, gid="unit-circle")
        ax.axhline(0, color="#dddddd", linewidth=0.6, zorder=0)
        ax.axvline(0, color="#dddddd", linewidth=0.6, zorder=0)
        for l, layer in enumerate(values):
            z = layer.ravel()
            z = z[np.isfinite(z)]
            real = _on_axis(layer)
            # Real spectra all lie on the axis: ticks stay readable where discs would pile up, side by side by layer.
            look: dict[str, object] = (
                {"marker": "|", "ms": 8, "mew": 0.9}
                if real
                else {"marker": _MARKS[l % len(_MARKS)], "ms": 3.6, "mfc": "none"}
            )
            up = (l - (len(values) - 1) / 2) * min(0.09, 0.9 / len(values)) * (box[1][1] - box[1][0]) if real else 0.0
            ax.plot(z.real, z.imag + up, ls="none", color=colour_map(l), alpha=0.7, zorder=2, gid=f"layer-{l}", **look)
        ax.set(xlim=box[0], ylim=box[1], title=name, xlabel="Re λ" if ax is axes[-1] or not stacked else "")
        ax.set_ylabel("Im λ" if stacked or ax is axes[0] else "")
        ax.set_aspect("equal", adjustable="box")
    _layer_key(figure, axes, colour_map, layers)
    return figure


_MARKS = ("o", "s", "^", "D", "v", "p")


def _on_axis(layer: Complex) -> bool:
    """True where all eigenvalues of a layer are real."""
    z = np.asarray(layer).ravel()
    z = z[np.isfinite(z)]
    return bool(z.size) and float(np.abs(z.imag).max()) < 1e-9


def _layer_key(figure: Figure, axes: Any, colour_map: Any, layers: int) -> None:
    if layers <= 8:
        handles = [
            Line2D([], [], ls="none", marker="o", color=colour_map(l), label=f"layer {l + 1}") for l in range(layers)
        ]
        legend(figure, handles=handles)
    else:
        norm = BoundaryNorm(np.arange(layers + 1) + 0.5, layers)
        ticks = np.unique(np.linspace(1, layers, 7).round())
        figure.colorbar(ScalarMappable(norm, colour_map), ax=list(axes), shrink=0.8, label="layer", ticks=ticks)


def _circle_limits(sets: Sequence[Complex]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits holding the unit circle and 99 % of the eigenvalues, at most 3 from the origin."""
    z = np.concatenate([np.asarray(s).ravel() for s in sets])
    z = z[np.isfinite(z)]
    if not z.size:
        return (-1.25, 1.25), (-1.25, 1.25)
    low, high = np.quantile(z.real, [0.005, 0.995])
    tall = np.quantile(np.abs(z.imag), 0.995)
    top = float(np.clip(tall * 1.1, 1.2, 3.0))
    return (float(np.clip(low - 0.1, -3.0, -1.2)), float(np.clip(high + 0.1, 1.2, 3.0))), (-top, top)


def _outside(sets: Sequence[Complex]) -> str:
    """A word on the eigenvalues that the limits leave out."""
    (left, right), (bottom, top) = _circle_limits(sets)
    z = np.concatenate([np.asarray(s).ravel() for s in sets])
    finite_z = z[np.isfinite(z)]
    out = int(
        ((finite_z.real < left) | (finite_z.real > right) | (finite_z.imag < bottom) | (finite_z.imag > top)).sum()
    )
    bad = z.size - finite_z.size
    parts = [f"{out} of {z.size} eigenvalues lie outside" if out else "", f"{bad} are not finite" if bad else ""]
    return "; ".join(p for p in parts if p)
