"""Conserved quantities and the growth of perturbations: sections and figures of the analysis on known maps.

Axes: R replicas, T steps, B states, D observed state.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ddl_dyn import plots
from ddl_dyn.experiments.unsuitable import Unsuitable
from ddl_dyn.results.figures.catalogue import draw_figures
from ddl_dyn.results.figures.registry import known_figures
from ddl_dyn.results.figures.run_view import RunView
from ddl_dyn.results.figures.stored.trajectories import largest_exponents
from ddl_dyn.results.inspection import dynamics
from ddl_dyn.results.inspection.sections import analyse, rows
from ddl_dyn.tasks import make_task
from tests.helpers.exact_runs import exact, exact_map, stored
from tests.helpers.figure_structure import caption, draw, gids, labels


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished run whose model is the exact stack: twisted states of a rotation in the plane."""
    base: Path = tmp_path_factory.mktemp("runs")
    return stored(base, "oracle", task="rotation", model="householder_stack", model_args={"lift": "identity"})


def test_an_oracles_run_is_analysed_like_any_other(oracle: Any) -> None:
    found = analyse(oracle, steps=40)
    np.testing.assert_allclose(found["spectrum"]["trained"]["exponents"], 0, atol=1e-6)
    assert max(found["symmetries"]["change of sign"]) < 1e-6
    # float32 states over thirty steps.
    assert max(max(values) for values in found["invariants"].values()) < 1e-4
    assert found["local"]["reversed_box"] == [0.0, 0.0]
    assert found["local"]["reversed_box_true"] == 0.0
    # Two mirrors at θ/2 turn by θ, whichever of the two angles between planes is meant.
    np.testing.assert_allclose(found["accuracy"]["smape"], 0, atol=0.05)
    np.testing.assert_allclose(found["accuracy"]["phase_drift"], 0, atol=1e-3)
    assert "tracking" in found["skipped"]
    assert any("symmetry defect" in row[0] for row in rows(found))


def test_defects_of_the_exact_map_vanish_and_of_a_shifted_one_do_not() -> None:
    subject = exact("mirror", d=3)
    assert max(dynamics.symmetries(subject)["change of sign"]) < 1e-6
    flow = exact_map(make_task("lorenz63"))
    assert dynamics.symmetries(flow)["half turn about z"][0] < 1e-9
    import dataclasses

    true_step = flow.learned.step
    shifted = dataclasses.replace(flow.learned, step=lambda x: true_step(x) + 0.5)
    vars(flow)["learned"] = shifted
    # x and y are off by 1, z by 0: √((1/σ_x² + 1/σ_y²)/3).
    wanted = np.sqrt((1 / flow.sigma[0] ** 2 + 1 / flow.sigma[1] ** 2) / 3)
    assert dynamics.symmetries(flow)["half turn about z"][0] == pytest.approx(wanted, rel=1e-6)
    with pytest.raises(Unsuitable, match="no linear symmetry"):
        dynamics.symmetries(exact_map(make_task("rossler")))


def test_the_box_is_turned_over_where_the_map_folds() -> None:
    subject = exact_map(make_task("logistic", r=4.0))
    local = dynamics.local(subject)
    low, high = subject.box[0]
    # det J = r(1 − 2x) < 0 right of ½; 1024 uniform draws have a standard error of .016.
    assert local["reversed_box_true"] == pytest.approx((high - 0.5) / (high - low), abs=0.06)
    assert local["reversed_box"] == [local["reversed_box_true"]]


def test_figures_of_an_oracle_show_no_defect_and_no_growth(oracle: Any, tmp_path: Path) -> None:
    view = RunView(oracle)
    growth = draw(known_figures()["growth"].draw(view))
    learned = [line for line in growth.axes[0].lines if line.get_gid() != "reference"]
    assert len(learned) == 4  # two singular values, true and learned
    for line in learned:
        np.testing.assert_allclose(line.get_ydata(), 1, atol=1e-5)
    shown = draw(known_figures()["defects"].draw(view))
    names = [text.get_text() for text in shown.axes[0].get_yticklabels()]
    assert names[0] == "symmetry: change of sign"
    assert names[1].startswith("invariant: ")
    assert {path.name for path in draw_figures(oracle, ["defects", "drift"], tmp_path)} == {
        f"{name}.{suffix}" for name in ("defects", "drift") for suffix in ("png", "svg")
    }


def test_the_error_figure_has_both_exponents_with_their_errors_in_units_of_a_step(oracle: Any) -> None:
    ours = {"exponents": [[0.2, 0.1], [0.4, 0.3]], "standard_error": [[0.3, 0.1], [0.01, 0.1]]}
    theirs = {"exponents": [0.9, 0.0], "standard_error": [0.02, 0.01]}
    view = RunView(oracle, analysed={"spectrum": {"trained": ours, "true": theirs}, "held": []})
    dt = float(view.setup.task.dt)
    wanted = ((0.2, 0.3), (0.4, 0.01))[view.chosen]
    assert largest_exponents(view)["true"] == pytest.approx((0.9 * dt, 0.02 * dt))
    assert largest_exponents(view)["householder_stack"] == pytest.approx((wanted[0] * dt, wanted[1] * dt))
    lost = {"exponents": [[np.nan, 0.1]] * 2, "standard_error": [[np.nan, 0.1]] * 2}
    unknown = RunView(oracle, analysed={"spectrum": {"trained": lost, "true": None}})
    assert largest_exponents(unknown) == {}
    # Of stored arrays alone, a run that was not analysed has none; else they are worked out as an analysis would.
    assert largest_exponents(RunView(oracle, stored_only=True)) == {}


def test_an_exponent_that_is_zero_within_its_error_is_said_to_be_and_has_no_slope() -> None:
    curves = {"ddl": np.geomspace(0.01, 0.1, 50)[None]}
    figure = draw(plots.error_growth(np.arange(1, 51), curves, exponents={"true": (0.1, 0.001), "ddl": (0.1, 0.06)}))
    assert len(gids(figure, "lyapunov-slope")) == 1
    assert "true 0.1 ± 0.001, DDL 0.1 ± 0.06 (zero within twice its error)" in caption(figure)
    sure = draw(plots.error_growth(np.arange(1, 51), curves, exponents={"ddl": (0.1, np.nan)}))
    assert len(gids(sure, "lyapunov-slope")) == 1
    assert "DDL 0.1" in caption(sure)


@pytest.mark.usefixtures("no_warnings")
def test_defects_stand_in_rows_with_their_medians() -> None:
    figure = draw(plots.law_defects({"a": [1e-3, 1e-2, 1e-1], "b": [0.0, 1.0, np.inf]}, title="x"))
    ax = figure.axes[0]
    assert ax.get_xscale() == "log"
    medians = [line.get_xdata()[0] for line in gids(figure, "median")]
    assert medians == pytest.approx([1e-2, 1.0])
    assert "not finite" in caption(figure)
    # The exact one stands at the left border, the infinite one at the right.
    assert ax.lines[2].get_xdata().tolist() == pytest.approx([max(ax.get_xlim()[0], 1e-12), 1.0, ax.get_xlim()[1]])
    with pytest.raises(ValueError, match="at least one"):
        plots.law_defects({})


@pytest.mark.usefixtures("no_warnings")
def test_drift_has_a_panel_an_invariant() -> None:
    t = np.arange(11) * 0.1
    drifts = {"energy": np.outer([1.0, 2.0, 4.0], t), "momentum": np.full((3, 11), np.inf)}
    figure = draw(plots.drift_curves(t, drifts, time_unit="s"))
    energy, momentum = figure.axes
    assert (energy.get_title("left"), momentum.get_title("left")) == ("energy", "momentum")
    np.testing.assert_allclose(energy.lines[0].get_ydata()[1:], 2 * t[1:])
    assert np.isnan(momentum.lines[0].get_ydata()).all()
    assert energy.get_xlabel() == "t [s]"
    with pytest.raises(ValueError, match=r"shape \(R, 11\)"):
        plots.drift_curves(t, {"energy": np.ones(11)})


@pytest.mark.usefixtures("no_warnings")
def test_growth_shows_the_largest_singular_values_beside_the_true() -> None:
    t = np.arange(21.0)
    values = np.exp(0.1 * t)[:, None, None] * np.array([1.0, 0.5, 0.2, 0.1, 0.05]) * np.ones((1, 3, 1))
    figure = draw(plots.perturbation_growth(values, values[..., 0], values[..., :2], values[..., 0]))
    left, right = figure.axes
    assert labels(figure) == ["true", "DDL"]
    curves = [line for line in left.lines if line.get_gid() != "reference"]
    assert len(curves) == 2 + 4
    assert np.diff(np.log(curves[0].get_ydata())) == pytest.approx(np.full(20, 0.1))
    assert left.get_xlim() == right.get_xlim() == (0, 20)
    alone = draw(plots.perturbation_growth(values, values[..., 0]))
    assert labels(alone) == ["DDL"]


def test_basins_of_space_are_drawn_in_a_slice() -> None:
    """Lorenz at ρ = 10: the two foci share the plane evenly, by the half turn about z."""
    subject = exact_map(make_task("lorenz63", rho=10.0, dt=0.1))
    vars(subject)["timescale"] = 1.0
    run: Any = SimpleNamespace(
        config={"model": "ddl", "task": "lorenz63"}, arrays={"test_true": np.zeros((1, 1, 3))}, id="1"
    )
    run.entry = {"resolved": {"task": {"state_names": ["x", "y", "z"]}}}
    figure = draw(known_figures()["basins"].draw(RunView(run, given=subject)))
    assert "Slice at z = " in caption(figure)
    assert "IoU 1" in figure.axes[1].get_title("left")
    # (±√24, ±√24, 9).
    assert labels(figure)[:2] == ["fixed point at (-4.9, -4.9, 9)", "fixed point at (4.9, 4.9, 9)"]
