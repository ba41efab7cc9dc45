"""A run on a user's series is whole in its own folder: the file may be gone, and the working directory another."""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ddl_dyn import open_run
from ddl_dyn.cli.main import main
from ddl_dyn.runs.reading import read_json
from ddl_dyn.tasks import make_task

SMALL = (
    *("model=linear", "seeds=1", "train.horizon=4", "data.n_train=32", "data.n_val=8", "data.n_test=8"),
    *("data.n_ood=0", "data.steps=20", "eval.short=5", "eval.long=10", "eval.bootstrap=100", "train.compile=off"),
)


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a run whose data are gone, moved away from where it was made."""
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    monkeypatch.chdir(home)
    rows = (f"{name},{0.1 * i:.1f},{math.sin(0.3 * i):.6f}\n" for name in "ab" for i in range(120))
    (home / "s.csv").write_text("id,t,x\n" + "".join(rows))
    options = ("task_args.path=s.csv", "task_args.id_column=id", "task_args.dimension=2", "task_args.delay=3")
    assert main(["run", "with", "task=observed", *options, *SMALL]) == 0
    entry = read_json(home / "runs" / "1" / "run.json")
    digest = make_task("observed", path="s.csv", id_column="id", delay=3, dimension=2).content_key()
    assert entry["series"] == {"path": str(home / "s.csv"), "sha256": digest}
    shutil.move(home / "runs" / "1", away / "1")
    (home / "s.csv").unlink()
    monkeypatch.chdir(tmp_path)
    return away / "1"


def test_the_folder_alone_is_enough(moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened = open_run(moved)
    assert opened.config["task_args"]["path"] == "s.csv"
    assert opened.setup.data.test.states.shape[2] == 2
    assert main(["replay", str(moved), "--tolerance", "0"]) == 0
    assert main(["analyse", str(moved)]) == 0
    assert main(["portrait", str(moved), "--what", "trajectories"]) == 0
    capsys.readouterr()
    # What was begun there goes on from the copy, with the same configuration but for the place of its data.
    entry = read_json(moved / "run.json") | {"status": "INTERRUPTED"}
    (moved / "run.json").write_text(json.dumps(entry))
    before = entry["config_hash"]
    assert main(["resume", str(moved)]) == 0
    after = read_json(moved / "run.json")
    assert (after["status"], after["config_hash"], after["series"]) == ("COMPLETED", before, entry["series"])


def test_a_copy_that_is_another_series_is_refused(moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = moved / "series.npz"
    series = make_task("observed", path=str(path), delay=3, dimension=2).series
    records = tuple(replace(record, values=record.values + 1.0) for record in series.records)
    replace(series, records=records).save(path)
    assert main(["analyse", str(moved)]) == 1
    assert "was trained on other data" in capsys.readouterr().err
    elsewhere = moved.parent / "elsewhere.npz"
    path.rename(elsewhere)
    os.symlink(elsewhere, path)
    assert main(["analyse", str(moved)]) == 1
    assert "is a link" in capsys.readouterr().err


def test_nothing_is_written_for_a_series_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.csv").write_text("t,x\n" + "".join(f"{i + 5 * (i > 50)},{i % 7}\n" for i in range(120)))
    assert main(["run", "with", "task=observed", "task_args.path=s.csv", *SMALL]) == 1
    assert "gaps=split" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]
