"""Words of the command line for a reader and for other programs: help, dry runs, settings in TOML, parquet."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from ddl_dyn.cli.launch import KEYS
from ddl_dyn.cli.main import main
from ddl_dyn.experiments.sweep import estimate
from tests.helpers.commands import SMALL_ARGUMENTS
from tests.helpers.synthetic_runs import write_run

SWEEP = ["sweep", "with", "tasks=harmonic", "models=resnet,mean", *SMALL_ARGUMENTS, "train.compile=off"]


def test_a_configuration_has_no_colours_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "print_config", "with", "model=resnet"]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "model = 'resnet'" in said


def test_help_names_ten_keys_with_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    said = capsys.readouterr().out
    assert len(KEYS) == 10
    for line in ("task = 'van_der_pol'", "seeds = 5", "model_args.carry = 'observed'", "train.lr = 0.003"):
        assert f"\n      {line}\n" in said
    assert all(f"      {key} = " in said for key in KEYS)


def test_settings_in_toml_are_those_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text('model = "resnet"\nseeds = 3\n[train]\nlr = 0.5\n')
    assert main(["run", "print_config", "with", "c.toml", "seeds=4"]) == 0
    said = capsys.readouterr().out
    assert all(line in said for line in ("model = 'resnet'", "seeds = 4", "lr = 0.5"))
    Path("c.toml").write_text("model = ")
    assert main(["run", "print_config", "with", "c.toml"]) == 1
    assert capsys.readouterr().err.startswith("error: c.toml cannot be read as TOML: ")


def test_a_dry_run_tells_cells_time_and_disk_and_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(estimate, "seconds_per_update", lambda *_: (0.5, False))
    assert main([*SWEEP, "train.lr_grid=[0.1]", "train.lr=0.1,0.2", "jobs=2", "--dry-run"]) == 0
    head, *rows, last = capsys.readouterr().out.splitlines()
    assert head == "4 cells: 0 complete already, 4 to do"
    # Forty updates of half a second, and five seconds beside; what is solved is not trained.
    assert re.match(r"  resnet on harmonic: 2 cells, about 50 s, 0\.1 MB", rows[0])
    assert re.match(r"  mean on harmonic: 2 cells, about 10 s, ", rows[1])
    assert last.startswith("about 30 s in all with 2 side by side, and ")
    assert not (tmp_path / "runs").exists()
    # Tuning at most doubles it.
    assert main(["compare", "--dry-run", *SWEEP[1:], "train.lr_grid=0.1,0.2"]) == 0
    assert "resnet on harmonic: 1 cell, about 45 s" in capsys.readouterr().out


def test_runs_leave_as_parquet_with_numbers_as_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "runs", "1", scores={("test", "short"): [0.1, 0.2]}, arrays={})
    write_run(tmp_path / "runs", "2", model="resnet", scores={("test", "short"): [0.3, 0.4]}, arrays={})
    words = ["--runs", str(tmp_path / "runs"), "export", "--format", "parquet"]
    assert main(words) == 1
    assert "say where to with --out FILE" in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "runs.parquet")]) == 0
    table = pd.read_parquet(tmp_path / "runs.parquet")
    assert table[["id", "seed"]].to_numpy().tolist() == [["1", 0], ["1", 1], ["2", 0], ["2", 1]]
    assert table["result.test.nrmse_short"].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert table["result.test.nrmse_short"].dtype == float
    assert main([*words, "--columns", "model", "--out", str(tmp_path / "one.parquet")]) == 0
    assert pd.read_parquet(tmp_path / "one.parquet").columns.tolist() == ["model"]
