"""One writer per run: the lock in its folder, between real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ddl_dyn import runs
from ddl_dyn.cli.main import main
from ddl_dyn.experiments import run as running
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.runs.atomic_files import write_json
from ddl_dyn.runs.lock import NAME, RunLock, is_locked
from ddl_dyn.runs.observer import RunStore
from ddl_dyn.runs.run import config_digest
from ddl_dyn.runs.writer import BusyError
from tests.helpers import fake_runs
from tests.helpers.commands import ROOT, SMALL, SMALL_ARGUMENTS, environment, wait_for

HOLD = "import sys, time; from ddl_dyn.runs.lock import RunLock; from pathlib import Path; \
lock = RunLock(Path(sys.argv[1])); \
print(lock.acquire(), flush=True); time.sleep(60)"


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    yield process
    process.kill()
    process.communicate()


def test_the_lock_excludes_other_processes_until_its_own_is_killed(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    assert is_locked(tmp_path)
    assert not RunLock(tmp_path).acquire()
    holder.kill()
    holder.wait()
    assert not is_locked(tmp_path)
    lock = RunLock(tmp_path)
    assert lock.acquire()
    assert not RunLock(tmp_path).acquire()
    lock.release()
    assert not (tmp_path / NAME).exists()


def test_a_lock_on_a_file_that_its_holder_removed_is_no_lock(tmp_path: Path) -> None:
    first = RunLock(tmp_path)
    assert first.acquire()
    os.unlink(tmp_path / NAME)
    # The second gets a file of its own; the first must not count as holding that one.
    second = RunLock(tmp_path)
    assert second.acquire()
    assert not RunLock(tmp_path).acquire()


def fake(*arguments: str, **extra: str) -> subprocess.Popen[str]:
    full = [sys.executable, "-m", "tests.helpers.fake_runs", *arguments]
    return subprocess.Popen(
        full, cwd=ROOT, env=environment() | extra, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_of_two_resumes_at_once_one_writes_and_the_other_says_why_not(tmp_path: Path) -> None:
    killed = fake("run", "with", *SMALL_ARGUMENTS, "train.updates=200", "--runs", str(tmp_path), FAKE_SECONDS="0.5")
    wait_for(lambda: (tmp_path / "1" / "resume.pt").exists(), 60)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    both = [fake("resume", "1", "--runs", str(tmp_path), FAKE_SECONDS="0.1") for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], said
    (loser,) = (text for process, text in zip(both, said, strict=True) if process.returncode)
    assert "being written by another process" in loser or "its process still runs" in loser or "complete" in loser
    stored = runs.find_run("1", tmp_path)
    assert (stored.status, len(stored.entry["attempts"])) == ("COMPLETED", 2)
    assert not (stored.path / NAME).exists()


def test_a_run_that_another_process_writes_cannot_be_resumed_whatever_run_json_says(
    tmp_path: Path, holder: subprocess.Popen[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "execute", fake_runs.execute)
    base = tmp_path.parent
    stored = resolve_run(SMALL).model_dump(mode="json")
    store(base, runs.INTERRUPTED, run_id=tmp_path.name, config_sha256=config_digest(stored))
    write_json(tmp_path / "config.json", stored)
    before = (tmp_path / "run.json").read_bytes()
    assert main(["resume", tmp_path.name, "--runs", str(base)]) == 1
    said = capsys.readouterr().err
    assert said == f"error: run {tmp_path.name} is being written by another process; wait for it, or stop it first\n"
    assert (tmp_path / "run.json").read_bytes() == before
    holder.kill()
    holder.wait()
    assert main(["resume", tmp_path.name, "--runs", str(base)]) == 0


def store(base: Path, status: str, run_id: str = "1", **entry: object) -> RunStore:
    (base / run_id).mkdir(exist_ok=True)
    write_json(base / run_id / "run.json", {"kind": "run", "status": status, **entry})
    return RunStore(base, entry={"kind": "run"}, run_id=run_id, resume=True)


def begin(target: RunStore) -> str:
    return target.started_event({}, "run", {}, datetime.now(UTC), {}, {}, None)


def test_a_complete_run_is_not_taken_up_again(tmp_path: Path) -> None:
    target = store(tmp_path, runs.COMPLETED)
    before = (tmp_path / "1" / "run.json").read_bytes()
    with pytest.raises(BusyError, match="run 1 is complete already"):
        begin(target)
    target.failed_event(datetime.now(UTC), ["x"])
    assert (tmp_path / "1" / "run.json").read_bytes() == before
    assert not is_locked(tmp_path / "1")


@pytest.mark.parametrize(("age", "taken"), [(0.0, True), (1e6, False)])
def test_on_another_machine_the_heartbeat_decides(tmp_path: Path, age: float, taken: bool) -> None:
    beat = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    target = store(tmp_path, runs.RUNNING, heartbeat=beat, process={"pid": 1, "machine": "elsewhere"})
    if taken:
        with pytest.raises(BusyError, match="runs on another machine"):
            begin(target)
    else:
        assert begin(target) == "1"


def test_a_folder_left_without_run_json_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    assert begin(RunStore(tmp_path, entry={"kind": "run"}, run_id="1", resume=True)) == "1"


def test_a_damaged_run_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "run.json").write_text("{")
    with pytest.raises(BusyError, match=r"run 1 cannot be continued: .*move its folder away"):
        begin(RunStore(tmp_path, entry={"kind": "run"}, run_id="1", resume=True))
    assert (tmp_path / "1" / "run.json").read_text() == "{"
