"""A run killed again and again ends with the numbers of one that was never touched."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ddl_dyn import runs
from ddl_dyn.again import largest_difference
from tests.test_experiment import ROOT, environment, wait_for

ARGUMENTS = [
    *("task=van_der_pol", "model=ddl", "seeds=3", "train.updates=600", "train.validate_every=50", "train.horizon=10"),
    *("data.n_train=16", "data.n_val=4", "data.n_test=4", "data.n_ood=0", "data.steps=60", "eval.long=40"),
    *("train.device=cpu", "train.patience=100"),
]


def start(*arguments: str) -> subprocess.Popen[bytes]:
    full = [sys.executable, "-m", "tests.quick_checkpoints", *arguments]
    return subprocess.Popen(full, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_run_killed_ten_times_ends_bit_for_bit_like_an_untouched_one(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start("run", "with", *ARGUMENTS, "--runs", str(whole)).wait(timeout=900) == 0
    rng = np.random.default_rng(0)
    kills, process = 0, start("run", "with", *ARGUMENTS, "--runs", str(broken))
    while kills < 10:
        # Each attempt must get so far as to have something to lose.
        wait_for(lambda known=kills, child=process: _attempts(broken) > known or child.poll() is not None, 300)
        time.sleep(float(rng.uniform(0.0, 4.0)))
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
        assert runs.open_run("1", broken).status == "DEAD"
        process = start("resume", "1", "--runs", str(broken))
    assert process.wait(timeout=900) == 0
    assert kills >= 5, "the run ended before it was killed often enough to prove anything"

    first, second = runs.open_run("1", whole), runs.open_run("1", broken)
    assert second.status == "COMPLETED"
    assert len(second.entry["attempts"]) == kills + 1
    assert [record["update"] for record in second.metrics] == list(range(0, 601, 50))
    for mine, other in zip(first.metrics, second.metrics, strict=True):
        assert {key: mine[key] for key in ("loss", "val", "alive")} == {
            key: other[key] for key in ("loss", "val", "alive")
        }
    weights = [run.checkpoint()["replicas"] for run in (first, second)]
    assert largest_difference(*({k: v.numpy() for k, v in each.items()} for each in weights))[1] == 0.0
    assert largest_difference(first.arrays, second.arrays)[1] == 0.0
    assert first.result["test"] == second.result["test"]
    assert first.result["training"]["best_val"] == second.result["training"]["best_val"]


def _attempts(base: Path) -> int:
    path = base / "1" / "run.json"
    return len(runs.read_json(path)["attempts"]) if path.exists() else 0
