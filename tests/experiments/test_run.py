"""Runs under Sacred: what is stored, what is left by failures, interrupts, kills and full disks."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddl_dyn import runs
from ddl_dyn.experiments import run as running
from ddl_dyn.experiments.data import make_data
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, beat_interval, run
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.results.comparison.records import conclude
from ddl_dyn.runs import atomic_files, observer
from ddl_dyn.runs.checkpoint import load_weights
from ddl_dyn.runs.writer import RunWriter, StoreError
from tests.helpers import fake_runs
from tests.helpers.commands import (
    LONG_ARGUMENTS,
    ROOT,
    SMALL_ARGUMENTS,
    command,
    config,
    environment,
    records,
    spawn,
    wait_for,
)


@pytest.fixture(autouse=True)
def _pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(running, "execute", fake_runs.execute)
    yield
    for name in ("FAKE_FAIL", "FAKE_SECONDS"):
        os.environ.pop(name, None)


def test_a_run_stores_everything_it_promises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[Any] = []
    launch = Launch(base=tmp_path / "runs", on_account=told.append)
    assert run(config(tags=["a"], note="n"), launch) == "1"
    stored = runs.find_run("1", tmp_path / "runs")
    assert stored.status == "COMPLETED"
    names = {path.name for path in stored.path.iterdir()}
    expected = {"run.json", "config.json", "environment.json", "metrics.jsonl", "cout.txt", "result.json", "arrays.npz"}
    assert expected | {"checkpoint.pt"} <= names
    assert not names & {".reserve", "resume.pt"}
    assert stored.config == json.loads(config(tags=["a"], note="n").model_dump_json())
    entry = stored.entry
    assert (entry["kind"], entry["data_hash"], entry["device"], entry["tags"]) == ("run", "c0ffee", "cpu", ["a"])
    assert entry["process"]["pid"] == os.getpid()
    assert entry["versions"]["sacred"] == "0.8.7"
    assert [attempt["status"] for attempt in entry["attempts"]] == ["COMPLETED"]
    assert entry["start_time"] <= entry["heartbeat"] == entry["stop_time"]
    assert [record["update"] for record in stored.metrics] == [0, 10, 20, 30, 40]
    assert stored.metrics[1]["loss"] == [1 / 11] * 3
    assert "pretending to train ddl" in stored.output
    assert stored.arrays["test_pred"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert load_weights(stored)["w"].tolist() == [1, 1]
    assert told[-1]["update"] == 40
    assert "pretending" in capsys.readouterr().out


def test_runs_are_numbered_and_each_has_its_own_configuration(tmp_path: Path) -> None:
    for seed in (3, 4):
        run(config(seed=seed), Launch(base=tmp_path))
    table = runs.load_runs(tmp_path)
    assert table["id"].tolist() == ["1", "2"]
    assert table["config.seed"].tolist() == [3, 4]


def test_an_unobserved_run_writes_nothing(tmp_path: Path) -> None:
    assert run(config(), Launch(base=tmp_path / "runs", options={"--unobserved": True})) is None
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_says_why_and_keeps_what_it_had(tmp_path: Path) -> None:
    os.environ["FAKE_FAIL"] = "ddl"
    with pytest.raises(FloatingPointError, match="broke down") as failure:
        run(config(), Launch(base=tmp_path))
    stored = runs.find_run("1", tmp_path)
    assert stored.status == "FAILED"
    assert stored.entry["error"] == "FloatingPointError: the pretence broke down"
    assert "fake_runs.py" in (stored.path / "traceback.txt").read_text()
    assert "pretending to train" in stored.output
    assert [record["update"] for record in stored.metrics] == [0, 10]
    assert "traceback.txt" in failure.value.__notes__[0]


@pytest.mark.parametrize("text", ["0", "-1", "x", "nan", "inf"])
def test_a_heartbeat_that_would_drop_everything_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--beat-interval must be a positive number"):
        beat_interval(text)


@pytest.mark.parametrize(
    ("name", "message"), [("../x", "must be a folder's name"), ("", "must be a folder's name"), ("1", "exists already")]
)
def test_an_id_that_is_taken_or_no_name_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "runs" / "1").mkdir(parents=True)
    with pytest.raises(StoreError, match=message):
        run(config(), Launch(base=tmp_path / "runs", options={"--id": name}))
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["1"]


def test_an_artifact_may_lie_in_a_folder_but_not_outside(tmp_path: Path) -> None:
    target = observer.RunStore(tmp_path, entry={"kind": "run"})
    target.make()
    source = tmp_path / "figure.png"
    source.write_bytes(b"png")
    target.artifact_event("figures/a/b.png", str(source))
    assert (target.directory / "figures/a/b.png").read_bytes() == b"png"
    # SHA-256 of the three bytes "png", from `printf png | sha256sum`.
    digest = runs.read_json(target.directory / "run.json")["artifacts"]["figures/a/b.png"]
    assert digest == __import__("hashlib").sha256(b"png").hexdigest()
    for name in ("../b.png", "/b.png", "a/../../b.png"):
        with pytest.raises(ValueError, match="inside the run directory"):
            target.artifact_event(name, str(source))


# A disk that fills.


def test_a_full_disk_ends_the_run_clearly_and_spares_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(config(), Launch(base=tmp_path))
    earlier = {path.name: path.read_bytes() for path in (tmp_path / "1").iterdir() if path.is_file()}
    real = atomic_files.append_line
    calls = []

    def full(path: Path, value: Any) -> None:
        calls.append(path)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(path, value)

    monkeypatch.setattr("ddl_dyn.runs.writer.append_line", full)
    with pytest.raises(StoreError, match=r"cannot write .*metrics\.jsonl: No space left on device; free some space"):
        run(config(), Launch(base=tmp_path))
    assert {path.name: path.read_bytes() for path in (tmp_path / "1").iterdir() if path.is_file()} == earlier
    assert runs.load_runs(tmp_path)["status"].tolist() == ["COMPLETED", "FAILED"]
    assert len(runs.find_run("2", tmp_path).metrics) == 2


def test_a_disk_full_at_the_last_word_is_not_a_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = RunWriter.save_entry

    def full(self: RunWriter) -> None:
        if self.entry.get("status") == "COMPLETED":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(self)

    monkeypatch.setattr(RunWriter, "save_entry", full)
    with pytest.raises(StoreError, match="run 1 is incomplete"):
        run(config(), Launch(base=tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_small_tmpfs_that_fills(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        done = [command(["run", "with", *SMALL_ARGUMENTS, "--runs", str(disk)]) for _ in range(12)]
        bad = [result for result in done if result.returncode]
        assert bad, "the disk never filled"
        assert all(result.returncode == 1 for result in bad)
        assert all("No space left" in result.stderr and "Traceback" not in result.stderr for result in bad)
        good = len(done) - len(bad)
        statuses = runs.load_runs(disk)["status"].tolist()
        assert statuses[:good] == ["COMPLETED"] * good
        assert "RUNNING" not in statuses
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# Interrupts and kills.


def test_interrupted_runs_are_marked_and_readable(tmp_path: Path) -> None:
    signals = {"SIGINT": 130, "SIGTERM": 143}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        # Under nohup a hang-up stays ignored, in the tests' own children too.
        signals["SIGHUP"] = 129
    started = {
        name: spawn(["run", "with", *LONG_ARGUMENTS, "--runs", str(tmp_path / name)], FAKE_SECONDS="0.05")
        for name in signals
    }
    for name, process in started.items():
        wait_for(lambda name=name: records(tmp_path / name) >= 2)
        assert runs.find_run("1", tmp_path / name).status == "RUNNING"
        process.send_signal(getattr(signal, name))
        # A second one at once must not spoil the closing of the run.
        process.send_signal(getattr(signal, name))
    for name, process in started.items():
        _, errors = process.communicate(timeout=60)
        assert process.returncode == signals[name], errors
        assert errors.strip().splitlines()[-1] == "interrupted"
        assert "Traceback" not in errors
        stored = runs.find_run("1", tmp_path / name)
        assert stored.status == "INTERRUPTED"
        assert len(stored.metrics) >= 2
        assert "pretending to train" in stored.output
        assert runs.load_runs(tmp_path / name)["status"].tolist() == ["INTERRUPTED"]


def test_a_killed_run_reads_as_dead_and_can_be_resumed(tmp_path: Path) -> None:
    process = spawn(["run", "with", *SMALL_ARGUMENTS, "--runs", str(tmp_path)], FAKE_SECONDS="0.4")
    wait_for(lambda: records(tmp_path) >= 3)
    process.kill()
    process.communicate(timeout=60)
    stored = runs.find_run("1", tmp_path)
    assert stored.entry["status"] == "RUNNING"
    assert stored.status == "DEAD"
    assert len(stored.metrics) >= 3
    atomic_files.write_json(stored.path / "config.json", stored.config | {"note": "kept"})

    from ddl_dyn.experiments.rerun import resume

    assert resume("1", tmp_path, conclude).id == "1"
    stored = runs.find_run("1", tmp_path)
    assert stored.status == "COMPLETED"
    assert [attempt.get("status") for attempt in stored.entry["attempts"]] == [None, "COMPLETED"]
    assert [record["update"] for record in stored.metrics] == [0, 10, 20, 30, 40]
    assert stored.config["note"] == "kept"
    with pytest.raises(runs.RunError, match="cannot be resumed: it is complete"):
        resume("1", tmp_path, conclude)


def test_resume_hands_the_last_checkpoint_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.environ["FAKE_FAIL"] = "ddl"
    with pytest.raises(FloatingPointError):
        run(config(), Launch(base=tmp_path))
    del os.environ["FAKE_FAIL"]
    assert (tmp_path / "1" / "resume.pt").exists()
    given = []

    def watched(setup: Setup, callbacks: Any) -> Any:
        given.append(callbacks.state)
        return fake_runs.execute(setup, callbacks)

    monkeypatch.setattr(running, "execute", watched)
    run(config(), Launch(base=tmp_path, run_id="1"))
    assert given[0]["update"] == 10
    assert given[0]["weights"].tolist() == [10.0] * 3
    assert not (tmp_path / "1" / "resume.pt").exists()


@pytest.mark.slow
def test_kills_at_random_moments_leave_no_unreadable_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arguments = ["run", "with", *LONG_ARGUMENTS, "--runs", str(tmp_path), "-b", "0.01"]
    for number in range(10):
        process = spawn(arguments, FAKE_SECONDS="0.001")
        wait_for(lambda number=number: records(tmp_path, str(number + 1)) >= 1)
        time.sleep(float(rng.uniform(0.0, 1.5)))
        process.kill()
        process.communicate(timeout=60)
    table = runs.load_runs(tmp_path)
    assert table["status"].tolist() == ["DEAD"] * 10
    for stored in runs.scan(tmp_path):
        assert stored.config["train"]["updates"] == 100000
        updates = [record["update"] for record in stored.metrics]
        # Nothing that was recorded is lost: at most the line being written at the moment of the kill.
        assert updates == list(range(0, 10 * len(updates), 10))
        assert abs(len(updates) - records(tmp_path, stored.id)) <= 1


@pytest.mark.slow
def test_sixteen_processes_of_eight_runs_share_one_store(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom tests.helpers import fake_runs\nfake_runs.install()\n"
        "from tests.helpers.commands import config\n"
        "from ddl_dyn.experiments.run import Launch, run\nfrom pathlib import Path\n"
        "for i in range(8):\n    run(config(seed=8 * int(sys.argv[1]) + i), Launch(base=Path(sys.argv[2])))\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(i), str(tmp_path)], cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL
        )
        for i in range(16)
    ]
    assert [process.wait(timeout=900) for process in started] == [0] * 16
    table = runs.load_runs(tmp_path)
    assert len(table) == 128
    assert set(table["status"]) == {"COMPLETED"}
    assert sorted(table["config.seed"]) == list(range(128))
    for stored in runs.scan(tmp_path):
        assert len(stored.metrics) == 5
        assert stored.arrays["test_pred"][0, 0] == stored.config["seed"]


def test_runs_of_one_task_in_one_process_share_its_simulation() -> None:
    def data(**changes: Any) -> Any:
        size = {"n_train": 4, "n_val": 2, "n_test": 2, "n_ood": 2, "steps": 25}
        return make_data(resolve_run({"task": "henon", "data": size, "eval": {"long": 25}} | changes))

    first = data(model="ddl")
    assert data(model="resnet") is first
    other = data(model="resnet", task_args={"a": 1.3})
    assert other[0].content_hash != first[0].content_hash
    assert data(model="ddl")[0].content_hash == first[0].content_hash
