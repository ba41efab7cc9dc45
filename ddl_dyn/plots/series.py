"""Figures over time: free runs beside the truth, and how their error grows.

Axes: R replicas, N trajectories, T steps, D state components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ddl_dyn.config.formats import percent
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.plots.bands import band, banded_line, finite, limits, log_limits, positive, spread, strands
from ddl_dyn.plots.style import PAGE_WIDTH, TRUE_COLOUR, UNDERLAY, caption_of, legend, model_style, new_figure, styled

# Growth over the horizon (natural logarithm) below which a slope would be drawn as a level.
VISIBLE = 0.3
# A map jumps: its states are points, and a faint line says in which order.
_POINTS: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 2.2, "mew": 0}


@styled
def trajectories(
    times: ArrayLike,
    true: ArrayLike,
    predictions: Mapping[str, ArrayLike],
    *,
    state_names: Sequence[str] = (),
    units: Sequence[str] = (),
    time_unit: str = "time",
    chosen: int = 3,
    level: float = 0.8,
    kind: str = "flow",
    title: str = "",
    note: str = "",
) -> Figure:
    """True components against time, with the median and the seed band of each model's free runs.

    Args:
        times: (T+1,) in the task's unit of time.
        true: (N, T+1, D).
        predictions: model → (R, N, T+1, D) free runs from the same initial states; non-finite samples are left out of
            the band, and a line ends where no replica is finite.
        state_names, units: D names and units of the components.
        chosen: number of trajectories, one column each, spread over the N.
        level: share of the seeds inside the band.
        kind: "flow" joins the samples, "map" also marks each of them.
    """
    t, x = np.asarray(times, dtype=np.float64), finite(true)
    if x.ndim != 3 or t.shape != x.shape[1:2]:
        raise ValueError(f"true must have shape (N, T+1, D) with T+1 = {t.size} times, got {x.shape}")
    picked = spread(len(x), chosen)
    names = list(state_names) or [rf"$x_{{{i + 1}}}$" for i in range(x.shape[2])]
    labels = [_label(n, u) for n, u in zip(names, [*units, *[""] * len(names)], strict=False)]
    seeds = sorted({np.shape(p)[0] for p in predictions.values()})
    caption = caption_of(
        f"Free runs from {len(picked)} unseen initial states, one a column; black: truth",
        f"Lines: median over {_counts(seeds)} seeds; bands: central {percent(level)} of them" if seeds else "",
        note,
    )
    rows = x.shape[2]
    figure = new_figure(PAGE_WIDTH, min(0.75 + 1.15 * rows + 0.35, 9.5), title=title, caption=caption)
    axes = figure.subplots(rows, len(picked), sharex=True, sharey="row", squeeze=False)
    bands = {name: band(np.asarray(p)[:, picked], level, failed="missing") for name, p in predictions.items()}
    for d in range(rows):
        # The truth sets the scale: a runaway leaves the panel, it does not flatten it.
        box = limits([x[..., d]], pad=0.2)
        far = box[0] - 10 * (box[1] - box[0]), box[1] + 10 * (box[1] - box[0])
        for j, n in enumerate(picked):
            ax = axes[d, j]
            look = dict(_POINTS, ms=3.0) if kind == "map" else {"linewidth": 1.9}
            ax.plot(t, x[n, :, d], color=TRUE_COLOUR, label="true", alpha=0.85, **look)
            for name, curves in bands.items():
                _seed_band(ax, t, [np.clip(c[j, :, d], *far) for c in curves], name, points=kind == "map")
            if kind == "map":
                ax.plot(t, x[n, :, d], color=UNDERLAY, linewidth=0.5, zorder=1)
        axes[d, 0].set_ylabel(labels[d])
        axes[d, 0].set_ylim(*box)
    for ax in axes[-1]:
        ax.set(xlabel=f"t [{time_unit}]" if time_unit != "time" else "time", xlim=(t[0], t[-1]))
    legend(figure, axes[0, 0])
    return figure


def _label(name: str, unit: str) -> str:
    """Name of a component and its unit; one too long for a row's height is broken before its delay."""
    name = name.replace("[", "\n[") if len(name) > 12 else name
    return f"{name} [{unit}]" if unit else name


def _seed_band(ax: Axes, t: Array, curves: Sequence[Array], name: str, *, points: bool) -> None:
    """Median line and seed band of one model's free runs."""
    median, low, high = curves
    look = model_style(name)
    if points:
        ax.vlines(t, low, high, color=look.colour, alpha=0.3, linewidth=2.0)
        ax.plot(t, median, color=look.colour, label=look.label, **dict(_POINTS, marker=look.marker))
        return
    ax.fill_between(t, low, high, color=look.colour, alpha=0.22, linewidth=0)
    ax.plot(t, median, color=look.colour, linestyle=look.line, linewidth=1.1, label=look.label)


def _counts(seeds: Sequence[int]) -> str:
    return str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]}–{seeds[-1]}"


@styled
def error_growth(
    steps: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    floors: Mapping[str, ArrayLike] | None = None,
    exponents: Mapping[str, tuple[float, float]] | None = None,
    level: float = 0.8,
    trust: float | None = None,
    title: str = "",
    note: str = "",
) -> Figure:
    """Error of free runs against horizon on a logarithmic axis, with the slopes that the largest exponents predict.

        NRMSE(t) ∝ exp(λ₁ t) until it saturates at √2

    Args:
        steps: (T+1,) horizon.
        curves: model → (R, T+1) errors per replica; a non-finite error counts as infinite.
        floors: name → (T+1,) errors of persistence, mean, linear map, analogue.
        exponents: "true" or model → its largest Lyapunov exponent λ₁ and its standard error (NaN where unknown), per
            step; each that lies above twice its error and makes errors grow visibly over the horizon is drawn as a thin
            line of that slope.
        level: share of the seeds inside the band.
        trust: horizon beyond which the truth itself is not trusted.
    """
    t = np.asarray(steps, dtype=np.float64)
    bands = {name: band(c, level) for name, c in curves.items()}
    floor_curves = {name: finite(f) for name, f in (floors or {}).items()}
    low, high = _error_limits([median for median, _, _ in bands.values()], list(floor_curves.values()))
    seeds = sorted({np.shape(c)[0] for c in curves.values()})
    over = f"Lines: median over {_counts(seeds)} seeds; bands: central {percent(level)}" if seeds else ""
    caption = caption_of(
        f"{over}; a diverged run counts as infinite (×: the median does)" if over else "",
        "Grey: floors; a model above them has learned nothing" if floor_curves else "",
        "Two lines of a kind: even and odd steps of a floor that jumps"
        if any(len(strands(f)) > 1 for f in floor_curves.values())
        else "",
        _said(exponents or {}, float(t[-1] - t[0])),
        note,
    )
    figure = new_figure(PAGE_WIDTH * 0.85, 3.4, title=title, caption=caption)
    ax: Axes = figure.subplots()
    for name, curves_of in bands.items():
        banded_line(ax, t, name, curves_of, high)
    for name, curve in floor_curves.items():
        look = model_style(name)
        for part in strands(curve):
            ax.plot(
                t[part], positive(curve)[part], color=look.colour, linestyle=look.line, linewidth=0.9, zorder=1.5,
                label=look.label,
            )  # fmt: skip
    for name, exponent in (exponents or {}).items():
        if _visible(*exponent, float(t[-1] - t[0])) and bands:
            _guide(ax, t, [m for m, _, _ in bands.values()], exponent[0], name)
    if trust is not None and trust < t[-1]:
        ax.axvspan(trust, t[-1], color="#eeeeee", zorder=0, label="truth not trusted")
    ax.set(yscale="log", ylim=(low, high), xlim=(t[0], t[-1]), xlabel="steps", ylabel=PRIMARY.heading)
    legend(figure, ax)
    return figure


def _error_limits(medians: Sequence[Array], floors: Sequence[Array]) -> tuple[float, float]:
    """Limits that hold every median from its first step, and of the floors what lies no decade below them."""
    known = [m[np.isfinite(m) & (m > 0)] for m in medians]
    least = min((float(m.min()) for m in known if m.size), default=0.0) / 10
    return log_limits([*medians, *(np.where(f >= least, f, np.nan) for f in floors)], decades=6)


def _visible(slope: float, error: float, span: float) -> bool:
    """True if an exponent is told apart from zero and its growth would not be drawn as a level."""
    return slope * span > VISIBLE and not slope <= 2.0 * error


def _said(exponents: Mapping[str, tuple[float, float]], span: float) -> str:
    """The exponents in words, each with its standard error."""
    if not exponents:
        return ""
    each = [
        f"{name if name == 'true' else model_style(name).label} {_uncertain(*value)}"
        for name, value in exponents.items()
    ]
    lines = any(_visible(*value, span) for value in exponents.values())
    head = "Thin lines: growth at the largest Lyapunov exponent" if lines else "Largest Lyapunov exponent"
    return f"{head}, per step with its standard error: {', '.join(each)}"


def _uncertain(value: float, error: float) -> str:
    if not np.isfinite(error):
        return f"{value:.3g}"
    zero = " (zero within twice its error)" if abs(value) <= 2.0 * error else ""
    return f"{value:.3g} ± {error:.1g}{zero}"


def _guide(ax: Axes, t: Array, medians: Sequence[Array], slope: float, name: str) -> None:
    """A line of the given slope through the lowest curve at a tenth of the horizon, up to saturation."""
    at = max(len(t) // 10, 1)
    start = min((float(m[at]) for m in medians if np.isfinite(m[at]) and m[at] > 0), default=0.0)
    if start <= 0:
        return
    line = start * np.exp(slope * (t - t[at])) / 1.6
    line[line > np.sqrt(2.0)] = np.nan
    colour, label = (TRUE_COLOUR, "true") if name == "true" else (model_style(name).colour, model_style(name).label)
    style = (0, (4, 2)) if name == "true" else (0, (1, 1.5))
    ax.plot(t, line, color=colour, linewidth=0.9, ls=style, gid="lyapunov-slope", label=f"{label} λ₁", zorder=4)
