"""State tracking: accuracy at every length, far past the lengths that were trained.

Axes: R replicas, T lengths.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ddl_dyn.config.formats import percent
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import band
from ddl_dyn.plots.style import PAGE_WIDTH, caption_of, legend, model_style, new_figure, styled


@styled
def tracking_accuracy(
    accuracy: Mapping[str, ArrayLike],
    sequence: Mapping[str, ArrayLike],
    *,
    chance: float | None = None,
    trained: int | None = None,
    words: int | None = None,
    level: float = 0.8,
    title: str = "",
    note: str = "",
) -> Figure:
    """Share of words whose state is right after t tokens, and after each of the first t tokens, at every length t.

    Args:
        accuracy, sequence: model → (R, T) shares at lengths 1 … T, from `metrics.token_accuracy` and
            `metrics.sequence_accuracy`.
        chance: accuracy of guessing.
        trained: longest length trained on.
        words: number of words behind each share, for the caption.
        level: share of the seeds inside the band.
    Raises:
        ValueError: when the two do not name the same models, or a shape is not (R, T).
    """
    if list(accuracy) != list(sequence):
        raise ValueError(f"both need the same models, got {', '.join(accuracy)} and {', '.join(sequence)}")
    seeds = sorted({np.shape(values)[0] for values in accuracy.values()})
    count = "–".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1])))
    over = f", {words} unseen words" if words else ""
    caption = caption_of(
        f"Median over {count} seeds and central {percent(level)} of them{over}",
        "Shaded: the lengths trained on" if trained else "",
        note,
    )
    figure = new_figure(PAGE_WIDTH, 2.8, title=title, caption=caption)
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    panels = ((accuracy, "right after t tokens"), (sequence, "right throughout t tokens"))
    for ax, (curves, label) in zip(axes, panels, strict=True):
        longest = 1
        for name, values in curves.items():
            shares = np.asarray(values, dtype=np.float64)
            if shares.ndim != 2:
                raise ValueError(f"shares of {name} must have shape (R, T), got {shares.shape}")
            longest = max(longest, shares.shape[1])
            _curve(ax, shares, name, level)
        if trained:
            ax.axvspan(1, trained, color="#eeeeee", zorder=0, linewidth=0, label="trained", gid="trained")
        if chance is not None and ax is axes[0]:
            ax.axhline(chance, color="#777777", linewidth=0.9, linestyle=":", label="chance", gid="chance")
        ax.set(ylim=(-0.03, 1.03), xlim=(1, longest), xlabel="length t [tokens]", ylabel=f"share {label}")
    legend(figure, axes)
    return figure


def _curve(ax: Axes, shares: Array, name: str, level: float) -> None:
    look = model_style(name)
    lengths = np.arange(1, shares.shape[1] + 1)
    median, low, high = band(shares, level)
    ax.fill_between(lengths, low, high, color=look.colour, alpha=0.2, linewidth=0)
    ax.plot(
        lengths, median, color=look.colour, linestyle=look.line, linewidth=1.2, marker=look.marker, markersize=3.5,
        markevery=max(lengths.size // 8, 1), label=look.label,
    )  # fmt: skip
