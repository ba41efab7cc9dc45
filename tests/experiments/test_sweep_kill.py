"""A sweep that is stopped, politely or not, ends after the same command with the set of results of an untouched one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ddl_dyn import runs
from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.setup import make_setup
from tests.helpers import fake_runs
from tests.helpers.commands import ROOT, SMALL_ARGUMENTS, environment, wait_for

GRID = ["tasks=harmonic", "models=ddl,mlp", "model_args.layers=1,2", *SMALL_ARGUMENTS, "train.updates=400", "jobs=2"]


def sweep(base: Path) -> subprocess.Popen[str]:
    full = [sys.executable, "-m", "tests.helpers.fake_runs", "sweep", "with", *GRID, "--runs", str(base)]
    return subprocess.Popen(
        full,
        cwd=ROOT,
        env=environment(FAKE_SECONDS="0.1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def cells(base: Path, status: str) -> list[str]:
    return [run.id for run in runs.scan(base) if run.kind == "run" and run.status == status]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_same_command_continues_a_stopped_sweep(tmp_path: Path, number: signal.Signals) -> None:
    first = sweep(tmp_path)
    wait_for(lambda: cells(tmp_path, "COMPLETED") and cells(tmp_path, "RUNNING"), 300)
    first.send_signal(number)
    said, _ = first.communicate(timeout=120)
    if number == signal.SIGINT:
        assert first.returncode == 130, said
        assert "stopped; the same command continues it" in said
    (own,) = (run for run in runs.scan(tmp_path) if run.kind == "sweep")
    assert own.status == ("DEAD" if number == signal.SIGKILL else "INTERRUPTED")
    done = {name: len(runs.Run(tmp_path / name).entry["attempts"]) for name in cells(tmp_path, "COMPLETED")}

    second = sweep(tmp_path)
    said, _ = second.communicate(timeout=300)
    assert second.returncode == 0, said
    assert "4 cells: " in said
    assert ", 0 failed" in said
    stored = [run for run in runs.scan(tmp_path) if run.kind == "run"]
    assert len(stored) == 4
    for run in stored:
        assert run.status == "COMPLETED"
        assert len(run.entry["attempts"]) <= 2
        # Nothing that was done is done again, and what was under way is there whole.
        assert len(run.entry["attempts"]) == done.get(run.id, len(run.entry["attempts"]))
        assert [record["update"] for record in run.metrics] == list(range(0, 401, 10))
        expected = fake_runs.execute(make_setup(resolve_run(run.config)), Callbacks()).numbers
        assert run.result["test"] == expected["test"]
