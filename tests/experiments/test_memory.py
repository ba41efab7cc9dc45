"""A run that cannot fit into memory is refused before anything is made, and one that fits is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ddl_dyn.cli.facts import required_parameters
from ddl_dyn.cli.main import main
from ddl_dyn.config.parsing import ConfigError, merged, parse_updates
from ddl_dyn.experiments import memory
from ddl_dyn.experiments.memory import GIGABYTE, check_memory, check_side_by_side, free_memory, needs
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.setup import make_setup
from ddl_dyn.experiments.sweep.grid import resolve_sweep
from ddl_dyn.models import MODELS
from ddl_dyn.tasks import TASKS
from tests.helpers.commands import ROOT, SMALL, config

HUGE = {
    "data.n_train=1000000000": "data.n_train",
    "data.n_test=1000000000": "data.n_test",
    "data.steps=1000000000": "data.steps",
    "train.batch=1000000000": "train.batch",
    "seeds=100000 data.n_test=1000": "seeds",
    "model=resnet model_args.hidden_dim=65536 model_args.latent_dim=65536": "model_args.hidden_dim",
    "model_args.hidden_dim=65536 train.compile=off train.batch=1024": "model_args.hidden_dim",
    "model=esn model_args.reservoir_dim=10000 seeds=100": "the model's size",
}


@pytest.fixture(autouse=True)
def _sixteen_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 16 * GIGABYTE)


@pytest.mark.parametrize("words", HUGE)
def test_what_cannot_fit_is_refused_with_the_number_and_the_option(words: str) -> None:
    with pytest.raises(ConfigError, match=r"needs at least [\d,.]+ GB .* and 16\.0 GB are free; lower ") as told:
        check_memory([resolve_run(parse_updates(words.split()))])
    assert HUGE[words] in str(told.value).partition("lower ")[2]


@pytest.mark.parametrize("command", ["run", "sweep", "compare"])
def test_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, "with", "data.n_train=1000000000"]) == 1
    assert "lower data.n_train or data.steps" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", MODELS)
def test_a_run_at_its_defaults_fits_into_a_gigabyte(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: GIGABYTE)
    task = "mirror" if model == "householder_stack" else "harmonic"
    more: dict[str, Any] = {"model_args": {"lift": "identity"}} if model == "householder_stack" else {}
    check_memory([resolve_run({"model": model, "task": task, **more})])


@pytest.mark.parametrize("task", [name for name, cls in TASKS.items() if not required_parameters(cls)])
def test_every_task_has_its_needs(task: str) -> None:
    assert all(part.bytes >= 0 for part in needs(config(task=task)))


def test_windows_of_a_series_are_not_counted_beyond_its_samples() -> None:
    check_memory([resolve_run(parse_updates(["task=sunspots", "data.n_train=1000000000", "data.steps=1000000"]))])


@pytest.mark.parametrize("words", [{}, {"model": "esn"}, {"train": {"dtype": "float64"}}, {"data": {"seeds": 3}}])
def test_the_needs_are_at_most_what_is_made(words: dict[str, Any]) -> None:
    asked = resolve_run(merged(SMALL, words))
    made = make_setup(asked)
    trajectories, weights = needs(asked)[:2]
    scaled = [part for split in ("train", "val") for part in made.scaled(split)]  # type: ignore[arg-type]
    held = sum(one.states.nbytes for data in made.data_sets for one in (data.train, data.val))
    held += made.data.test.states.nbytes + sum(part.states.nbytes for part in scaled)
    half = sum(part.states.nbytes for part in scaled) // (1 if asked.train.dtype == "float64" else 2)
    assert trajectories.bytes == held + half
    one_copy = sum(t.numel() * t.element_size() for t in made.replicas.state_dict().values())
    copies = memory.SOLVED_COPIES if asked.model == "esn" else memory.TRAINED_COPIES
    assert weights.bytes == pytest.approx(copies * one_copy, rel=0.01)


def test_what_lies_on_a_gpu_takes_none_of_the_machines_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    on_device, on_host = (resolve_run(parse_updates([word])) for word in ("train.batch=1e9", "data.n_train=1e9"))
    monkeypatch.setattr(memory, "choose_device", lambda _: "cuda")
    check_memory([on_device])
    with pytest.raises(ConfigError, match=r"lower data\.n_train"):
        check_memory([on_host])


def test_the_machine_says_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2**20 < (free_memory() or 0) < 2**50
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    check_memory([resolve_run(parse_updates(["data.n_train=1000000000"]))])


@pytest.mark.parametrize(
    "words",
    ["train.threads=1000000000", "data.noise=1e300", "train.clip=1e400", "eval.threshold=1e999", "train.lr=inf"],
)
def test_numbers_out_of_reach_are_refused(words: str) -> None:
    with pytest.raises(ConfigError, match=f"{words.partition('=')[0]}: input should be"):
        resolve_run(parse_updates([words]))


@pytest.mark.parametrize("command", ["sweep", "compare"])
def test_cells_that_fit_alone_but_not_side_by_side_are_refused(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["tasks=harmonic", "models=ddl,mlp,resnet", "data.n_train=1000000", "data.steps=100", "seeds=4", "jobs=3"]
    cells = resolve_sweep(parse_updates(words))[1]
    each = [sum(part.bytes for part in needs(cell.config)) for cell in cells]
    monkeypatch.setattr(memory, "free_memory", lambda: sum(sorted(each)[:2]) + GIGABYTE // 2)
    assert main([command, "with", *words, "train.lr_grid=[1e-3,1e-2]" if command == "sweep" else "note=x"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: 3 runs side by side need at least ")
    assert line.endswith(" GB are free; lower jobs to 2")
    assert list(tmp_path.iterdir()) == []
    configs = [cell.config for cell in cells]
    check_side_by_side(configs, 2)
    # Three jobs for two cells are two.
    check_side_by_side(configs[:2], 3)


def test_a_limit_on_the_process_counts() -> None:
    code = "from ddl_dyn.experiments.memory import free_memory; print(free_memory())"
    for option in ("-v", "-d"):
        line = f"ulimit {option} 8000000 && exec {sys.executable} -c '{code}'"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=ROOT, check=True)
        assert 0 < int(done.stdout) < 8_000_000 * 1024
