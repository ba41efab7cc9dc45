"""A search: its ranges, its trials as runs, what it is scored by, and its continuation after a kill."""

from __future__ import annotations

import math
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ddl_dyn import runs
from ddl_dyn.cli.main import main
from ddl_dyn.config.parsing import ConfigError, Typed, parse_updates
from ddl_dyn.experiments import run as running
from ddl_dyn.experiments.cell import Job
from ddl_dyn.experiments.fingerprint import config_hash
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch
from ddl_dyn.experiments.search import trials
from ddl_dyn.experiments.search.config import SearchPlan, resolve_search
from ddl_dyn.experiments.search.ranges import Between, Choices, as_range, as_value, typed_words
from ddl_dyn.experiments.search.trials import Finished, Search, score_of
from ddl_dyn.runs import heartbeat
from ddl_dyn.runs.atomic_files import write_json
from tests.helpers import fake_runs
from tests.helpers.commands import ROOT, SMALL_ARGUMENTS, environment, wait_for
from tests.helpers.synthetic_runs import write_run

FIXED = ["task=harmonic", "model=resnet", *SMALL_ARGUMENTS]
SPANS = ["train.lr=log(1e-4,1e-1)", "model_args.layers=int(1,3)", "model_args.branch=mlp|glu"]


def plan(*items: str) -> SearchPlan:
    return resolve_search(parse_updates([*FIXED, *SPANS, *items]))


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs that are a validation error and nothing else, least at the default learning rate; ids of those begun."""
    begun: list[str] = []

    def do_cell(job: Job, launch: Launch) -> None:
        folder = launch.base / job["run_id"]
        begun.append(folder.name)
        distance = abs(math.log10(job["config"]["train"]["lr"] / 3e-3))
        for update in range(0, 41, 10):
            if launch.on_validation is not None:
                launch.on_validation(SimpleNamespace(update=update, updates=40, val=[distance + 1 / (1 + update)] * 3))
        folder.mkdir(exist_ok=True)
        write_json(folder / "result.json", {"training": {"best_val": [distance] * 3, "diverged": [False] * 3}})

    monkeypatch.setattr(trials, "do_cell", do_cell)
    return begun


def best_of(found: list[Finished]) -> Finished:
    return min((one for one in found if one.state == "complete"), key=lambda one: one.score)


def done(base: Path, *items: str) -> Search:
    search = Search(plan(*items), base)
    search.do_all(Launch(base=base))
    return search


# Ranges.


def test_ranges_from_text() -> None:
    assert as_range("k", Typed("log(1e-4, 1e-1)")) == Between(scale="log", low=1e-4, high=0.1)
    assert as_range("k", "logint(8,128)") == Between(scale="logint", low=8, high=128)
    assert as_range("k", Typed("a|b |c")) == Choices(names=("a", "b", "c"))
    for plain in (Typed("3"), Typed("mine.py:Net"), 0.1, [1, 2], "text"):
        assert as_range("k", plain) is None


def test_what_is_printed_is_what_is_run() -> None:
    spans = {
        "train.lr": Between(scale="log", low=0.00012345, high=1.0),
        "model_args.layers": Between(scale="int", low=1, high=3),
    }
    proposed = {"train.lr": 0.0345678, "model_args.layers": 2}
    assert typed_words(spans, proposed) == ["train.lr=0.03457", "model_args.layers=2"]
    # Rounding leaves no interval.
    assert as_value(spans["train.lr"], 0.00012345) == 0.00012345
    assert as_value(Choices(names=("true", "false")), "true") == Typed("true")


BAD = {
    "train.lr=log(0,1)": "train.lr=log(0,1): a logarithmic range must begin above 0",
    "train.lr=log(1,1e-3)": "the first end must be below the second",
    "train.lr=log(1e-3)": "train.lr=log(1e-3): a range is log(LOW,HIGH), ",
    "train.lr=lgo(1e-3,1)": "train.lr=lgo(1e-3,1): a range is log(LOW,HIGH), ",
    "model_args.layers=int(1.5,3)": "expected a whole number, got '1.5'",
    "model_args.layers=int(0,3)": "layers: Input should be greater than or equal to 1, got 0",
    "model_args.branch=mlp|mlq": "branch: Input should be 'mlp', 'glu' or 'bilinear', got 'mlq'",
    "model_args.branch=mlp|": "model_args.branch=mlp| has an empty choice or the same one twice",
    "lr=log(1e-3,1)": "ranges are for train.… and model_args.… (did you mean 'train.lr'?)",
    "data.noise=float(0,1)": "other keys change what trials are scored on",
    "train.loss=auto|mse": "it changes the validation error that trials are scored by",
    "train.lrr=log(1e-3,1)": "unknown key 'train.lrr' (did you mean 'train.lr'?)",
    "search.trials=0": "search.trials: input should be greater than or equal to 1, got 0",
    "search.trails=3": "unknown key 'search.trails'",
    "search=3": "search is a section, got '3'",
    "note=a|b": "nothing to search: write e.g. train.lr=log(1e-4,1e-1)",
    "train.lr=log(1e-3,1) train.lr_grid=[1e-3,1e-2]": "train.lr_grid tunes the rate that train.lr=… searches",
    "train.lr=log(1e-3,1) --jobs none": "--jobs takes a whole number from 1 to 1024, got 'none'",
    "train.lr=log(1e-3,1) -u": "search takes no --unobserved: it goes on from its runs on disk",
    "train.lr=log(1e-3,1) -i mine": "search takes no --id: its id is made from its settings",
    "train.lr=log(1e-3,1) -n mine": "search takes no --name: ",
    "train.lr=log(1e-3,1) -p": "search takes no --print-config: ",
}


@pytest.mark.parametrize("typed", BAD)
def test_bad_input_is_one_clear_line_and_writes_nothing(
    typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["search", "with", *FIXED, *typed.split()]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("error: ")
    assert BAD[typed] in line
    assert list(tmp_path.iterdir()) == []


def test_the_same_search_has_one_folder() -> None:
    assert plan().search_id == plan("search.trials=7", "search.prune=false", "note=x").search_id
    assert len({plan(item).search_id for item in ("seeds=3", "seeds=4", "search.seed=1", "train.clip=float(1,2)")}) == 4


def test_ranges_in_a_file_are_those_typed(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "train: {lr: 'log(1e-4,1e-1)'}\nmodel_args: {layers: 'int(1,3)', branch: mlp|glu}\nsearch:\n  trials: 7\n"
    )
    read = resolve_search(parse_updates([*FIXED, str(file)]))
    assert (read.search_id, read.search.trials) == (plan().search_id, 7)


# Trials.


def test_trials_are_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "execute", fake_runs.execute)
    found = done(tmp_path, "search.trials=2").finished()
    assert [one.state for one in found] == ["complete"] * 2
    stored = {run.id: run for run in runs.scan(tmp_path)}
    assert set(stored) == {one.run_id for one in found}
    for one in found:
        run = stored[one.run_id]
        assert run.status == "COMPLETED"
        assert run.config["train"]["lr"] == as_value(plan().spans["train.lr"], one.proposed["train.lr"])
        assert run.config["model_args"]["branch"] == one.proposed["model_args.branch"]
        assert run.config["tags"] == [plan().search_id]
        assert one.score == score_of(run)


@pytest.mark.usefixtures("pretended")
def test_the_best_is_near_the_optimum(tmp_path: Path) -> None:
    found = done(tmp_path, "search.trials=20").finished()
    assert [one.number for one in found] == list(range(20))
    # Within a factor of two of three decades; 20 proposals at random would be with probability 1 − .8²⁰ = .99.
    assert abs(math.log10(best_of(found).proposed["train.lr"] / 3e-3)) < 0.3


@pytest.mark.usefixtures("pretended")
def test_trials_behind_the_others_are_stopped_early(tmp_path: Path) -> None:
    found = done(tmp_path / "a", "search.trials=12").finished()
    stopped = [one for one in found if one.state == "pruned"]
    assert stopped
    assert not [one for one in found[:5] if one.state == "pruned"]
    assert best_of(found) not in stopped
    for one in stopped:
        # At the first validation after a third of the updates, by the error there.
        distance = abs(math.log10(as_value(plan().spans["train.lr"], one.proposed["train.lr"]) / 3e-3))
        assert one.score == pytest.approx(distance + 1 / 21)
    whole = done(tmp_path / "b", "search.trials=12", "search.prune=false").finished()
    assert {one.state for one in whole} == {"complete"}
    # Where trials differ in length nothing can be compared on the way.
    assert not plan("train.updates=int(20,40)").prunes


def test_a_trial_that_is_stopped_early_is_an_interrupted_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "execute", fake_runs.execute)
    search = Search(plan("search.trials=1"), tmp_path)
    monkeypatch.setattr(trials._Watch, "_report", lambda _, update, errors: update >= 20 and len(errors) == 3)
    search.do_all(Launch(base=tmp_path))
    (one,) = search.finished()
    assert one.state == "pruned"
    run = runs.Run(tmp_path / one.run_id)
    assert (run.status, run.metrics[-1]["update"]) == ("INTERRUPTED", 20)


@pytest.mark.usefixtures("pretended")
def test_the_seed_decides_what_is_proposed(tmp_path: Path) -> None:
    one, same, other = (
        [trial.proposed for trial in done(tmp_path / name, "search.trials=3", seed).finished()]
        for name, seed in (("a", "search.seed=0"), ("b", "search.seed=0"), ("c", "search.seed=1"))
    )
    assert one == same
    assert one != other


def test_more_trials_go_on_from_those_that_are_there(tmp_path: Path, pretended: list[str]) -> None:
    done(tmp_path, "search.trials=2")
    before = list(pretended)
    found = done(tmp_path, "search.trials=4").finished()
    assert len(found) == 4
    assert [one.run_id for one in found[:2]] == before
    assert len(pretended) == 4


def gone() -> dict[str, Any]:
    """Identity of a process of this machine that has ended."""
    ended = subprocess.Popen(["true"])
    started = heartbeat.process_start(ended.pid)
    ended.wait()
    return {"pid": ended.pid, "pid_start": started or "0", "machine": heartbeat.machine()}


def test_a_killed_search_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pretended: list[str]
) -> None:
    untouched = [one.proposed for one in done(tmp_path / "a", "search.trials=14").finished()]
    del pretended[:]
    quick, ended = trials.do_cell, gone()

    def die(job: Job, launch: Launch) -> None:
        if len(pretended) == 11:
            pretended.append(job["run_id"])
            raise KeyboardInterrupt
        quick(job, launch)

    with monkeypatch.context() as patched:
        patched.setattr(trials, "do_cell", die)
        patched.setattr(heartbeat, "process_identity", lambda: ended)
        with pytest.raises(KeyboardInterrupt):
            done(tmp_path / "b", "search.trials=14")
    assert len(Search(plan(), tmp_path / "b").finished()) == 11
    found = done(tmp_path / "b", "search.trials=14").finished()
    # The twelfth trial is asked for once more under another number; what follows is as it would have been.
    assert [one.proposed for one in found] == untouched
    assert [one.number for one in found] == [*range(11), 12, 13, 14]
    assert pretended[11] == pretended[12]
    assert len(pretended) == 15


@pytest.mark.usefixtures("pretended")
def test_a_trial_of_a_process_that_lives_is_left_to_it(tmp_path: Path) -> None:
    search = Search(plan("search.trials=3"), tmp_path)
    mine = search._ask()
    assert mine is not None
    other = done(tmp_path, "search.trials=3")
    assert [one.number for one in other.finished()] == [1, 2]
    search._do(mine, Launch(base=tmp_path))
    assert [one.number for one in other.finished()] == [0, 1, 2]


def test_a_trial_that_fails_counts_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise FloatingPointError("the pretence\nbroke down")

    monkeypatch.setattr(trials, "do_cell", fail)
    found = done(tmp_path, "search.trials=2").finished()
    assert [(one.state, one.error) for one in found] == [("failed", "FloatingPointError: the pretence broke down")] * 2
    assert all(math.isnan(one.score) for one in found)


def test_the_score_is_of_validation_alone(tmp_path: Path) -> None:
    def scored(test: float, validation: list[float | None], diverged: list[bool]) -> float:
        name = str(len(list(tmp_path.iterdir())))
        result = {"training": {"best_val": validation, "diverged": diverged}}
        scores = {("test", "short"): [test] * 3, ("test", "long"): [test] * 3}
        return score_of(write_run(tmp_path, name, scores=scores, result=result, arrays={}))

    fine = [False] * 3
    assert scored(0.1, [0.3, 0.1, 0.2], fine) == scored(9.0, [0.3, 0.1, 0.2], fine) == 0.2
    assert scored(0.1, [0.3, None, 0.2], fine) == 0.3
    assert scored(0.1, [0.3, 0.1, 0.2], [False, True, True]) == math.inf
    with pytest.raises(ValueError, match="holds no validation error"):
        scored(0.1, [], [])


def test_without_optuna_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'ddl-dyn\[search\]'"):
        plan()


# The command.


def search(base: Path, *items: str, **extra: str) -> subprocess.Popen[str]:
    words = ["search", "with", *FIXED, *SPANS, "--runs", str(base), *items]
    full = [sys.executable, "-m", "tests.helpers.fake_runs", *words]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(full, cwd=ROOT, env=environment(**extra), start_new_session=True, **pipes)


@pytest.mark.slow
def test_the_same_command_goes_on_after_a_kill(tmp_path: Path) -> None:
    first = search(tmp_path, "search.trials=4", "--jobs", "2", FAKE_SECONDS="0.1")
    journal = Search(plan(), tmp_path)
    wait_for(lambda: journal.finished(), 120)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    before = {one.number: one.run_id for one in journal.finished()}
    second = search(tmp_path, "search.trials=4")
    said, told = second.communicate(timeout=200)
    assert second.returncode == 0, told
    found = {one.number: one.run_id for one in journal.finished()}
    # The first command's workers end with the trial they had.
    assert len(found) == 4
    assert before.items() <= found.items()
    assert "scored by the validation error" in said
    line = next(line for line in said.splitlines() if line.startswith("best: "))
    words = shlex.split(line.removeprefix("best: "))
    assert words[:2] == ["ddl-dyn", "--runs"]
    config = resolve_run(parse_updates(words[words.index("with") + 1 :]))
    assert config_hash(config) == runs.Run(tmp_path / best_of(journal.finished()).run_id).entry["config_hash"]
