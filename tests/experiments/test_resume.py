"""A run killed again and again ends with the numbers of one that was never touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddl_dyn import runs
from ddl_dyn.experiments.rerun import largest_difference
from ddl_dyn.runs.checkpoint import load_weights
from tests.helpers.commands import ROOT, environment, wait_for

# keep_portraits: those that an earlier attempt kept are kept as they are, the others are taken where they are due.
ARGUMENTS = [
    "keep_portraits=7",
    *("task=van_der_pol", "model=ddl", "seeds=3", "train.updates=600", "train.validate_every=50", "train.horizon=10"),
    *("data.n_train=16", "data.n_val=4", "data.n_test=4", "data.n_ood=0", "data.steps=60", "eval.long=40"),
    *("train.device=cpu", "train.patience=100"),
]


def start(*arguments: str, **extra: str) -> subprocess.Popen[bytes]:
    full = [sys.executable, "-m", "tests.helpers.quick_checkpoints", *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(full, cwd=ROOT, env=environment(**extra), start_new_session=True, **pipes)


def write(gate: Path, number: int) -> None:
    """Allow held training to go on to a number; whole at once, for it may be read at any moment."""
    new = gate.with_suffix(".new")
    new.write_text(str(number))
    new.replace(gate)


@pytest.mark.slow
def test_a_run_killed_ten_times_ends_bit_for_bit_like_an_untouched_one(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start("run", "with", *ARGUMENTS, "--runs", str(whole)).wait(timeout=900) == 0
    rng = np.random.default_rng(0)
    gate, kills = tmp_path / "gate", 10
    held = {"HOLD": str(gate)}
    write(gate, 60)
    process = start("run", "with", *ARGUMENTS, "--runs", str(broken), **held)
    for number in range(kills):
        # Each attempt must get so far as to have something to lose.
        wait_for(lambda known=number, child=process: _attempts(broken) > known or child.poll() is not None, 300)
        time.sleep(float(rng.uniform(0.0, 4.0)))
        assert process.poll() is None, "held training ended"
        process.kill()
        process.wait()
        assert runs.find_run("1", broken).status == "DEAD"
        write(gate, 60 * (number + 2) if number < kills - 1 else 1000)
        process = start("resume", "1", "--runs", str(broken), **held)
    assert process.wait(timeout=900) == 0

    first, second = runs.find_run("1", whole), runs.find_run("1", broken)
    assert second.status == "COMPLETED"
    assert len(second.entry["attempts"]) == kills + 1
    assert [record["update"] for record in second.metrics] == list(range(0, 601, 50))
    for mine, other in zip(first.metrics, second.metrics, strict=True):
        assert {key: mine[key] for key in ("loss", "val", "alive")} == {
            key: other[key] for key in ("loss", "val", "alive")
        }
    weights = [load_weights(run) for run in (first, second)]
    assert largest_difference(*({k: v.numpy() for k, v in each.items()} for each in weights))[1] == 0.0
    assert largest_difference(first.arrays, second.arrays)[1] == 0.0
    # The middle ones lie between kills; of each there is one, in order.
    assert second.arrays["kept_update"].tolist() == [0, 100, 200, 300, 400, 500, 600]
    assert np.array_equal(first.arrays["kept_step"], second.arrays["kept_step"])
    assert len(np.unique(second.arrays["kept_step"], axis=0)) == 7
    assert first.result["test"] == second.result["test"]
    assert first.result["training"]["best_val"] == second.result["training"]["best_val"]


def _attempts(base: Path) -> int:
    path = base / "1" / "run.json"
    return len(runs.read_json(path)["attempts"]) if path.exists() else 0


COMPARISON = [
    *("tasks=henon,van_der_pol", "models=ddl,resnet", "carries=observed,latent", "seeds=2", "jobs=2"),
    *("train.updates=60", "train.validate_every=10", "train.horizon=3", "train.device=cpu"),
    *(
        "data.n_train=8",
        "data.n_val=4",
        "data.n_test=4",
        "data.n_ood=0",
        "data.steps=20",
        "eval.short=5",
        "eval.long=10",
    ),
]


def table(base: Path) -> list[dict[str, object]]:
    """The rows of comparison 1, without what a clock says and where floors are no run."""
    rows = runs.find_run("1", base).result["rows"]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def kill(process: subprocess.Popen[bytes], *, workers: bool) -> None:
    """SIGKILL to the comparison alone, whose workers find themselves orphans, or to all of it at once."""
    if workers:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


@pytest.mark.slow
def test_a_comparison_killed_at_random_moments_ends_with_the_same_table(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start("compare", "with", *COMPARISON, "--runs", str(whole)).wait(timeout=900) == 0
    rng = np.random.default_rng(1)
    gate = tmp_path / "gate"
    held = {"HOLD": str(gate), "HOLD_RUNS": "1"}
    write(gate, 2)
    process = start("compare", "with", *COMPARISON, "--runs", str(broken), **held)
    for attempt in range(3):
        wait_for(lambda known=attempt, child=process: _attempts(broken) > known or child.poll() is not None, 300)
        wait_for(lambda known=attempt, child=process: done(broken) >= 2 * known or child.poll() is not None, 300)
        time.sleep(float(rng.uniform(0.0, 3.0)))
        assert process.poll() is None, "the held comparison ended"
        kill(process, workers=attempt % 2 == 0)
        assert runs.find_run("1", broken).status == "DEAD"
        write(gate, 2 * attempt + 4 if attempt < 2 else 1000)
        process = start("resume", "1", "--runs", str(broken), **held)
    assert process.wait(timeout=900) == 0
    ended = runs.find_run("1", broken)
    assert (ended.status, len(ended.entry["attempts"])) == ("COMPLETED", 4)
    assert table(broken) == table(whole)
    assert len(table(whole)) >= 8
    # Every cell has one run, and what was complete at a kill was not done again.
    assert len(runs.scan(broken)) == 9
    assert ended.members == runs.find_run("1", whole).members
    assert {run.status for run in runs.scan(broken)} == {"COMPLETED"}
    assert min(len(run.entry["attempts"]) for run in runs.scan(broken)) == 1


def done(base: Path) -> int:
    """Complete runs of a folder besides the comparison."""
    return sum(run.status == "COMPLETED" for run in runs.scan(base))
