"""Structure of the figures that show what a trained map does: planes, spectra, depth, ranks, animation, gallery.

Axes: R replicas, T steps, L layers, G grid points, P points, K parameter values.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection, QuadMesh
from PIL import Image

from ddl_dyn import plots
from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.plots.spectra import recurrences
from tests.helpers.figure_structure import caption, draw, gids, labels, plane, rotation_runs

pytestmark = pytest.mark.usefixtures("no_warnings")


def test_nullclines_lie_where_the_step_vanishes() -> None:
    grid, _ = plane(11)
    # x stays put on y = 0.3, y on x = −0.2.
    step = np.stack([grid[..., 1] - 0.3, grid[..., 0] + 0.2], -1)
    off = step + 0.1
    off[0, 0] = np.nan
    figure = draw(plots.nullclines(grid, step, off, fixed_points_true=[((-0.2, 0.3), "saddle")]))
    true_axes, model_axes = figure.axes
    for d, (column, value) in enumerate(((1, 0.3), (0, -0.2))):
        (drawn,) = [c for c in true_axes.collections if c.get_gid() == f"nullcline-{d}"]
        vertices = np.concatenate([p.vertices for p in drawn.get_paths()])
        assert vertices[:, column] == pytest.approx(np.full(len(vertices), value), abs=1e-12)
        # The true nullcline under the learned one.
        assert len([c for c in model_axes.collections if c.get_gid() == f"nullcline-{d}"]) == 2
    assert labels(figure) == ["x-nullcline", "y-nullcline", "saddle fixed point"]


@pytest.mark.parametrize("indexing", ["xy", "ij"])
def test_basins_hatch_what_is_wrong(indexing: Any) -> None:
    grid, _ = plane(9, indexing)
    truth = (grid[..., 0] > 0).astype(int)
    learned = truth.copy()
    learned[grid[..., 1] > 1.6] = -1
    figure = draw(plots.basin_map(grid, truth, learned, names=("left", "right"), overlap={"ddl": 0.875}))
    assert [a.get_title("left") for a in figure.axes] == ["true", "DDL, IoU 0.875"]
    assert labels(figure) == ["left", "right", "none reached"]
    assert [len([c for c in a.collections if c.get_gid() == "wrong-basin"]) for a in figure.axes] == [0, 1]
    mesh = next(c for c in figure.axes[0].collections if isinstance(c, QuadMesh))
    shown = np.asarray(mesh.get_array()).reshape(9, 9)
    # Rows of the image run along y: the basin changes along each row.
    assert (shown[0] == [0] * 5 + [1] * 4).all()
    same = draw(plots.basin_map(grid, truth, truth))
    assert not gids(same, "wrong-basin")
    assert "Hatched" not in caption(same)
    with pytest.raises(ValueError, match="ddl must have shape"):
        plots.basin_map(grid, truth, truth[:-1])


def test_poincare_section_shows_truth_under_each_model() -> None:
    points = np.random.default_rng(0).normal(size=(50, 2))
    broken = points.copy()
    broken[:10] = np.nan
    figure = draw(plots.poincare_section(points, {"ddl": broken, "gru": points[:7]}, section="z = 27, upwards"))
    assert [len(a.lines) for a in figure.axes] == [1, 2, 2]
    assert "truth 50, DDL 50, GRU 7" in caption(figure)
    assert caption(figure).startswith("Section z = 27, upwards.")


def test_directions_are_headless_and_blind_to_sign() -> None:
    grid, step = plane(7)
    step[0, 0] = 0.0
    step[1, 1] = np.nan

    def strokes(k: Any) -> Any:
        (line,) = gids(plots.direction_field(grid, k), "directions")
        return np.sort(np.stack(line.get_data()).reshape(2, -1, 3)[:, :, :2], axis=-1)

    here, there = strokes(step), strokes(-step)
    # The middle of the field is zero too, so three of 49 strokes are missing.
    assert here.shape == (2, 46, 2)
    assert np.array_equal(here, there)
    figure = draw(plots.direction_field(grid, np.stack([step, step]), beta=np.ones((2, 7, 7))))
    assert [a.get_title("left") for a in figure.axes[:2]] == ["layer 1", "layer 2"]
    assert figure.axes[2].get_ylabel() == "gate β"
    with pytest.raises(ValueError, match="directions must have shape"):
        plots.direction_field(grid, step[:-1])


def test_power_spectra_end_where_the_truth_ends() -> None:
    f = np.linspace(0, 10, 101)
    power = np.exp(-((f - 2.0) ** 2) * 4.0)
    runs = np.stack([power, 2 * power, 3 * power])
    runs[2] = np.nan
    figure = draw(plots.power_spectra(f, power, {"ddl": runs}, frequency_unit="Hz"))
    ax = figure.axes[0]
    assert ax.get_yscale() == "log"
    assert 3.5 < ax.get_xlim()[1] < 6.0
    assert ax.get_xlabel() == "frequency [Hz]"
    assert labels(figure) == ["true", "DDL"]
    draw(plots.power_spectra(f, power, {"ddl": runs}, logarithmic_frequency=True))


def test_recurrence_plot_of_a_period_is_diagonal() -> None:
    t = np.arange(61)
    circle = np.stack([np.cos(2 * np.pi * t / 20), np.sin(2 * np.pi * t / 20)], -1)
    near = recurrences(circle, 1e-6)
    # Exactly the pairs a multiple of the period apart.
    assert np.array_equal(near, (t[:, None] - t[None]) % 20 == 0)
    broken = circle.copy()
    broken[30:] = np.nan
    assert not recurrences(broken, 10.0)[30:].any()
    figure = draw(plots.recurrence_plot(circle, {"ddl": broken}, dt=0.5))
    # Each sample is within 0.2 of itself only (neighbours are 0.31 apart): 61 + 2·(41 + 21 + 1) pairs of 3721.
    assert figure.axes[0].get_title("left") == "true (5.0 %)"
    assert figure.axes[0].images[0].get_extent() == [0, 30, 0, 30]


def test_return_map_plots_successors() -> None:
    values = np.array([1.0, 2.0, np.nan, 3.0, 4.0])
    figure = draw(plots.return_map(values, {"ddl": values + 0.1}, name="maximum of z"))
    line = gids(figure, "returns")[0]
    pairs = np.stack(line.get_data(), -1)
    assert pairs[np.isfinite(pairs).all(axis=1)].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert figure.axes[0].get_xlabel() == "maximum of z, nth"


def test_bifurcations_are_marked_on_both() -> None:
    r = np.linspace(2.8, 3.2, 30)
    states = np.tile(1 - 1 / r[:, None], (1, 5))
    learned = states.copy()
    learned[20:] = np.inf
    figure = draw(
        plots.bifurcation_diagram(
            r,
            states,
            {"ddl": learned},
            marks_true=[(3.0, "flip")],
            marks_model={"ddl": [(3.05, "flip"), (3.1, "fold")]},
        )
    )
    assert len(gids(figure, "true-bifurcation")) == 2
    assert [m.get_xdata()[0] for m in gids(figure, "bifurcation")] == [3.0, 3.05, 3.1]
    assert labels(figure) == ["flip", "fold"]
    with pytest.raises(ValueError, match="unknown bifurcation 'hopf'"):
        plots.bifurcation_diagram(r, states, {}, marks_true=[(3.0, "hopf")])


def test_a_models_branch_beside_a_flat_true_one_is_in_view() -> None:
    p = np.linspace(0, 1, 20)
    true, beside = np.full((20, 3), 2.0), np.full((20, 3), 1.9)
    far = np.where(p[:, None] > 0.5, 1e6, 2.1) * np.ones((20, 3))
    low, high = draw(plots.bifurcation_diagram(p, true, {"ddl": beside, "resnet": far})).axes[0].get_ylim()
    assert low < 1.9 < 2.1 < high < 3


def test_states_through_depth_have_a_panel_per_layer() -> None:
    grid, _ = plane(6)
    mirrored = grid * [1, -1]
    mirrored[0, 0] = np.nan
    figure = draw(plots.state_through_depth(np.stack([grid, mirrored]), model="resnet"))
    assert [a.get_title("left") for a in figure.axes] == ["input", "after layer 1"]
    assert len(gids(figure, "corner")) == 6
    assert "ResNet" in caption(figure)
    with pytest.raises(ValueError, match="L\\+1, G, G, 2"):
        plots.state_through_depth(grid)


@pytest.mark.parametrize("layers", [1, 5])
def test_gates_over_depth_and_time_fill_the_panel(layers: int) -> None:
    beta = np.linspace(0, 2, 20 * layers).reshape(20, layers)
    beta[3, 0] = np.nan
    figure = draw(plots.gate_over_depth_time(beta, times=0.1 * np.arange(20)))
    mesh = next(c for c in figure.axes[0].collections if isinstance(c, QuadMesh))
    assert np.asarray(mesh.get_array()).shape == (layers, 20)
    corners = mesh.get_coordinates()
    assert corners[0, 0].tolist() == pytest.approx([-0.05, 0.5])
    assert corners[-1, -1].tolist() == pytest.approx([1.95, layers + 0.5])
    assert mesh.norm(1.0) == pytest.approx(0.5)


def test_discrepancy_and_initial_statistics_show_median_and_band() -> None:
    spent = np.stack([np.linspace(0, 1.2, 5), np.linspace(0, 1.0, 5), np.full(5, np.nan)])
    figure = draw(plots.discrepancy_spent({"ddl": spent}))
    line = next(line for line in figure.axes[0].lines if line.get_label() == "DDL")
    assert line.get_ydata() == pytest.approx(np.linspace(0, 1.1, 5))
    assert figure.axes[0].get_ylim()[1] > 1.2
    layers = np.arange(5)
    std = {"ddl": np.ones((3, 5)), "resnet": np.exp(layers) * np.ones((3, 1))}
    std["resnet"][:, 4] = np.inf
    figure = draw(plots.signal_propagation(layers, std, {k: np.zeros((3, 5)) for k in std}))
    assert all(a.get_yscale() == "log" for a in figure.axes)
    assert labels(figure) == ["DDL", "ResNet"]
    assert len(gids(figure, "reference")) == 2
    # What is left at the far end is said in words too; a signal that overflowed has no share.
    assert "DDL after 4 layers: 1 of the signal" in caption(figure)
    assert "ResNet after 4 layers: nothing finite of the signal" in caption(figure)


def test_ranking_puts_the_best_on_top_and_joins_ties() -> None:
    ranks = {"resnet": 2.5, "ddl": 1.2, "gru": 2.6}
    figure = draw(plots.ranking(ranks, 0.8, tied=[["resnet", "gru"]], tasks=12))
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["DDL", "ResNet", "GRU"]
    assert ax.yaxis_inverted()
    (bar,) = gids(figure, "tied")
    assert bar.get_ydata() == pytest.approx([0.8, 2.2])
    assert gids(figure, "interval")[0].get_xdata() == pytest.approx([0.8, 1.6])
    assert "12 tasks" in caption(figure)
    with pytest.raises(ValueError, match="'lstm', which has no rank"):
        plots.ranking(ranks, 0.8, tied=[["lstm", "ddl"]])


def test_survival_curves_start_at_one_and_mark_censoring() -> None:
    times, share = np.array([1.0, 2.0, 4.0]), np.array([0.8, 0.5, 0.2])
    curves = {
        "ddl": (times, share, share - 0.1, share + 0.1),
        "gru": (np.empty(0), np.empty(0), np.empty(0), np.empty(0)),
    }
    figure = draw(plots.survival_curves(curves, censored={"ddl": [3.0]}, horizon=5.0, threshold=0.4))
    line = next(line for line in figure.axes[0].lines if line.get_label() == "DDL")
    assert line.get_xdata().tolist() == [0.0, 1.0, 2.0, 4.0, 5.0]
    assert line.get_ydata().tolist() == [1.0, 0.8, 0.5, 0.2, 0.2]
    (mark,) = gids(figure, "censored")
    assert mark.get_ydata().tolist() == [0.5]
    assert figure.axes[0].get_ylim() == (0, 1.03)
    assert f"{PRIMARY.title} ≤ 0.4" in caption(figure)


def test_animation_is_a_gif_of_the_asked_length(tmp_path: Path) -> None:
    true, runs = rotation_runs(t=20)
    runs[0, 0, 10:] = np.nan
    moving = dataclasses.replace(plots.orbit_animation(true[0], {"ddl": runs[0, 0]}), frames=6, fps=10)
    (out,) = plots.save(moving, tmp_path / "deep" / "orbit")
    assert out.name == "orbit.gif"
    with Image.open(out) as gif:
        assert gif.format == "GIF"
        assert gif.n_frames == 6
        assert gif.info["duration"] == 100
        frames = []
        for i in (0, 5):
            gif.seek(i)
            frames.append(np.asarray(gif.convert("RGB")))
    assert (frames[0] != frames[1]).any()
    with pytest.raises(ValueError, match="ddl must have shape"):
        plots.orbit_animation(true[0], {"ddl": runs[0, 0, :5]})


@pytest.mark.parametrize("kind", ["flow", "map"])
@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_task_portrait_suits_the_dimension(dim: int, kind: Any) -> None:
    rng = np.random.default_rng(0)
    states = np.cumsum(rng.normal(size=(4, 40, dim)), axis=1)
    states[0, 35:] = np.nan
    figure = draw(plots.task_portrait(np.arange(40.0), states, kind=kind, title="a task"))
    ax = figure.axes[0]
    if dim > 3:
        assert any(isinstance(c, QuadMesh) for c in ax.collections)
        assert ax.get_ylabel() == "component"
    elif dim == 3 and kind == "flow":
        assert any(isinstance(c, LineCollection) for c in ax.collections)
    elif dim == 2:
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x_{1}$", "$x_{2}$")
        assert len(gids(figure, "start")) == 4
    assert figure.get_suptitle() == "a task"


def test_a_categorical_task_is_a_space_time_map() -> None:
    states = np.eye(3)[np.array([[0, 1, 2, 1]])]
    figure = draw(plots.task_portrait(np.arange(4.0), states, state_kind="categorical"))
    mesh = next(c for c in figure.axes[0].collections if isinstance(c, QuadMesh))
    assert np.array_equal(np.asarray(mesh.get_array()).reshape(3, 4), states[0].T)
    with pytest.raises(ValueError, match="states must have shape"):
        plots.task_portrait(np.arange(5.0), states)


def test_the_latent_map_shows_every_exponent_and_the_span() -> None:
    on, off = np.array([[0.1, -0.2], [0.12, -0.25]]), np.array([[-0.3, -np.inf], [-0.31, -0.5]])
    drift = np.stack([np.linspace(0.1, 1.0, 11), np.linspace(0.1, 2.0, 11)])
    radii, far = [1.0, 10.0], np.ones((2, 2, 4)) * [1.1, 1.0, 0.9, 0.5]
    energies = np.array([[0.5, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    figure = draw(plots.latent_map(on, off, drift, radii, far, energies, neutral=[1, 2], note="run 7"))
    exponents = [line.get_xydata() for line in gids(figure, "exponents")]
    assert [sorted(set(points[:, 0])) for points in exponents] == [[1, 2], [3, 4]]
    assert sorted(exponents[0][:, 1]) == sorted(on.ravel())
    # −∞ stands at the lower border.
    assert exponents[1][:, 1].min() == pytest.approx(figure.axes[0].get_ylim()[0])
    assert labels(figure) == ["along the manifold", "across it"]
    assert "Neutral directions (above −0.005 per step): 1 to 2. run 7." in caption(figure)
    assert sorted(line.get_ydata()[-1] for line in gids(figure, "moduli")) == [0.5, 0.9, 1.0, 1.1]
    # Medians of 2 and 1 dimensions.
    assert figure.axes[3].get_title("left") == "span of k: 1.5 of 4 dimensions"
    assert len(draw(plots.latent_map(on, off, drift, radii, far)).axes) == 3
