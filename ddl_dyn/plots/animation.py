"""A free run moving in the phase plane, as an animated GIF.

Axes: T steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from .bands import Array, finite, limits, spread
from .portrait import Kind
from .style import TRUE_COLOUR, UNDERLAY, legend, model_style, new_figure, style


def orbit_animation(
    path: Path | str,
    true: ArrayLike,
    runs: Mapping[str, ArrayLike],
    *,
    kind: Kind = "flow",
    state_names: Sequence[str] = ("x", "y"),
    frames: int = 120,
    fps: int = 20,
    tail: int = 40,
    title: str = "",
) -> Path:
    """Write an animated GIF of one true orbit and each model's free run from the same initial state.

    Args:
        path: file to write; the suffix .gif is added when it is missing.
        true: (T+1, 2).
        runs: model → (T+1, 2); a run vanishes when it is no longer finite.
        frames: most frames written; longer orbits are thinned.
        fps: frames per second.
        tail: samples of the orbit drawn behind each state.
    Returns:
        path of the file.
    """
    truth = finite(true)
    learned = {k: finite(v) for k, v in runs.items()}
    for name, states in {"true": truth, **learned}.items():
        if states.shape != truth.shape or states.ndim != 2 or states.shape[1] != 2:
            raise ValueError(f"{name} must have shape (T+1, 2) like the true orbit, got {states.shape}")
    out = Path(path)
    out = out if out.suffix == ".gif" else out.with_name(out.name + ".gif")
    out.parent.mkdir(parents=True, exist_ok=True)
    with style():
        figure = new_figure(3.6, 3.7, title=title)
        ax: Axes = figure.subplots()
        ax.set(xlim=limits([truth[:, 0]]), ylim=limits([truth[:, 1]]), xlabel=state_names[0], ylabel=state_names[1])
        look: dict[str, Any] = (
            {"ls": "-", "lw": 0.7} if kind == "flow" else {"ls": "none", "marker": "o", "ms": 2, "mew": 0}
        )
        ax.plot(*truth.T, color=UNDERLAY, zorder=0, **look)
        movers = [_mover(ax, truth, "true", TRUE_COLOUR, "o", look)]
        for name, states in learned.items():
            styled_as = model_style(name)
            movers.append(_mover(ax, states, styled_as.label, styled_as.colour, styled_as.marker, look))
        legend(figure, ax)
        writer = PillowWriter(fps=fps)
        with writer.saving(figure, str(out), dpi=110):
            for frame in spread(len(truth), frames):
                for states, trail, head in movers:
                    trail.set_data(*states[max(frame - tail, 0) : frame + 1].T)
                    head.set_data(*states[frame : frame + 1].T)
                writer.grab_frame()
    return out


def _mover(
    ax: Axes, states: Array, label: str, colour: str, marker: str, look: Mapping[str, Any]
) -> tuple[Array, Line2D, Line2D]:
    """The trail and the head of one orbit."""
    shown: dict[str, Any] = {**look, "lw": 1.4} if look["ls"] == "-" else dict(look)
    (trail,) = ax.plot([], [], color=colour, zorder=2, **shown)
    (head,) = ax.plot([], [], ls="none", marker=marker, ms=6, mec="white", mew=0.6, color=colour, label=label, zorder=3)
    return np.asarray(states), trail, head
