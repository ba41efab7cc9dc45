"""Profiles along the depth of a stack: states, gates, discrepancies, signals and gradients.

Axes: R replicas, L layers, T steps, G grid points per side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from ddl_dyn.config.formats import percent
from ddl_dyn.plots.bands import band, finite, limits, log_limits
from ddl_dyn.plots.gates import gate_bar, gate_look, layer_panels
from ddl_dyn.plots.style import PAGE_WIDTH, caption_of, legend, model_style, new_figure, styled


@styled
def state_through_depth(
    states: ArrayLike, *, state_names: Sequence[str] = ("x", "y"), model: str = "ddl", title: str = "", note: str = ""
) -> Figure:
    """A grid of initial states after each layer: how the stack stretches, folds and mirrors the plane.

    Args:
        states: (L+1, G, G, 2), the grid first, then its image after every layer.
    """
    s = finite(states)
    if s.ndim != 4 or s.shape[-1] != 2:
        raise ValueError(f"states must have shape (L+1, G, G, 2), got {s.shape}: choose two components of a grid")
    caption = caption_of(
        f"Image of a grid of states under the layers of one replica of {model_style(model).label}",
        "The marked corners keep their order round the grid unless a layer reverses orientation",
        note,
    )
    cols, figure, axes = layer_panels(len(s), title, caption)
    box = limits([s[..., 0]], clip=0.002), limits([s[..., 1]], clip=0.002)
    shades = colormaps["viridis"](np.linspace(0.0, 0.86, s.shape[1]))
    for l, ax in enumerate(axes):
        ax.plot(s[l, :, :, 0], s[l, :, :, 1], color="#b5b5b5", linewidth=0.6, zorder=1)
        for row, shade in zip(s[l], shades, strict=True):
            ax.plot(*row.T, color=shade, linewidth=0.9, zorder=2)
        for (i, j), marker in zip(((0, 0), (0, -1), (-1, -1)), "os^", strict=True):
            ax.plot(*s[l, i, j], marker=marker, ms=5, mfc="white", mec="#222222", mew=1.0, zorder=4, gid="corner")
        ax.set(xlim=box[0], ylim=box[1], title=f"after layer {l}" if l else "input")
        ax.set_xlabel(state_names[0] if l + cols >= len(s) else "")
        ax.set_ylabel(state_names[1] if l % cols == 0 else "")
    return figure


@styled
def gate_over_depth_time(
    beta: ArrayLike, *, times: ArrayLike | None = None, time_unit: str = "", title: str = "", note: str = ""
) -> Figure:
    """Gate β of every layer along a free run.

    Args:
        beta: (T, L) of one run, or the median of several.
        times: (T,) in the task's unit of time; step numbers when None.
    """
    b = finite(beta)
    if b.ndim != 2:
        raise ValueError(f"beta must have shape (T, L), got {b.shape}: average over runs first")
    t = np.arange(b.shape[0]) if times is None else np.asarray(times, dtype=np.float64)
    height = float(np.clip(0.18 * b.shape[1], 0.9, 4.0))
    figure = new_figure(
        PAGE_WIDTH,
        height + 1.0,
        title=title,
        caption=caption_of("Paper: the layer skips; purple: it reflects (β > 1)", note),
    )
    ax: Axes = figure.subplots()
    half = 0.5 * (t[1] - t[0]) if t.size > 1 else 0.5
    edges = np.concatenate([t - half, [t[-1] + half]])
    layers = np.arange(b.shape[1] + 1) + 0.5
    image = ax.pcolormesh(edges, layers, b.T, shading="flat", rasterized=True, **gate_look(b))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    ax.set(xlabel="step" if times is None else f"t [{time_unit}]" if time_unit else "time", ylabel="layer")
    if times is None:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    gate_bar(figure, image, [ax])
    return figure


@styled
def discrepancy_spent(
    spent: Mapping[str, ArrayLike],
    *,
    level: float = 0.8,
    xlabel: str = "layer",
    ylabel: str = "share of the discrepancy spent",
    title: str = "",
    note: str = "",
) -> Figure:
    """Share of its discrepancy e = kᵀX − vᵀ that each rewrite of a stack removes: one point a rewrite, a bar its band.

    Args:
        spent: model → (R, L) share removed; above 1 where a layer over-relaxes.
        level: share of the seeds inside the band.
    """
    figure = new_figure(
        PAGE_WIDTH * 0.6,
        2.9,
        title=title,
        caption=caption_of(
            f"Median over seeds and central {percent(level)}",
            "0: nothing is rewritten; 1: all of it; above: past the target",
            note,
        ),
    )
    ax: Axes = figure.subplots()
    for reference in (0.0, 1.0):
        ax.axhline(reference, color="#bbbbbb", linewidth=0.7, zorder=0)
    values = [finite(v) for v in spent.values()]
    for name, curve in zip(spent, values, strict=True):
        look, places = model_style(name), np.arange(1, curve.shape[1] + 1)
        median, low, high = band(curve, level, failed="missing")
        ax.vlines(places, low, high, color=look.colour, linewidth=4.0, alpha=0.3)
        ax.plot(places, median, color=look.colour, ls="none", marker=look.marker, label=look.label)
    bottom, top = limits([*values, [0.0, 1.0]], pad=0.05)
    most = max(curve.shape[1] for curve in values)
    ax.set(xlabel=xlabel, ylabel=ylabel, ylim=(bottom, top), xlim=(0.5, most + 0.5))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, ax)
    return figure


@styled
def signal_propagation(
    layers: ArrayLike,
    state_std: Mapping[str, ArrayLike],
    gradient_norm: Mapping[str, ArrayLike],
    *,
    level: float = 0.8,
    title: str = "",
    note: str = "",
) -> Figure:
    """Signal and gradient through an untrained stack: neither should die out nor explode with depth.

    Args:
        layers: (L+1,) depth.
        state_std: model → (R, L+1) standard deviation of the state after each layer.
        gradient_norm: model → (R, L+1) norm of the loss's gradient with respect to that state.
        level: share of the seeds inside the band.
    """
    depth = np.asarray(layers, dtype=np.float64)
    caption = caption_of(
        f"Untrained stacks; median over seeds and central {percent(level)}; dotted: 1, the level of the observed input "
        "and of the gradient at the end",
        *(_passed(name, state_std[name], gradient_norm[name]) for name in state_std if name in gradient_norm),
        note,
    )
    figure = new_figure(PAGE_WIDTH, 2.8, title=title, caption=caption)
    axes = figure.subplots(1, 2, sharex=True)
    panels = ((state_std, "standard deviation of the state"), (gradient_norm, "gradient norm at the layer"))
    for ax, (curves, label) in zip(axes, panels, strict=True):
        values = [finite(c) for c in curves.values()]
        for name, curve in zip(curves, values, strict=True):
            _banded(ax, depth, np.where(curve > 0, curve, np.nan), name, level)
        ax.axhline(1.0, color="#888888", linewidth=0.7, linestyle=":", zorder=0, gid="reference")
        low, high = log_limits([*values, [0.5, 2.0]], decades=12)
        ax.set(yscale="log", ylim=(low, high), xlim=(depth[0], depth[-1]), xlabel="layer", ylabel=label)
    legend(figure, axes[0])
    return figure


def _passed(name: str, state: ArrayLike, gradient: ArrayLike) -> str:
    """Shares of the signal and of the gradient that reach the far end, as text."""
    (forward, _, _), (backward, _, _) = (band(finite(values), 0.8, failed="missing") for values in (state, gradient))
    with np.errstate(divide="ignore", invalid="ignore"):
        left = forward[-1] / forward[0], backward[0] / backward[-1]
    shown = [f"{share:.2g}" if np.isfinite(share) else "nothing finite" for share in left]
    layers = len(forward) - 1
    return (
        f"{model_style(name).label} after {layers} layers: {shown[0]} of the signal, {shown[1]} of the gradient is left"
    )


def _banded(ax: Axes, x: ArrayLike, values: ArrayLike, name: str, level: float) -> None:
    look = model_style(name)
    median, low, high = band(values, level, failed="missing")
    ax.fill_between(np.asarray(x), low, high, color=look.colour, alpha=0.2, linewidth=0)
    ax.plot(
        np.asarray(x), median, color=look.colour, linestyle=look.line, marker=look.marker, label=look.label,
        markevery=max(len(median) // 8, 1), markersize=3.5,
    )  # fmt: skip
