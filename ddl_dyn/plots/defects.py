"""Structural defects of a learned map: broken symmetries, drift of invariants, growth of perturbations.

Axes: R replicas, T steps, B states, D components.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from ddl_dyn.config.formats import counted, percent
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import band, log_limits
from ddl_dyn.plots.style import PAGE_WIDTH, TRUE_COLOUR, caption_of, legend, model_style, new_figure, styled

# Below this a defect is round-off, and stands at the left border.
ROUND_OFF = 1e-12
# Largest singular values shown of a map of many dimensions.
SHOWN = 4


@styled
def law_defects(
    values: Mapping[str, ArrayLike],
    *,
    model: str = "ddl",
    xlabel: str = "defect [σ]",
    title: str = "",
    note: str = "",
) -> Figure:
    """Each replica's defects as dots on a logarithmic axis, one row a symmetry or invariant; the tick is the median.

    Args:
        values: name → (R,) defects, 0 for an exact one; an infinite one stands at the right border.
    Raises:
        ValueError: when there is no row.
    """
    if not values:
        raise ValueError("defects need at least one symmetry or invariant, got none")
    rows = {name: np.asarray(each, dtype=np.float64).ravel() for name, each in values.items()}
    look, seeds = model_style(model), max(row.size for row in rows.values())
    lost = any(not np.isfinite(row).all() for row in rows.values())
    caption = caption_of(
        f"Dots: {counted(seeds, 'seed')} of {look.label}; stroke: their median; 0 is exact",
        "At the right border: not finite" if lost else "",
        note,
    )
    figure = new_figure(PAGE_WIDTH * 0.75, 0.42 * len(rows) + 1.0, title=title, caption=caption)
    ax: Axes = figure.subplots()
    low, high = log_limits([np.maximum(row, ROUND_OFF) for row in rows.values()], decades=14, pad=0.08)
    for i, row in enumerate(rows.values()):
        shown = np.clip(np.where(np.isfinite(row), row, high), max(low, ROUND_OFF), high)
        ax.plot(shown, np.full(row.size, i), ls="none", marker=look.marker, color=look.colour, ms=5, alpha=0.75)
        middle = np.sort(shown)[(row.size - 1) // 2]
        ax.plot([middle] * 2, [i - 0.3, i + 0.3], color=look.colour, linewidth=1.6, gid="median")
    ax.set(xscale="log", xlim=(low, high), ylim=(len(rows) - 0.4, -0.6), xlabel=xlabel)
    ax.set_yticks(range(len(rows)), list(rows))
    return figure


@styled
def drift_curves(
    times: ArrayLike,
    drift: Mapping[str, ArrayLike],
    *,
    model: str = "ddl",
    level: float = 0.8,
    time_unit: str = "",
    title: str = "",
    note: str = "",
) -> Figure:
    """Drift of each conserved quantity along free runs, one panel a quantity.

    Args:
        times: (T+1,).
        drift: name → (R, T+1), |I(t) − I(0)| relative to its spread; a non-finite one counts as infinite.
        level: share of the seeds inside the band.
    """
    t, look = np.asarray(times, dtype=np.float64), model_style(model)
    values = {name: np.asarray(each, dtype=np.float64) for name, each in drift.items()}
    for name, each in values.items():
        if each.ndim != 2 or each.shape[1] != t.size:
            raise ValueError(f"drift of {name} must have shape (R, {t.size}), got {each.shape}")
    seeds = len(next(iter(values.values())))
    caption = caption_of(
        f"Median over {counted(seeds, 'seed')} of {look.label} and central {percent(level)} of them", note
    )
    figure = new_figure(PAGE_WIDTH, 2.6, title=title, caption=caption)
    axes = figure.subplots(1, len(values), sharex=True, squeeze=False)[0]
    for ax, (name, each) in zip(axes, values.items(), strict=True):
        median, low, high = (_above_zero(curve) for curve in band(each, level))
        limits = log_limits([median[1:], low[1:], high[1:]])
        ax.fill_between(t, low, np.minimum(high, limits[1] * 100), color=look.colour, alpha=0.2, linewidth=0)
        ax.plot(t, median, color=look.colour, linewidth=1.3, label=look.label)
        ax.axhline(1.0, color="#888888", linewidth=0.7, linestyle=":", zorder=0, gid="reference")
        ax.set(yscale="log", xlim=(t[0], t[-1]), ylim=limits, title=name)
        ax.set_xlabel(f"t [{time_unit}]" if time_unit else "time")
    axes[0].set_ylabel("drift, relative to the spread")
    legend(figure, axes[0])
    return figure


@styled
def perturbation_growth(
    singular: ArrayLike,
    gradients: ArrayLike,
    singular_true: ArrayLike | None = None,
    gradients_true: ArrayLike | None = None,
    *,
    model: str = "ddl",
    title: str = "",
    note: str = "",
) -> Figure:
    """Singular values of the Jacobian of Φᵗ, and gradient norms through as many steps, beside the true ones.

    Args:
        singular, singular_true: (T+1, B, D), of the first t steps, the largest first.
        gradients, gradients_true: (T+1, B), at depth t, of a unit gradient at the end.
    """
    caption = caption_of("Median over states; black: the true map", note)
    figure = new_figure(PAGE_WIDTH, 2.8, title=title, caption=caption)
    axes = figure.subplots(1, 2, sharex=True)
    look = model_style(model)
    looks = (
        (singular_true, gradients_true, TRUE_COLOUR, "-", "true"),
        (singular, gradients, look.colour, look.line, look.label),
    )
    drawn: tuple[list[Array], list[Array]] = ([], [])
    for values, norms, colour, line, label in looks:
        if values is None or norms is None:
            continue
        each = np.asarray(values, dtype=np.float64)
        for i in range(min(each.shape[-1], SHOWN)):
            drawn[0].append(_above_zero(np.median(each[..., i], axis=1)))
            axes[0].plot(drawn[0][-1], color=colour, linestyle=line, linewidth=1.2, label=None if i else label)
        drawn[1].append(_above_zero(np.median(np.asarray(norms, dtype=np.float64), axis=1)))
        axes[1].plot(drawn[1][-1], color=colour, linestyle=line, linewidth=1.2)
    for ax, curves, label in zip(axes, drawn, ("singular values of DΦᵗ", "gradient norm at step t"), strict=True):
        ax.axhline(1.0, color="#888888", linewidth=0.7, linestyle=":", zorder=0, gid="reference")
        ax.set(yscale="log", ylim=log_limits([*curves, [0.5, 2.0]], decades=16), xlabel="step t", ylabel=label)
        ax.set_xlim(0, max(len(curves[0]) - 1, 1))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    legend(figure, axes[0])
    return figure


def _above_zero(values: Array) -> Array:
    """Values with NaN wherever a logarithmic axis shows nothing: not positive, or infinite."""
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)
