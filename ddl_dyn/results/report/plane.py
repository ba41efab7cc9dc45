"""Phase plane of a page: the step maps of the truth and of every model on a grid, for trajectories from any start.

A page iterates a map as `PlaneMap.step` does: cubic convolution (Catmull–Rom) between the points of the grid, which is
continued beyond its edge by a parabola. How far that is from the map itself is measured on stored free runs.

Axes: R replicas, N trajectories, T steps, P points, G grid points a side.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.style import model_style
from ddl_dyn.results.comparison.groups import Setting, spoken
from ddl_dyn.results.figures.run_view import RunView
from ddl_dyn.runs.result import at

# Points that are put into each cell of the stored grid, along each side: a finer grid makes cubic convolution as good
# as the spline through the stored points.
_REFINED = 2
_LARGEST = 2**15 - 1
# Steps over which the error of iterating is measured.
_ITERATED = 20
# A map on the grid that is this far (in σ, median) from its own stored free runs is another map than they iterate.
_TOLERANCE = 0.01
# True orbits behind the trajectories.
_ORBITS = 8


@dataclass(frozen=True)
class GridError:
    """Distances in σ between iterated grid and stored free runs: median and 95 % quantile, after 1 and T steps.

    Args:
        one: after one step, over all stored states inside the plane.   many: after `steps`, None where no run stays.
        steps: T.
    """

    one: tuple[float, float]
    many: tuple[float, float] | None
    steps: int


@dataclass(frozen=True)
class PlaneMap:
    """The step Φ(x) − x of one system on a grid over a rectangle, as integers of 16 bits.

    Args:
        label: of the model; empty for the truth.   name: printed.   seed: of the replica; None for the truth.
        low, high: (2,), corners of the grid.   scale: (2,), the step of one unit.   units: (G, G, 2), x first.
    """

    label: str
    name: str
    seed: int | None
    low: Array
    high: Array
    scale: Array
    units: NDArray[np.int16]

    @property
    def colour(self) -> str:
        """Colour of the model; empty for the truth."""
        return model_style(self.label).colour if self.label else ""

    @property
    def encoded(self) -> str:
        """The integers, little-endian, in base64."""
        return base64.b64encode(self.units.astype("<i2").tobytes()).decode("ascii")

    @cached_property
    def _nodes(self) -> Array:
        """(G+2, G+2, 2) steps with one more row of points around the grid."""
        wide = _continued(self.units.astype(np.float64) * self.scale)
        return _continued(wide.swapaxes(0, 1)).swapaxes(0, 1)

    def step(self, x: Array) -> Array:
        """Φ(x) for states x (P, 2); NaN outside the grid."""
        side = len(self.units)
        place = (x - self.low) / (self.high - self.low) * (side - 1)
        inside = np.asarray(((place >= 0) & (place <= side - 1)).all(axis=-1))
        known = np.where(inside[:, None], place, 0.0)
        cell = np.minimum(known.astype(int), side - 2)
        weights = cubic_weights(known - cell)
        moved = np.zeros_like(x)
        for i in range(4):
            for j in range(4):
                share = weights[:, 0, i] * weights[:, 1, j]
                moved += share[:, None] * self._nodes[cell[:, 0] + i, cell[:, 1] + j]
        return np.where(inside[:, None], x + moved, np.nan)

    def iterate(self, x: Array, steps: int) -> Array:
        """States (P, steps+1, 2) from x (P, 2); NaN from the step on that would begin outside the grid."""
        states = [np.asarray(x, dtype=np.float64)]
        for _ in range(steps):
            states.append(self.step(states[-1]))
        return np.stack(states, axis=1)


@dataclass(frozen=True)
class PhasePlane:
    """The phase plane of one task.

    Args:
        name: unique on the page.   low, high: (2,), its corners.   maps: the truth first.   errors: one a map.
        state_names: of both axes.   kind: `flow` or `map`.   isotropic: equal scales on both axes.
        start: (2,), an unseen initial state.   steps: as many as are shown at first.   orbits: (N, T+1, 2), true.
        left_out: printed names of models without a map.
    """

    name: str
    low: Array
    high: Array
    maps: tuple[PlaneMap, ...]
    errors: tuple[GridError, ...]
    state_names: tuple[str, ...]
    kind: str
    isotropic: bool
    start: Array
    steps: int
    orbits: Array
    left_out: tuple[str, ...] = ()


def phase_plane(setting: Setting, name: str) -> PhasePlane | None:
    """The phase plane of a setting whose models carry the observed state of two components.

    Args:
        setting: whose runs are read.   name: unique on the page.
    Returns:
        None where the state has another number of components, a latent state is carried, inputs drive the state, or no
        model's map is stored.
    """
    views = [RunView(entry.run, label=entry.label, stored_only=True) for entry in setting.entries]
    known = [view for view in views if _has_plane(view)]
    if not known:
        return None
    first = known[0]
    found = [(one, error) for view in known if (one := _learned(view)) and (error := _of_view(one, view))]
    close = [(one, error) for one, error in found if error.one[0] <= _TOLERANCE]
    if not close:
        return None
    if "portrait_step_true" in first.arrays:
        truth = _quantised("", "truth", None, first, first.arrays["portrait_step_true"])
        error = grid_error(truth, first.true[None], _sigma(first))
        if error is not None and error.one[0] <= _TOLERANCE:
            close.insert(0, (truth, error))
    drawn = {one.label for one, _ in close}
    return PhasePlane(
        name, close[0][0].low, close[0][0].high, tuple(one for one, _ in close), tuple(error for _, error in close),
        tuple(first.names), first.kind, bool(first.task.get("isotropic", False)), first.true[0, 0],
        first.true.shape[1] - 1, first.true[:_ORBITS],
        tuple(spoken(view.label) for view in views if view.label not in drawn),
    )  # fmt: skip


def _has_plane(view: RunView) -> bool:
    observed = at(view.run.config, "model_args.carry") == "observed"
    needed = {"portrait_grid", "portrait_step", "test_true", "test_pred", "sigma"}
    return observed and needed <= set(view.arrays) and view.arrays["portrait_grid"].shape[1:] == (2,)


def _learned(view: RunView) -> PlaneMap | None:
    step = view.arrays["portrait_step"][view.chosen]
    if not np.isfinite(step).all():
        return None
    seed = int(view.run.config.get("seed", 0)) + view.chosen
    return _quantised(view.label, spoken(view.label), seed, view, step)


def _quantised(label: str, name: str, seed: int | None, view: RunView, step: Array) -> PlaneMap:
    """A stored step field (P, 2) through a cubic spline on the finer grid, rounded to 16 bits."""
    grid, values = view.square(view.arrays["portrait_grid"]), view.square(step)
    x, y = grid[:, 0, 0], grid[0, :, 1]
    side = _REFINED * (len(x) - 1) + 1
    fine = (np.linspace(x[0], x[-1], side), np.linspace(y[0], y[-1], side))
    refined = np.stack([RectBivariateSpline(x, y, values[..., d])(*fine) for d in (0, 1)], axis=-1)
    scale = np.abs(refined).max(axis=(0, 1)) / _LARGEST
    scale[scale == 0] = 1.0
    units = np.rint(refined / scale).astype(np.int16)
    return PlaneMap(label, name, seed, grid[0, 0], grid[-1, -1], scale, units)


def _of_view(one: PlaneMap, view: RunView) -> GridError | None:
    return grid_error(one, view.pred[:1].astype(np.float64), _sigma(view))


def _sigma(view: RunView) -> Array:
    return view.sigma[0] if view.sigma.ndim > 1 else view.sigma


def grid_error(one: PlaneMap, runs: Array, sigma: Array, steps: int = _ITERATED) -> GridError | None:
    """Distance of the iterated grid from stored runs of the map itself.

    Args:
        one: the map on its grid.   runs: (R, N, T+1, 2), of the map from unseen starts.   sigma: (2,).
        steps: of the longer comparison, at most T.
    Returns:
        None where no stored state lies inside the grid.
    """
    steps = min(steps, runs.shape[2] - 1)
    flat = runs.reshape(-1, *runs.shape[2:])
    each = _distance(one.step(flat[:, :-1].reshape(-1, 2)), flat[:, 1:].reshape(-1, 2), sigma)
    later = _distance(one.iterate(flat[:, 0], steps)[:, -1], flat[:, steps], sigma)
    if not each.size:
        return None
    return GridError(_typical(each), _typical(later) if later.size else None, steps)


def _distance(given: Array, true: Array, sigma: Array) -> Array:
    """Root mean square over components in units of σ, of the finite ones."""
    apart: Array = np.sqrt((((given - true) / sigma) ** 2).mean(axis=-1))
    known: Array = apart[np.isfinite(apart)]
    return known


def _typical(distances: Array) -> tuple[float, float]:
    return float(np.median(distances)), float(np.quantile(distances, 0.95))


def cubic_weights(t: Array) -> Array:
    """Catmull–Rom weights (…, 4) of four neighbours for places t in [0, 1] between the middle two."""
    return np.stack(
        [
            -0.5 * t + t**2 - 0.5 * t**3,
            1 - 2.5 * t**2 + 1.5 * t**3,
            0.5 * t + 2 * t**2 - 1.5 * t**3,
            -0.5 * t**2 + 0.5 * t**3,
        ],
        axis=-1,
    )


def _continued(nodes: Array) -> Array:
    """One more point at both ends of the first axis, on the parabola through the nearest three."""
    first = 3 * nodes[:1] - 3 * nodes[1:2] + nodes[2:3]
    last = 3 * nodes[-1:] - 3 * nodes[-2:-1] + nodes[-3:-2]
    return np.concatenate([first, nodes, last])
