"""Orbits in space on a page: what is stored of them, and turning and hiding them in a browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.results import report
from ddl_dyn.results.comparison.groups import group_runs
from ddl_dyn.results.report.space import orbit_space
from ddl_dyn.runs import Run
from tests.helpers.browser import Browser, needs_browser
from tests.helpers.synthetic_runs import rotation_arrays, write_comparison, write_run

PICTURE = "document.querySelector('figure.space canvas').toDataURL()"


def helix_arrays(error: float) -> dict[str, Array]:
    """Stored arrays of replicas on a turning, sinking state; one free run leaves the box, one stops being finite."""
    arrays = rotation_arrays(6, error=error, gates=False)
    height = np.linspace(1.0, -1.0, arrays["test_true"].shape[1])
    found = {name: values for name, values in arrays.items() if not name.startswith(("portrait_", "fixed_"))}
    for name in ("test_true", "test_pred"):
        states = arrays[name]
        found[name] = np.concatenate([states, np.broadcast_to(height[:, None], (*states.shape[:-1], 1))], axis=-1)
    found["test_pred"] = found["test_pred"].copy()
    found["test_pred"][:, 0, 5:] = 1e9
    found["test_pred"][:, 1, 7:] = np.nan
    found["sigma"] = np.ones(3)
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    base = tmp_path_factory.mktemp("runs")
    made = [("ddl", 0.05), ("resnet", 0.3)]
    return [write_run(base, str(i), model=m, arrays=helix_arrays(e)) for i, (m, e) in enumerate(made, 1)]


def test_orbits_are_stored_to_sixteen_bits_of_the_truths_box(runs: list[Run]) -> None:
    space = orbit_space(group_runs(runs)[0], "space")
    assert space is not None
    assert [run.name for run in space.runs] == ["truth", "DDL", "ResNet"]
    true = runs[0].arrays["test_true"]
    units = space.runs[0].units
    assert len(units) == min(12, len(true))
    first = (units[0] / 32_000 + 1) / 2 * (space.high - space.low) + space.low
    np.testing.assert_allclose(first, true[0], atol=float((space.high - space.low).max()) / 64_000)
    # What leaves the box, or is not finite, is a gap from there on.
    assert (space.runs[1].units[0, 5:] == -32_768).all()
    assert (space.runs[1].units[1, 7:] == -32_768).all()


def test_a_plane_has_no_orbits_in_space(tmp_path: Path) -> None:
    assert orbit_space(group_runs([write_run(tmp_path, "1")])[0], "space") is None


@pytest.fixture(scope="module")
def page(runs: list[Run]) -> Path:
    whole = write_comparison(runs[0].path.parent, "9", runs)
    return report.write_page(whole.path, [run.path for run in runs])


@pytest.fixture
def browser(started: Browser, page: Path) -> Browser:
    started.send("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
    started.open(page)
    return started


@needs_browser
def test_keys_turn_the_orbits_a_legend_entry_hides_them_and_a_phone_holds_them(browser: Browser) -> None:
    before = browser.evaluate(PICTURE)
    browser.evaluate("document.querySelector('figure.space canvas').focus()")
    browser.press("ArrowLeft")
    assert browser.evaluate("document.querySelector('[name=turn]').value") == "-50"
    turned = browser.evaluate(PICTURE)
    assert turned != before
    browser.press("ArrowRight")
    assert browser.evaluate(PICTURE) == before
    browser.evaluate("document.querySelector('button.model[data-toggle=ddl]').click()")
    assert browser.evaluate(PICTURE) != before
    browser.evaluate("document.querySelector('button.model[data-toggle=ddl]').click()")
    assert browser.evaluate(PICTURE) == before
    browser.send("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=False)
    browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    names = {"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"}
    assert [event for event in browser.events if event.get("method") in names] == []


@needs_browser
def test_a_slider_reads_a_chart_at_its_horizon(browser: Browser) -> None:
    slider = "document.querySelector('.charts input[type=range]')"
    browser.evaluate(f"{slider}.focus()")
    browser.press("Home")
    read = f"{slider}.closest('.chart').querySelector('.read').textContent"
    first = browser.evaluate(read)
    assert first.startswith("steps 1: ")
    browser.press("ArrowRight")
    assert browser.evaluate(read).startswith("steps 2: ")
    assert browser.evaluate(f"{slider}.getAttribute('aria-valuetext')") == "steps 2"
