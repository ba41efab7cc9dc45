"""Words of the command line for a reader and for other programs: help, dry runs, settings in TOML, parquet."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from ddl_dyn.cli.launch import KEYS
from ddl_dyn.cli.main import main
from ddl_dyn.config.parsing import parse_updates
from ddl_dyn.config.settings_file import read_settings
from ddl_dyn.experiments.sweep import estimate
from ddl_dyn.experiments.sweep.grid import resolve_sweep
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


IN_FILES = {
    "c.toml": 'model = "resnet"\nseeds = 3\n[train]\nlr = 0.5\nlr_grid = []\n',
    "c.yaml": "model: resnet\nseeds: 3\ntrain:\n  lr: 5e-1\n  compile: off\n  lr_grid: []\n",
    "c.json": '{"model": "resnet", "seeds": 3, "train": {"lr": 0.5}}',
}


@pytest.mark.parametrize("name", IN_FILES)
def test_settings_in_a_file_are_those_typed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(IN_FILES[name])
    assert main(["run", "print_config", "with", name, "seeds=4"]) == 0
    said = capsys.readouterr().out
    assert all(line in said for line in ("model = 'resnet'", "seeds = 4", "lr = 0.5"))
    # A word of YAML 1.1 that means false there.
    assert ("compile = 'off'" in said) == (name == "c.yaml")


def test_a_grid_in_yaml_is_that_of_toml(tmp_path: Path) -> None:
    (tmp_path / "g.toml").write_text('tasks = ["harmonic"]\nmodels = ["resnet"]\n[train]\nlr = [1e-3, 1e-2]\n')
    (tmp_path / "g.yaml").write_text("tasks: [harmonic]\nmodels:\n- resnet\ntrain: {lr: [1e-3, 1e-2]}\n")
    one, other = (resolve_sweep(parse_updates([str(tmp_path / name)]))[1] for name in ("g.toml", "g.yaml"))
    assert [cell.config.train.lr for cell in one] == [1e-3, 1e-2]
    assert [cell.digest for cell in one] == [cell.digest for cell in other]


def test_texts_and_numbers_in_yaml(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("a: 1e-3\nb: '3'\nc: no\nd: 2026-01-01\ne: ~\nf:\ng: True\nh: -.5\ni: 1_0\nj: [1, two]\nk: 012\n")
    found = read_settings(str(file))
    assert list(found.values()) == [1e-3, "3", "no", "2026-01-01", None, None, True, -0.5, "1_0", [1, "two"], 12]


def test_a_dry_run_tells_cells_time_and_disk_and_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(estimate, "seconds_per_update", lambda *_: (0.5, False))
    assert main([*SWEEP, "train.lr=0.1,0.2", "jobs=2", "--dry-run"]) == 0
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
