"""Data that failed: every figure draws, without a warning, when all or nearly all of what it shows is not finite.

Axes: R replicas, N trajectories, T steps, G grid points.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from ddl_dyn import plots
from ddl_dyn.plots.radius import RadiusPanel
from tests.helpers.figure_structure import draw, gids, plane

pytestmark = pytest.mark.usefixtures("no_warnings")

GRID, STEP = plane(5)
TRUE = np.random.default_rng(0).normal(size=(1, 6, 2))
LOST = np.full((1, 1, 6, 2), np.nan)
ROW = {"task": "a", "model": "ddl", "protocol": "carry = latent", "horizon": "20 steps"}


def nan(*shape: int) -> Any:
    return np.full(shape, np.nan)


FAILED: dict[str, Callable[[], Figure]] = {
    "portrait of a lost flow": lambda: plots.phase_portrait(
        TRUE, LOST, grid=GRID, step_true=0 * STEP, step_model=nan(5, 5, 2)
    ),
    "portrait of a lost map": lambda: plots.phase_portrait(TRUE, LOST, kind="map"),
    "streamlines of nothing": lambda: plots.phase_portrait(
        TRUE, LOST, grid=GRID, step_true=0 * STEP, step_model=nan(5, 5, 2), field="streamlines"
    ),
    "portrait of a point": lambda: plots.phase_portrait(0 * TRUE, np.zeros((1, 1, 6, 2)), isotropic=True),
    "portrait of a lost truth": lambda: plots.phase_portrait(nan(1, 6, 2), LOST),
    "lost in three dimensions": lambda: plots.phase_portrait_3d(np.zeros((1, 6, 3)), nan(1, 1, 6, 3)),
    "lost map in three dimensions": lambda: plots.phase_portrait_3d(nan(1, 6, 3), nan(1, 1, 6, 3), kind="map"),
    "lost trajectories": lambda: plots.trajectories(np.arange(6.0), TRUE, {"ddl": LOST}),
    "trajectories near overflow": lambda: plots.trajectories(
        np.arange(6.0), TRUE, {"ddl": np.full((3, 1, 6, 2), 1e308)}
    ),
    "no training": lambda: plots.training_curves(np.empty(0), np.empty((0, 3)), np.empty((0, 3)), np.empty(0)),
    "one epoch": lambda: plots.training_curves([1], np.ones((1, 3)), np.ones((1, 3)), [5]),
    "training lost at once": lambda: plots.training_curves(np.arange(4), nan(4, 3), nan(4, 3), [1, 2, 3, 4]),
    "lost errors": lambda: plots.error_growth(np.arange(6.0), {"ddl": nan(3, 6)}, exponents={"true": (0.1, 0.01)}),
    "no error": lambda: plots.error_growth(
        np.arange(6.0), {"ddl": np.zeros((3, 6))}, exponents={"true": (0.1, np.nan), "ddl": (-1.0, 0.1)}
    ),
    "errors lost at every radius": lambda: plots.error_by_radius(
        [RadiusPanel("", {"ddl": (np.array([1.0, 2.0]), nan(2, 3))}, {"mean": (np.array([1.0, 2.0]), nan(2))})]
    ),
    "no error at any radius": lambda: plots.error_by_radius(
        [RadiusPanel("", {"ddl": (np.array([1.0, 2.0]), np.zeros((2, 3)))}, {})]
    ),
    "lost gates": lambda: plots.gate_map(GRID, nan(2, 5, 5)),
    "constant gates": lambda: plots.gate_map(GRID, np.ones((2, 5, 5))),
    "lost eigenvalues": lambda: plots.layer_spectra_plane(nan(1, 3, 2), nan(1, 3, 2)),
    "no frozen operator": lambda: plots.layer_spectra_plane(np.empty((0, 3, 2)), np.ones((2, 3, 2))),
    "lost cobweb": lambda: plots.cobweb(
        [0.0, 1.0], [0.0, 1.0], nan(2), orbit_true=[0, 1, np.nan], orbit_model=[np.nan]
    ),
    "lost nullclines": lambda: plots.nullclines(GRID, 0 * STEP, nan(5, 5, 2)),
    "no basin": lambda: plots.basin_map(GRID, np.full((5, 5), -1), np.full((5, 5), -1)),
    "no crossing": lambda: plots.poincare_section(np.empty((0, 2)), {"ddl": np.empty((0, 2))}),
    "no direction": lambda: plots.direction_field(GRID, np.zeros((1, 5, 5, 2))),
    "lost spectrum": lambda: plots.power_spectra(np.linspace(0, 1, 5), nan(5), {"ddl": nan(2, 5)}),
    "lost recurrences": lambda: plots.recurrence_plot(nan(5, 2), {"ddl": nan(5, 2)}),
    "no return": lambda: plots.return_map(np.empty(0), {"ddl": np.empty(0)}),
    "lost bifurcations": lambda: plots.bifurcation_diagram([0.0, 1.0], nan(2, 3), {"ddl": nan(2, 3)}),
    "lost through depth": lambda: plots.state_through_depth(nan(3, 4, 4, 2)),
    "lost gate in time": lambda: plots.gate_over_depth_time(nan(1, 1)),
    "lost discrepancy": lambda: plots.discrepancy_spent({"ddl": nan(2, 3)}),
    "lost signal": lambda: plots.signal_propagation([0, 1], {"ddl": nan(2, 2)}, {"ddl": nan(2, 2)}),
    "lost rank": lambda: plots.ranking({"ddl": np.nan}, np.nan),
    "no survival": lambda: plots.survival_curves({}),
    "lost task": lambda: plots.task_portrait(np.arange(3.0), nan(1, 3, 3)),
    "lost wide task": lambda: plots.task_portrait(np.arange(3.0), nan(1, 3, 5)),
    "task at rest": lambda: plots.task_portrait(np.arange(3.0), np.zeros((1, 3, 3)), kind="map"),
}


@pytest.mark.parametrize("case", FAILED, ids=str)
def test_failed_data_are_drawn_without_a_warning(case: str) -> None:
    figure = draw(FAILED[case]())
    for ax in figure.axes:
        assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()


def test_an_exact_model_stands_at_the_left_border_of_the_comparison() -> None:
    exact = {**ROW, "median": 0.0, "low": 0.0, "high": 0.0}
    other = {**ROW, "model": "resnet", "median": 0.5, "low": 0.0, "high": 1e9}
    lost_floor = {**ROW, "model": "mean", "median": np.inf, "low": np.nan, "high": np.nan}
    figure = draw(plots.interval_chart([exact, other, lost_floor]))
    low, high = figure.axes[0].get_xlim()
    (arrow,), (dot,) = gids(figure, "below"), gids(figure, "median")
    assert low < float(arrow.get_xdata()[0]) < low * (high / low) ** 0.05
    assert dot.get_xdata()[0] == 0.5
    # An upper end nine decades away does not set the scale: it leaves the panel, marked.
    assert high < 100
    assert len(gids(figure, "diverged")) == 1
    assert not gids(figure, "floor")
