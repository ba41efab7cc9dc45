"""Trained DDL stacks under analysis: what must hold of each whatever it learned, and what it must have learned.

Axes: R replicas, D state components. Budgets are small: an hour of training would show less error and the same laws.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.results.inspection.sections import analyse
from ddl_dyn.runs import find_run

pytestmark = pytest.mark.slow

CONSTANT = {"lift": "identity", "generator": "constant", "value": "constant", "gate": "constant", "layers": 4}
RUNS: dict[str, dict[str, Any]] = {
    "henon": {
        "train": {"updates": 1500, "horizon": 1, "lr": 0.01},
        # Short, so that the best checkpoint is the best map: after many Lyapunov times the mean wins any comparison.
        "data": {"n_train": 1024, "steps": 5},
        "eval": {"short": 3, "long": 5},
        "model_args": {"beta0": 1.0},
    },
    "lorenz63": {
        "train": {"updates": 600, "horizon": 8, "lr": 0.005},
        "data": {"n_train": 128, "steps": 200},
    },
    "van_der_pol": {
        "train": {"updates": 400, "horizon": 10, "lr": 0.005},
        "data": {"n_train": 128, "steps": 200},
    },
    "bouncing_ball": {
        "task_args": {"dt": 0.1},
        "train": {"updates": 1500, "batch": 256, "horizon": 2, "lr": 0.01},
        "data": {"n_train": 512, "steps": 20},
        "eval": {"short": 5, "long": 20},
        "model_args": {"lift": "identity", "layers": 3, "gate": "tanh", "value": "constant", "beta0": 0.5},
    },
    "kaczmarz": {
        "train": {"updates": 2000, "horizon": 1, "lr": 0.05, "weight_decay": 0.0},
        "data": {"n_train": 256, "steps": 3},
        "eval": {"short": 1, "long": 3},
        "model_args": CONSTANT | {"beta0": 1.0},
    },
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    base: Path = tmp_path_factory.mktemp("runs")
    found = {}
    for task, updates in RUNS.items():
        config: dict[str, Any] = {"task": task, "seeds": 3} | updates
        config["data"] = {"n_val": 64, "n_test": 64, "n_ood": 0} | config["data"]
        config["train"] = {"compile": "off"} | config["train"]
        run(resolve_run(config), Launch(base=base, options={"--id": task}))
        found[task] = analyse(find_run(task, base), steps=400)
    return found


@pytest.mark.parametrize("task", RUNS)
def test_what_holds_of_every_delta_layer(reports: dict[str, dict[str, Any]], task: str) -> None:
    laws = reports[task]["laws"]
    # float32 has seven digits, and the discrepancies here are of order one.
    assert max(laws["law_error"]) <= 1e-5
    if "jacobian_gap" in laws:
        assert max(laws["jacobian_gap"]) <= 1e-12
    else:
        # A lift to several value channels has no closed form of this kind.
        assert task in ("henon", "lorenz63", "van_der_pol")


def test_kaczmarz_relaxation_is_recovered(reports: dict[str, dict[str, Any]]) -> None:
    for one in reports["kaczmarz"]["constants"].values():
        np.testing.assert_allclose(one["values"], 1.5, rtol=0.01)
    part = reports["kaczmarz"]["spectrum"]
    # Σλ = ln |det J| = 4 ln .5; an ω off by 1 % shifts each of the four by 3 %.
    assert part["true"]["sum"] == pytest.approx(4 * np.log(0.5), abs=1e-9)
    np.testing.assert_allclose(part["trained"]["sum"], 4 * np.log(0.5), atol=0.12)
    assert reports["kaczmarz"]["cycles"]["periods"]["1"]["recall"] == [1.0] * 3


def test_henon_keeps_its_exponents_and_its_saddles(reports: dict[str, dict[str, Any]]) -> None:
    report = reports["henon"]
    assert report["spectrum"]["true"]["sum"] == pytest.approx(np.log(0.3), abs=1e-9)
    exponents = np.array(report["spectrum"]["trained"]["exponents"])
    # Chaotic, and contracting about as the truth does (λ = .419, −1.623).
    assert (np.abs(exponents[:, 0] - 0.419) < 0.1).all()
    assert (np.abs(exponents.sum(axis=1) - np.log(0.3)) < 0.3).all()
    assert report["local"]["orientation_agreement"] == [1.0] * 3
    assert np.median(report["cycles"]["periods"]["1"]["recall"]) == 1.0


def test_lorenz_is_chaotic_and_contracts(reports: dict[str, dict[str, Any]]) -> None:
    report = reports["lorenz63"]
    # div f = −(σ + 1 + β) everywhere.
    assert report["spectrum"]["true"]["sum"] == pytest.approx(-41 / 3, abs=1e-6)
    assert len(report["cycles"]["periods"]["1"]["true"]) == 3
    assert (np.array(report["spectrum"]["trained"]["sum"]) < -5).all()
    assert np.median(np.array(report["spectrum"]["trained"]["exponents"])[:, 0]) > 0.3


def test_van_der_pol_has_its_limit_cycle(reports: dict[str, dict[str, Any]]) -> None:
    cycle = reports["van_der_pol"]["limit_cycle"]
    # Known: period 6.66329, amplitude 2.00862 at μ = 1, the latter met to half a sampling step.
    assert cycle["true"]["period"] == pytest.approx(6.66329, abs=1e-4)
    assert cycle["true"]["amplitude"][0] == pytest.approx(2.00862, abs=2e-3)
    assert cycle["trained"]["closed"] == [1.0] * 3
    np.testing.assert_allclose(cycle["trained"]["period"], 6.66329, rtol=0.05)
    np.testing.assert_allclose(np.array(cycle["trained"]["amplitude"])[:, 0], 2.00862, rtol=0.05)


def test_the_ball_loses_its_energy_at_impacts(reports: dict[str, dict[str, Any]]) -> None:
    read = reports["bouncing_ball"]["constants"]["restitution, from the energy"]
    # e = .9; measured .877, .896 and .884. A ball that flew through the floor, or stuck to it, would give 1 or 0.
    np.testing.assert_allclose(read["values"], 0.9, atol=0.06)
