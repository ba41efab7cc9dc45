"""Structure of gate maps, spectra, training curves, comparisons and error growth: panels, legends, limits, artists.

Axes: R replicas, N trajectories, T steps, D state components, L layers, G grid points, E epochs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.collections import QuadMesh

from ddl_dyn import plots
from ddl_dyn.plots.radius import RadiusPanel
from tests.helpers.figure_structure import caption, draw, gids, labels, plane

pytestmark = pytest.mark.usefixtures("no_warnings")


def test_gate_map_is_centred_on_one_with_contours_at_the_borders() -> None:
    grid, _ = plane(15, "ij")
    beta = np.stack([1.0 + grid[..., 0] * 0.9, np.full((15, 15), 0.3)])
    beta[0, 0, 0] = np.nan
    figure = draw(plots.gate_map(grid, beta))
    panels = figure.axes[:2]
    assert [a.get_title("left") for a in panels] == ["layer 1", "layer 2"]
    meshes = [next(c for c in a.collections if isinstance(c, QuadMesh)) for a in panels]
    for mesh in meshes:
        assert mesh.norm(1.0) == pytest.approx(0.5)
        assert mesh.get_clim() == (0.0, 2.0)
    # The first index of the grid runs along x: β grows to the right.
    values = np.ma.filled(meshes[0].get_array().reshape(15, 15).astype(float), np.nan)
    assert (np.diff(values[5]) > 0).all()
    # Three borders cross the first layer, none the constant second one.
    assert [len(a.collections) for a in panels] == [4, 1]
    assert figure.axes[2].get_ylabel() == "gate β"
    with pytest.raises(ValueError, match="beta must have shape"):
        plots.gate_map(grid, np.ones((2, 3, 3)))
    for kind, line in (("flow", "-"), ("map", "None")):
        orbits = gids(draw(plots.gate_map(grid, beta, orbits=np.zeros((2, 5, 2)), kind=kind)), "orbit")
        assert [o.get_linestyle() for o in orbits] == [line] * 4


def test_eigenvalues_lie_against_the_unit_circle() -> None:
    rng = np.random.default_rng(0)
    beta = rng.uniform(0, 2, (3, 20, 1))
    frozen = np.concatenate([np.ones((3, 20, 3)), 1 - beta], -1).astype(complex)
    jacobian = np.exp(1j * rng.uniform(-3, 3, (3, 20, 4)))
    jacobian[0, 0, 0] = np.nan
    jacobian[0, 0, 1] = 50.0
    figure = draw(plots.layer_spectra_plane(frozen, jacobian))
    assert len(gids(figure, "unit-circle")) == 2
    assert labels(figure) == ["layer 1", "layer 2", "layer 3"]
    assert figure.axes[0].get_xlim()[1] < 3.1
    assert figure.axes[0].get_aspect() == 1.0
    assert "1 of 480 eigenvalues lie outside; 1 are not finite" in caption(figure)
    many = draw(plots.layer_spectra_plane(np.concatenate([frozen] * 4), np.concatenate([jacobian] * 4)))
    assert many.axes[-1].get_ylabel() == "layer"


def test_training_curves_mark_stages_and_diverged_replicas() -> None:
    updates = np.arange(1, 21) * 50
    loss = np.exp(-np.linspace(0, 3, 20))[:, None] * np.array([1.0, 1.2, 0.8, 1.1])
    loss[10:, 2] = np.nan
    horizon = np.r_[[2] * 5, [5] * 5, [20] * 10]
    figure = draw(plots.training_curves(updates, loss, loss * 2, horizon, model="highway"))
    assert len(figure.axes) == 2
    assert all(a.get_yscale() == "log" for a in figure.axes)
    assert len(gids(figure, "stage")) == 4
    marks = gids(figure, "diverged")
    assert [float(m.get_xdata()[0]) for m in marks] == [500.0, 500.0]
    assert [t.get_text().strip() for t in figure.axes[0].texts] == ["2", "5", "20"]
    assert "1 diverged" in caption(figure)
    assert {"each seed", "median", "diverged"} < set(labels(figure))
    with pytest.raises(ValueError, match="shape"):
        plots.training_curves(updates, loss[:-1], loss)


def rows() -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for protocol, tasks in (("carry = observed", ["a", "b"]), ("carry = latent", ["a"])):
        for task in tasks:
            for horizon in ("20 steps", "100 steps"):
                base = {"task": task, "protocol": protocol, "horizon": horizon}
                out.append({**base, "model": "ddl", "median": 0.1, "low": 0.08, "high": 0.2})
                out.append({**base, "model": "resnet", "median": np.inf, "low": 0.5, "high": np.inf})
                out.append({**base, "model": "gru", "median": 0.3, "low": 0.2, "high": np.inf})
                out.append({**base, "model": "mean", "median": 1.0, "low": 1.0, "high": 1.0})
    return out


def test_comparison_has_a_panel_per_protocol_and_horizon() -> None:
    figure = draw(plots.interval_chart(rows(), seeds=5))
    titles = [a.get_title("left") for a in figure.axes]
    assert titles == [f"{p}\n{h}" for p in ("carry = observed", "carry = latent") for h in ("20 steps", "100 steps")]
    assert [len(a.get_yticks()) for a in figure.axes] == [2, 2, 1, 1]
    assert labels(figure) == ["DDL", "ResNet", "GRU", "training mean"]
    assert len(gids(figure, "median")) == 12
    # ResNet's median and GRU's upper end leave the panel, in six places each.
    assert len(gids(figure, "diverged")) == 12
    assert len(gids(figure, "floor")) == 6
    for ax in figure.axes:
        low, high = ax.get_xlim()
        for line in ax.lines:
            if line.get_gid() in ("median", "diverged"):
                assert low <= float(line.get_xdata()[0]) <= high
    # The largest finite end (0.2), the floor (1) and room for the marks: what is infinite does not stretch the axis.
    assert figure.axes[0].get_xlim()[1] < 2.0
    assert "5 seeds" in caption(figure)
    assert "95 % interval" in caption(figure)


def test_comparison_of_nothing_but_failures_still_draws() -> None:
    only = [{**r, "median": np.nan, "low": np.nan, "high": np.nan} for r in rows()]
    draw(plots.interval_chart(only))
    with pytest.raises(ValueError, match="at least one"):
        plots.interval_chart([])
    with pytest.raises(ValueError, match="row 0 lacks protocol"):
        plots.interval_chart([{k: v for k, v in rows()[0].items() if k != "protocol"}])


def test_error_growth_counts_failures_as_infinite() -> None:
    t = np.arange(101.0)
    curves = {"ddl": 1e-3 * np.exp(0.05 * t) * np.array([[1.0], [2.0], [3.0]]), "resnet": np.ones((3, 101)) * 0.2}
    curves["resnet"][:2, 50:] = np.nan
    figure = draw(
        plots.error_growth(
            t,
            curves,
            floors={"mean": np.ones(101)},
            trust=80.0,
            exponents={"true": (0.05, 0.001), "ddl": (0.04, 0.001), "resnet": (1e-4, 1e-5)},
        )
    )
    ax = figure.axes[0]
    assert ax.get_yscale() == "log"
    assert labels(figure) == ["DDL", "ResNet", "training mean", "true λ₁", "DDL λ₁", "truth not trusted"]
    resnet = next(line for line in ax.lines if line.get_label() == "ResNet")
    assert np.isfinite(resnet.get_ydata()[:50]).all()
    assert np.isnan(resnet.get_ydata()[50:]).all()
    assert gids(figure, "diverged")[0].get_xdata()[0] == 49.0
    guides = [line for line in gids(figure, "lyapunov-slope") if line.axes is ax]
    for guide, slope in zip(guides, (0.05, 0.04), strict=True):
        y = np.log(guide.get_ydata()[:20])
        # A straight line of the given slope on the logarithmic axis, to rounding; none where errors do not grow.
        assert np.diff(y) == pytest.approx(np.full(19, slope), abs=1e-12)
    assert "true 0.05 ± 0.001, DDL 0.04 ± 0.001, ResNet 0.0001 ± 1e-05" in caption(figure)


def radius_panel(title: str = "20 steps", models: int = 2) -> RadiusPanel:
    radii = np.array([1.0, 1.5, 2.0, 4.0])
    seeds = np.array([0.9, 1.0, 1.3])
    curves = {f"m{i}": (radii, 0.1 * (i + 1) * radii[:, None] ** 2 * seeds) for i in range(models - 1)}
    lost = np.where(radii[:, None] > 2.0, np.inf, 0.3) * np.array([1.0, 1.1, 1.2])
    floors = {"mean": (radii, radii), "linear": (radii, np.full(4, 1e-15))}
    return RadiusPanel(title, {**curves, "ddl": (radii, lost)}, floors)


def test_error_by_radius_shows_medians_bands_floors_and_what_diverged() -> None:
    figure = draw(plots.error_by_radius([radius_panel("20 steps"), radius_panel("100 steps")]))
    assert [ax.get_title("left") for ax in figure.axes] == ["20 steps", "100 steps"]
    assert labels(figure) == ["m0", "DDL", "training mean", "linear map"]
    for ax in figure.axes:
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        assert list(ax.get_xticks()) == [1.0, 1.5, 2.0, 4.0]
        drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
        # Medians over the seeds, of which the second is the middle one.
        np.testing.assert_allclose(drawn["m0"], 0.1 * np.array([1.0, 2.25, 4.0, 16.0]))
        np.testing.assert_array_equal(np.isfinite(drawn["DDL"]), [True, True, True, False])
        np.testing.assert_allclose(drawn["training mean"], [1.0, 1.5, 2.0, 4.0])
        assert len(ax.collections) == 2
        # A floor at rounding error does not set the scale.
        assert ax.get_ylim()[0] > 1e-3
    assert [mark.get_xdata()[0] for mark in gids(figure, "diverged")] == [2.0, 2.0]
    said = caption(figure)
    for words in ("median over 3 seeds; bands: central 80 %", "A diverged run counts as infinite", "1: the test split"):
        assert words in said
    assert "Grey: floors. A floor of less than a tenth of every median leaves its panel below" in said


def test_error_by_radius_of_many_models_draws_lines_alone_in_rows_of_three() -> None:
    figure = draw(plots.error_by_radius([radius_panel(models=6)] * 4))
    assert len(figure.axes) == 4
    assert {ax.get_subplotspec().rowspan.start for ax in figure.axes} == {0, 1}
    # The bands have no height.
    spans = [c.get_paths()[0].vertices for ax in figure.axes for c in ax.collections]
    assert "bands" not in caption(figure)
    assert all(len(np.unique(v[:, 1].round(12))) <= 4 for v in spans)
    with pytest.raises(ValueError, match="at least one, got none"):
        plots.error_by_radius([])
    wrong = RadiusPanel("", {"ddl": (np.ones(3), np.ones((2, 5)))}, {})
    with pytest.raises(ValueError, match=r"ddl: errors must have shape \(K, R\) for radii \(K,\), got \(2, 5\)"):
        plots.error_by_radius([wrong])
