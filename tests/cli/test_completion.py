"""Completion: what is offered where, and in the shells that are installed."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ddl_dyn.cli.completion import SACRED_COMMANDS, SACRED_FLAGS, SACRED_OPTIONS, SCRIPTS, _keys, answers
from ddl_dyn.cli.main import main, make_parser
from ddl_dyn.config.parsing import flatten
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.models import MODELS
from ddl_dyn.tasks import TASKS
from tests.helpers.commands import environment
from tests.helpers.run_folders import make_run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with three runs."""
    for run_id in ("2", "10", "c0ffee"):
        make_run(tmp_path / "runs", run_id)
    (tmp_path / "runs" / "no_run").mkdir()
    (tmp_path / "c.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


OFFERED = {
    "ddl-dyn ta": ["tag", "tasks"],
    "ddl-dyn --runs elsewhere show": ["show"],
    "ddl-dyn show ": ["last", "2", "10", "c0ffee"],
    "ddl-dyn --runs runs diff 2 c0": ["c0ffee"],
    "ddl-dyn show --runs elsewhere ": [],
    "ddl-dyn show 2 ": [],
    "ddl-dyn report 2 1": ["10"],
    "ddl-dyn show --o": ["--output"],
    "ddl-dyn list --sort sta": ["status", "started"],
    "ddl-dyn list --status COMPLETED,RU": ["COMPLETED,RUNNING"],
    "ddl-dyn list --kind run,s": ["run,sweep"],
    "ddl-dyn export --out ": [],
    "ddl-dyn tasks lorenz6": ["lorenz63", "lorenz63_family"],
    "ddl-dyn models --out here resn": ["resnet"],
    "ddl-dyn completion z": ["zsh"],
    "ddl-dyn nonsense ": [],
    "ddl-dyn run ": ["with", *SACRED_COMMANDS],
    "ddl-dyn run --st": ["--store"],
    "ddl-dyn run --store ": [],
    "ddl-dyn sweep --dry": ["--dry-run"],
    "ddl-dyn run --dry": [],
    "ddl-dyn run with mod": ["model=", "model_args."],
    "ddl-dyn run with eval": ["eval.short=", "eval.long=", "eval.threshold=", "eval.bootstrap="],
    "ddl-dyn run with train.lo": ["train.loss="],
    "ddl-dyn run with train.loss=": ["train.loss=auto", "train.loss=mse", "train.loss=cross_entropy"],
    "ddl-dyn run with train.tf32=t": ["train.tf32=true"],
    "ddl-dyn run print_config with task=mir": ["task=mirror"],
    "ddl-dyn run with model=resnet model_args.branch=": [f"model_args.branch={b}" for b in ("mlp", "glu", "bilinear")],
    "ddl-dyn run with model=ddl model_args.branch": [],
    "ddl-dyn run with task=van_der_pol task_args.": ["task_args.dt=", "task_args.mu="],
    "ddl-dyn run with task=mirror,": [],
    "ddl-dyn compare with tasks=mirror,mir": [],
    "ddl-dyn compare with tasks=mirror,flip_": ["tasks=mirror,flip_flop"],
    "ddl-dyn compare with model_args.carry": [],
    "ddl-dyn compare with models=resnet,mlp per_model.mlp.train.loss=m": ["per_model.mlp.train.loss=mse"],
    "ddl-dyn sweep with train.schedule=cosine,con": ["train.schedule=cosine,constant"],
    "ddl-dyn search with search.": ["search.trials=", "search.seed=", "search.prune="],
    "ddl-dyn search with task=mirror model=resnet model_args.branch=g": ["model_args.branch=glu"],
    "ddl-dyn search --j": ["--jobs"],
    "ddl-dyn search --jobs ": [],
    "ddl-dyn sweep with 'engine=r": ["engine=ray"],
    "ddl-dyn run with c.to": [],
}


@pytest.mark.parametrize("line", OFFERED)
@pytest.mark.usefixtures("folder")
def test_what_is_offered(line: str) -> None:
    assert answers(line, make_parser()) == OFFERED[line]


def test_every_key_of_a_run_is_offered_and_no_other() -> None:
    from ddl_dyn.experiments.resolve import resolve_run

    config = resolve_run({"task": "lorenz63", "model": "resnet"}).model_dump()
    known = {key for key, _ in flatten(config)} | {f"task_args.{key}" for key in ("dt", "sigma", "rho", "beta")}
    assert set(_keys("run", {"task": "lorenz63", "model": "resnet"})) == known
    assert set(_keys("run", {})["task"]) == set(TASKS)
    assert set(_keys("run", {})["model"]) == set(MODELS)
    in_sweep = set(_keys("sweep", {"tasks": "lorenz63", "models": "resnet"}))
    assert known - in_sweep == {"task", "model", "model_args.carry"}
    assert {
        "tasks",
        "models",
        "carries",
        "engine",
        "per_task.lorenz63.data.steps",
        "per_model.resnet.seeds",
    } <= in_sweep
    assert RunConfig.model_fields.keys() - {key.partition(".")[0] for key in known} == set()


def test_sacreds_words_are_those_it_takes() -> None:
    from ddl_dyn.experiments.tracking.sacred import REFUSED, make_experiment

    experiment = make_experiment("run", {})
    commands = [*dict(experiment.gather_commands()), "help"]
    assert set(SACRED_COMMANDS) == {name for name in commands if name != "run"}
    usable = [o for o in experiment.all_cli_options if o.get_flag() not in {*REFUSED, "--mongo_db"}]
    assert set(SACRED_FLAGS) == {option.get_flag() for option in usable if option.arg is None}
    ours = {"--store", "--runs", "--trust"}
    assert set(SACRED_OPTIONS) == ours | {option.get_flag() for option in usable if option.arg is not None}


def test_a_shell_that_is_none_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion"]) == 1
    assert capsys.readouterr().err == "error: which shell? `ddl-dyn completion` takes one of bash, zsh, fish\n"
    assert main(["completion", "--help"]) == 0
    assert "--answer" not in capsys.readouterr().out


# In the shells themselves.


@pytest.fixture
def shell(folder: Path) -> dict[str, str]:
    """Surroundings in which `ddl-dyn` is this checkout's."""
    program = folder / "bin" / "ddl-dyn"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ddl_dyn "$@"\n')
    program.chmod(0o755)
    for name, text in SCRIPTS.items():
        (folder / name).write_text(text)
    return environment(PATH=f"{program.parent}:{os.environ['PATH']}", HOME=str(folder), TERM="dumb", PS1="$ ")


def typed(program: list[str], start: str, line: str, wanted: str, surroundings: dict[str, str]) -> str:
    """The screen of a shell once a line and Tab are typed, until `wanted` is there or 20 s are over."""
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe(program[0], program, surroundings)
    shown = ""
    try:
        os.write(terminal, f"{start}; printf 'rea%s\\n' dy\n".encode())
        deadline, sent = time.monotonic() + 20.0, False
        while time.monotonic() < deadline and not re.search(wanted, shown.rpartition("ready")[2] if sent else ""):
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 4096).decode(errors="replace")
            if not sent and "ready" in shown:
                os.write(terminal, f"{line}\t".encode())
                sent = True
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)
    return shown.rpartition("ready")[2]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        # A word that is whole is followed by a space, one that goes on is not.
        ("ddl-dyn show c0", r"c0ffee $"),
        ("ddl-dyn run with train.los", r"train\.loss=$"),
        ("ddl-dyn run with train.loss=m", r"train\.loss=mse $"),
        ("ddl-dyn run with c.to", r"c\.toml $"),
    ],
)
@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_tab_completes(name: str, line: str, wanted: str, shell: dict[str, str], folder: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    program = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[name]
    before = {"bash": "", "zsh": "unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; "}[name]
    shown = typed(program, f"{before}cd {folder}; . ./{name}", line, wanted, shell)
    assert re.search(wanted, shown), shown


@pytest.mark.parametrize(
    "line", ["ddl-dyn show ", "ddl-dyn run with train.loss=", "ddl-dyn compare with tasks=mirror,flip_"]
)
def test_fish_completes(line: str, shell: dict[str, str], folder: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    command = ["fish", "--no-config", "-c", f"source {folder / 'fish'}; complete -C '{line}'"]
    done = subprocess.run(command, cwd=folder, env=shell, capture_output=True, text=True, check=True)
    assert set(done.stdout.splitlines()) == set(OFFERED[line])
