"""A page's view of three-dimensional orbits that can be turned: those of the truth and of every model in one box.

Axes: N trajectories, T steps.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import limits, spread
from ddl_dyn.plots.style import model_style
from ddl_dyn.results.comparison.groups import Setting, spoken
from ddl_dyn.results.figures.run_view import RunView

# Trajectories of each, and the largest of the integers that they are rounded to; one more stands for a gap.
_STARTS, _LARGEST, _GAP = 12, 32_000, -32_768


@dataclass(frozen=True)
class SpaceRun:
    """Orbits of one system as integers of 16 bits over the box, −1 to 1 becoming ±32,000.

    Args:
        label: of the model; empty for the truth.   name: printed.   colour: of the model; empty for the truth.
        units: (N, T+1, 3); −32,768 where a state is not finite or far outside the box.
    """

    label: str
    name: str
    colour: str
    units: NDArray[np.int16]


@dataclass(frozen=True)
class OrbitSpace:
    """Three-dimensional orbits of one task.

    Args:
        name: unique on the page.   low, high: (3,), the box of the truth.   state_names: of the three components.
        kind: `flow` or `map`.   runs: the truth first.
    """

    name: str
    low: Array
    high: Array
    state_names: tuple[str, ...]
    kind: str
    runs: tuple[SpaceRun, ...]

    @property
    def data(self) -> str:
        """The orbits and their box as JSON, for the page's script."""
        runs = [
            {
                "colour": run.colour,
                "count": len(run.units),
                "units": base64.b64encode(run.units.astype("<i2").tobytes()).decode(),
            }
            for run in self.runs
        ]
        box = {"low": self.low.tolist(), "high": self.high.tolist(), "names": self.state_names}
        return json.dumps({**box, "kind": self.kind, "runs": runs})


def orbit_space(setting: Setting, name: str) -> OrbitSpace | None:
    """The orbits of a setting whose state has three continuous components; None for another.

    Args:
        setting: whose runs are read.   name: unique on the page.
    """
    views = [RunView(entry.run, label=entry.label, stored_only=True) for entry in setting.entries]
    views = [view for view in views if _three_components(view)]
    if not views or views[0].categorical:
        return None
    first = views[0]
    chosen = spread(len(first.true), _STARTS)
    low, high = np.array([limits([first.true[..., d]], pad=0.06) for d in range(3)]).T
    runs = [SpaceRun("", "truth", "", _units(first.true[chosen], low, high))]
    for view in views:
        colour = model_style(view.label).colour
        runs.append(SpaceRun(view.label, spoken(view.label), colour, _units(view.pred[0, chosen], low, high)))
    return OrbitSpace(name, low, high, tuple(first.names), first.kind, tuple(runs))


def _three_components(view: RunView) -> bool:
    """True where a run keeps free runs (R, N, T+1, 3) over true ones (N, T+1, 3): a stored array may have any shape."""
    shapes = [np.shape(view.arrays.get(name, ())) for name in ("test_true", "test_pred")]
    return [len(shape) for shape in shapes] == [3, 4] and all(shape[-1] == 3 for shape in shapes)


def _units(states: Array, low: Array, high: Array) -> NDArray[np.int16]:
    with np.errstate(invalid="ignore", over="ignore"):
        share = 2 * (np.asarray(states, dtype=np.float64) - low) / (high - low) - 1
        inside = (np.abs(share) <= 1.02).all(axis=-1, keepdims=True)
        return np.where(inside, np.rint(share * _LARGEST), _GAP).astype(np.int16)
