"""`ddl-dyn report --query`: runs chosen by the filters of the list."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddl_dyn.cli.main import main
from ddl_dyn.runs import read_json
from ddl_dyn.runs.atomic_files import write_json
from tests.helpers.synthetic_runs import write_comparison, write_run


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for name, task, model, status in (
        ("1", "henon", "ddl", "COMPLETED"),
        ("2", "henon", "resnet", "COMPLETED"),
        ("3", "van_der_pol", "ddl", "COMPLETED"),
        ("4", "henon", "ddl", "FAILED"),
    ):
        write_run(tmp_path, name, model=model, config={"task": task}, entry={"status": status, "task": task}, arrays={})
    for name, entry in (("1", {"tags": ["first", "x"]}), ("2", {"tags": ["x"]})):
        path = tmp_path / name / "run.json"
        write_json(path, read_json(path) | entry)
    return tmp_path


def reported(base: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> set[str]:
    """Ids of the runs whose provenance the report gives."""
    out = base / "page.md"
    assert main(["--runs", str(base), "report", "--markdown", "--out", str(out), *arguments]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    text = out.read_text(encoding="utf-8")
    return {name for name in ("1", "2", "3", "4") if f"Run {name}: " in text}


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("", {"1", "2", "3"}),
        ("task=henon", {"1", "2"}),
        ("task=henon model=ddl", {"1"}),
        ("model=ddl,resnet task=van_der_pol,henon", {"1", "2", "3"}),
        ("tag=x", {"1", "2"}),
        ("tag=first", {"1"}),
        ("status=failed", {"4"}),
        ("status=COMPLETED,FAILED model=ddl", {"1", "3", "4"}),
    ],
)
def test_a_query_chooses_runs(base: Path, capsys: pytest.CaptureFixture[str], query: str, chosen: set[str]) -> None:
    assert reported(base, capsys, *(["--query", query] if query else [])) == chosen


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("task", "--query takes NAME=VALUE[,VALUE] with NAME one of status, task, model, kind, tag, got 'task'"),
        ("task=", "got 'task='"),
        ("tsk=henon", "got 'tsk=henon'"),
        ("status=DONE", "unknown status 'DONE'; there are QUEUED"),
        ("task=lorenz63", "fits --query 'task=lorenz63'; `ddl-dyn list` shows them"),
        ("task='henon", "fits --query"),
    ],
)
def test_a_query_that_says_nothing_is_refused(
    base: Path, capsys: pytest.CaptureFixture[str], query: str, message: str
) -> None:
    assert main(["--runs", str(base), "report", "--out", str(base / "page"), "--query", query]) == 1
    assert message in capsys.readouterr().err
    assert not (base / "page").exists()


def test_runs_and_a_query_are_not_given_together(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", str(base), "report", "1", "--query", "task=henon"]) == 1
    assert capsys.readouterr().err == "error: give either runs or --query, not both\n"


def test_a_comparison_is_chosen_by_its_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_comparison(
        tmp_path, "1", [write_run(tmp_path, "2", arrays={}), write_run(tmp_path, "3", model="resnet", arrays={})]
    )
    assert reported(tmp_path, capsys, "--query", "kind=compare") == {"2", "3"}
