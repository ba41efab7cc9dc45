"""The list of many runs: its index tells what the files tell, or is not believed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ddl_dyn import runs
from ddl_dyn.runs import heartbeat, index
from ddl_dyn.runs.atomic_files import write_json
from ddl_dyn.runs.index import INDEX, all_lines, list_runs, table

DONE = {"kind": "run", "task": "harmonic", "model": "ddl", "seeds": 2, "status": "COMPLETED", "config_hash": "ab"}


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "INDEXED_FROM", 1)


def put(base: Path, name: str, **entry: Any) -> None:
    (base / name).mkdir(parents=True, exist_ok=True)
    write_json(base / name / "run.json", {**DONE, **entry})


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the runs whose run.json is read from now on."""
    seen: list[str] = []
    real = runs.read_json

    def watched(path: Path) -> dict[str, Any]:
        seen.append(path.parent.name)
        return real(path)

    monkeypatch.setattr(index, "read_json", watched)
    return seen


def test_what_has_ended_is_read_once_and_what_changed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("1", "2", "3"):
        put(tmp_path, name, note=name)
    seen = reads(monkeypatch)
    first = all_lines(tmp_path)
    assert [line["id"] for line in first] == ["1", "2", "3"] == seen
    assert all_lines(tmp_path) == first
    assert seen == ["1", "2", "3"]
    put(tmp_path, "2", note="other", model="mlp")
    os.rename(tmp_path / "3", tmp_path / "4")
    again = all_lines(tmp_path)
    assert seen[3:] == ["2", "4"]
    assert [(line["id"], line["model"], line["note"]) for line in again] == [
        *(("1", "ddl", "1"), ("2", "mlp", "other"), ("4", "ddl", "3"))
    ]
    assert [json.loads(text)[0] for text in (tmp_path / INDEX).read_text().splitlines()] == ["1", "2", "4"]


def test_what_runs_is_never_taken_from_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "1")
    gone = {"pid": 2**22 + 1, "machine": heartbeat.machine()}
    put(tmp_path, "2", status="RUNNING", process=gone)
    put(tmp_path, "3", status="RUNNING", process={"pid": os.getpid(), "machine": gone["machine"]})
    seen = reads(monkeypatch)
    for _ in range(2):
        assert [line["status"] for line in all_lines(tmp_path)] == ["COMPLETED", "DEAD", "RUNNING"]
    assert seen == ["1", "2", "3", "2", "3"]


def _line(tmp_path: Path, **changes: Any) -> str:
    """The true index of the one run, with other words in its line."""
    name, state, line = json.loads((tmp_path / INDEX).read_text())
    return json.dumps([name, state, {**line, **changes}]) + "\n"


@pytest.mark.parametrize(
    "text", ["", "{", "[1]\n", "null\n", '["1", [1, 2, 3], {"id": "1", "status": "FAILED"}]\n', "\0\xff"]
)
def test_an_index_that_is_damaged_or_stale_is_made_again(tmp_path: Path, text: str) -> None:
    put(tmp_path, "1")
    true = all_lines(tmp_path)
    good = (tmp_path / INDEX).read_text()
    (tmp_path / INDEX).write_text(text, encoding="latin-1")
    assert all_lines(tmp_path) == true
    assert (tmp_path / INDEX).read_text() == good


@pytest.mark.parametrize("changes", [{"note": "\x1b[2J"}, {"id": "2"}, {"seeds": 3}])
def test_a_stranger_s_index_cannot_reach_the_terminal(tmp_path: Path, changes: dict[str, Any]) -> None:
    put(tmp_path, "1")
    true = all_lines(tmp_path)
    (tmp_path / INDEX).write_text(_line(tmp_path, **changes))
    assert all_lines(tmp_path) == true


def test_an_index_that_cannot_be_written_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "1")

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ddl_dyn.runs.atomic_files.write_text", refuse)
    assert [line["status"] for line in all_lines(tmp_path)] == ["COMPLETED"]
    assert not (tmp_path / INDEX).exists()


def test_few_runs_need_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "INDEXED_FROM", 2)
    put(tmp_path, "1")
    all_lines(tmp_path)
    assert not (tmp_path / INDEX).exists()


def test_a_run_may_be_named_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    for name in ("c0123abcd", "c0129abcd", "c01"):
        put(tmp_path, name)
    assert runs.find_run("c0123", tmp_path).id == "c0123abcd"
    assert runs.find_run("c01", tmp_path).id == "c01"
    for text in ("c012", "c0", "x012"):
        with pytest.raises(runs.RunError, match=f"no run '{text}'"):
            runs.find_run(text, tmp_path)


def test_the_table_is_aligned_and_leaves_empty_columns_out(tmp_path: Path) -> None:
    put(tmp_path, "1", note="a\nb")
    put(tmp_path, "12", model="neural_ode", seeds=10)
    assert list(table(list_runs(tmp_path, filters={}))) == [
        "id  status     kind  task      model       seeds  note",
        " 1  COMPLETED  run   harmonic  ddl             2  a b",
        "12  COMPLETED  run   harmonic  neural_ode     10",
    ]
