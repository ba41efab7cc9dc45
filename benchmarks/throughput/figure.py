"""The figure: updates × replicas per second against the number of replicas, one panel a model."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from benchmarks.throughput.cells import Cell
from ddl_dyn.plots.style import PAGE_WIDTH, legend, model_style, new_figure, styled

# Colour, marker, line and name of a contestant.
DRAWN = {
    "suite": ("#0072B2", "o", "-", "this suite"),
    "loop": ("#D55E00", "s", (0, (5, 1.6)), "plain loop over seeds"),
    "jax": ("#009E73", "D", (0, (6, 1.5, 1.2, 1.5)), "JAX"),
    "torchode": ("#CC79A7", "v", (0, (1.2, 1.4)), "torchode, per sample"),
    "roofline": ("#8a8a8a", "_", (0, (9, 2)), "matrix products alone"),
}


@styled
def throughput(cells: Sequence[Cell], device: str) -> Figure:
    """Rates of all contestants with their extremes, on logarithmic axes that all panels share.

    Args:
        cells: of one number of threads.   device: what they were measured on.
    """
    models = list(dict.fromkeys(cell.problem.model for cell in cells))
    columns = min(3, len(models))
    rows = -(-len(models) // columns)
    shape = cells[0].problem
    figure = new_figure(
        PAGE_WIDTH,
        1.0 + 1.75 * rows,
        caption=f"{device}; {shape.threads} thread, d = {shape.dim}, {shape.hidden} hidden units, batch {shape.batch}, "
        f"{shape.steps} steps, AdamW. Bars: lowest and highest of the samples.",
    )
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for ax, model in zip(axes, models, strict=False):
        mine = [cell for cell in cells if cell.problem.model == model]
        for name, (colour, marker, line, label) in DRAWN.items():
            points = [(c.problem.replicas, c.median(name), c.found[name].rates) for c in mine if name in c.found]
            points = [p for p in points if p[2]]
            if not points:
                continue
            R, median, rates = zip(*points, strict=True)
            bars = [[m - min(s) for m, s in zip(median, rates, strict=True)]]
            bars.append([max(s) - m for m, s in zip(median, rates, strict=True)])
            ax.errorbar(R, median, yerr=bars, color=colour, marker=marker, ls=line, label=label, elinewidth=0.7)
        ticks = sorted({cell.problem.replicas for cell in mine})
        ax.set(xscale="log", yscale="log", title=_title(model))
        ax.xaxis.set(major_locator=FixedLocator(ticks), minor_locator=NullLocator())
        ax.xaxis.set_major_formatter(FixedFormatter([str(t) for t in ticks]))
        ax.grid(True)
    for ax in axes[len(models) :]:
        ax.set_visible(False)
    for i, ax in enumerate(axes[: len(models)]):
        ax.set_xlabel("replicas R" if i + columns >= len(models) else "")
        ax.set_ylabel("updates × replicas / s" if i % columns == 0 else "")
    legend(figure, axes[: len(models)])
    return figure


def _title(model: str) -> str:
    key, _, solver = model.partition("(")
    name = model_style(key).label
    return f"{name}, {solver.rstrip(')')}" if solver else name
