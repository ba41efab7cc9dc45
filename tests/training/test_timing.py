"""Measured cost: what is timed is left as it was, and more work is seen to cost more."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ddl_dyn import Replicas, TrainConfig, make_model
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.experiments.execute import execute
from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.setup import make_setup
from ddl_dyn.training import timing
from ddl_dyn.training.schedule import horizon_at
from ddl_dyn.training.trainer import Trainer


@dataclasses.dataclass
class Data:
    states: np.ndarray
    inputs: np.ndarray


def series(n=16, steps=60):
    x = np.random.default_rng(0).standard_normal((n, steps + 1, 2))
    return Data(x, np.zeros((n, steps, 0)))


def stack(seeds=2):
    return Replicas(lambda: make_model("ddl", state_dim=2, hidden_dim=6), range(seeds))


def test_timing_leaves_the_replicas_as_they_were():
    replicas = stack()
    before = replicas.state_dict()
    schedule = TrainConfig(updates=10, batch=4, horizon=10, validate_every=5, compile="off")
    seconds, compiled = timing.seconds_per_update(replicas, series(), series(), schedule)
    assert seconds > 0.0
    assert not compiled
    for name, value in replicas.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_updates_are_weighed_by_the_horizons_of_the_schedule(monkeypatch):
    seen = []
    monkeypatch.setattr(Trainer, "step", lambda trainer: seen.append(horizon_at(trainer.config, trainer.update)))
    monkeypatch.setattr(Trainer, "validate", lambda *_: seen.append(300))

    def clock(work, _device):
        work()
        return float(seen[-1])

    # A clock that shows one second a step of the horizon, and 300 for a validation.
    monkeypatch.setattr(timing, "_median_seconds", clock)
    schedule = TrainConfig(updates=10, batch=4, horizon=10, validate_every=100, compile="off")
    horizons = [horizon_at(schedule, update) for update in range(10)]
    assert set(horizons) == {5, 10}
    seconds, _ = timing.seconds_per_update(stack(), series(), series(), schedule)
    assert seconds == pytest.approx(sum(horizons) / 10 + 300 / 100)


def test_updates_within_a_budget():
    assert timing.updates_within(10.0, 0.3) == 33
    assert timing.updates_within(0.1, 1.0) == 1


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux lets a process reset its high water")
def test_peak_memory_sees_what_was_needed_and_given_back():
    code = (
        "import numpy as np, torch\n"
        "from ddl_dyn.training.memory import peak_memory\n"
        "with peak_memory(torch.device('cpu')) as peak:\n"
        "    block = np.ones(64 * 2**20 // 8)\n"
        "    del block\n"
        "print(peak.bytes)\n"
    )
    # In a process of its own: pages that earlier tests have freed may be given back at any time, and hide the block.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == pytest.approx(64 * 2**20, rel=0.1)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux lets a process reset its high water")
def test_peak_memory_of_a_process_that_is_used_again_is_that_of_a_fresh_one():
    code = (
        "import sys, numpy as np, torch\n"
        "from ddl_dyn.training import memory\n"
        "def work(blocks):\n"
        "    return [np.ones(2**12) for _ in range(blocks)]\n"
        "earlier = work(2048)\n"
        # Held above the rest, so that the allocator keeps what lies below it.
        "last = work(1)\n"
        "del earlier\n"
        "if sys.argv[1] == 'keep':\n"
        "    memory._give_back_free_pages = lambda: True\n"
        "with memory.peak_memory(torch.device('cpu')) as peak:\n"
        "    work(1024)\n"
        "print(peak.bytes)\n"
    )

    def measured(word):
        done = subprocess.run([sys.executable, "-c", code, word], capture_output=True, text=True, check=True)
        return int(done.stdout)

    # 1,024 blocks of 32 KiB; the C library keeps some pages of them to itself.
    assert measured("give back") == pytest.approx(32 * 2**20, rel=0.15)
    # Negative control: pages that are kept hide the whole of it.
    assert measured("keep") < 4 * 2**20


def wall_clock(**changes):
    settings = {
        "task": "rotation",
        "seeds": 2,
        "data": {"n_train": 16, "n_val": 8, "n_test": 4, "n_ood": 0, "steps": 30},
        "train": {"updates": 40, "batch": 8, "horizon": 5, "compile": "off", "validate_every": 20},
        "eval": {"short": 5, "long": 10},
        "budget": {"kind": "wall_clock"},
    }
    return resolve_run(settings | changes)


def test_a_budget_of_time_solves_for_the_updates_and_is_repeated(monkeypatch):
    monkeypatch.setattr(timing, "seconds_per_update", lambda *_: (0.0125, False))
    first = execute(make_setup(wall_clock(model="resnet", budget={"kind": "wall_clock", "target": 1})), Callbacks())
    pace = first.resolved["pace"]
    assert pace["seconds"] == 1.0
    assert first.numbers["training"]["updates"] == pace["updates"] == 80
    assert first.numbers["budget"]["target"] == 1.0
    again = execute(
        make_setup(wall_clock(model="resnet", budget={"kind": "wall_clock", "target": 1})), Callbacks(pace=pace)
    )
    for name, value in first.state.items():
        torch.testing.assert_close(again.state[name], value, rtol=0, atol=0)


def test_without_a_target_ddl_sets_the_time():
    found = execute(make_setup(wall_clock(model="highway")), Callbacks())
    assert found.resolved["pace"]["seconds"] > 0.0
    # A model in closed form has no updates to solve for.
    solved = execute(make_setup(wall_clock(model="linear")), Callbacks())
    assert solved.resolved["pace"] is None


def test_tuning_of_a_run_is_recorded_and_only_the_kept_rate_is_evaluated():
    config = wall_clock(budget={"kind": "none"})
    config = RunConfig(**(config.model_dump() | {"train": config.train.model_dump() | {"lr_grid": (1e-3, 1e-2)}}))
    found = execute(make_setup(config), Callbacks())
    tuning = found.numbers["tuning"]
    assert [row["lr"] for row in tuning["grid"]] == [1e-3, 1e-2]
    assert tuning["lr"] in (1e-3, 1e-2)
    assert tuning["edge"]
    assert len(found.numbers["test"]["nrmse_short"]) == 2
    assert found.arrays["history_val"].shape[1] == 2
    json.dumps(tuning)
