"""`ddl-dyn serve`: who comes in, what is shown of a folder that others write to, and that nothing is written there."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ddl_dyn.cli.main import main
from ddl_dyn.results.serve import catalogue, drawings
from ddl_dyn.results.serve.guard import PAGE_POLICY, Guard
from ddl_dyn.results.serve.portraits import forming_portraits
from ddl_dyn.results.serve.selection import selection_data
from ddl_dyn.results.serve.single_run import output_end, training_charts
from ddl_dyn.runs import Run, RunError, atomic_files, heartbeat
from tests.helpers.run_folders import make_run
from tests.helpers.synthetic_runs import write_comparison, write_run
from tests.helpers.web import Client, serving

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\x1b[2J"
SECRET = "the secret itself"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request looks at the folder anew."""
    monkeypatch.setattr(catalogue, "_PAUSE_S", 0.0)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    make_run(tmp_path / "runs", "1", note=HOSTILE, tags=[HOSTILE], error=HOSTILE, model=HOSTILE)
    with serving(tmp_path / "runs") as found:
        yield found


def live_run(base: Path, name: str, **entry: Any) -> Path:
    """A run of this very process, so that it lives."""
    mine = {"status": "RUNNING", "process": heartbeat.process_identity(), "heartbeat": heartbeat.now()}
    folder = make_run(base, name, **(mine | entry))
    (folder / "result.json").unlink()
    atomic_files.write_json(folder / "config.json", {"task": "henon", "model": "ddl", "train": {"updates": 100}})
    return folder


def record(folder: Path, update: int, loss: list[float]) -> None:
    values = {"update": update, "loss": loss, "val": loss, "seconds": 1.0 + update, "alive": [True] * len(loss)}
    atomic_files.append_line(folder / "metrics.jsonl", values)


def test_only_the_address_with_the_token_opens(client: Client) -> None:
    token = client.server.token
    assert len(token) >= 22
    assert client.get().status == 200
    assert client.ask("GET", f"/{token}").status == 307
    for path in (
        "/",
        "/x/",
        f"/{token}x/",
        f"/{token[:-1]}/",
        "/runs.json",
        f"/?token={token}",
        f"//{token}/",
        "/%00/",
    ):
        answer = client.ask("GET", path)
        assert (answer.status, "henon" in answer.text, token in answer.text) == (403, False, False), path


def test_the_token_is_another_each_time(tmp_path: Path) -> None:
    with serving(tmp_path) as first, serving(tmp_path) as second:
        assert first.server.token != second.server.token
        assert second.ask("GET", f"/{first.server.token}/").status == 403


def test_it_listens_on_the_loopback_alone_unless_told(client: Client) -> None:
    assert client.server.address.startswith("http://127.0.0.1:")
    port = int(client.server.address.split(":")[2].split("/")[0])
    others = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)} - {"127.0.0.1"}
    for other in [*others, "127.0.0.2"]:
        with pytest.raises(OSError), socket.create_connection((other, port), timeout=5):  # noqa: PT011
            pass


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost", "LOCALHOST:9", "[::1]:{port}", "127.0.0.1:22"])
def test_its_own_names_are_answered(client: Client, host: str) -> None:
    port = client.server.address.split(":")[2].split("/")[0]
    assert client.get(Host=host.format(port=port)).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "[::1", "192.0.2.1"]
)
def test_another_name_in_the_host_header_is_refused(client: Client, host: str) -> None:
    answer = client.get(Host=host)
    assert answer.status in (400, 403)
    assert "henon" not in answer.text


def test_none_and_two_host_headers_are_refused(client: Client) -> None:
    path = f"/{client.server.token}/"
    assert {client.ask("GET", path, times=times).status for times in (0, 2)} <= {400, 403}


def test_a_named_interface_is_answered_under_its_name_and_numbers() -> None:
    async def nothing(*_: object) -> None: ...

    open_to_all, named = Guard(nothing, "t", "0.0.0.0"), Guard(nothing, "t", "lab.example")
    assert all(open_to_all._is_host([name]) for name in (b"192.0.2.7:80", b"localhost", socket.gethostname().encode()))
    assert named._is_host([b"lab.example:8765"])
    assert not any(one._is_host([b"evil.example"]) for one in (open_to_all, named))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_but_reading_is_answered(client: Client, method: str) -> None:
    for place in ("", "runs.json", "run/1", "report?run=1"):
        answer = client.ask(method, f"/{client.server.token}/{place}")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_every_answer_carries_its_headers(client: Client) -> None:
    places = ["", "runs.json", "run/1", "run/2", "nowhere", "static/page.css", "compare?run=1", "run/1/figure/x"]
    answers = [client.get(place) for place in places]
    answers += [client.ask("GET", "/"), client.ask("POST", f"/{client.server.token}/"), client.get(Host="evil.example")]
    assert {answer.status for answer in answers} == {200, 403, 404, 405}
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"] == PAGE_POLICY
        assert "server" not in answer.headers
    for part in ("default-src 'none'", "frame-ancestors 'none'", "script-src 'self'", "form-action 'self'"):
        assert part in PAGE_POLICY
    assert "unsafe" not in PAGE_POLICY


def test_what_users_named_is_escaped_everywhere(client: Client) -> None:
    runs = client.runs
    (runs / "1" / "cout.txt").write_text(f"first\n\rover{HOSTILE}\n")
    config = json.loads((runs / "1" / "config.json").read_text()) | {"note": HOSTILE, "model_args": {HOSTILE: HOSTILE}}
    (runs / "1" / "config.json").write_text(json.dumps(config))
    for update in (0, 10):
        record(runs / "1", update, [1.0, 2.0])
    page = client.get("run/1").text
    assert page.count("&lt;script&gt;alert(1)") >= 5
    state = client.get("run/1/state.json").json["parts"]
    assert "&lt;script&gt;alert(1)" in state["charts"]
    for text in (page, *(state[name] for name in ("charts", "scores", "figures", "forming"))):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "\x1b" not in text
    lines = client.get("runs.json")
    assert lines.headers["content-type"] == "application/json"
    assert "\x1b" not in lines.json["lines"][0]["note"]
    refused = client.get("run/%3Cscript%3Ealert(1)")
    assert refused.status == 404
    assert "<script>alert" not in refused.text


def test_names_that_lead_elsewhere_lead_nowhere(client: Client) -> None:
    (client.runs.parent / "run.json").write_text("{}")
    places = ["run/..", "run/%2e%2e", "run/..%2f1", "run/.", "run/1%2f..%2f1", "run/1/figure/..%2f..%2frun"]
    places += ["static/../site.py", "static/serve.py", "static/..%2f..%2fsite.py", "static/", "reports/..%2frun"]
    places += ["compare?run=..", "report?run=../1", "report?run=", "compare", "reports/report-0", "report.json?key=x"]
    for place in places:
        assert client.get(place).status == 404, place


@pytest.mark.parametrize(
    "name", ["run.json", "config.json", "result.json", "metrics.jsonl", "cout.txt", "portraits.npz"]
)
def test_no_link_inside_a_run_is_followed(client: Client, name: str) -> None:
    folder = client.runs / "1"
    (client.runs.parent / "secret").write_text(json.dumps({"status": "COMPLETED", "task": SECRET, "model": SECRET}))
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(client.runs.parent / "secret")
    places = ("runs.json", "run/1", "run/1/state.json", "compare?run=1", "compare.json?run=1")
    answers = [client.get(place) for place in places]
    assert not any(SECRET in answer.text for answer in answers)
    assert all(answer.status < 500 for answer in answers)


def test_a_figure_is_shown_by_its_content_and_through_no_link(client: Client) -> None:
    figures = client.runs / "1" / "figures"
    figures.mkdir()
    plt.figure(figsize=(1, 1)).savefig(figures / "portrait.png")
    plt.close("all")
    (figures / "page.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    (figures / "plain.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>')
    (figures / "text.png").write_text(SECRET)
    (client.runs / "secret.png").write_bytes((figures / "portrait.png").read_bytes())
    (figures / "link.png").symlink_to(client.runs / "secret.png")
    good, drawing = client.get("run/1/figure/portrait"), client.get("run/1/figure/plain")
    assert (good.status, good.headers["content-type"]) == (200, "image/png")
    assert (drawing.status, drawing.headers["content-type"]) == (200, "image/svg+xml")
    assert "sandbox" in drawing.headers["content-security-policy"]
    assert "script" not in drawing.headers["content-security-policy"]
    assert {client.get(f"run/1/figure/{name}").status for name in ("page", "text", "link", "none")} == {404}
    assert 'src="/' in client.get("run/1").text
    figures.rename(client.runs / "elsewhere")
    figures.symlink_to(client.runs / "elsewhere")
    assert client.get("run/1/figure/portrait").status == 404


def test_a_run_appears_goes_on_and_goes(tmp_path: Path) -> None:
    make_run(tmp_path, "1")
    with serving(tmp_path) as client:
        first = client.get("runs.json").json
        assert [line["id"] for line in first["lines"]] == ["1"]
        same = client.get(f"runs.json?since={first['version']}").json
        assert (same["version"], same["lines"], same["gone"]) == (first["version"], [], [])
        folder = live_run(tmp_path, "2")
        new = client.get(f"runs.json?since={first['version']}").json
        assert [(line["id"], line["status"]) for line in new["lines"]] == [("2", "RUNNING")]
        assert "No curve yet" in client.get("run/2").text
        before = client.get("run/2/state.json").json
        for update, loss in ((0, [0.0, 0.0, 0.0]), (10, [1.0, 2.0, 8.0]), (20, [0.5, 1.0, 4.0])):
            record(folder, update, loss)
        line = client.get(f"runs.json?since={new['version']}").json["lines"][0]
        assert (line["id"], line["update"], line["updates"], line["loss"], line["course"]) == (
            "2",
            20,
            100,
            1.0,
            [2.0, 1.0],
        )
        # 20 updates took 21 s by the record: 80 take 84.
        assert line["left"] == pytest.approx(84, abs=5)
        after = client.get(f"run/2/state.json?stamp={before['stamp']}").json
        assert "validation free-run NRMSE" in after["parts"]["charts"]
        assert "parts" not in client.get(f"run/2/state.json?stamp={after['stamp']}").json
        shutil.rmtree(folder)
        last = client.get(f"runs.json?since={new['version']}").json
        assert last["gone"] == ["2"]
        assert client.get("run/2").status == 404


def test_a_run_whose_process_has_gone_is_dead_without_any_file_changing(tmp_path: Path) -> None:
    gone = heartbeat.process_identity() | {"pid_start": "1"}
    live_run(tmp_path, "1", process=gone, progress={"update": 30, "updates": 100})
    with serving(tmp_path) as client:
        line = client.get("runs.json").json["lines"][0]
        assert (line["status"], line["update"], line["updates"]) == ("DEAD", 30, 100)


def test_a_sweep_says_how_many_of_its_cells_are_done(tmp_path: Path) -> None:
    for name, status in (("a", "COMPLETED"), ("b", "FAILED")):
        make_run(tmp_path, name, status=status)
    make_run(tmp_path, "s", status="INTERRUPTED", kind="sweep", members=["a", "b", "../a", 7], cells=5)
    with serving(tmp_path) as client:
        lines = {line["id"]: line for line in client.get("runs.json").json["lines"]}
        assert (lines["s"]["cells"], lines["s"]["counts"]) == (5, {"COMPLETED": 1, "FAILED": 1})
        assert (lines["a"]["group"], lines["s"]["group"]) == ("s", "")
        assert lines["a"]["score"] == "failed"
        assert "2 runs compared" in client.get("compare?run=s").text


def test_results_are_read_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "123":
        make_run(tmp_path, name)
        atomic_files.write_json(tmp_path / name / "result.json", {"test": {"nrmse_short": [float(name)] * 3}})
    monkeypatch.setattr(catalogue, "_READING_S", -1.0)
    found = catalogue.RunsCatalogue(tmp_path)
    first = found.since(0)
    assert first["pending"] == 3
    assert not any("score" in line for line in first["lines"])
    monkeypatch.setattr(catalogue, "_READING_S", 5.0)
    then = found.since(first["version"])
    assert (then["pending"], [line["score"] for line in then["lines"]]) == (0, [1.0, 2.0, 3.0])
    assert found.since(then["version"])["lines"] == []


@pytest.mark.parametrize(
    "entry", [{"members": 5, "kind": "sweep"}, {"tags": 5}, {"progress": 7}, {"cells": "x", "kind": "sweep"},
              {"process": []}, {"model": ["a"]}, {"task": None}, {"status": {}}, {"start_time": 3}, {"resolved": 5}]
)  # fmt: skip
def test_damaged_runs_are_listed_and_disturb_nothing(tmp_path: Path, entry: dict[str, Any]) -> None:
    make_run(tmp_path, "1")
    live_run(tmp_path, "2", **entry)
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "run.json").write_text('{"torn')
    with serving(tmp_path) as client:
        lines = {line["id"]: line for line in client.get("runs.json").json["lines"]}
        assert (lines["1"]["status"], lines["3"]["status"]) == ("COMPLETED", "UNREADABLE")
        assert "2" in lines
        places = ("run/2", "run/2/state.json", "run/3", "compare.json?run=1,2,3")
        assert all(client.get(place).status in (200, 404) for place in places)


def test_looking_writes_nothing_into_the_folder(tmp_path: Path) -> None:
    base = tmp_path / "runs"
    # Enough for `ddl-dyn list` to keep an index.
    for number in range(210):
        (base / str(number)).mkdir(parents=True)
        (base / str(number) / "run.json").write_text(
            '{"kind": "run", "status": "COMPLETED", "task": "henon", "model": "ddl"}'
        )
    write_run(base, "1000")
    tree = lambda: sorted((str(p), p.stat().st_mtime_ns) for p in base.rglob("*"))  # noqa: E731
    before = tree()
    with serving(base) as client:
        for place in ("", "runs.json", "runs.json?since=1", "run/1000", "run/1000/state.json", "run/5",
                      "compare?run=1000,5", "compare.json?run=1000,5", "report?run=1000"):  # fmt: skip
            assert client.get(place).status == 200, place
    assert tree() == before
    assert main(["list", "--runs", str(base)]) == 0
    assert tree() != before, "the walk sees an index that is written"


def test_a_folder_that_comes_later_is_shown_when_it_has_come(tmp_path: Path) -> None:
    with serving(tmp_path / "later") as client:
        assert client.get("runs.json").json["lines"] == []
        make_run(tmp_path / "later", "1")
        assert [line["id"] for line in client.get("runs.json").json["lines"]] == ["1"]


def test_a_selection_of_thousands_stands_in_an_address(client: Client) -> None:
    names = ",".join(["1", *(f"{number:016x}" for number in range(4000))])
    # Ids that are not there are said; the length of the address is no obstacle.
    assert client.get(f"compare.json?run={names}").status == 404
    assert client.get(f"compare.json?run={','.join(['1'] * 30_000)}").status == 200


def test_the_band_is_over_the_seeds_that_live(tmp_path: Path) -> None:
    folder = live_run(tmp_path, "1", seeds=5)
    for update, loss in ((0, [1.0, 2.0, 3.0, 4.0, 5.0]), (10, [0.1, 0.2, 0.3, 0.4, np.nan]), (20, [0.1] * 4)):
        record(folder, update, loss)
    charts = training_charts(Run(folder))
    assert [chart.title for chart in charts] == ["training loss", "validation free-run NRMSE"]
    (curve,) = charts[0].curves
    # The third record has another number of seeds and is left out.
    assert curve.x.tolist() == [0, 10]
    np.testing.assert_allclose(curve.y, [3.0, 0.25])
    np.testing.assert_allclose(curve.low, [1.4, 0.13])
    np.testing.assert_allclose(curve.high, [4.6, 0.37])
    assert "1 diverged" in charts[0].note


def test_the_end_of_the_output_is_what_a_terminal_would_show(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "1")
    assert output_end(Run(folder)) == ""
    (folder / "cout.txt").write_text("a\r\n10 %\r20 %\nlast\x1b[1m")
    assert output_end(Run(folder)) == "a\n20 %\nlast�[1m"
    (folder / "cout.txt").write_text("".join(f"line {number}\n" for number in range(9999)))
    assert output_end(Run(folder)).startswith("…\nline ")
    assert output_end(Run(folder)).endswith("line 9998\n")


def test_portraits_are_drawn_as_they_form(tmp_path: Path) -> None:
    folder = live_run(tmp_path, "1")
    run = Run(folder)
    assert forming_portraits(run) is None
    axis = np.linspace(-1.0, 1.0, 15)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    step = np.broadcast_to([0.5, 0.0], grid.shape)
    np.savez(folder / "portraits.npz", portrait_grid=grid, kept_update=[0, 50], kept_step=np.stack([0 * step, step]))
    found = forming_portraits(run)
    assert found is not None
    assert (found.kind, [one.update for one in found.panels]) == ("field", [0, 50])
    # 8 arrows a side lie 150/8 apart and are as long: each points to the right, on one height.
    first = found.panels[1].path.split("l")[0]
    assert first == "M9.4 140.6L28.1 140.6"
    assert 'class="map"' in _page(tmp_path)
    x = np.linspace(0, 1, 9)[:, None]
    np.savez(folder / "portraits.npz", portrait_grid=x, kept_update=[7], kept_step=(0 * x)[None])
    graph = forming_portraits(run)
    assert graph is not None
    assert graph.kind == "graph"
    # A map that moves nothing is the diagonal.
    assert graph.panels[0].path.startswith(graph.diagonal.split("L")[0])
    np.savez(folder / "portraits.npz", portrait_grid=x, kept_update=[7], kept_step=np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"\(K, P, D\), got"):
        forming_portraits(run)
    assert 'class="map"' not in _page(tmp_path)


def _page(base: Path) -> str:
    with serving(base) as client:
        return client.get("run/1").text


def test_a_selection_differs_in_what_was_set_and_not_in_what_follows(tmp_path: Path) -> None:
    key = ("test", "short")
    runs = [
        write_run(tmp_path, "1", scores={key: [0.1, 0.2, 0.3]}, config={"train": {"lr": 1e-3}, "note": "one"}),
        write_run(tmp_path, "2", scores={key: [0.2, 0.3, 0.4]}, config={"train": {"lr": 1e-1, "threads": 1}}),
        write_run(tmp_path, "3", model="resnet", scores={key: [np.inf] * 3}, config={"train": {"lr": 1e-2}}),
        Run(make_run(tmp_path, "4")),
    ]
    (runs[3].path / "config.json").write_text("[")
    found = selection_data(runs)
    assert [run["id"] for run in found["runs"]] == ["1", "2", "3"]
    assert [(one["id"], "JSON" in one["reason"]) for one in found["left"]] == [("4", True)]
    axes = {axis["name"]: axis for axis in found["settings"]}
    # DDL's own settings follow from the model; threads and note change nothing; norm is an option of both.
    assert set(axes) == {"model", "model_args.norm", "train.lr"}
    assert (axes["train.lr"]["kind"], axes["train.lr"]["log"], axes["train.lr"]["values"]) == (
        "number",
        True,
        [1e-3, 1e-1, 1e-2],
    )
    scores = {axis["name"]: axis["values"] for axis in found["scores"]}
    assert scores["test.short"] == [0.2, 0.3, "failed"]
    assert scores["parameters"] == [1000, 1000, 1000]
    json.dumps(found, allow_nan=False)


def test_a_comparison_stands_for_its_runs(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, name, model=model) for name, model in (("1", "ddl"), ("2", "resnet"))]
    write_comparison(tmp_path, "3", runs)
    with serving(tmp_path) as client:
        found = client.get("compare.json?run=3,1").json
        assert [run["id"] for run in found["runs"]] == ["1", "2"]


class Killed:
    """A process that draws nothing, until it is killed."""

    begun: ClassVar[list[Any]] = []
    exitcode = -9

    def __init__(self, *, target: Any, args: Any, daemon: bool) -> None:  # noqa: ARG002
        self.lives = True

    def start(self) -> None:
        self.begun.append(self)

    def is_alive(self) -> bool:
        return self.lives

    def join(self) -> None: ...

    terminate = join


def test_one_drawing_is_made_at_a_time_and_one_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawings.multiprocessing, "get_context", lambda _: SimpleNamespace(Process=Killed))
    monkeypatch.setattr(Killed, "begun", [])
    shelf = drawings.DrawingShelf()
    first, second, again = (shelf.ask([Run(make_run(tmp_path, name))]) for name in "123")
    assert shelf.state(first) == ("building", "")
    assert shelf.state(second) == ("waiting", "")
    assert len(Killed.begun) == 1
    Killed.begun[0].lives = False
    assert shelf.state(second) == ("building", "")
    assert shelf.state(first) == ("failed", "its process ended with code -9")
    # The third was asked for and not looked after: it was never begun.
    assert len(Killed.begun) == 2
    assert shelf.state(again) == ("waiting", "")
    with pytest.raises(RunError, match="not drawn yet"):
        shelf.content(second)
    with pytest.raises(RunError, match="no such drawing"):
        shelf.state("report-0")
    shelf.close()


@pytest.mark.slow
def test_figures_are_drawn_from_what_is_stored_or_it_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "nice", lambda _: 0)
    good, bad = write_run(tmp_path, "1"), Run(make_run(tmp_path, "2"))
    drawings._draw([good.path], tmp_path / "good.json")
    found = {one["shows"]: one for one in json.loads((tmp_path / "good.json").read_text())}
    assert "gate β over the phase plane" in found
    assert len(found) >= 4
    for one in found.values():
        assert one["address"].startswith("data:image/webp;base64,")
        assert one["width"] > 100
    drawings._draw([bad.path], tmp_path / "bad.json")
    assert not (tmp_path / "bad.json").exists()
    assert "arrays.npz is missing" in (tmp_path / "bad.txt").read_text()
    drawings._draw([tmp_path / "nowhere"], tmp_path / "none.html")
    assert "a report needs at least one run" in (tmp_path / "none.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "70000"], "--port must be from 0 (any that is free) to 65535, got 70000"),
        (["--port", "{taken}"], "choose another with --port (0 takes a free one)"),
        (["--host", "192.0.2.1", "--port", "0"], "cannot listen on port 0 of 192.0.2.1"),
        (["--runs", "{file}"], "expected a folder of runs"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (tmp_path / "file").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = [item.format(taken=taken.getsockname()[1], file=tmp_path / "file") for item in arguments]
        assert main(["serve", *(["--runs", str(tmp_path)] if "--runs" not in given else []), *given]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert said in told.err
    assert os.listdir(tmp_path) == ["file"]


def test_without_its_packages_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("server", "site"):
        monkeypatch.delitem(sys.modules, f"ddl_dyn.results.serve.{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] == "starlette"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert main(["serve", "--runs", str(tmp_path), "--port", "0"]) == 1
    assert (
        capsys.readouterr().err
        == "error: serve needs starlette, which is not installed: pip install 'ddl-dyn[serve]'\n"
    )
