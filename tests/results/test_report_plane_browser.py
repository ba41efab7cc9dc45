"""The moving parts of a page in a browser: trajectories from a click or a typed start, hidden models, chart values."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.results import report
from ddl_dyn.results.comparison.groups import group_runs
from ddl_dyn.results.report.plane import PhasePlane, phase_plane
from ddl_dyn.runs import Run
from tests.helpers.browser import Browser, needs_browser
from tests.helpers.synthetic_runs import write_comparison, write_run
from tests.results.test_report_plane import OBSERVED, pendulum_arrays

pytestmark = needs_browser
FRICTIONS = {"ddl": 0.15, "resnet": 0.3}
BOARD = "document.querySelector('.board > svg')"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    base = tmp_path_factory.mktemp("runs")
    return [
        write_run(base, str(i), model=model, config=OBSERVED, arrays=pendulum_arrays(friction))
        for i, (model, friction) in enumerate(FRICTIONS.items(), 1)
    ]


@pytest.fixture(scope="module")
def plane(runs: list[Run]) -> PhasePlane:
    found = phase_plane(group_runs(runs)[0], "plane")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def page(runs: list[Run]) -> Path:
    whole = write_comparison(runs[0].path.parent, "9", runs)
    return report.write_page(whole.path, [run.path for run in runs])


@pytest.fixture
def browser(started: Browser, page: Path) -> Browser:
    """The page loaded anew on a screen of the usual size."""
    started.send("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
    started.open(page)
    return started


def drawn(browser: Browser, number: int) -> list[Array]:
    """Trajectories of a map in the units of the drawing."""
    path = browser.evaluate(f"document.querySelectorAll('.trajectory')[{number}].getAttribute('d')") or ""
    return [np.array([list(map(float, pair.split())) for pair in part.split("L")]) for part in path.split("M") if part]


def placed(browser: Browser, plane: PhasePlane, states: Array) -> Array:
    """States (P, 2) in the units of the drawing, by its ticks' frame."""
    frame = browser.evaluate(
        f"(r => [r.x, r.y, r.width, r.height].map(v => v.baseVal.value))({BOARD}.querySelector('.axes rect'))"
    )
    left, top, width, height = frame
    share = (states - plane.low) / (plane.high - plane.low)
    return np.stack([left + share[:, 0] * width, top + height - share[:, 1] * height], axis=-1)


def check_trajectories(browser: Browser, plane: PhasePlane, start: Array, steps: int) -> None:
    """The last trajectories are those of numpy: places have three decimals."""
    for number, one in enumerate(plane.maps):
        states = one.iterate(start[None], steps)[0]
        expected = placed(browser, plane, states[np.isfinite(states).all(axis=-1)])
        found = drawn(browser, number)[-1]
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=2e-3)


def submit(browser: Browser, x: str, y: str) -> None:
    browser.evaluate(f"document.querySelector('[name=start0]').value = '{x}'")
    browser.evaluate(f"document.querySelector('[name=start1]').value = '{y}'")
    browser.evaluate("document.querySelector('[name=start1]').focus()")
    browser.press("Enter", "\r")


def test_the_console_is_silent_and_nothing_is_fetched(browser: Browser, page: Path) -> None:
    submit(browser, "0.5", "0.5")
    names = {"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"}
    assert [event for event in browser.events if event.get("method") in names] == []
    asked = {e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith("data:")} == {page.as_uri()}


def test_the_first_screen_answers(browser: Browser) -> None:
    for part in ("h1", ".answers li", ".glance img", ".glance .chart > svg"):
        assert browser.evaluate(f"document.querySelector('{part}').getBoundingClientRect().bottom") < 900, part
    assert browser.evaluate("document.querySelector('h1').textContent") == "How well do DDL and ResNet learn harmonic?"


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_the_page_itself_never_scrolls_sideways(browser: Browser, width: int) -> None:
    browser.send("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
    browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_opens_with_a_trajectory_of_truth_and_models(browser: Browser, plane: PhasePlane) -> None:
    assert browser.evaluate("!document.querySelector('figure.plane').hidden")
    assert [one.name for one in plane.maps] == ["truth", "DDL", "ResNet"]
    check_trajectories(browser, plane, plane.start, 40)
    assert [len(drawn(browser, i)) for i in range(3)] == [1, 1, 1]


def test_a_typed_start_is_iterated_as_in_numpy(browser: Browser, plane: PhasePlane) -> None:
    submit(browser, "0.7", "-0.4")
    check_trajectories(browser, plane, np.array([0.7, -0.4]), 40)
    assert len(drawn(browser, 1)) == 2
    told = browser.evaluate("document.querySelector('.end').textContent")
    end = plane.maps[1].iterate(np.array([[0.7, -0.4]]), 40)[0, -1]
    number = re.search(r"DDL: \((\S+), (\S+)\) after 40 steps", told)
    assert number is not None
    np.testing.assert_allclose([float(number[1]), float(number[2])], end, rtol=6e-3)


def test_a_start_outside_the_plane_is_refused(browser: Browser) -> None:
    submit(browser, "7", "0")
    assert len(drawn(browser, 1)) == 1


def test_a_trajectory_that_leaves_the_plane_ends_there(browser: Browser, plane: PhasePlane) -> None:
    submit(browser, "1.49", "1.49")
    assert len(drawn(browser, 1)[-1]) == 2
    check_trajectories(browser, plane, np.array([1.49, 1.49]), 40)
    assert "after 1 steps, outside the plane" in browser.evaluate("document.querySelector('.end').textContent")


def test_a_click_starts_where_it_falls(browser: Browser, plane: PhasePlane) -> None:
    box = browser.evaluate(
        f"{BOARD}.scrollIntoView({{behavior: 'instant', block: 'center'}});"
        f"(r => [r.x, r.y, r.width, r.height])({BOARD}.querySelector('.axes rect').getBoundingClientRect())"
    )
    browser.click(box[0] + 0.75 * box[2], box[1] + 0.25 * box[3])
    start = plane.low + np.array([0.75, 0.75]) * (plane.high - plane.low)
    shown = browser.evaluate("['start0', 'start1'].map(n => Number(document.querySelector(`[name=${n}]`).value))")
    # The pointer falls on whole pixels, of which the plane is some 400 wide.
    np.testing.assert_allclose(shown, start, atol=0.02)
    assert len(drawn(browser, 2)) == 2


def test_the_slider_sets_the_number_of_steps(browser: Browser, plane: PhasePlane) -> None:
    browser.evaluate(
        "(s => { s.value = 7; s.dispatchEvent(new Event('input')); })(document.querySelector('[name=steps]'))"
    )
    assert [len(drawn(browser, i)[0]) for i in range(3)] == [8, 8, 8]
    check_trajectories(browser, plane, plane.start, 7)
    browser.evaluate("document.querySelector('[name=steps]').focus()")
    browser.press("ArrowRight")
    assert len(drawn(browser, 1)[0]) == 9


def test_clearing_leaves_nothing(browser: Browser) -> None:
    browser.evaluate("document.querySelector('[name=clear]').click()")
    assert [drawn(browser, i) for i in range(3)] == [[], [], []]
    assert browser.evaluate("document.querySelector('.end').textContent") == ""


def test_a_legend_entry_hides_its_model_everywhere(browser: Browser) -> None:
    browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")

    def shown(model: str) -> list[bool]:
        parts = f"document.querySelectorAll('[data-model={model}]')"
        return browser.evaluate(f"Array.from({parts}, e => getComputedStyle(e).display !== 'none')")

    parts = len(shown("resnet"))
    # Panels, curves, trajectories, rows of tables, own figures.
    assert parts >= 10
    assert all(shown("resnet"))
    kinds = browser.evaluate(
        "Array.from(new Set(Array.from(document.querySelectorAll('[data-model=resnet]'), e => e.localName))).sort()"
    )
    assert kinds == ["figure", "g", "path", "tr"]
    browser.evaluate("document.querySelector('button[data-toggle=resnet]').focus()")
    browser.press("Enter", "\r")
    assert not any(shown("resnet"))
    assert all(shown("ddl"))
    assert "ResNet" not in browser.evaluate("document.querySelector('.end').textContent")
    browser.press("Enter", "\r")
    assert all(shown("resnet"))
    assert len(shown("resnet")) == parts


def test_arrow_keys_read_the_values_of_a_chart(browser: Browser, runs: list[Run]) -> None:
    browser.evaluate("document.querySelector('.charts .chart > svg').focus()")
    browser.press("End")
    told = browser.evaluate("document.querySelector('.charts .read').textContent")
    middle = float(np.median(runs[0].arrays["test_nrmse"][:, -1]))
    assert told.startswith("steps 40: DDL ")
    assert float(told.split("DDL ")[1].split(",")[0]) == pytest.approx(middle, rel=6e-3)
    browser.evaluate("document.querySelector('button[data-toggle=ddl]').click()")
    browser.evaluate("document.querySelector('.charts .chart > svg').focus()")
    browser.press("End")
    assert "DDL" not in browser.evaluate("document.querySelector('.charts .read').textContent")


def test_without_a_script_everything_but_the_plane_is_there(started: Browser, page: Path) -> None:
    started.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        started.open(page)
        assert started.evaluate("document.querySelector('figure.plane').hidden")
        assert started.evaluate("document.querySelectorAll('.panels img').length") == 3
        assert started.evaluate("document.querySelectorAll('.curve .line').length") >= 8
        assert started.evaluate("document.querySelectorAll('button:not(form button)').length") == 0
    finally:
        started.send("Emulation.setScriptExecutionDisabled", value=False)


def test_a_wide_table_scrolls_in_its_box_with_its_first_column_in_sight(browser: Browser) -> None:
    browser.send("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=False)
    box = "document.querySelector('.scroll')"
    browser.evaluate(f"{box}.closest('details').open = true")
    # The box is measured when it is first laid out, which is after it was opened.
    browser.until(f"{box}.classList.contains('wide')")
    browser.evaluate(f"{box}.scrollLeft = 120")
    left = f"{box}.querySelector('tbody th').getBoundingClientRect().left - {box}.getBoundingClientRect().left"
    assert browser.evaluate(f"{box}.scrollLeft") == 120
    assert abs(browser.evaluate(left)) < 2
    assert browser.evaluate(f"{box}.classList.contains('wide')")
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
