"""Errors at radii from a stored result to figures, comparison and page; what the page says of data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddl_dyn.results import report
from ddl_dyn.results.comparison.groups import group_runs
from ddl_dyn.results.comparison.radius import radius_panels
from ddl_dyn.results.comparison.records import comparison_rows, draw_comparison
from ddl_dyn.results.figures.catalogue import draw_figures
from ddl_dyn.results.figures.registry import known_figures
from ddl_dyn.results.figures.run_view import RunView
from ddl_dyn.results.report.build import _trained_on
from ddl_dyn.results.report.figures import comparison_figures, run_figures
from ddl_dyn.runs import Run
from ddl_dyn.runs.result import radius_scores
from tests.helpers.figure_structure import caption, labels
from tests.helpers.synthetic_runs import write_run

SCORES = {("test", "short"): [0.1, 0.2], ("test", "long"): [0.3, 0.4]}


def radii(scale: float = 1.0) -> dict[str, Any]:
    """Errors that grow with the radius, in the order in which a user may have asked for the radii."""
    found = {}
    for radius in (10.0, 2.0):
        short, long = ([scale * radius * x for x in values] for values in SCORES.values())
        floors = {"persistence": {"nrmse_short": radius, "nrmse_long": 2 * radius}}
        counts = {"trajectories": 5, "steps": {"short": 20, "long": 40}}
        found[str(radius)] = {**counts, "nrmse_short": short, "nrmse_long": long, "floors": floors}
    return found


def made(base: Path, name: str, result: Any = None, **changes: Any) -> Run:
    return write_run(base, name, scores=SCORES, result={"radii": radii() if result is None else result}, **changes)


def test_errors_are_read_by_radius_the_test_split_first(tmp_path: Path) -> None:
    found = radius_scores(made(tmp_path, "1"), "long")
    assert found is not None
    np.testing.assert_array_equal(found.radii, [1.0, 2.0, 10.0])
    np.testing.assert_allclose(found.values, [[0.3, 0.4], [0.6, 0.8], [3.0, 4.0]])
    np.testing.assert_allclose(found.floors["persistence"], [0.9, 4.0, 20.0])
    assert (set(found.floors), found.steps) == ({"persistence"}, 40)
    lost = radii() | {"2.0": radii()["2.0"] | {"nrmse_short": [0.1, None]}}
    short = radius_scores(made(tmp_path, "2", lost), "short")
    assert short is not None
    assert short.values[1, 1] == np.inf
    for place, damaged in enumerate(({}, [], {"2.0": {}}, {"2.0": {"nrmse_short": [0.1]}})):
        assert radius_scores(made(tmp_path, f"3{place}", damaged), "short") is None


def test_the_figure_is_registered_and_draws_both_horizons(tmp_path: Path) -> None:
    run = made(tmp_path, "1")
    figure = known_figures("stored")["radius"].draw(RunView(run, stored_only=True))
    assert [ax.get_title("left") for ax in figure.axes] == ["20 steps", "40 steps"]
    assert labels(figure) == ["DDL", "persistence"]
    (line,) = (line for line in figure.axes[1].lines if line.get_label() == "DDL")
    np.testing.assert_allclose(line.get_xydata(), [[1.0, 0.35], [2.0, 0.7], [10.0, 3.5]])
    assert "run 1" in caption(figure)
    assert [path.name for path in draw_figures(run, ["radius"], tmp_path / "out")] == ["radius.png", "radius.svg"]


def test_a_run_without_radii_has_no_such_figure_and_says_why(tmp_path: Path) -> None:
    run = made(tmp_path, "1", {})
    assert (
        known_figures("stored")["radius"]
        .unless(RunView(run))
        .startswith("it was tested at no multiple of the training radius")
    )
    assert known_figures("stored")["radius"].unless(RunView(made(tmp_path, "2"))) == ""
    with pytest.raises(ValueError, match=r"run 1 \(ddl on harmonic\) has no radius: it was tested at no multiple"):
        draw_figures(run, ["radius"], tmp_path)
    assert not [picture for picture in run_figures(run)[0] if picture.name.endswith("radius")]
    assert radius_panels(group_runs([run])) == []


def test_a_comparison_has_a_panel_a_setting_and_a_line_a_model(tmp_path: Path) -> None:
    runs = [
        made(tmp_path, "1"),
        made(tmp_path, "2", radii(0.5), model="resnet"),
        made(tmp_path, "3", config={"model_args": {"carry": "observed"}}, model="resnet"),
        made(tmp_path, "4", {}, config={"task": "henon"}),
    ]
    settings = group_runs(runs)
    panels = radius_panels(settings)
    assert [list(panel.curves) for panel in panels] == [["ddl", "resnet"], ["resnet"]]
    assert panels[0].title == "harmonic\ncarry = latent, lift = linear\n20 steps"
    np.testing.assert_allclose(panels[0].curves["resnet"][1][:, 0], [0.1, 0.1, 0.5])
    shown = {one.name: one for one in comparison_figures(settings)}["comparison_radius"]
    assert "carry = latent, lift = linear, 20 steps: lowest at radius 10 ResNet 0.75" in shown.alt
    names = [path.name for path in draw_comparison(tmp_path / "c", comparison_rows(runs), runs)]
    assert {"comparison_radius.png", "comparison_radius.svg"} <= set(names)
    page = (tmp_path / "c" / "index.html").read_text(encoding="utf-8")
    assert "of DDL, ResNet after 20 steps against the radius of the starts" in page


def test_radii_do_not_part_runs_that_share_their_data(tmp_path: Path) -> None:
    runs = [made(tmp_path, "1"), made(tmp_path, "2", model="resnet", config={"data": {"radii": (3.0,)}})]
    assert [len(setting.entries) for setting in group_runs(runs)] == [2]


def test_the_page_says_how_many_data_sets_the_seeds_share(tmp_path: Path) -> None:
    def run(name: str, **changes: Any) -> Run:
        seeds = changes.pop("seeds")
        return write_run(tmp_path, name, scores={("test", "short"): [0.1] * seeds}, arrays={}, **changes)

    four = {"data": {"seeds": 4}}
    first, second = (run(str(i), seeds=12, model=m, config=four) for i, m in ((1, "ddl"), (2, "resnet")))
    assert _trained_on(group_runs([first])) == "12 seeds on 4 data sets (3 seeds each)"
    both = "12 seeds on 4 data sets (3 seeds each), which the models of a setting share"
    assert _trained_on(group_runs([first, second])) == both
    series = run("3", seeds=12, config={"task": "sunspots"})
    said = _trained_on(group_runs([first, series]))
    assert said == "12 seeds on 4 data sets (3 seeds each) of harmonic and 12 seeds on one data set of sunspots"
    assert _trained_on(group_runs([run("4", seeds=1)])) == "1 seed on one data set"
    text = report.write_report([first, second], tmp_path / "page.md", markdown=True).read_text(encoding="utf-8")
    assert f"Each model was trained from {both}, then ran freely" in text.replace("\n", " ")
    assert "same trajectories" not in text
