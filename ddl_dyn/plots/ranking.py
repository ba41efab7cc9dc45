"""Mean ranks with their critical difference, and survival curves of valid prediction times.

Axes: K times of a survival curve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ddl_dyn.config.formats import percent
from ddl_dyn.metrics.registry import METRICS, PRIMARY
from ddl_dyn.plots.bands import finite
from ddl_dyn.plots.style import PAGE_WIDTH, caption_of, legend, model_style, new_figure, styled


@styled
def ranking(
    ranks: Mapping[str, float],
    difference: float,
    *,
    tied: Sequence[Sequence[str]] = (),
    tasks: int | None = None,
    title: str = "",
    note: str = "",
) -> Figure:
    """Mean ranks with the critical difference, best on top; a bar joins the models that the data cannot tell apart.

    Args:
        ranks: model → mean rank.
        difference: critical difference; a stroke of half its length on either side of each rank.
        tied: groups of models within one critical difference.
        tasks: number of tasks ranked over, for the caption.
    Raises:
        ValueError: when a tied model has no rank.
    """
    for name in (m for group in tied for m in group):
        if name not in ranks:
            raise ValueError(f"tied names {name!r}, which has no rank; ranked: {', '.join(ranks)}")
    order = sorted(ranks, key=ranks.__getitem__)
    place = {name: i for i, name in enumerate(order)}
    over = f" over {tasks} tasks" if tasks else ""
    caption = caption_of(
        f"Mean rank{over}; strokes: half the critical difference on either side, so that models are told apart where "
        "strokes do not overlap",
        "Bars on the right join models that are not" if tied else "",
        note,
    )
    figure = new_figure(PAGE_WIDTH * 0.7, 0.27 * len(order) + 1.3, title=title, caption=caption)
    ax: Axes = figure.subplots()
    for name, i in place.items():
        look = model_style(name)
        ends = [ranks[name] - difference / 2, ranks[name] + difference / 2]
        ax.plot(ends, [i, i], color=look.colour, linewidth=1.4, gid="interval")
        ax.plot(ranks[name], i, marker=look.marker, color=look.colour, markersize=5, ls="none", gid="rank")
    for g, group in enumerate(sorted((sorted(place[m] for m in group) for group in tied), key=lambda r: r[0])):
        at = 1.02 + 0.025 * g
        ax.plot(
            [at, at], [group[0] - 0.2, group[-1] + 0.2], transform=ax.get_yaxis_transform(), color="#333333",
            linewidth=2.4, clip_on=False, solid_capstyle="butt", gid="tied",
        )  # fmt: skip
    ax.set_yticks(range(len(order)), [model_style(m).label for m in order])
    ax.tick_params(axis="y", length=0)
    ax.set(ylim=(len(order) - 0.5, -0.5), xlabel="mean rank (1 is best)")
    ax.grid(axis="x")
    return figure


@styled
def survival_curves(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]],
    *,
    censored: Mapping[str, ArrayLike] | None = None,
    horizon: float | None = None,
    xlabel: str = METRICS["vpt"].title,
    threshold: float | None = None,
    level: float = 0.95,
    title: str = "",
    note: str = "",
) -> Figure:
    """Kaplan–Meier curves: the share of free runs still within the error threshold.

    Args:
        curves: model → (times (K,), survival (K,), low (K,), high (K,)); the curve starts at 1.
        censored: model → times at which runs ended while still valid, marked by ticks.
        horizon: end of the axis.
        threshold: θ of the valid prediction time, for the caption.
    """
    limit = f" {PRIMARY.title} ≤ {threshold:g}" if threshold is not None else " the threshold"
    caption = caption_of(
        f"Share of free runs still within{limit} (Kaplan–Meier) with {percent(level)} bands",
        "Ticks: runs still valid when they ended" if censored else "",
        note,
    )
    figure = new_figure(PAGE_WIDTH * 0.7, 3.0, title=title, caption=caption)
    ax: Axes = figure.subplots()
    end = (
        horizon if horizon is not None else max((float(np.max(c[0], initial=0.0)) for c in curves.values()), default=1)
    )
    for name, (times, survival, low, high) in curves.items():
        look = model_style(name)
        t, s, a, b = (finite(v) for v in (times, survival, low, high))
        if t.size == 0 or t[0] > 0:
            t, s, a, b = (
                np.concatenate([[first], v]) for first, v in zip((0.0, 1.0, 1.0, 1.0), (t, s, a, b), strict=True)
            )
        if t[-1] < end:
            t = np.append(t, end)
            s, a, b = (np.append(v, v[-1]) for v in (s, a, b))
        ax.fill_between(t, a, b, step="post", color=look.colour, alpha=0.15, linewidth=0)
        ax.step(t, s, where="post", color=look.colour, linestyle=look.line, label=look.label)
        marks = finite((censored or {}).get(name, ()))
        if marks.size:
            at = s[np.clip(np.searchsorted(t, marks, side="right") - 1, 0, None)]
            ax.plot(marks, at, ls="none", marker="|", ms=6, color=look.colour, gid="censored")
    ax.set(xlim=(0, end or 1.0), ylim=(0, 1.03), xlabel=xlabel, ylabel="share still valid")
    legend(figure, ax)
    return figure
