"""Figures of sweeps: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pytest

from ddl_dyn.plots.sweep import Panel, outcome_matrix, scatter, scores_against


def test_scores_are_drawn_at_their_medians_with_bars_and_levels():
    scores = {0.5: [1.0, 2.0, 3.0], 2.0: [4.0, 5.0, np.inf]}
    figure = scores_against([Panel(title="a", lines={"one": scores}, levels={"linear": 2.5})], axis="β", score="error")
    ax = figure.axes[0]
    line, cut, level = ax.lines
    assert (list(cut.get_xdata()), list(cut.get_ydata())) == ([2.0], [15.0]), "a bar to infinity ends at a mark"
    np.testing.assert_allclose(line.get_ydata(), [2.0, 5.0])
    np.testing.assert_allclose(line.get_xdata(), [0.5, 2.0])
    assert list(level.get_ydata()) == [2.5, 2.5]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.5", "2"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")) == ("β", "error", "a")


def test_a_place_where_most_seeds_failed_is_left_out():
    lines = {"one": {1.0: [1.0, 1.0, 1.0], 2.0: [1.0, np.inf, np.inf]}}
    figure = scores_against([Panel(title="", lines=lines)], axis="x", score="y")
    assert list(figure.axes[0].lines[0].get_xdata()) == [1.0]


def test_labels_keep_their_colour_in_all_panels():
    panels = [
        Panel(title="a", lines={"one": {1.0: [1.0]}}),
        Panel(title="b", lines={"two": {1.0: [1.0]}, "one": {1.0: [2.0]}}),
    ]
    first, second = scores_against(panels, axis="x", score="y").axes
    colours = {line.get_label(): line.get_color() for line in second.lines}
    assert first.lines[0].get_color() == colours["one"] != colours["two"]


def test_outcomes_are_coloured_and_printed():
    figure = outcome_matrix(["a"], ["x", "y"], [["win", ""]], texts=[["win .5", ""]])
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts] == ["win .5", ""]
    assert ax.images[0].get_array().tolist() == [[0, 4]]
    with pytest.raises(ValueError, match="got \\['won'\\]"):
        outcome_matrix(["a"], ["x"], [["won"]])
    with pytest.raises(ValueError, match="1 rows of 2"):
        outcome_matrix(["a"], ["x", "y"], [["win"]])


def test_points_are_where_their_scores_are():
    (ax,) = scatter({"one": ([1.0, 2.0], [3.0, 4.0])}, x="a", y="b").axes
    assert ax.collections[0].get_offsets().tolist() == [[1.0, 3.0], [2.0, 4.0]]


def test_no_panel_is_an_error():
    with pytest.raises(ValueError, match="one panel or more"):
        scores_against([], axis="x", score="y")
