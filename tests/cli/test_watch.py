"""`ddl-dyn watch`: what runs and what waits, read while runs write."""

from __future__ import annotations

import json
import math
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ddl_dyn import runs
from ddl_dyn.cli.main import main
from ddl_dyn.cli.watch import page, sparkline, watch
from ddl_dyn.runs import atomic_files, heartbeat
from ddl_dyn.runs.live import Follower
from tests.helpers.commands import LONG_ARGUMENTS, ROOT, SMALL_ARGUMENTS, environment, records, spawn, wait_for


def make(base: Path, name: str, status: str = "RUNNING", **entry: Any) -> Path:
    """A run of this very process, so that it lives."""
    folder = base / name
    folder.mkdir(parents=True)
    mine = {"process": heartbeat.process_identity(), "heartbeat": heartbeat.now(), "kind": "run", "status": status}
    atomic_files.write_json(
        folder / "run.json", {**mine, "task": "van_der_pol", "model": "ddl", "carry": "observed", **entry}
    )
    atomic_files.write_json(folder / "config.json", {"train": {"updates": 100}})
    return folder


def record(folder: Path, update: int, loss: Any, alive: Any = None, seconds: float = 1.0) -> None:
    values = {"update": update, "loss": loss, "val": loss, "seconds": seconds, "alive": alive or [True] * len(loss)}
    atomic_files.append_line(folder / "metrics.jsonl", values)


def text(base: Path, width: int = 120, height: int = 24, only: runs.Run | None = None) -> str:
    console = Console(width=width, height=height, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        console.print(page(Follower(base), only, console))
    return console.export_text()


def test_a_run_shows_how_far_it_is_its_loss_and_the_time_left(tmp_path: Path) -> None:
    folder = make(tmp_path, "1")
    for update in (0, 20, 40):
        record(folder, update, [4.0 / (1 + update), 1.0 / (1 + update), 2.0 / (1 + update)], seconds=update / 2)
    course = Follower(tmp_path).look().running[0]
    assert (course.update, course.updates, course.alive, course.replicas) == (40, 100, 3, 3)
    assert course.losses == pytest.approx((2.0, 2.0 / 21, 2.0 / 41), rel=1e-15)
    # 40 updates took 20 s, so 60 take 30 s, less what has passed since the record.
    assert course.seconds_left == pytest.approx(30.0, abs=5.0)
    line = next(line for line in text(tmp_path).splitlines() if "van_der_pol" in line)
    assert "40/100" in line
    assert "0.0488" in line
    assert "3/3" in line


def test_the_median_is_over_the_replicas_that_live(tmp_path: Path) -> None:
    folder = make(tmp_path, "1")
    record(folder, 10, [1.0, 9.0, math.nan], [True, False, True])
    record(folder, 20, [math.nan, math.nan, math.nan], [False, False, False])
    course = Follower(tmp_path).look().running[0]
    assert course.losses[0] == 1.0
    assert math.isnan(course.losses[1])
    assert course.alive == 0
    assert "failed" in text(tmp_path)


def test_only_what_is_new_is_read_and_a_torn_line_waits_for_its_end(tmp_path: Path) -> None:
    folder = make(tmp_path, "1")
    record(folder, 10, [1.0])
    follower = Follower(tmp_path)
    assert follower.look().running[0].losses == (1.0,)
    line = json.dumps({"update": 20, "loss": [0.5], "seconds": 2.0, "alive": [True]}) + "\n"
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(line[:20])
        file.flush()
        assert follower.look().running[0].losses == (1.0,)
        file.write(line[20:])
    assert follower.look().running[0].losses == (1.0, 0.5)
    # What a killed process tore and a later one closed is passed over.
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"update": 30, "los\n[1, 2]\n{"update": "x"}\n' + line)
    assert follower.look().running[0].losses == (1.0, 0.5, 0.5)


def test_a_damaged_store_is_shown_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    make(tmp_path, "1")
    (make(tmp_path, "2") / "run.json").write_text('{"status": "RUNN')
    (make(tmp_path, "3") / "run.json").write_bytes(b"\xff\xfe")
    (make(tmp_path, "4") / "config.json").write_text("[]")
    (tmp_path / "5").mkdir()
    make(tmp_path, "6", progress={"update": "x", "updates": -1}, task={"a": 1}, model=None)
    (make(tmp_path, "7") / "metrics.jsonl").write_bytes(b"\0" * 5000)
    make(tmp_path, "8", kind="sweep", members=["../1", 3, "9"], cells="many", tasks=3)
    (tmp_path / "8" / "cells.csv").write_bytes(b"\xff,\n\n1")
    assert {course.id for course in Follower(tmp_path).look().running} == {"1", "4", "6", "7"}
    shown = text(tmp_path)
    assert "4 RUNNING, 2 UNREADABLE" in shown
    assert "sweep 8 RUNNING" in shown


def test_a_dead_run_is_not_shown_as_running(tmp_path: Path) -> None:
    make(tmp_path, "1", process={**heartbeat.process_identity(), "pid_start": "0"})
    assert Follower(tmp_path).look().running == ()
    assert "1 DEAD" in text(tmp_path)


def test_escape_sequences_of_a_stranger_do_not_reach_the_terminal(tmp_path: Path) -> None:
    make(tmp_path, "1", task="\x1b[31mred\x1b]0;title\x07", model="[bold]x[/bold]")
    shown = text(tmp_path)
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "[bold]x" in shown


def test_a_sweep_shows_what_waits_and_when_it_may_end(tmp_path: Path) -> None:
    times = {"start_time": "2025-01-01T00:00:00+00:00", "stop_time": "2025-01-01T00:01:00+00:00"}
    make(tmp_path, "a", "COMPLETED", **times)
    make(tmp_path, "b", "FAILED")
    record(make(tmp_path, "c"), 50, [1.0], seconds=30.0)
    sweep = make(tmp_path, "s", kind="sweep", members=list("abcdefghij"), cells=10)
    rows = "".join(f"{name},henon,ddl,observed,{place}\n" for place, name in enumerate("abcdefghij"))
    (sweep / "cells.csv").write_text("run,task,model,carry,model_args.layers\n" + rows)
    group = Follower(tmp_path).look().groups[0]
    assert (group.cells, group.queued, group.waiting[0]) == (10, 7, "henon ddl observed layers=3")
    # One at a time: 30 s for the one that runs, and 60 s for each of seven.
    assert group.seconds_left == pytest.approx(450.0, abs=5.0)
    shown = text(tmp_path)
    assert "10 cells · 1 running, 1 completed, 1 failed · 7 waiting · about 7 min" in shown
    assert shown.count("waiting: henon ddl observed layers=") == 5
    assert "… and 2 more" in shown
    # Asked for by name it is shown when it has ended, with its runs and no others.
    make(tmp_path, "z")
    atomic_files.write_json(sweep / "run.json", runs.read_json(sweep / "run.json") | {"status": "COMPLETED"})
    alone = text(tmp_path, only=runs.find_run("s", tmp_path))
    assert "sweep s COMPLETED" in alone
    assert " z " not in alone
    assert "sweep s" not in text(tmp_path)


def test_a_comparison_that_has_begun_nothing_says_how_much_waits(tmp_path: Path) -> None:
    make(tmp_path, "1", kind="compare", tasks=["a", "b"], models=["c", "d", "e"], carries=["latent"], members=[])
    assert "6 cells · none begun · 6 waiting" in text(tmp_path)


def test_queued_runs_wait(tmp_path: Path) -> None:
    make(tmp_path, "1", "QUEUED")
    assert "waiting: van_der_pol ddl observed" in text(tmp_path)


@pytest.mark.parametrize("letters", range(2, 120, 7))
def test_a_folder_of_any_length_stands_on_one_line(
    tmp_path: Path, letters: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    base = Path("f" * letters)
    make(base, "1")
    # In a pipe nothing is cut or broken; on a terminal the end of the path is kept, and all that is said of it.
    assert watch(base, once=True) == 0
    assert capsys.readouterr().out.startswith(f"{base}: 1 RUNNING\n")
    first = text(base, width=80).splitlines()[0]
    assert first.endswith("ff: 1 RUNNING")
    assert len(first) == min(letters + len(": 1 RUNNING"), 80)


@pytest.mark.parametrize("width", [30, 40, 60, 66, 80, 99, 100, 200])
def test_numbers_are_whole_at_every_width(tmp_path: Path, width: int) -> None:
    for place in range(3):
        record(make(tmp_path, f"c{place}23456789abcdef"), 1234, [0.0123], seconds=9000.0)
    shown = text(tmp_path, width=width).splitlines()
    assert max(map(len, shown)) <= width
    rows = [line for line in shown if "1234/100" in line]
    assert len(rows) == 3 or width < 34
    assert all("0.0123" in line for line in rows)


def test_more_runs_than_lines_are_counted(tmp_path: Path) -> None:
    for place in range(30):
        make(tmp_path, str(place))
    shown = text(tmp_path, height=20).splitlines()
    assert len(shown) <= 20
    assert "… and 15 more that run" in shown


def test_a_sparkline_is_logarithmic_and_keeps_its_width() -> None:
    assert sparkline([1.0, 10.0, 100.0], 20, "123") == "123"
    assert sparkline([0.0, 1.0, 2.0], 20, "123") == "123"
    assert sparkline([1.0, math.nan, math.inf, 100.0], 20, "12") == "1  2"
    assert sparkline([3.0, 3.0], 20, "12") == "11"
    assert sparkline([], 20) == ""
    assert sparkline([math.nan], 20) == " "
    assert len(sparkline([float(i) for i in range(1000)], 20)) == 20


def test_an_empty_folder_a_bad_interval_and_an_unknown_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert watch(tmp_path / "none", once=True) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'none'}: no runs yet\n"
    assert main(["--runs", str(tmp_path), "watch", "--interval", "0"]) == 1
    assert "--interval must be a positive number of seconds, got 0" in capsys.readouterr().err
    assert main(["--runs", str(tmp_path), "watch", "7"]) == 1
    assert "no run '7'" in capsys.readouterr().err


def watching(base: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], int]:
    """The command on a terminal of its own."""
    ours, theirs = pty.openpty()
    full = [sys.executable, "-m", "ddl_dyn", "--runs", str(base), "watch", "--interval", "0.2", *arguments]
    surroundings = environment(COLUMNS="100", LINES="24", TERM="xterm")
    process = subprocess.Popen(
        full, cwd=ROOT, env=surroundings, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    return process, ours


def said(terminal: int, wanted: bytes, seconds: float = 60.0) -> bytes:
    """Text of the terminal until `wanted` is among it, or until the process has left it."""
    seen, deadline = b"", time.monotonic() + seconds
    while wanted not in seen:
        assert time.monotonic() < deadline, f"{wanted!r} did not come: {seen[-2000:]!r}"
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:
                break
    return seen


def test_a_real_run_is_followed_until_ctrl_c_which_leaves_with_0(tmp_path: Path) -> None:
    run = spawn(["run", "with", *LONG_ARGUMENTS, "--runs", str(tmp_path), "-b", "0.1"], FAKE_SECONDS="0.02")
    try:
        wait_for(lambda: records(tmp_path) >= 3)
        process, terminal = watching(tmp_path)
        seen = said(terminal, b"3/3")
        assert b"/100000" in seen
        assert b"1 RUNNING" in seen
        process.send_signal(signal.SIGINT)
        rest = said(terminal, b"never", 30.0)
        assert process.wait(timeout=30) == 0
        assert b"Traceback" not in seen + rest
        assert b"interrupted" not in rest
        assert run.poll() is None
    finally:
        run.kill()
        run.communicate()


@pytest.mark.slow
def test_one_run_is_followed_to_its_end(tmp_path: Path) -> None:
    run = spawn(["run", "with", *SMALL_ARGUMENTS, "--runs", str(tmp_path), "-b", "0.1"], FAKE_SECONDS="0.6")
    wait_for(lambda: records(tmp_path) >= 1)
    process, terminal = watching(tmp_path, "1")
    assert b"run 1 COMPLETED" in said(terminal, b"never")
    assert process.wait(timeout=30) == 0
    assert run.wait(timeout=60) == 0
    run.communicate()
