"""`make gpu` on a processor, in small: every line of it runs before it meets a card; and what is predicted of cards."""

from __future__ import annotations

import json

import pytest

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import checks, prediction
from benchmarks.gpu.resources import Resources
from benchmarks.throughput.problem import Problem


def test_everything_runs_here_in_small(tmp_path, capsys):
    assert gpu.main(["--device", "cpu", "--quick", "--out", str(tmp_path)]) == 0
    assert "no measurement of a card" in capsys.readouterr().out
    (path,) = tmp_path.glob("*.json")
    held = json.loads(path.read_text())
    assert held["left_out"] == held["faults"] == []
    # The processor beside itself.
    assert [row["difference"] for row in held["equality"]] == [0.0] * 6
    assert {row["contestant"] for row in held["rates"]} == {"suite", "loop"}
    assert all(row["rate"] > 0 for row in held["rates"])
    assert all("CUDA" in row["not_run"] for row in held["kernels"])
    assert min(held["roofs"].values()) > 0
    assert "updates × R/s" in path.with_suffix(".txt").read_text()


def test_what_is_missing_is_said_plainly(capsys, monkeypatch):
    monkeypatch.setattr(gpu, "absent", lambda names: [n for n in names if n in ("pydantic", "jax")])
    assert gpu.main([]) == 1
    said = capsys.readouterr()
    assert "left out: jax" in said.out
    assert said.err.startswith("not installed: pydantic; pip install pydantic")


def test_faults_are_named_and_an_error_costs_its_own_part_alone(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(checks, "LIMITS", {"float64": -1.0})

    def broken(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(checks, "waits", broken)
    assert gpu.main(["--device", "cpu", "--quick", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "ddl in float64: 0.0e+00" in said
    assert "waits: RuntimeError: out of memory" in said


def test_no_part_begins_that_the_time_does_not_allow():
    account = gpu.Account(0.0)
    assert account.take("roofs", 1, lambda: pytest.fail("began")) is None
    assert account.left_out == ["roofs: out of time"]


def test_predictions_are_bounded_as_they_say():
    few, many = Resources(255, 18432, 0, 256), Resources(48, 12288, 0, 256)
    assert (few.resident(80), many.resident(80)) == (1, 5)
    # Shared memory is what limits: 100 KiB and the KiB that the card keeps for itself, of 164.
    assert Resources(16, 100 * 1024, 0, 128).resident(80) == 1
    taken = {"resnet": {capability: [many, few] for capability in (80, 90, 100)}}
    rows = prediction.predicted(taken)
    for row in rows:
        assert row["seconds"] == max(row[name] for name in ("flops", "bytes", "chain")) == row[row["bound"]]
    assert len(rows) == len(prediction.CARDS) * len(prediction.REPLICAS)
    # By hand: one replica of ResNet, D 16, P 64, B 64, T 50: two products of 16 × 64, forward and twice back.
    one = Problem(model="resnet", replicas=1)
    assert prediction.flops_of_update(one) == 6 * 64 * 50 * 2 * 16 * 64
    assert prediction.bytes_of_update(one) == 4 * (8 * 64 * 50 * 16 + (2 * 16 * 64 + 16 + 64) * 23)
    # Four programs on 108 multiprocessors: 50 steps, four times 256 cycles of products and two overheads.
    chain = 50 * 4 * (2 * 16 * 64 * 16 / 128 + 2 * prediction.OVERHEAD) / 1.41e9
    assert prediction.seconds_of_update(one, prediction.CARDS["A100"], (5, 1))["chain"] == pytest.approx(chain)
