"""Structure of trajectories and portraits: panels, labels, legends, limits, artists; data that are not finite.

Axes: R replicas, N trajectories, T steps, D state components, L layers, G grid points, E epochs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.quiver import Quiver

from ddl_dyn import plots
from tests.helpers.figure_structure import caption, draw, gids, labels, plane, rotation_runs

pytestmark = pytest.mark.usefixtures("no_warnings")


def test_trajectories_show_each_component_and_chosen_trajectory() -> None:
    true, runs = rotation_runs()
    times = 0.1 * np.arange(true.shape[1])
    runs[1, :, 20:] = np.nan
    figure = draw(
        plots.trajectories(times, true, {"ddl": runs, "resnet": runs}, state_names=("x", "y"), units=("m", ""))
    )
    assert len(figure.axes) == 6
    assert [a.get_ylabel() for a in figure.axes[::3]] == ["x [m]", "y"]
    assert labels(figure) == ["true", "DDL", "ResNet"]
    assert "3 seeds" in caption(figure)
    assert "80 %" in caption(figure)
    ddl = figure.axes[0].lines[1]
    assert ddl.get_color() == plots.model_style("ddl").colour
    # One replica of three has failed: the median goes on over the other two.
    assert np.isfinite(ddl.get_ydata()).all()
    low, high = figure.axes[0].get_ylim()
    assert low < true[..., 0].min() < true[..., 0].max() < high


def test_a_runaway_does_not_set_the_scale() -> None:
    true, runs = rotation_runs()
    runs[:, :, 5:] *= 1e30
    figure = draw(plots.trajectories(np.arange(31.0), true, {"ddl": runs}))
    assert max(abs(v) for a in figure.axes for v in a.get_ylim()) < 5
    figure = draw(plots.phase_portrait(true, runs))
    assert max(abs(v) for a in figure.axes for v in (*a.get_xlim(), *a.get_ylim())) < 5


@pytest.mark.parametrize("indexing", ["xy", "ij"])
@pytest.mark.parametrize("kind", ["flow", "map"])
def test_portrait_has_true_and_learned_panels_with_the_same_limits(kind: Any, indexing: Any) -> None:
    true, runs = rotation_runs()
    runs[0, 0, 10:] = np.inf
    grid, step = plane(indexing=indexing)
    learned = step.copy()
    learned[0, 0] = np.nan
    figure = draw(
        plots.phase_portrait(
            true,
            runs,
            grid=grid,
            step_true=step,
            step_model=learned,
            fixed_points_true=[((0, 0), "centre")],
            fixed_points_model=[((0.1, 0), "stable focus"), ([(0.5, 0), (-0.5, 0)], "saddle")],
            kind=kind,
            state_names=("u", "w"),
            title="rotation",
            note="carry = latent",
        )
    )
    one, two = figure.axes
    assert (one.get_title("left"), two.get_title("left")) == ("true", "DDL")
    assert one.get_xlim() == two.get_xlim()
    assert one.get_ylim() == two.get_ylim()
    assert one.get_xlim()[0] < -1 < 1 < one.get_xlim()[1]
    arrows = [[c for c in ax.collections if isinstance(c, Quiver)] for ax in (one, two)]
    # Learned over true in the second panel; the step that is not finite leaves a gap.
    assert [len(a) for a in arrows] == [1, 2]
    assert arrows[0][0].U.size == 81
    assert arrows[1][1].U.size == 80
    assert {"stable fixed point", "neutral fixed point", "saddle cycle", "initial state"} < set(labels(figure))
    assert one.get_ylabel() == "w"
    assert two.get_xlabel() == "u"
    assert "3 seeds" in caption(figure)
    assert caption(figure).endswith("carry = latent.")


def test_arrows_point_along_the_step() -> None:
    true, runs = rotation_runs()
    grid, step = plane()
    figure = plots.phase_portrait(true, runs, grid=grid, step_true=step)
    arrows = next(c for c in figure.axes[0].collections if isinstance(c, Quiver))
    flat = step.reshape(-1, 2)
    # Cosine 1 to rounding, in units of the panel: only the length is compressed.
    shown, want = np.stack([arrows.U, arrows.V], -1), flat
    cross = shown[:, 0] * want[:, 1] - shown[:, 1] * want[:, 0]
    assert np.abs(cross).max() < 1e-12
    assert (np.sum(shown * want, axis=1) >= 0).all()


def test_portrait_of_several_models_and_streamlines() -> None:
    true, runs = rotation_runs()
    grid, step = plane(4)
    models = dict.fromkeys(("ddl", "resnet", "highway", "mine"), runs)
    figure = draw(
        plots.phase_portrait(
            true, models, grid=grid, step_true=step, step_model=dict.fromkeys(models, step), field="streamlines"
        )
    )
    assert [a.get_title("left") for a in figure.axes] == ["true", "DDL", "ResNet", "Highway", "mine"]
    assert all(any(isinstance(c, LineCollection) for c in a.collections) for a in figure.axes)
    assert not any(isinstance(c, Quiver) for a in figure.axes for c in a.collections)
    assert [bool(a.get_xlabel()) for a in figure.axes] == [False] * 2 + [True] * 3


def test_fixed_point_fill_tells_stability() -> None:
    true, runs = rotation_runs()
    kinds = {"stable node": "full", "unstable focus": "none", "saddle": "bottom"}
    for kind, fill in kinds.items():
        figure = plots.phase_portrait(true, runs, fixed_points_true=[((0, 0), kind)])
        (mark,) = [a for a in figure.axes[0].lines if (a.get_gid() or "").startswith("marked-")]
        assert mark.get_fillstyle() == fill
    with pytest.raises(ValueError, match="did you mean 'saddle'"):
        plots.phase_portrait(true, runs, fixed_points_true=[((0, 0), "sadle")])


def test_portrait_rejects_what_is_not_a_plane() -> None:
    _, runs = rotation_runs()
    with pytest.raises(ValueError, match=r"true must have shape \(N, T\+1, 2\)"):
        plots.phase_portrait(np.zeros((2, 3, 3)), runs)
    scattered = np.random.default_rng(0).normal(size=(5, 5, 2))
    with pytest.raises(ValueError, match="rectangular"):
        plots.gate_map(scattered, np.ones((1, 5, 5)))


def test_three_dimensional_portrait_shows_three_projections() -> None:
    t = np.linspace(0, 10, 50)
    true = np.stack([np.cos(t), np.sin(t), 0.1 * t], -1)[None]
    runs = np.stack([true, true * 1.1])
    runs[0, 0, 40:] = np.nan
    figure = draw(plots.phase_portrait_3d(true, runs, fixed_points_true=[((0, 0, 0.5), "saddle")]))
    assert len(figure.axes) == 6
    assert [(a.get_xlabel(), a.get_ylabel()) for a in figure.axes[3:]] == [("x", "z"), ("x", "y"), ("y", "z")]
    true_lines, model_lines = (figure.axes[i].collections[0] for i in (0, 3))
    assert len(true_lines.get_paths()) == 49
    assert len(model_lines.get_paths()) == 39
    # Depth cue: nearer strokes are darker. In (x, y) the hidden axis z grows along the orbit.
    shade = np.asarray(figure.axes[1].collections[0].get_edgecolor())[:, :3].mean(axis=1)
    assert (np.diff(shade) <= 1e-12).all()
    assert shade[0] - shade[-1] > 0.3
    with pytest.raises(ValueError, match="three"):
        plots.phase_portrait_3d(true[..., :2], runs[..., :2])


def test_cobweb_bounces_between_graph_and_diagonal() -> None:
    x = np.linspace(-1.5, 1.5, 61)
    flip_flop = -x * (1 + 0.3 * (1 - x**2))
    orbit = [0.3]
    for _ in range(30):
        orbit.append(-orbit[-1] * (1 + 0.3 * (1 - orbit[-1] ** 2)))
    replicas = np.stack([flip_flop, flip_flop * 1.1])
    figure = draw(
        plots.cobweb(x, flip_flop, replicas, orbit_true=orbit, fixed_points_true=[(0.0, "unstable")], state_name="s")
    )
    assert [a.get_title("left") for a in figure.axes] == ["true", "DDL"]
    (steps,) = gids(figure, "orbit")
    px, py = steps.get_data()
    on_diagonal = np.isclose(px, py)
    on_graph = np.isclose(py, -px * (1 + 0.3 * (1 - px**2)))
    assert (on_diagonal | on_graph).all()
    assert figure.axes[0].get_xlabel() == "$s_n$"
    assert labels(figure) == ["unstable fixed point"]
    with pytest.raises(ValueError, match="shape"):
        plots.cobweb(x, flip_flop[:-1], flip_flop)
