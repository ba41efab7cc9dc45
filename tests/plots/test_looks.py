"""Readable figures: scales of gates, ticks in decimals, floors that jump, points beyond a panel."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from ddl_dyn import plots
from ddl_dyn.plots.bands import strands
from ddl_dyn.plots.gates import gate_look
from ddl_dyn.plots.style import new_figure


@pytest.mark.parametrize(("top", "end"), [(0.35, 0.5), (0.18, 0.2), (1.0, 1.0), (1.2, 2.0)])
def test_gates_are_paper_at_skip_on_a_range_from_the_data(top, end):
    look = gate_look(np.array([0.0, top]))
    assert look["norm"].vmax == end
    assert to_hex(look["cmap"](look["norm"](0.0))) == "#ffffff"


def test_only_a_reflecting_gate_has_the_other_hue():
    red, _, blue, _ = gate_look([0.0, 0.99])["cmap"](1.0)
    assert red > blue
    look = gate_look([0.0, 1.9])
    red, _, blue, _ = look["cmap"](look["norm"](1.9))
    assert blue > red


def test_a_narrow_logarithmic_axis_has_ticks_in_decimals():
    figure = new_figure(4, 3)
    ax = figure.subplots()
    ax.plot([1, 2], [0.4, 1.8])
    ax.set_yscale("log")
    figure.draw_without_rendering()
    shown = [text.get_text() for text in ax.get_yticklabels() if text.get_text()]
    assert len(shown) >= 2
    assert not any("10" in text or "times" in text for text in shown)


def test_a_floor_that_jumps_is_two_lines_and_a_smooth_one_is_one():
    jumping = np.where(np.arange(40) % 2, 1e-3, 1.4)
    even, odd = strands(jumping)
    np.testing.assert_array_equal(jumping[even], np.full(20, 1.4))
    np.testing.assert_array_equal(jumping[odd], np.full(20, 1e-3))
    (whole,) = strands(np.exp(-0.1 * np.arange(40)))
    assert len(whole) == 40
    # Noise changes its direction too, but neither always nor by much.
    assert len(strands(1 + 0.1 * np.random.default_rng(0).random(40))) == 1


def test_one_runaway_does_not_set_the_axis_of_a_comparison():
    rows = [
        {"task": "t", "model": m, "protocol": "p", "horizon": "20 steps", "median": v, "low": v / 1.1, "high": v * 1.1}
        for m, v in (("ddl", 0.1), ("resnet", 0.2), ("highway", 0.3), ("lstm", 4e7))
    ]
    ax = plots.interval_chart(rows).axes[0]
    assert ax.get_xlim()[1] < 10
    assert [line for line in ax.lines if line.get_gid() == "diverged"]


def test_at_most_sixteen_arrows_a_side():
    axis = np.linspace(-1, 1, 41)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    figure = plots.phase_portrait(
        np.zeros((2, 5, 2)), np.zeros((1, 2, 5, 2)), grid=grid, step_true=-grid, step_model=-grid
    )
    fields = [c for c in figure.axes[0].collections if c.get_gid() == "step-field"]
    assert [len(field.get_offsets()) for field in fields] == [16 * 16]


def test_an_attractor_is_drawn_inside_the_truths_box():
    t = np.linspace(0, 40, 800)
    true = np.stack([np.cos(t), np.sin(t), np.cos(3 * t)], axis=-1)
    gone = true.copy()
    gone[400:] = 1e12
    figure = plots.attractor_3d(true, {"ddl": gone})
    whole, half = (len(ax.collections[0].get_segments()) for ax in figure.axes)
    assert (whole, half) == (799, 399)
    with pytest.raises(ValueError, match="three"):
        plots.attractor_3d(true[:, :2], {"ddl": gone})
