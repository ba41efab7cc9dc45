"""Promises of docs/security.md that no other test holds: nothing leaves the machine, and where what is written lies."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from ddl_dyn.cli.main import main
from tests.helpers.commands import SMALL_ARGUMENTS

TINY = [
    *SMALL_ARGUMENTS,
    "task=harmonic",
    "train.updates=2",
    "train.compile=off",
    "data.radii=[]",
    "eval.bootstrap=100",
]
COMMANDS = [
    ["list"],
    ["show", "1"],
    ["export"],
    ["portrait", "1", "--what", "error"],
    ["report", "1", "--out", "p.html"],
]


def test_nothing_leaves_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []

    def refuse(*address: Any, **_: Any) -> None:
        asked.append(address)
        raise OSError("the network is not there")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.chdir(tmp_path)
    for words in (["run", "with", *TINY], *COMMANDS):
        assert main(words) == 0, capsys.readouterr().err
    assert asked == []
    # The control: a copy for a database is asked for, and goes out.
    assert main(["send", "1", "--to", "mongodb://localhost:1/x?serverSelectionTimeoutMS=1"]) == 1
    assert asked
    page = (tmp_path / "p.html").read_text()
    assert "default-src 'none'" in page
    assert 'src="http' not in page


@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002])
def test_what_is_written_lies_in_the_runs_folder_with_the_permissions_of_the_umask(
    mask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ddl_dyn.experiments import run as running
    from tests.helpers import fake_runs

    monkeypatch.setattr(running, "execute", fake_runs.execute)
    monkeypatch.chdir(tmp_path)
    before = os.umask(mask)
    try:
        assert main(["run", "with", *SMALL_ARGUMENTS]) == 0
    finally:
        os.umask(before)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "runs").rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o666 & ~mask}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o777 & ~mask}
