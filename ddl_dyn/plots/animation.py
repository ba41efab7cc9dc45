"""A free run moving in the phase plane, as an animated GIF.

Axes: T steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike
from PIL import Image

from ddl_dyn.config.files import replacing
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import finite, limits, spread
from ddl_dyn.plots.portrait import Kind
from ddl_dyn.plots.style import TRUE_COLOUR, UNDERLAY, legend, model_style, new_figure, style, styled

_DPI = 110


@dataclass(frozen=True)
class OrbitAnimation:
    """Orbits that move in the phase plane.

    Args:
        figure: axes and trails, still empty.   movers: states (T+1, 2), trail and head of each orbit.
        frames: most frames written; longer orbits are thinned.   fps: frames per second.
        tail: samples of the orbit drawn behind each state.
    """

    figure: Figure
    movers: Sequence[tuple[Array, Line2D, Line2D]]
    frames: int = 120
    fps: int = 20
    tail: int = 40

    def write(self, stem: Path) -> tuple[Path]:
        """Write the animation as GIF; its path."""
        path = stem.with_name(stem.name + ".gif")
        pictures = self._pictures()
        # Frames of one palette, that of the fullest, need no dithering of their own.
        palette = pictures[-1].quantize(colors=64)
        frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
        with replacing(path) as file:
            frames[0].save(
                file, format="GIF", save_all=True, append_images=frames[1:], duration=round(1000 / self.fps), loop=0
            )
        return (path,)

    def _pictures(self) -> list[Image.Image]:
        """The frames: what stands still is drawn once, and the orbits over a copy of it."""
        canvas: Any = self.figure.canvas
        moving: list[Any] = [line for _, *lines in self.movers for line in lines]
        pictures = []
        with style():
            self.figure.set_dpi(_DPI)
            canvas.draw()
            still = canvas.copy_from_bbox(self.figure.bbox)
            for frame in spread(len(self.movers[0][0]), self.frames):
                canvas.restore_region(still)
                for states, trail, head in self.movers:
                    trail.set_data(*states[max(frame - self.tail, 0) : frame + 1].T)
                    head.set_data(*states[frame : frame + 1].T)
                for line in moving:
                    line.axes.draw_artist(line)
                pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
        return pictures


@styled
def orbit_animation(
    true: ArrayLike,
    runs: Mapping[str, ArrayLike],
    *,
    kind: Kind = "flow",
    state_names: Sequence[str] = ("x", "y"),
    title: str = "",
) -> OrbitAnimation:
    """One true orbit and each model's free run from the same initial state, moving in the phase plane.

    Args:
        true: (T+1, 2).
        runs: model → (T+1, 2); a run vanishes when it is no longer finite.
        kind: "flow" joins the samples by lines; "map" shows points.
    Raises:
        ValueError: when a shape is another.
    """
    truth = finite(true)
    learned = {k: finite(v) for k, v in runs.items()}
    for name, states in {"true": truth, **learned}.items():
        if states.shape != truth.shape or states.ndim != 2 or states.shape[1] != 2:
            raise ValueError(f"{name} must have shape (T+1, 2) like the true orbit, got {states.shape}")
    figure = new_figure(3.6, 3.7, title=title)
    ax: Axes = figure.subplots()
    ax.set(xlim=limits([truth[:, 0]]), ylim=limits([truth[:, 1]]), xlabel=state_names[0], ylabel=state_names[1])
    look: dict[str, Any] = (
        {"ls": "-", "lw": 0.7} if kind == "flow" else {"ls": "none", "marker": "o", "ms": 2, "mew": 0}
    )
    ax.plot(*truth.T, color=UNDERLAY, zorder=0, **look)
    movers = [_mover(ax, truth, "true", TRUE_COLOUR, "o", look)]
    for name, states in learned.items():
        its = model_style(name)
        movers.append(_mover(ax, states, its.label, its.colour, its.marker, look))
    legend(figure, ax)
    return OrbitAnimation(figure, movers)


def _mover(
    ax: Axes, states: Array, label: str, colour: str, marker: str, look: Mapping[str, object]
) -> tuple[Array, Line2D, Line2D]:
    """The trail and the head of one orbit."""
    shown: dict[str, Any] = {**look, "lw": 1.4} if look["ls"] == "-" else dict(look)
    (trail,) = ax.plot([], [], color=colour, zorder=2, **shown)
    (head,) = ax.plot([], [], ls="none", marker=marker, ms=6, mec="white", mew=0.6, color=colour, label=label, zorder=3)
    return np.asarray(states), trail, head
