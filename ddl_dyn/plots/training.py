"""Training curves: loss and validation error per replica against updates.

Axes: E recorded epochs, R replicas.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ddl_dyn.config.formats import counted, percent
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.plots.bands import band, finite, log_limits
from ddl_dyn.plots.style import PAGE_WIDTH, caption_of, legend, model_style, new_figure, styled


@styled
def training_curves(
    updates: ArrayLike,
    loss: ArrayLike,
    val: ArrayLike,
    horizon: ArrayLike | None = None,
    *,
    model: str = "ddl",
    level: float = 0.8,
    title: str = "",
    note: str = "",
) -> Figure:
    """Training loss and validation error against updates: each seed thin, their median and band on top.

    Args:
        updates: (E,) optimiser updates at which the values were recorded.
        loss, val: (E, R); non-finite from the update at which a replica diverged.
        horizon: (E,) free-run steps per training window; each change is marked.
        level: share of the seeds inside the band.
    """
    u, train, valid = np.asarray(updates, dtype=np.float64), finite(loss), finite(val)
    if train.ndim != 2 or train.shape != valid.shape or u.shape != train.shape[:1]:
        raise ValueError(
            f"loss and val must both have shape (E, R) with E = {u.size}, got {train.shape}, {valid.shape}"
        )
    lost = ~np.isfinite(train[-1]) | ~np.isfinite(valid[-1]) if u.size else np.zeros(train.shape[1], dtype=bool)
    caption = caption_of(
        f"{model_style(model).label}: {counted(train.shape[1], 'seed')} (thin), their median (thick) and central "
        f"{percent(level)} (band)",
        f"{int(lost.sum())} diverged (×)" if lost.any() else "",
        "Dotted: the training horizon changes, in steps" if horizon is not None and len(_stages(horizon)) > 1 else "",
        note,
    )
    figure = new_figure(PAGE_WIDTH, 2.75, title=title, caption=caption)
    axes = figure.subplots(1, 2, sharex=True)
    titles = ("training loss", f"validation free-run {PRIMARY.heading}")
    for ax, values, label in zip(axes, (train, valid), titles, strict=True):
        _curves(ax, u, values, model, level)
        ax.set(yscale="log", ylim=log_limits([values], pad=0.12), xlabel="updates", ylabel=label)
        if u.size > 1:
            ax.set_xlim(u[0], u[-1] + 0.015 * (u[-1] - u[0]))
        if horizon is not None:
            _mark_stages(ax, u, horizon)
    legend(figure, axes[0])
    return figure


def _curves(ax: Axes, u: Array, values: Array, model: str, level: float) -> None:
    look = model_style(model)
    positive = np.where(values > 0, values, np.nan)
    for r, curve in enumerate(positive.T):
        ax.plot(u, curve, color=look.colour, linewidth=0.5, alpha=0.45, label="each seed" if r == 0 else None)
    median, low, high = band(positive.T, level, failed="missing")
    ax.fill_between(
        u, low, high, color=look.colour, alpha=0.18, linewidth=0, label=f"central {percent(level)} of the seeds"
    )
    ax.plot(u, median, color=look.colour, linewidth=1.6, label="median")
    marked = False
    for curve in positive.T:
        alive = np.flatnonzero(np.isfinite(curve))
        if alive.size and alive[-1] < len(u) - 1:
            ax.plot(
                u[alive[-1]], curve[alive[-1]], marker="x", markersize=5.5, markeredgewidth=1.4, color="#222222",
                linestyle="none", zorder=5, label=None if marked else "diverged", gid="diverged",
            )  # fmt: skip
            marked = True


def _stages(horizon: ArrayLike) -> list[tuple[int, int]]:
    """(index, horizon) at the start and at every change."""
    h = np.asarray(horizon).astype(int)
    starts = np.flatnonzero(np.r_[True, h[1:] != h[:-1]]) if h.size else np.empty(0, dtype=int)
    return [(int(i), int(h[i])) for i in starts]


def _mark_stages(ax: Axes, u: Array, horizon: ArrayLike) -> None:
    stages = _stages(horizon)
    if len(stages) < 2:
        return
    last = -np.inf
    for i, h in stages:
        if i:
            ax.axvline(u[i], color="#888888", linewidth=0.6, linestyle=":", zorder=0.5, gid="stage")
        # A label needs about a twentieth of the panel.
        if u[i] - last > 0.055 * (u[-1] - u[0]):
            ax.text(
                u[i], 0.995, f" {h}", transform=ax.get_xaxis_transform(), fontsize=6, color="#666666", va="top"
            )  # fmt: skip
            last = u[i]
