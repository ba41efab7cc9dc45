"""The page in a real browser: no error on its console, sorting by click and by key, nothing fetched or executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddl_dyn.results import report
from tests.helpers.browser import Browser, needs_browser
from tests.helpers.synthetic_runs import write_comparison, write_run

pytestmark = needs_browser
HOSTILE = '<script>document.title="taken"</script><img src="http://192.0.2.1/x.png" onerror="document.title=2">'


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    base = tmp_path_factory.mktemp("runs")
    keys = [(split, horizon) for split in ("test", "ood") for horizon in ("short", "long")]
    # Medians .2, 10 and .09: as text they would sort differently.
    runs = [
        write_run(base, "1", scores=dict.fromkeys(keys, [0.2] * 6), config={"note": HOSTILE}, entry={"note": HOSTILE}),
        write_run(base, "2", model="resnet", scores=dict.fromkeys(keys, [10.0] * 6)),
        write_run(base, "3", model="highway", scores=dict.fromkeys(keys, [0.09] * 6), entry={"device": HOSTILE}),
    ]
    whole = write_comparison(base, "4", runs, note=HOSTILE, tags=[HOSTILE])
    return report.write_page(whole.path, [run.path for run in runs])


@pytest.fixture
def browser(started, page) -> Browser:
    """The page loaded anew on a screen of the usual size: what one test emulated is not seen by the next."""
    started.send("Emulation.setEmulatedMedia", media="", features=[])
    started.send("Emulation.setDeviceMetricsOverride", width=1280, height=800, deviceScaleFactor=1, mobile=False)
    started.open(page)
    return started


TABLE = "document.querySelector('table.sortable')"
HEADINGS = f"{TABLE}.querySelector('tr.headings').cells"


def column(browser: Browser, number: int) -> list[str]:
    return browser.evaluate(f"Array.from({TABLE}.tBodies[0].rows, row => row.cells[{number}].textContent)")


def sorted_state(browser: Browser) -> list[str]:
    return browser.evaluate(f"Array.from({HEADINGS}, th => th.getAttribute('aria-sort'))")


def test_the_console_is_silent_and_nothing_is_fetched(browser, page):
    complaints = [
        event
        for event in browser.events
        if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
    ]
    assert complaints == []
    asked = {e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"}
    assert page.as_uri() in asked, "the listening itself works"
    assert {url for url in asked if not url.startswith("data:")} == {page.as_uri()}


def test_what_users_named_runs_nowhere(browser):
    assert browser.evaluate("document.title") == "DDL, ResNet and Highway on harmonic"
    assert browser.evaluate("document.querySelectorAll('script').length") == 1
    assert browser.evaluate("Array.from(document.images).every(i => i.src.startsWith('data:'))")
    assert HOSTILE in browser.evaluate("document.body.textContent")


def test_every_figure_is_drawn(browser):
    browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    drawn = browser.evaluate("Array.from(document.images, i => i.complete && i.naturalWidth > 100)")
    assert len(drawn) >= 6
    assert all(drawn)


def test_a_click_sorts_by_number_and_back(browser):
    before = column(browser, 0)
    assert before[:3] == ["DDL", "ResNet", "Highway"]
    click = f"{HEADINGS}[2].querySelector('button').click()"
    browser.evaluate(click)
    # The floor (persistence, .9) lies between DDL (.2) and ResNet (10).
    assert column(browser, 0) == ["Highway", "DDL", "floor: persistence", "ResNet"]
    assert sorted_state(browser)[2] == "ascending"
    browser.evaluate(click)
    assert column(browser, 0) == ["ResNet", "floor: persistence", "DDL", "Highway"]
    assert sorted_state(browser)[2] == "descending"
    browser.evaluate(click)
    assert column(browser, 0) == before
    assert set(sorted_state(browser)) == {"none"}


@pytest.mark.parametrize(("key", "text"), [("Enter", "\r"), (" ", " ")])
def test_the_keyboard_sorts_by_text(browser, key, text):
    browser.evaluate(f"{TABLE}.closest('details').open = true")
    browser.evaluate(f"{HEADINGS}[0].querySelector('button').focus()")
    browser.press(key, text)
    assert column(browser, 0) == ["DDL", "floor: persistence", "Highway", "ResNet"]
    assert sorted_state(browser)[0] == "ascending"
    browser.press(key, text)
    browser.press(key, text)
    assert set(sorted_state(browser)) == {"none"}


def test_the_first_tab_offers_to_skip_to_the_content(browser):
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert browser.evaluate("document.activeElement.getBoundingClientRect().left >= 0")


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_the_page_itself_never_scrolls_sideways(browser, width):
    browser.send("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
    for opened in ("false", "true"):
        browser.evaluate(f"document.querySelectorAll('details').forEach(d => {{ d.open = {opened}; }})")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_is_dark_where_that_is_preferred(browser):
    paper = "getComputedStyle(document.body).backgroundColor"
    light = browser.evaluate(paper)
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    dark = browser.evaluate(paper)
    assert light == "rgb(255, 255, 255)"
    assert max(map(int, dark[4:-1].split(","))) < 50


def test_paper_shows_the_folded_figures(browser):
    browser.send("Emulation.setEmulatedMedia", media="print")
    browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = false; })")
    browser.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.evaluate("Array.from(document.querySelectorAll('details.printed')).every(d => d.open)")
    browser.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert browser.evaluate("Array.from(document.querySelectorAll('details.printed')).every(d => !d.open)")
