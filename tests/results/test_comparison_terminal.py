"""A comparison in the terminal: what is compared, what theory had said, what tuning kept."""

from __future__ import annotations

import io
import math

from rich.console import Console

from ddl_dyn.results.comparison import records, terminal
from ddl_dyn.results.comparison.groups import group_runs
from ddl_dyn.runs import FAILED
from ddl_dyn.runs.result import FLOORS
from tests.helpers.synthetic_runs import write_run

CLOSE = {("test", "short"): [0.1, 0.12, 0.14, 0.2, 0.3, 0.4]}
FAR = {("test", "short"): [0.15, 0.2, 0.25, 0.3, 0.4, math.inf]}


def printed(part):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(part)
    return console.export_text()


def models(records):
    return [record["model"] for record in records if record["model"] not in FLOORS]


def test_rows_leave_out_what_is_not_complete_and_mark_only_wins(tmp_path):
    found = records.comparison_rows(
        [
            write_run(tmp_path, "1", scores=CLOSE, arrays={}),
            write_run(tmp_path, "2", model="resnet", scores=FAR, arrays={}),
            write_run(tmp_path, "3", model="highway", scores=CLOSE, arrays={}, entry={"status": FAILED}),
        ]
    )
    assert models(found) == ["ddl", "resnet"]
    # Lower on six of six seeds, p = 2⁻⁵, and .17/.275 is below .8.
    assert [row["verdict"] for row in found if row["model"] == "resnet"] == ["win"]
    assert [row["model"] for row in found if row["best"]] == ["ddl"]
    assert found[1]["failed"] == 1
    assert found[0]["protocol"] == "carry = latent, lift = linear"
    assert [row["model"] for row in found].count("persistence") == 1


def test_what_may_not_be_compared_stands_apart(tmp_path):
    identity = {"model_args": {"carry": "latent", "lift": "identity"}}
    found = records.comparison_rows(
        [
            write_run(tmp_path, "1", scores=CLOSE, arrays={}),
            write_run(tmp_path, "2", model="resnet", scores={k: [9.0] * 6 for k in CLOSE}, arrays={}, config=identity),
        ]
    )
    # Far apart, but under different lifts: no winner.
    assert len({row["protocol"] for row in found}) == 2
    assert not any(row["best"] for row in found)


def test_one_model_under_two_options_is_two_entries(tmp_path):
    write = {"model_args": {"carry": "latent", "rewrite": "write"}}
    found = records.comparison_rows(
        [
            write_run(tmp_path, "1", scores=CLOSE, arrays={}),
            write_run(tmp_path, "2", scores=FAR, arrays={}, config=write),
        ]
    )
    assert models(found) == ["ddl (rewrite = delta)", "ddl (rewrite = write)"]


def theory(verdict, represented):
    failed = verdict == "impossible" and represented
    return {"theory": {"verdict": verdict, "scope": "R²", "represented": represented, "failed": failed}}


def test_predictions_stand_beside_outcomes_and_failed_ones_are_marked(tmp_path):
    runs = [
        write_run(tmp_path, "1", scores=CLOSE, arrays={}, result=theory("possible", False)),
        write_run(tmp_path, "2", model="neural_ode", scores=FAR, arrays={}, result=theory("impossible", True)),
        write_run(tmp_path, "3", model="resnet", scores=FAR, arrays={}),
    ]
    text = printed(terminal.expectations(group_runs(runs)))
    (ddl,) = [line for line in text.splitlines() if line.strip().startswith("ddl")]
    assert ddl.split() == ["ddl", "possible", "not", "represented", "(0.17)"]
    (flow,) = [line for line in text.splitlines() if line.strip().startswith("neural_ode")]
    assert "impossible" in flow
    assert flow.rstrip().endswith("the prediction failed")
    # A run without a prediction has no line, and runs without any no table.
    assert "resnet" not in text
    assert terminal.expectations(group_runs(runs[2:])) is None


def test_learning_rates_that_were_kept(tmp_path):
    grid = [{"lr": lr, "median_val": 1.0, "best_val": [1.0], "diverged": 0} for lr in (1e-3, 3e-3, 9e-3)]
    runs = [
        write_run(tmp_path, "1", scores=CLOSE, arrays={}, result={"tuning": {"lr": 3e-3, "grid": grid}}),
        write_run(tmp_path, "2", model="resnet", scores=FAR, arrays={}, result={"tuning": {"lr": 9e-3, "grid": grid}}),
        write_run(tmp_path, "3", model="highway", scores=FAR, arrays={}, result={"tuning": None}),
    ]
    text = printed(terminal.decisions(group_runs(runs)))
    assert "ddl 0.003, resnet 0.009*\n" in text
    assert "highway" not in text
    assert terminal.decisions(group_runs(runs[2:])) is None
