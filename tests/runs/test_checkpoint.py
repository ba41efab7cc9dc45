"""Checkpoints: read back bit for bit, refused when torn, edited, foreign or of another version."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddl_dyn import runs
from ddl_dyn.cli.main import main
from ddl_dyn.experiments import run as running
from ddl_dyn.experiments.fingerprint import config_hash
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.runs import atomic_files, checkpoint
from ddl_dyn.runs.checkpoint import TRAINING, WEIGHTS, load_training, load_weights, save_training, save_weights
from ddl_dyn.runs.writer import RunWriter
from tests.helpers import fake_runs
from tests.helpers.commands import config

HASH = "ab" * 32
STATE = {
    "update": 7,
    "best": torch.tensor([0.5, torch.inf, torch.nan], dtype=torch.float64),
    "history": [{"alive": [True, False], "lr": 1e-3, "val": None}],
    "nested": {"empty": torch.zeros(2, 0), "half": torch.ones(2, dtype=torch.bfloat16), "one": torch.tensor(3)},
}


@pytest.fixture
def writer(tmp_path: Path) -> RunWriter:
    made = RunWriter(tmp_path, entry={"kind": "run", "status": "COMPLETED", "config_hash": HASH})
    made.make()
    made.save_entry()
    return made


def equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first.nan_to_num(9.0), second.nan_to_num(9.0))
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    return bool(first == second)


def test_a_state_is_read_back_as_it_was(writer: RunWriter) -> None:
    assert load_training(writer.directory, HASH) is None
    save_training(writer, STATE)
    found = load_training(writer.directory, HASH)
    assert found is not None
    assert equal(found, STATE)
    weights = {"w": torch.arange(6.0).reshape(2, 3)}
    save_weights(writer, weights)
    assert equal(load_weights(runs.Run(writer.directory)), weights)
    # Any reader of torch's files finds the tensors, with weights only.
    assert equal(torch.load(writer.directory / WEIGHTS, weights_only=True)["content"], {"replicas": weights})


def test_flipped_bytes_are_found_wherever_they_lie(writer: RunWriter) -> None:
    save_training(writer, {"update": 3, "weights": torch.arange(400.0)})
    path = writer.directory / TRAINING[0]
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        torn = bytearray(whole)
        for place in rng.integers(0, len(whole), 40):
            torn[place] ^= 0xFF
        path.write_bytes(torn)
        try:
            found = load_training(writer.directory, HASH)
        except runs.RunError:
            refused += 1
        else:
            # The padding of the archive carries nothing: what was read is what was written.
            assert found is not None
            assert equal(found, {"update": 3, "weights": torch.arange(400.0)})
    assert refused > 50


@pytest.mark.parametrize("length", [0, 1, 100, 1000])
def test_a_torn_file_is_refused(writer: RunWriter, length: int) -> None:
    save_training(writer, STATE)
    path = writer.directory / TRAINING[0]
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(runs.RunError, match=r"resume\.pt is torn or no checkpoint of ddl-dyn"):
        load_training(writer.directory, HASH)


def test_an_edited_a_foreign_and_a_later_one_are_refused(writer: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    save_weights(writer, {"w": torch.ones(2)})
    path, stored = writer.directory / WEIGHTS, runs.Run(writer.directory)
    record = torch.load(path, weights_only=True)
    record["content"]["replicas"]["w"][1] = 1.0000001
    torch.save(record, path)
    with pytest.raises(runs.RunError, match=r"edited: .*restore it from a copy, or train anew: `ddl-dyn run with "):
        load_weights(stored)
    torch.save({"w": torch.ones(2)}, path)
    with pytest.raises(runs.RunError, match="no checkpoint of ddl-dyn"):
        load_weights(stored)
    path.unlink()
    with pytest.raises(runs.RunError, match="is missing"):
        load_weights(stored)
    save_training(writer, STATE)
    with pytest.raises(runs.RunError, match="belongs to another configuration"):
        load_training(writer.directory, "cd" * 32)
    version = checkpoint.FORMAT_VERSION
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", version + 1)
    refused = f"has version {version} of the checkpoint format, this ddl-dyn reads version {version + 1}"
    with pytest.raises(runs.RunError, match=refused):
        load_training(writer.directory, HASH)


def test_the_state_before_is_kept_until_the_run_is_complete(writer: RunWriter) -> None:
    for update in (1, 2, 3):
        save_training(writer, {"update": update})
    path = writer.directory / TRAINING[0]
    path.write_bytes(b"torn")
    with pytest.raises(runs.RunError, match=r"delete it to continue from the one before it, resume\.previous\.pt"):
        load_training(writer.directory, HASH)
    path.unlink()
    assert load_training(writer.directory, HASH) == {"update": 2}
    checkpoint.drop_training(writer)
    assert load_training(writer.directory, HASH) is None


# Through the command line.


@pytest.fixture
def unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run 1, which failed half way with a training state kept."""
    monkeypatch.setattr(running, "execute", fake_runs.execute)
    monkeypatch.setenv("FAKE_FAIL", "ddl")
    with pytest.raises(FloatingPointError):
        run(config(), Launch(base=tmp_path))
    monkeypatch.delenv("FAKE_FAIL")
    return tmp_path / "1"


def unchanged(folder: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    """`resume` refuses in one line with these words and writes nothing."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["resume", "1", "--runs", str(folder.parent)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_damaged_state_is_not_resumed(unfinished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = unfinished / TRAINING[0]
    path.write_bytes(path.read_bytes()[:-50])
    unchanged(unfinished, capsys, "delete it to continue from the one before it, resume.previous.pt")
    os.unlink(path)
    assert main(["resume", "1", "--runs", str(unfinished.parent)]) == 0
    assert {path.name for path in unfinished.iterdir()}.isdisjoint(TRAINING)


def test_an_edited_configuration_is_not_resumed_but_remarks_are(
    unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = unfinished / "config.json"
    good = runs.read_json(path)
    atomic_files.write_json(path, good | {"train": good["train"] | {"lr": 0.5}})
    unchanged(unfinished, capsys, "config.json is not what run 1 was started with")
    # A state of another configuration that replaced this one's is as foreign.
    atomic_files.write_json(path, good | {"note": "later"})
    record = torch.load(unfinished / TRAINING[0], weights_only=True)
    assert record["config"] == config_hash(config())
    assert main(["resume", "1", "--runs", str(unfinished.parent)]) == 0
    assert runs.find_run("1", unfinished.parent).config["note"] == "later"


def test_a_state_of_another_run_is_not_resumed(unfinished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.environ["FAKE_FAIL"] = "ddl"
    try:
        with pytest.raises(FloatingPointError):
            run(config(seed=1), Launch(base=unfinished.parent))
    finally:
        del os.environ["FAKE_FAIL"]
    os.replace(unfinished.parent / "2" / TRAINING[0], unfinished / TRAINING[0])
    unchanged(unfinished, capsys, "belongs to another configuration")
