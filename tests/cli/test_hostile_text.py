"""Escape sequences in files and names: every command prints them harmless."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddl_dyn.cli.main import main
from ddl_dyn.config.terminal import CONTROL
from ddl_dyn.runs import atomic_files
from ddl_dyn.runs.run import config_digest
from tests.helpers.run_folders import make_run

# Sets the window's title, clears the screen, reverses the order of letters.
EVIL = "\x1b]0;owned\x07\x1b[2J\u202eevil\x9b31m"
READING = [
    ["list"],
    ["list", "--json"],
    ["show", "1"],
    ["show", "1", "--output"],
    ["diff", "1", "2"],
    ["watch", "--once"],
    ["missing"],
    ["missing", "s"],
    ["resume", "1"],
    ["resume", "2"],
    ["resume", "s"],
    ["replay", "2"],
    ["analyse", "2"],
    ["portrait", "2", "--what", "list"],
    ["portrait", "2"],
    ["tag", "1", "a"],
    ["export"],
    ["export", "--format", "latex"],
    ["report", "2", "--out", "page.html"],
]


def spoiled(value: Any) -> Any:
    """Every text in nested values, keys too, with escape sequences in it."""
    if isinstance(value, dict):
        return {f"{key}": spoiled(item) for key, item in value.items()} | {EVIL: EVIL}
    if isinstance(value, list):
        return [spoiled(item) for item in value]
    return f"{value}{EVIL}" if isinstance(value, str) else value


def spoil(path: Path, keep: tuple[str, ...] = ()) -> None:
    stored = json.loads(path.read_text())
    path.write_text(json.dumps(spoiled(stored) | {key: stored[key] for key in keep if key in stored}))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A running run, a finished one and a sweep, every stored text of which is spoiled."""
    base, kept = tmp_path / "runs", ("status", "kind", "start_time", "config_sha256", "members")
    for name, kind, status in (("1", "run", "INTERRUPTED"), ("2", "run", "COMPLETED"), ("s", "sweep", "FAILED")):
        run = make_run(
            base,
            name,
            status=status,
            kind=kind,
            progress={"update": EVIL, "updates": EVIL},
            command_line=f"ddl-dyn sweep {EVIL}",
            error=f"broken {EVIL}",
            tags=[EVIL],
            note=EVIL,
            name=EVIL,
            git={"commit": EVIL},
            members=["1", "2"],
        )
        for file in ("config.json", "result.json"):
            spoil(run / file)
        config = json.loads((run / "config.json").read_text())
        config["model"] = f"/no/{EVIL}.py:Net"
        atomic_files.write_json(run / "config.json", config)
        entry = json.loads((run / "run.json").read_text()) | {"config_sha256": config_digest(config)}
        atomic_files.write_json(run / "run.json", entry)
        spoil(run / "run.json", kept)
        atomic_files.write_arrays(run / "arrays.npz", {f"x{EVIL}": np.zeros(2)})
        (run / "cout.txt").write_text(f"printed {EVIL}\n")
    (base / "s" / "cells.csv").write_text(f"run,task,model,carry,a.{EVIL}\n1,{EVIL},{EVIL},{EVIL},{EVIL}\n")
    make_run(base, "3", status="RUNNING", kind=EVIL, task=EVIL, progress={"update": 1, "updates": EVIL})
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.usefixtures("folder")
def test_no_command_lets_a_control_character_through(command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    main(command)
    said = capfd.readouterr()
    assert said.out + said.err
    assert not CONTROL.search(said.out + said.err)


def table_with_a_header(folder: Path) -> list[str]:
    (folder / "table.csv").write_text(f"t,x{EVIL}\n" + "1,2,3\n" * 5)
    return ["run", "with", "task=observed", "task_args.path=table.csv"]


def settings_in_json(folder: Path) -> list[str]:
    (folder / "run.json").write_text(json.dumps({"train": {EVIL: EVIL}, EVIL: 1, "task": EVIL, "model": EVIL}))
    return ["run", "with", "run.json"]


def printed_settings(folder: Path) -> list[str]:
    (folder / "run.json").write_text(json.dumps({"note": EVIL, "tags": [EVIL]}))
    return ["run", "print_config", "with", "run.json"]


def settings_in_toml(folder: Path) -> list[str]:
    evil = json.dumps(EVIL).replace("\\u009b", "\x85")
    (folder / "grid.toml").write_text(f'tasks = [{evil}]\nmodels = [{evil}]\n"x\\u001b[2J" = 1\n', encoding="utf-8")
    return ["sweep", "grid.toml"]


@pytest.mark.parametrize(
    "prepare",
    [
        table_with_a_header,
        settings_in_json,
        settings_in_toml,
        lambda _: ["run", "with", f"task={EVIL}"],
        lambda _: ["show", EVIL],
        lambda _: [EVIL],
        lambda _: ["list", "--runs", EVIL],
    ],
)
def test_no_message_lets_a_control_character_through(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[Path], list[str]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(prepare(tmp_path)) in (0, 1, 2)
    said = capfd.readouterr()
    assert said.out + said.err
    assert not CONTROL.search(said.out + said.err)


def test_printed_settings_are_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(printed_settings(tmp_path)) == 0
    said = capfd.readouterr().out
    # Sacred itself colours what differs from the defaults.
    assert "evil" in said
    assert not any(part in said for part in ("\x1b]0", "\x1b[2J", "\u202e", "\x9b"))
