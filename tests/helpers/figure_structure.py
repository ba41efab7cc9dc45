"""Parts of a figure that tests look for, and small exact data to draw: used by the tests of the figures.

Axes: R replicas, N trajectories, T steps, G grid points.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure


def rotation_runs(r: int = 3, n: int = 4, t: int = 30) -> tuple[Any, Any]:
    """A rotation by 0.2 a step and replicas of it that are slightly off."""
    rng = np.random.default_rng(0)
    start = rng.uniform(-1, 1, n) + 1j * rng.uniform(-1, 1, n)
    angle = 0.2 * np.arange(t + 1)
    z = start[:, None] * np.exp(1j * angle)
    off = z[None] * np.exp(1j * 0.01 * np.arange(1, r + 1)[:, None, None] * angle)
    return np.stack([z.real, z.imag], -1), np.stack([off.real, off.imag], -1)


def plane(g: int = 9, indexing: Any = "xy") -> tuple[Any, Any]:
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, g), np.linspace(-2, 2, g), indexing=indexing), -1)
    return grid, 0.1 * np.stack([grid[..., 1], -grid[..., 0]], -1)


def gids(figure: Figure, gid: str) -> list[Any]:
    return figure.findobj(lambda a: a.get_gid() == gid)


def labels(figure: Figure) -> list[str]:
    return [t.get_text() for legend in figure.legends for t in legend.get_texts()]


def caption(figure: Figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


def draw(figure: Figure) -> Figure:
    figure.draw_without_rendering()
    return figure
