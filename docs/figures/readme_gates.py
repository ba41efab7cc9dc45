"""README's first picture: the phase portrait of a bouncing ball that a DDL stack has learned, beside its gate β.

    ddl-dyn run with task=bouncing_ball seeds=3
    python docs/figures/readme_gates.py last

draws the replica with the median validation error of that run into docs/figures/readme_gates.png.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ddl_dyn.plots import style
from ddl_dyn.plots.gates import gate_bar, gate_look
from ddl_dyn.plots.portrait import draw_learned
from ddl_dyn.plots.style import PAGE_WIDTH, model_style, new_figure
from ddl_dyn.results.figures.run_view import RunView
from ddl_dyn.runs import find_run

CAPTION = (
    "Free runs of 100 steps from unseen initial states over the true ones (grey), and gate β of the layer that acts: "
    "paper where it skips, purple where β > 1 and the operator reflects. Nothing told the stack where the wall is: β "
    "passes 1 (solid line) only near it, and only for a ball that falls, here with some speed."
)


def main(run: str, runs: str = "runs") -> None:
    """Draw a run's picture.

    Args:
        run: its id, or `last`.   runs: the folder it lies in.
    """
    view = RunView(find_run(run, Path(runs)))
    grid = view.square(view.arrays["portrait_grid"])
    gates = np.stack([view.square(gate) for gate in view.arrays["gate_beta"][view.chosen][..., 0]])
    # The layer whose gate moves most.
    gate = gates[np.ptp(gates, axis=(1, 2)).argmax()]
    x, y = grid[:, 0, 0], grid[0, :, 1]
    with style.style():
        figure = new_figure(PAGE_WIDTH, 3.6, caption=CAPTION)
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        look = model_style("ddl")
        draw_learned(left, view.true, view.pred[:1], "map", look.colour, 5)
        left.set_title("free runs of a DDL stack", color=look.colour)
        image = right.pcolormesh(x, y, gate.T, shading="gouraud", rasterized=True, **gate_look(gates))
        right.contour(x, y, gate.T, [1.0], colors="#222222", linewidths=1.1)
        right.plot(*view.true[:6].reshape(-1, 2).T, ls="none", marker="o", ms=1.4, mew=0, color="#666666", alpha=0.7)
        right.set_title("its gate β")
        for ax in (left, right):
            ax.axvline(0.0, color="#222222", linewidth=0.8, linestyle=":")
            ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel="height")
        right.text(0.02, y[-1] * 0.93, " wall", fontsize=7, color="#444444", va="top")
        left.set_ylabel("velocity")
        gate_bar(figure, image, [right])
        figure.savefig(Path(__file__).with_name("readme_gates.png"), dpi=200)


if __name__ == "__main__":
    main(*sys.argv[1:])
