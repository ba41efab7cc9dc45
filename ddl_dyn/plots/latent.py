"""The latent map off its manifold: exponents along and across it, drift, span of the directions, the far field.

Axes: R replicas, D observed state, H latent state, T steps, d rows, K radii.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from ddl_dyn.config.formats import counted, percent
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import band, banded_line, finite, limits, log_limits
from ddl_dyn.plots.style import PAGE_WIDTH, caption_of, legend, model_style, new_figure, styled

# An exponent that is −∞, a direction that is annihilated, stands at the lower border.
_OFF_COLOUR, _OFF_MARKER = "#555555", "D"
_CURVES = 6


@styled
def latent_map(
    on: ArrayLike,
    off: ArrayLike,
    drift: ArrayLike,
    radii: ArrayLike,
    far: ArrayLike,
    energies: ArrayLike | None = None,
    *,
    neutral: ArrayLike = (),
    model: str = "ddl",
    level: float = 0.8,
    title: str = "",
    note: str = "",
) -> Figure:
    """The latent map of a run in four panels, three where it has no directions k.

    Args:
        on, off: (R, D) and (R, H − D), exponents per step along the manifold of lifted states and across it.
        drift: (R, T+1), ‖h − lift(read h)‖ in model units.
        radii: (K,), growing.   far: (R, K, H), moduli of the eigenvalues of a step's Jacobian there.
        energies: (R, d), shares of the energy of k along its principal directions; None without directions.
        neutral: (R,), number of exponents near zero or above.
        level: share of the seeds inside the bands.
    """
    look, seeds = model_style(model), len(np.asarray(on))
    counts = np.asarray(neutral, dtype=int)
    said = ""
    if counts.size:
        low, high = counts.min(), counts.max()
        said = f"Neutral directions (above −0.005 per step): {low}" + (f" to {high}" if high > low else "")
    caption = caption_of(
        f"Median over {counted(seeds, 'seed')} of {look.label} and central {percent(level)} of them", said, note
    )
    figure = new_figure(PAGE_WIDTH, 5.4, title=title, caption=caption)
    axes = figure.subplots(2, 2).ravel()
    _exponents(axes[0], np.asarray(on, dtype=np.float64), np.asarray(off, dtype=np.float64), model)
    _drift(axes[1], np.asarray(drift, dtype=np.float64), model, level)
    _far(axes[2], np.asarray(radii, dtype=np.float64), np.asarray(far, dtype=np.float64), model)
    if energies is None:
        axes[3].remove()
    else:
        _span(axes[3], np.asarray(energies, dtype=np.float64), model)
    legend(figure, axes[0])
    return figure


def _exponents(ax: Axes, on: Array, off: Array, model: str) -> None:
    look = model_style(model)
    low, high = limits([on, off, [0.0]], pad=0.12)
    for values, colour, marker, label in (
        (on, look.colour, look.marker, "along the manifold"),
        (off, _OFF_COLOUR, _OFF_MARKER, "across it"),
    ):
        places = np.arange(1, values.shape[1] + 1) + (0 if values is on else on.shape[1])
        # −∞, a direction that is annihilated, at the border.
        shown = np.where(np.isneginf(values), low, values)
        ax.plot(
            np.tile(places, len(values)), shown.ravel(), ls="none", marker=marker, ms=4, color=colour, alpha=0.7,
            label=label, gid="exponents",
        )  # fmt: skip
    ax.axhline(0.0, color="#888888", linewidth=0.7, linestyle=":", zorder=0, gid="reference")
    ax.set(ylim=(low, high), xlabel="number of the exponent", ylabel="exponent [1/step]", title="transverse exponents")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))


def _drift(ax: Axes, drift: Array, model: str, level: float) -> None:
    curves = band(drift, level)
    low, high = log_limits([curve[1:] for curve in curves], decades=8)
    banded_line(ax, np.arange(drift.shape[1], dtype=np.float64), model, curves, high)
    ax.set(yscale="log", ylim=(low, high), xlim=(0, drift.shape[1] - 1), xlabel="step t")
    ax.set(ylabel="‖h − lift(read h)‖", title="drift from the manifold")


def _far(ax: Axes, radii: Array, far: Array, model: str) -> None:
    look, middle = model_style(model), np.nanmedian(finite(far), axis=0)
    for i in np.unique(np.linspace(0, middle.shape[1] - 1, min(_CURVES, middle.shape[1])).round().astype(int)):
        ax.plot(radii, middle[:, i], color=look.colour, marker="o", ms=3, linewidth=1.0, alpha=0.8, gid="moduli")
    ax.axhline(1.0, color="#888888", linewidth=0.7, linestyle=":", zorder=0, gid="reference")
    ax.set(xscale="log", xlabel="distance [lengths of a lifted state]", ylabel="|eigenvalue| of a step")
    ax.set(ylim=limits([middle, [1.0]], pad=0.1), title="linear part far away")


def _span(ax: Axes, energies: Array, model: str) -> None:
    look, places = model_style(model), np.arange(1, energies.shape[1] + 1)
    ax.bar(places, np.median(energies, axis=0), width=0.7, color=look.colour, alpha=0.55, gid="energies")
    ax.plot(np.tile(places, len(energies)), energies.ravel(), ls="none", marker=".", ms=3, color="#333333")
    dimension = float(np.median(1.0 / (energies**2).sum(axis=1)))
    ax.set(xlabel="principal direction", ylabel="share of energy of k", ylim=(0.0, None))
    ax.set_title(f"span of k: {dimension:.2g} of {energies.shape[1]} dimensions")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
