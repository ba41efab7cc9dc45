"""`ddl-dyn show`: what differs from the defaults, what came of it, where the figures lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddl_dyn.cli.main import main
from ddl_dyn.cli.show import metrics, settings_of
from ddl_dyn.config.parsing import Typed, typed_text
from ddl_dyn.config.sections import LR_GRID, SEEDS
from ddl_dyn.runs import Run
from ddl_dyn.runs.atomic_files import write_json
from tests.helpers.run_folders import make_run
from tests.helpers.synthetic_runs import write_comparison, write_run

# The longest unbroken words: a hash and a folder of a test.
LONGEST = 80


@pytest.fixture
def run(tmp_path: Path) -> Run:
    scores = {("test", "short"): [0.1, 0.3, 0.2], ("ood", "short"): [0.5, 0.6, 0.7]}
    given = {"train": {"lr": 0.5}, "task_args": {"omega": 2.0}}
    extra = {"gates": {"law_error": [1e-7, 3e-7, 2e-7], "reversing": [0.25, 0.5, 0.75]}}
    return write_run(tmp_path / "runs", "1", scores=scores, config=given, result=extra, arrays={})


def page(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """Lines of each part by its title."""
    monkeypatch.chdir(run.path.parent.parent)
    assert main(["show", run.id]) == 0
    parts = capsys.readouterr().out.split("\n\n")
    return {part.splitlines()[0]: [line.strip() for line in part.splitlines()[1:]] for part in parts}


def test_settings_that_differ_come_first_and_none_twice(run: Run) -> None:
    changed, rest = settings_of(run)
    assert dict(changed) == {
        "task": "harmonic",
        "model": "ddl",
        "seeds": "3  (default 5)",
        "train.lr": "0.5  (default 0.003)",
        "task_args.omega": "2.0  (default 1.0)",
        "model_args.carry": "latent  (default observed)",
    }
    told = {f"{section}.{item}" for section, items in rest for item in items.split()}
    assert {"train.batch=64", "model_args.layers=2", "model_args.value_dim=1", "data.radii=[1.5,2.0,4.0,8.0]"} <= told
    assert not {item.partition("=")[0] for item in told} & set(dict(changed))


def test_the_page_has_settings_scores_metrics_and_figures(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = page(run, monkeypatch, capsys)
    assert list(shown) == [
        "run 1 COMPLETED: runs/1",
        "task, model and settings that differ from the defaults",
        "all other settings, at their defaults",
        "scores, medians over the seeds",
        "metrics, medians over the seeds",
        "figures",
        "record",
    ]
    assert any(line.startswith("NRMSE over 20 steps, in distribution: 0.2 ") for line in shown[list(shown)[3]])
    assert shown["figures"] == ["none yet; `ddl-dyn portrait 1` draws them"]
    assert all(len(line) <= LONGEST for lines in shown.values() for line in lines)
    folder = run.path / "figures"
    folder.mkdir()
    for name in ("error.png", "error.svg", "gates.png", ".hidden"):
        (folder / name).touch()
    shown = page(run, monkeypatch, capsys)
    assert [line.split() for line in shown["figures"]] == [
        ["error", "runs/1/figures/error.png", "runs/1/figures/error.svg"],
        ["gates", "runs/1/figures/gates.png"],
    ]


def test_metrics_are_medians_and_the_worst_where_that_is_the_metric(run: Run) -> None:
    found = dict(metrics(run))
    assert found["valid prediction time"] == "1 in distribution, 1 out of distribution"
    assert found["rewrites with β > 1"] == "0.5"
    assert found["max |e⁺ − (1 − β) e|"] == "3e-07"
    assert found["parameters"] == "1,000"
    assert "amplitude error" not in found


def test_a_failed_seed_is_counted(tmp_path: Path) -> None:
    result = {"gates": {"reversing": [0.25, None, 0.75]}}
    run = write_run(tmp_path, "1", scores={("test", "short"): [0.1, 0.3, 0.2]}, result=result, arrays={})
    assert dict(metrics(run))["rewrites with β > 1"] == "0.5 (1 seed without)"


def test_a_run_that_failed_and_a_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "runs", "1", status="FAILED", error="ValueError: no", note="a note")
    shown = page(Run(tmp_path / "runs" / "1"), monkeypatch, capsys)
    assert "figures" not in shown
    assert shown["run 1 FAILED: runs/1"] == ["error       ValueError: no", "note        a note"]
    both = write_comparison(tmp_path / "runs", "2", [Run(tmp_path / "runs" / "1")])
    shown = page(both, monkeypatch, capsys)
    assert shown["compare 2 COMPLETED: runs/2"] == ["runs        1"]
    assert "record" in shown


def test_defaults_of_a_sweep_are_those_of_its_cells(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "s", kind="sweep")
    write_json(
        folder / "config.json", {"tasks": ["henon"], "seeds": SEEDS, "train": {"lr_grid": list(LR_GRID), "lr": [1, 2]}}
    )
    changed, rest = settings_of(Run(folder))
    assert dict(changed) == {
        "tasks": "[henon]  (default [van_der_pol,twisted_mirror])",
        "train.lr": "[1,2]  (default 0.003)",
    }
    assert dict(rest) == {"": f"seeds={SEEDS}", "train": "lr_grid=[0.0001,0.0003,0.001,0.003,0.01,0.03]"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), (True, "true"), ("", "''"), ("two words", "'two words'"), ((1, 2.5), "[1,2.5]"), ("ddl", "ddl")],
)
def test_a_setting_is_written_as_it_is_typed(value: object, text: str) -> None:
    assert typed_text(value) == text
    if not isinstance(value, tuple) and value != "ddl":
        assert Typed(text).literal == value
