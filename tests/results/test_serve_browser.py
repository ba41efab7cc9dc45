"""The pages of `ddl-dyn serve` in a real browser, over 2,000 runs and a sweep that goes on meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.browser import Browser, needs_browser
from tests.helpers.commands import SMALL_ARGUMENTS, environment, spawn, wait_for
from tests.helpers.synthetic_runs import write_run
from tests.helpers.web import Client, serving

pytestmark = [needs_browser, pytest.mark.slow]
COUNT = 2000


def many_runs(base: Path) -> None:
    """Finished runs of three models and four learning rates; the store's own writer would wait for the disk."""
    for number in range(COUNT):
        model, lr = ("ddl", "resnet", "highway")[number % 3], (1e-4, 1e-3, 1e-2, 1e-1)[number % 4]
        score = lr * (1 + number % 3) + 1e-5 * number
        entry = {"kind": "run", "status": "COMPLETED", "task": "henon", "model": model, "seeds": 3}
        entry |= {
            "start_time": f"2026-01-01T00:{number // 60 % 60:02d}:{number % 60:02d}+00:00",
            "tags": [f"t{number % 5}"],
        }
        config = {"task": "henon", "model": model, "seeds": 3, "train": {"lr": lr}, "model_args": {}}
        folder = base / f"old-{number:04d}"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(entry))
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "result.json").write_text(
            json.dumps({"test": {"nrmse_short": [score] * 3}, "parameters": 10 + number})
        )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    base = tmp_path_factory.mktemp("runs")
    grid = ["tasks=henon", "models=ddl,resnet", "train.lr=1e-3,1e-2", *SMALL_ARGUMENTS, "jobs=1"]
    sweep = spawn(["--runs", str(base), "sweep", "with", *grid, "train.updates=4000"], FAKE_SECONDS="0.25")
    try:
        many_runs(base)
        write_run(base, "1", entry={"note": '<b onclick="x">bold</b>'})
        write_run(base, "2", model="resnet")
        wait_for(lambda: any((base / name / "metrics.jsonl").exists() for name in os.listdir(base)))
        with serving(base) as found:
            yield found
    finally:
        os.killpg(sweep.pid, signal.SIGKILL)
        sweep.communicate()


@pytest.fixture
def browser(started: Browser) -> Browser:
    started.send("Emulation.setEmulatedMedia", media="", features=[])
    started.send("Emulation.setDeviceMetricsOverride", width=1280, height=800, deviceScaleFactor=1, mobile=False)
    return started


def complaints(browser: Browser) -> list[object]:
    kinds = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
    return [event for event in browser.events if event.get("method") in kinds]


def fetched(browser: Browser) -> set[str]:
    asked = (e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent")
    return {url for url in asked if not url.startswith("data:")}


ROWS = "document.querySelectorAll('#runs tbody tr')"
FOUND = "document.getElementById('found').textContent"


def test_the_list_of_two_thousand_is_live_while_a_sweep_runs(browser: Browser, client: Client) -> None:
    begin = time.perf_counter()
    browser.visit(client.server.address)
    browser.until(f"{ROWS}.length >= 200")
    print(f"\nfirst page of {COUNT} runs: {time.perf_counter() - begin:.2f} s", file=sys.stderr)
    browser.until("!/still to be read/.test(document.getElementById('found').textContent)", 60)
    version = browser.evaluate("document.body.dataset.version")
    begin = time.perf_counter()
    answer = client.get(f"runs.json?since={version}")
    print(f"a poll: {1000 * (time.perf_counter() - begin):.0f} ms, {len(answer.content)} bytes", file=sys.stderr)
    assert len(answer.json["lines"]) < 20
    # What runs stands first, and goes on by itself.
    assert browser.evaluate(f"{ROWS}[0].textContent").count("running") == 1
    far = browser.evaluate(f"{ROWS}[0].textContent")
    browser.until(f"{ROWS}[0].textContent !== {json.dumps(far)}")
    assert browser.evaluate("document.querySelector('#grids tbody').textContent").count("running") == 2
    assert complaints(browser) == []
    assert all(url.startswith(client.server.address) for url in fetched(browser))


def test_filters_narrow_the_list_and_stand_in_its_address(browser: Browser, client: Client) -> None:
    browser.visit(f"{client.server.address}#model=highway&tags=t1")
    browser.until(f"{ROWS}.length > 0")
    # Every third is a highway network, every fifth has the tag.
    expected = sum(number % 3 == 2 and number % 5 == 1 for number in range(COUNT))
    browser.until(f"{FOUND}.startsWith('{expected} of ')")
    field = "document.forms[0].elements.text"
    browser.evaluate(f"{field}.value = 'old-00'; document.forms[0].dispatchEvent(new Event('input'))")
    few = sum(number % 3 == 2 and number % 5 == 1 for number in range(100))
    assert browser.evaluate(FOUND).startswith(f"{few} of ")
    assert browser.evaluate(f"{ROWS}.length") == few
    assert "text=old-00" in browser.evaluate("location.hash")
    browser.evaluate("document.querySelector('[data-sort=score]').click()")
    scores = browser.evaluate(f"Array.from({ROWS}, row => Number(row.cells[6].textContent))")
    assert scores == sorted(scores)
    assert browser.evaluate("document.querySelector('[data-sort=score]').closest('th').ariaSort") == "ascending"
    browser.evaluate("document.getElementById('all').click()")
    assert browser.evaluate("document.getElementById('chosen').textContent") == f"{few} selected"
    browser.evaluate("document.getElementById('none').click()")


def test_a_running_run_draws_its_curve_as_it_grows(browser: Browser, client: Client) -> None:
    lines = client.get("runs.json").json["lines"]
    run = next(line["id"] for line in lines if line["status"] == "RUNNING" and line["kind"] == "run")
    browser.visit(f"{client.server.address}run/{run}")
    browser.until("document.querySelectorAll('#charts .curve .line').length === 2")
    path = browser.evaluate("document.querySelector('#charts .curve .line').getAttribute('d')")
    browser.until(f"document.querySelector('#charts .curve .line').getAttribute('d') !== {json.dumps(path)}")
    assert browser.evaluate("document.querySelector('#charts .area') !== null"), "the band over seeds"
    assert "running" in browser.evaluate("document.getElementById('state').textContent")
    assert complaints(browser) == []


def test_all_of_them_are_compared(browser: Browser, client: Client) -> None:
    names = ",".join(f"old-{number:04d}" for number in range(COUNT))
    browser.visit(f"{client.server.address}compare?run={names}")
    browser.until(f"document.querySelectorAll('#parallel path.run').length === {COUNT}", 60)
    assert browser.evaluate("document.querySelectorAll('#scatter circle.run').length") == COUNT
    assert browser.evaluate("document.getElementById('told').textContent") == "They differ in model, train.lr."
    place = browser.evaluate("""(() => {
        document.getElementById('parallel').scrollIntoView({ behavior: 'instant' });
        const box = document.querySelectorAll('#parallel .grip')[1].getBoundingClientRect();
        return [box.x + box.width / 2, box.bottom - 8, box.y + 0.7 * box.height];
    })()""")
    # The lower end of the learning rates: a quarter of the runs.
    for kind, y in (("mousePressed", place[1]), ("mouseMoved", place[2]), ("mouseReleased", place[2])):
        browser.send("Input.dispatchMouseEvent", type=kind, x=place[0], y=y, button="left", buttons=1, clickCount=1)
    browser.until(f"document.querySelectorAll('#parallel path.run:not(.out)').length === {COUNT // 4}")
    assert browser.evaluate("document.getElementById('table-title').textContent").startswith(
        "Numbers: 500 of 2,000 runs"
    )
    assert complaints(browser) == []


def test_a_report_is_drawn_and_shown(browser: Browser, client: Client) -> None:
    browser.visit(f"{client.server.address}report?run=1,2")
    browser.until("location.pathname.includes('/reports/') && document.querySelectorAll('.glance').length === 1", 90)
    assert "How well do DDL and ResNet learn harmonic?" in browser.evaluate("document.body.textContent")
    # Its own policy lets its own style and script through, and nothing else.
    assert browser.evaluate("document.querySelectorAll('table.sortable button').length") > 0
    assert browser.evaluate("document.querySelector('b[onclick]')") is None
    assert complaints(browser) == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("place", ["", "run/1", "compare?run=1,2", "report?run=nothing"])
def test_no_page_is_wider_than_its_window(browser: Browser, client: Client, place: str, width: int) -> None:
    browser.send("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    browser.visit(client.server.address + place)
    browser.until("document.querySelector('#runs tbody tr, .charts .note, #numbers tbody tr, main p') !== null")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_ctrl_c_ends_it_with_success(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ddl_dyn", "--runs", str(tmp_path), "serve", "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    server = subprocess.Popen(command, env=environment(), start_new_session=True, **pipes)
    assert server.stdout is not None
    assert server.stdout.readline().startswith("http://127.0.0.1:")
    server.stdout.readline()
    time.sleep(0.5)
    server.send_signal(signal.SIGINT)
    said = server.communicate(timeout=30)[1]
    assert (server.returncode, said) == (0, "")
