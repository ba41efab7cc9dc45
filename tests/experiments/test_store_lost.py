"""A store that goes bad under a running command, many commands at one store, and clocks that jump."""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ddl_dyn import runs
from ddl_dyn.experiments import run as running
from ddl_dyn.experiments.outcome import Callbacks, RunOutcome
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.runs import heartbeat, leftovers
from tests.helpers import fake_runs
from tests.helpers.commands import LONG_ARGUMENTS, ROOT, SMALL_ARGUMENTS, config, environment, records, wait_for


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def filled(disk: Path) -> None:
    with open(disk / "other", "wb") as file:
        while True:
            try:
                file.write(b"\0" * 4096)
                file.flush()
            except OSError:
                return


def read_only(disk: Path) -> None:
    (disk / "runs" / "1").chmod(0o555)


def folder_lost(disk: Path) -> None:
    shutil.rmtree(disk / "runs" / "1")


def store_lost(disk: Path) -> None:
    shutil.rmtree(disk / "runs")


# Permissions hold for root too, once it has lost the right to pass over them.
OBEYING = ("setpriv", "--bounding-set", "-dac_override") if shutil.which("setpriv") else ()
LOST = {
    filled: "No space left on device",
    read_only: "Permission denied",
    folder_lost: "the run's folder was removed or moved",
    store_lost: "the run's folder was removed or moved",
}


@pytest.mark.slow
@pytest.mark.skipif(not OBEYING, reason="setpriv is missing")
@pytest.mark.parametrize("fault", LOST)
def test_a_store_that_goes_bad_in_mid_run_is_said_in_one_line(fault: Callable[[Path], None], disk: Path) -> None:
    words = [*OBEYING, sys.executable, "-m", "tests.helpers.fake_runs", "run", "with", *LONG_ARGUMENTS]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    surroundings = environment(FAKE_SECONDS="0.05")
    process = subprocess.Popen([*words, "--runs", str(disk / "runs")], cwd=ROOT, env=surroundings, **pipes)
    wait_for(lambda: records(disk / "runs") >= 3)
    for _ in range(20):
        # A file of the run that is just being replaced may appear while its folder goes.
        try:
            fault(disk)
            break
        except OSError:
            time.sleep(0.02)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, err
    assert LOST[fault] in errors[0]
    assert "Traceback" not in out + err
    assert "NRMSE" not in out
    if fault in (filled, read_only):
        # The disk keeps what it had, and nothing of it says that the run is complete.
        assert runs.find_run("1", disk / "runs").status in ("FAILED", "DEAD")
        assert "run 1 is kept as FAILED" in err or "run 1 could not be marked as FAILED" in err


LIMITED = """
import resource, sys
from ddl_dyn.cli.main import main
from tests.helpers import fake_runs
fake_runs.install()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 500, 1200, 40_000])
def test_a_limit_on_the_size_of_files_is_said_in_one_line(tmp_path: Path, size: int) -> None:
    words = ["run", "with", *SMALL_ARGUMENTS, "--runs", str(tmp_path / "runs")]
    full = [sys.executable, "-c", LIMITED, str(size), *words]
    done = subprocess.run(full, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "File too large" in line
    assert "Traceback" not in done.stderr
    assert [run.status for run in runs.scan(tmp_path / "runs")] in ([], ["FAILED"])


SEVERAL = """
import sys
from ddl_dyn.cli.main import main
codes = [main([*sys.argv[1:], f"seed={number}"]) for number in range(8)]
sys.exit(max(codes))
"""


@pytest.mark.slow
def test_sixteen_processes_write_eight_runs_each_into_one_store(tmp_path: Path) -> None:
    words = ["run", "--runs", str(tmp_path / "runs"), "with", *SMALL_ARGUMENTS, "train.updates=2", "task=harmonic"]
    words += ["seeds=1", "train.validate_every=1", "train.compile=off", "data.radii=[]", "eval.bootstrap=100"]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SEVERAL, *words],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(16)
    ]
    said = [process.communicate(timeout=900)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 16, said
    found = runs.scan(tmp_path / "runs")
    assert [run.id for run in found] == [str(number) for number in range(1, 129)]
    assert {run.status for run in found} == {"COMPLETED"}
    seeds = [run.config["seed"] for run in found]
    assert [seeds.count(number) for number in range(8)] == [16] * 8
    # Runs of one seed are one run done sixteen times.
    scores = {run.config["seed"]: run.result["test"]["nrmse_long"] for run in found}
    assert all(run.result["test"]["nrmse_long"] == scores[run.config["seed"]] for run in found)


# Clocks.

DAY = datetime.timedelta(days=1)


def shifted(by: datetime.timedelta) -> type[datetime.datetime]:
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return datetime.datetime.now(tz) + by

    return Clock


@pytest.mark.parametrize("by", [DAY, -DAY, 400 * DAY])
def test_a_clock_that_jumps_makes_no_running_run_dead(by: datetime.timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"status": "RUNNING", "process": heartbeat.process_identity(), "heartbeat": heartbeat.now()}
    monkeypatch.setattr(heartbeat, "datetime", shifted(by))
    assert not heartbeat.is_dead(entry)
    # Of another machine the heartbeat alone tells: one from the future is no old one.
    elsewhere = entry | {"process": {"pid": 1, "machine": "another"}}
    assert heartbeat.is_dead(elsewhere) == (by > datetime.timedelta(0))


@pytest.mark.parametrize("seconds", [86_400.0, -86_400.0])
def test_a_clock_that_jumps_in_mid_run_changes_no_number(
    seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def jump() -> None:
        monkeypatch.setattr(time, "time", lambda now=time.time: now() + seconds)
        monkeypatch.setattr(heartbeat, "datetime", shifted(datetime.timedelta(seconds=seconds)))

    scores = []
    for name, jumps in (("steady", False), ("jumping", True)):

        def execute(setup: Setup, callbacks: Callbacks, jumps: bool = jumps) -> RunOutcome:
            if jumps:
                jump()
            return fake_runs.execute(setup, callbacks)

        monkeypatch.setattr(running, "execute", execute)
        assert run(config(), Launch(base=tmp_path / name)) == "1"
        stored = runs.find_run("1", tmp_path / name)
        assert stored.status == "COMPLETED"
        scores.append(stored.result["test"])
    assert scores[0] == scores[1]


def test_a_clock_that_jumps_takes_no_work_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose owner holds its lock is removed as an abandoned one at no time."""
    from ddl_dyn.runs.lock import RunLock

    busy = tmp_path / "1"
    busy.mkdir()
    owner = RunLock(busy)
    assert owner.acquire()
    for by in (1e9, -1e9):
        monkeypatch.setattr(leftovers.time, "time", lambda by=by, now=time.time: now() + by)
        leftovers.remove_undescribed(tmp_path)
        assert busy.is_dir()
        monkeypatch.undo()
    owner.release()
