"""A long run as a signal: power spectra, recurrence plots, return maps, bifurcation diagrams.

Axes: R replicas, F frequencies, T steps, D state components, P points, K parameter values, M samples per parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from ddl_dyn.config.formats import percent
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import band, finite, limits, log_limits, spread
from ddl_dyn.plots.style import PAGE_WIDTH, TRUE_COLOUR, UNDERLAY, caption_of, legend, model_style, new_figure, styled

_BIFURCATIONS = {"flip": ("v", "flip"), "fold": ("d", "fold"), "neimark_sacker": ("o", "Neimark–Sacker")}


@styled
def power_spectra(
    frequencies: ArrayLike,
    true: ArrayLike,
    models: Mapping[str, ArrayLike],
    *,
    level: float = 0.8,
    logarithmic_frequency: bool = False,
    frequency_unit: str = "",
    title: str = "",
    note: str = "",
) -> Figure:
    """Power spectra of long free runs over the truth's, on a logarithmic axis.

    Args:
        frequencies: (F,) in cycles per unit of time.
        true: (F,) power of the true signal.
        models: model → (R, F).
        level: share of the seeds inside the band.
    """
    f, truth = np.asarray(frequencies, dtype=np.float64), finite(true)
    keep = f > 0 if logarithmic_frequency else np.ones(f.shape, dtype=bool)
    caption = caption_of(f"Black: truth; lines: median over seeds; bands: central {percent(level)}", note)
    figure = new_figure(PAGE_WIDTH * 0.75, 3.1, title=title, caption=caption)
    ax: Axes = figure.subplots()
    ax.plot(f[keep], _positive(truth[keep]), color=TRUE_COLOUR, linewidth=2.0, alpha=0.85, label="true")
    for name, power in models.items():
        look = model_style(name)
        median, low, high = band(np.asarray(power)[:, keep], level, failed="missing")
        ax.fill_between(f[keep], _positive(low), _positive(high), color=look.colour, alpha=0.2, linewidth=0)
        ax.plot(f[keep], _positive(median), color=look.colour, linestyle=look.line, linewidth=1.1, label=look.label)
    ax.set(yscale="log", ylim=log_limits([truth[keep]], decades=8, pad=0.12), ylabel="power")
    if logarithmic_frequency:
        ax.set_xscale("log")
    # Past the last frequency that shows there is only round-off.
    shown = np.flatnonzero(np.nan_to_num(truth[keep]) > ax.get_ylim()[0])
    last = f[keep][min(shown[-1] + max(len(shown) // 20, 1), keep.sum() - 1)] if shown.size else f[keep][-1]
    ax.set(xlim=(f[keep][0], last), xlabel=f"frequency [{frequency_unit}]" if frequency_unit else "frequency")
    legend(figure, ax)
    return figure


def _positive(values: Array) -> Array:
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


@styled
def recurrence_plot(
    true: ArrayLike,
    models: Mapping[str, ArrayLike],
    *,
    dt: float = 1.0,
    threshold: float = 0.2,
    time_unit: str = "time",
    title: str = "",
    note: str = "",
) -> Figure:
    """Recurrence plot: the pairs of times at which a run is in nearly the same state.

        R(i, j) = 1 where ‖xᵢ − xⱼ‖ ≤ ε

    Diagonals at equal distance mean a period; broken ones chaos; a filled block a fixed point.

    Args:
        true: (T+1, D) one true run.
        models: model → (T+1, D) one free run.
        threshold: ε as a multiple of the true run's root-mean-square distance from its mean.
    """
    runs = {"true": finite(true), **{k: finite(v) for k, v in models.items()}}
    truth = runs["true"]
    known = truth[np.isfinite(truth).all(axis=1)]
    scale = float(np.sqrt(np.sum(known.var(axis=0)))) if len(known) else 0.0
    side = min(PAGE_WIDTH / len(runs), 3.0)
    caption = caption_of(
        f"Dark: two states closer than {threshold:g} of the true run's spread; in brackets: the share of such pairs",
        note,
    )
    figure = new_figure(side * len(runs), side + 0.55 + 0.2 * bool(title), title=title, caption=caption)
    axes = figure.subplots(1, len(runs), sharex=True, sharey=True, squeeze=False)[0]
    for ax, (name, states) in zip(axes, runs.items(), strict=True):
        near = recurrences(states, threshold * scale)
        end = dt * (len(states) - 1)
        colour = TRUE_COLOUR if name == "true" else model_style(name).colour
        ax.imshow(~near, cmap="gray", vmin=0, vmax=1, extent=(0, end, 0, end), interpolation="antialiased")
        ax.set_title(
            f"{name if name == 'true' else model_style(name).label} ({percent(float(near.mean()), 1)})", color=colour
        )
        ax.set_xlabel(f"t [{time_unit}]" if time_unit != "time" else "time")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes[0].set_ylabel(f"t [{time_unit}]" if time_unit != "time" else "time")
    return figure


def recurrences(states: Array, radius: float, *, most: int = 800) -> NDArray[np.bool_]:
    """Recurrence matrix of a run; a state that is not finite recurs nowhere.

    Args:
        states: (T+1, D).   radius: largest Euclidean distance of a recurrence, in the unit of the states.
        most: largest number of times kept, spread evenly.
    Returns:
        (K, K), K = min(most, T+1).
    """
    x = states[spread(len(states), most)]
    bad = np.asarray(~np.isfinite(x).all(axis=1))
    x = np.where(bad[:, None], 0.0, x)
    square = np.sum(x**2, axis=1)
    distance = np.maximum(square[:, None] + square[None] - 2.0 * (x @ x.T), 0.0)
    near: NDArray[np.bool_] = (distance <= radius**2) & ~bad[:, None] & ~bad[None]
    return near


@styled
def return_map(
    true: ArrayLike,
    models: Mapping[str, ArrayLike],
    *,
    name: str = "maximum",
    title: str = "",
    note: str = "",
) -> Figure:
    """Return map: each value of a sequence (successive maxima, crossings) against the one before.

    Args:
        true: (P,) the sequence along a true run; NaN separates runs.
        models: model → (P',) the sequence along its free run.
        name: what the values are, for example "maximum of z".
    """
    truth = finite(true).ravel()
    # Most of each model's values too: of a cycle the truth has but one, and a model's may lie beside it.
    held = [v for v in map(finite, models.values()) if np.isfinite(v).any()]
    box = limits([truth, *(np.nanquantile(v, [0.1, 0.9]) for v in held)])
    columns = 1 + len(models)
    side = min(PAGE_WIDTH / columns, 3.0)
    figure = new_figure(
        side * columns, side + 0.7 + 0.2 * bool(title), title=title, caption=caption_of("Light grey: truth", note)
    )
    axes = figure.subplots(1, columns, sharex=True, sharey=True, squeeze=False)[0]
    for ax, key in zip(axes, [None, *models], strict=True):
        colour = TRUE_COLOUR if key is None else model_style(key).colour
        values = truth if key is None else finite(models[key]).ravel()
        ax.plot(box, box, color="#bbbbbb", linewidth=0.7, zorder=0, gid="diagonal")
        if key is not None:
            ax.plot(truth[:-1], truth[1:], ls="none", marker="o", ms=3.4, mew=0, color=UNDERLAY)
        ax.plot(values[:-1], values[1:], ls="none", marker="o", ms=1.9, mew=0, color=colour, gid="returns")
        ax.set_title("true" if key is None else model_style(key).label, color=colour)
        ax.set(xlim=box, ylim=box, xlabel=f"{name}, nth")
        ax.xaxis.set_major_locator(MaxNLocator(4))
    axes[0].set_ylabel(f"{name}, next")
    return figure


@styled
def bifurcation_diagram(
    parameter: ArrayLike,
    true: ArrayLike,
    models: Mapping[str, ArrayLike],
    *,
    marks_true: Sequence[tuple[float, str]] = (),
    marks_model: Mapping[str, Sequence[tuple[float, str]]] | None = None,
    parameter_name: str = "r",
    state_name: str = "x",
    title: str = "",
    note: str = "",
) -> Figure:
    """Orbit diagram of the truth above each model's, with the bifurcations located on both.

    Args:
        parameter: (K,).
        true: (K, M) states visited after the transient at each parameter value.
        models: model → (K, M).
        marks_true, marks_model: (parameter value, kind) pairs; kind is "flip", "fold" or "neimark_sacker".
    """
    p, truth = np.asarray(parameter, dtype=np.float64), finite(true)
    marks = {"": tuple(marks_true), **{k: tuple(v) for k, v in (marks_model or {}).items()}}
    unknown = {kind for found in marks.values() for _, kind in found} - set(_BIFURCATIONS)
    if unknown:
        raise ValueError(f"unknown bifurcation {sorted(unknown)[0]!r}; valid: {', '.join(_BIFURCATIONS)}")
    caption = caption_of("Grey lines: the true bifurcation points; coloured: those located on the model", note)
    rows = 1 + len(models)
    figure = new_figure(PAGE_WIDTH, 1.75 * rows + 0.85, title=title, caption=caption)
    axes = figure.subplots(rows, 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    box = _shared_limits(truth, [finite(values) for values in models.values()])
    for ax, key in zip(axes, ["", *models], strict=True):
        colour = model_style(key).colour if key else TRUE_COLOUR
        values = finite(models[key]) if key else truth
        for at, _ in marks_true:
            ax.axvline(at, color="#aaaaaa", linewidth=0.8, linestyle="--", zorder=0, gid="true-bifurcation")
        many = values.size > 20_000
        ax.plot(
            np.repeat(p, values.shape[1]), values.ravel(), ls="none", marker=".", ms=1.0 if many else 1.6, mew=0,
            color=colour, alpha=0.7 if many else 0.9, rasterized=True,
        )  # fmt: skip
        for at, kind in marks.get(key, ()):
            ax.plot(
                at, 0.97, marker=_BIFURCATIONS[kind][0], ms=5, mfc="white", mec=colour, mew=1.2, ls="none",
                transform=ax.get_xaxis_transform(), gid="bifurcation", zorder=5,
            )  # fmt: skip
        ax.set(ylim=box, xlim=(p[0], p[-1]), ylabel=state_name)
        ax.set_title(model_style(key).label if key else "true", color=colour)
    axes[-1].set_xlabel(parameter_name)
    kinds = dict.fromkeys(kind for found in marks.values() for _, kind in found)
    legend(
        figure,
        handles=[
            Line2D([], [], ls="none", marker=_BIFURCATIONS[k][0], mfc="white", mec="#333333", label=_BIFURCATIONS[k][1])
            for k in kinds
        ],
    )
    return figure


def _shared_limits(truth: Array, models: Sequence[Array]) -> tuple[float, float]:
    """Limits that hold the truth, and of the models what lies near it: a runaway must not flatten the diagram."""
    low, high = limits([truth], pad=0.0)
    # A diagram of amplitudes may be nearly flat, with the model's well beside it and yet close.
    room = max(high - low, 0.25 * max(abs(low), abs(high)))
    near = [np.where((v > low - room) & (v < high + room), v, np.nan) for v in models]
    return limits([truth, *near], pad=0.12)
