"""The run directory: what is written atomically is read back, what is damaged, dead or hostile is recognised."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddl_dyn import runs
from ddl_dyn.config.terminal import clean
from ddl_dyn.runs import annotate, atomic_files, heartbeat, provenance
from ddl_dyn.runs.checkpoint import load_weights
from ddl_dyn.runs.index import list_runs
from tests.helpers.run_folders import make_run


def test_load_gives_one_row_per_run_with_flat_columns(tmp_path: Path) -> None:
    for name in ("2", "10", "1"):
        make_run(tmp_path, name)
    make_run(tmp_path, "3", kind="compare")
    table = runs.load_runs(tmp_path)
    assert list(table["id"]) == ["1", "2", "10"]
    assert list(table.columns[:5]) == ["id", "status", "task", "model", "seeds"]
    assert table["config.train.lr"].tolist() == [0.1] * 3
    assert table["result.parameters"].tolist() == [7] * 3
    assert table["result.test.nrmse_short"][0] == [0.5, float("inf")]
    assert list(runs.load_runs(tmp_path, kind="compare")["id"]) == ["3"]
    assert list(runs.load_runs(tmp_path / "10")["id"]) == ["10"]


def test_load_of_no_folder_is_an_empty_table(tmp_path: Path) -> None:
    table = runs.load_runs(tmp_path / "none")
    assert table.empty
    assert "status" in table.columns
    assert not (tmp_path / "none").exists()


def test_a_damaged_run_keeps_its_row_and_spares_the_others(tmp_path: Path) -> None:
    make_run(tmp_path, "1")
    (make_run(tmp_path, "2") / "run.json").write_text('{"status": "COMPL')
    (make_run(tmp_path, "3") / "config.json").write_text("[1, 2]")
    (tmp_path / "4").mkdir()
    assert list(runs.load_runs(tmp_path)["status"]) == ["COMPLETED", "UNREADABLE", "UNREADABLE"]
    assert [line["status"] for line in list_runs(tmp_path, filters={})] == ["COMPLETED", "UNREADABLE", "COMPLETED"]


def test_open_run_by_id_path_and_last(tmp_path: Path) -> None:
    first = make_run(tmp_path, "1", start_time="2026-01-01T00:00:00.001+00:00")
    make_run(tmp_path, "0", start_time="2026-01-01T00:00:00.002+00:00")
    assert runs.find_run("1", tmp_path).id == "1"
    assert runs.find_run(tmp_path / "1").id == "1"
    # Started last, not touched last.
    annotate.set_note("1", tmp_path, "a later word")
    os.utime(first)
    assert runs.find_run("last", tmp_path).id == "0"
    # A comparison stands for its runs, which begin after it; a damaged run is no candidate.
    make_run(tmp_path, "2", kind="compare", members=["c1"], start_time="2026-01-02T00:00:00.000+00:00")
    make_run(tmp_path, "c1", start_time="2026-01-02T00:00:01.000+00:00")
    (make_run(tmp_path, "3") / "run.json").write_text("{")
    assert runs.find_run("last", tmp_path).id == "2"
    with pytest.raises(runs.RunError, match=r"no run '7' in .* \(there are: 0, 1, 2, 3, c1\)"):
        runs.find_run("7", tmp_path)


@pytest.mark.parametrize("name", ["../1", "..", "1/../1", ".hidden", "a b", "", "\x1b[31m", "x" * 101])
def test_an_id_is_a_plain_folder_name(name: str) -> None:
    assert runs.RUN_ID.fullmatch(name) is None


def test_members_that_point_outside_are_dropped(tmp_path: Path) -> None:
    run = runs.Run(make_run(tmp_path, "1", kind="compare", members=["2", "../../etc", 3, "a/b"]))
    assert run.members == ["2"]


def test_metrics_skip_torn_lines_and_keep_the_later_record_of_an_update(tmp_path: Path) -> None:
    run = runs.Run(make_run(tmp_path, "1"))
    path = run.path / "metrics.jsonl"
    atomic_files.append_line(path, {"update": 0, "loss": [1.0, float("nan")]})
    atomic_files.append_line(path, {"update": 10, "loss": [0.5, 0.5]})
    with path.open("a") as file:
        file.write('{"update": 20, "lo')
    atomic_files.append_line(path, {"update": 10, "loss": [0.25, 0.5]})
    atomic_files.append_line(path, {"update": 20, "loss": [0.1, 0.1]})
    assert [record["update"] for record in run.metrics] == [0, 10, 20]
    assert run.metrics[1]["loss"] == [0.25, 0.5]
    assert np.isnan(run.metrics[0]["loss"][1])


# Dead runs.


def running_entry(**process: Any) -> dict[str, Any]:
    return {"status": "RUNNING", "heartbeat": heartbeat.now(), "beat_interval": 10.0, "process": process}


def test_a_running_run_of_this_process_lives() -> None:
    assert runs.status_of(running_entry(**heartbeat.process_identity())) == "RUNNING"


def test_a_running_run_whose_process_is_gone_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert runs.status_of(running_entry(**(heartbeat.process_identity() | {"pid": child.pid}))) == "DEAD"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="start times of processes come from /proc")
def test_a_process_number_used_again_does_not_keep_a_run_alive() -> None:
    assert runs.status_of(running_entry(**(heartbeat.process_identity() | {"pid_start": "1"}))) == "DEAD"


@pytest.mark.parametrize(("age", "status"), [(30.0, "RUNNING"), (59.0, "RUNNING"), (61.0, "DEAD"), (1e6, "DEAD")])
def test_on_another_machine_the_heartbeat_decides(age: float, status: str) -> None:
    from datetime import UTC, datetime, timedelta

    entry = running_entry(pid=os.getpid(), machine="elsewhere")
    entry["heartbeat"] = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    assert runs.status_of(entry) == status


@pytest.mark.parametrize(
    "entry", [{"status": "RUNNING"}, {"status": "RUNNING", "process": {"pid": "x"}, "heartbeat": 3}]
)
def test_a_running_entry_that_tells_nothing_is_dead(entry: dict[str, Any]) -> None:
    assert runs.status_of(entry) == "DEAD"


@pytest.mark.parametrize("status", ["DEAD", "UNREADABLE", "", None, 3, "completed"])
def test_a_status_that_no_store_writes_is_unreadable(status: Any) -> None:
    assert runs.status_of({"status": status}) == "UNREADABLE"


# A stranger's folder.


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.target}",))


def test_reading_a_strangers_run_executes_nothing(tmp_path: Path) -> None:
    bomb = Bomb(tmp_path / "exploded")
    # The control: the bomb does go off where pickle is trusted.
    pickle.loads(pickle.dumps(bomb))
    assert bomb.target.exists()
    bomb.target.unlink()

    folder = make_run(
        tmp_path / "runs", "1", note={"py/reduce": [{"py/function": "os.system"}, [f"touch {bomb.target}"]]}
    )
    np.savez(folder / "arrays.npz", allow_pickle=True, planted=np.array([bomb], dtype=object))
    torch.save({"replicas": bomb}, folder / "checkpoint.pt")
    (folder / "metrics.jsonl").write_text('{"update": 1, "py/object": "os.system"}\n' + "[" * 100_000 + "\n")
    run = runs.find_run("1", tmp_path / "runs")
    with pytest.raises(runs.RunError, match=r"arrays\.npz cannot be read"):
        _ = run.arrays
    with pytest.raises(runs.RunError, match="no checkpoint of ddl-dyn") as refusal:
        load_weights(run)
    assert "weights_only=False" not in str(refusal.value)
    (folder / "arrays.npz").write_bytes(pickle.dumps(bomb))
    with pytest.raises(runs.RunError, match=r"arrays\.npz cannot be read"):
        _ = runs.Run(folder).arrays
    assert len(run.metrics) == 1
    assert len(runs.load_runs(tmp_path / "runs")) == 1
    list_runs(tmp_path / "runs", filters={})
    assert not bomb.target.exists()


def test_control_characters_of_a_stored_note_do_not_reach_the_terminal(tmp_path: Path) -> None:
    make_run(tmp_path, "1", note="\x1b]0;title\x07\x1b[2Jgone", tags=["\x9b31m"])
    line = list_runs(tmp_path, filters={})[0]
    assert not set(line["note"] + line["tags"]) & {"\x1b", "\x07", "\x9b"}
    assert clean("β ≠ 1\n") == "β ≠ 1\n"


# Writing.


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    atomic_files.write_json(path, {"a": 1})
    with pytest.raises(TypeError, match="expected numbers"):
        atomic_files.write_json(path, {"a": object()})
    with pytest.raises(RuntimeError, match="half way"):
        atomic_files.write_with(path, _half_way)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["run.json"]


def _half_way(file: Any) -> None:
    file.write(b"half")
    raise RuntimeError("half way")


def test_arrays_are_written_without_pickle(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    given = {"x/y": np.arange(3.0), "names": np.array(["a", "bc"]), "z": np.array(1 + 2j)}
    atomic_files.write_arrays(path, given)
    with np.load(path, allow_pickle=False) as stored:
        assert {name: stored[name].tolist() for name in stored.files} == {k: v.tolist() for k, v in given.items()}
    with pytest.raises(TypeError, match="holds Python objects"):
        atomic_files.write_arrays(path, {"bad": np.array([{}], dtype=object)})
    assert zipfile.is_zipfile(path)


def test_plain_keeps_what_is_not_finite_and_refuses_objects() -> None:
    given = {"a": (1, np.float32(0.5)), "b": np.array([np.inf, np.nan]), 3: np.int64(2), "p": Path("x")}
    text = json.dumps(atomic_files.plain(given))
    assert text == '{"a": [1, 0.5], "b": [Infinity, NaN], "3": 2, "p": "x"}'
    with pytest.raises(TypeError, match="got set"):
        atomic_files.plain({1, 2})


# Provenance.


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://user:secret@example.org/x.git", "https://example.org/x.git"),
        ("https://ghp_token@example.org/x", "https://example.org/x"),
        ("mongodb+srv://u:p%40@host/db?retry=1", "mongodb+srv://host/db?***"),
        ("https://host/x?access_token=abc&y=1", "https://host/x?access_token=***&y=1"),
        ("git@example.org:x.git", "git@example.org:x.git"),
        ("note=a@b", "note=a@b"),
    ],
)
def test_credentials_are_stripped(given: str, kept: str) -> None:
    assert provenance.strip_credentials(given) == kept


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_git_state_of_a_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    assert provenance.git_state(tmp_path) == ({}, "")
    (tmp_path / "a.txt").write_text("one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "remote", "add", "origin", "https://me:pw@example.org/x.git")
    state, diff = provenance.git_state(tmp_path)
    assert len(state["commit"]) == 40
    assert (state["branch"], state["dirty"], diff) == ("trunk", False, "")
    assert state["remote"] == "https://example.org/x.git"
    (tmp_path / "a.txt").write_text("url = https://me:pw@example.org\n")
    state, diff = provenance.git_state(tmp_path)
    assert state["dirty"]
    assert "+url = https://example.org" in diff


def test_git_state_is_empty_outside_a_repository_and_without_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert provenance.git_state(tmp_path) == ({}, "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_state() == ({}, "")


def test_environment_lists_sources_of_both_packages() -> None:
    found = provenance.environment()
    assert {"ddl_dyn/runs/run.py", "ddl_dyn/tasks/base.py"} <= set(found["sources"])
    assert found["packages"]["sacred"] == provenance.package_version("sacred")
