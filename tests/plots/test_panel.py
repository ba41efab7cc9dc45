"""Single panels of a comparison: limits, the content of a small one, a runaway that leaves the panel."""

from __future__ import annotations

import numpy as np
import pytest

from ddl_dyn import plots

ANGLE = 0.2 * np.arange(60) + np.linspace(0, 6, 5)[:, None]
TRUE = np.stack([np.cos(ANGLE), np.sin(ANGLE)], axis=-1)
AXIS = np.linspace(-2.0, 2.0, 9)
GRID = np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), axis=-1)
FIELDS = {"grid": GRID, "step_true": 0.1 * GRID[..., ::-1], "step_model": 0.1 * GRID}


def test_a_panel_holds_its_whole_plane_and_a_small_one_its_orbits():
    full = plots.plane_panel(TRUE, TRUE[None], model="ddl", **FIELDS).axes[0]
    small = plots.plane_panel(TRUE, TRUE[None], model="ddl", small=True, **FIELDS).axes[0]
    assert full.get_xlim() == pytest.approx((-2.25, 2.25))
    assert small.get_xlim()[1] < 1.3
    assert len(full.collections) == len(small.collections) + 2, "the true and the learned arrows"
    assert list(small.get_xticks()) == []
    assert full.get_xlabel() == "x"


def test_the_truth_alone_has_no_model_in_it():
    figure = plots.plane_panel(TRUE, **FIELDS)
    colours = {line.get_color() for line in figure.axes[0].lines}
    assert "#1a1a1a" in colours
    assert plots.model_style("ddl").colour not in colours
    learned = {line.get_color() for line in plots.plane_panel(TRUE, TRUE[None], model="ddl").axes[0].lines}
    assert plots.model_style("ddl").colour in learned


def test_a_runaway_does_not_flatten_a_course():
    times = np.arange(60.0)
    wild = np.stack([1e6 * times, 2e6 * times, np.full(60, np.nan)])
    axes = plots.course_panel(times, TRUE[0, :, 0], wild, model="ddl").axes[0]
    assert axes.get_ylim()[1] < 2
    median = next(line for line in axes.lines if line.get_color() == plots.model_style("ddl").colour)
    assert np.isfinite(median.get_ydata()).all()
    assert len(plots.course_panel(times, TRUE[0, :, 0]).axes[0].lines) == 1
