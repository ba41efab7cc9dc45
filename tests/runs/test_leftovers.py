"""Leftovers of kills and full disks: said as they are, and removed at the next start by the owner of the lock."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ddl_dyn import runs
from ddl_dyn.cli.main import main
from ddl_dyn.experiments import run as running
from ddl_dyn.runs import leftovers
from ddl_dyn.runs.lock import RunLock
from ddl_dyn.runs.writer import RunWriter, StoreError
from tests.helpers import fake_runs
from tests.helpers.commands import SMALL_ARGUMENTS
from tests.helpers.run_folders import make_run


def folder(base: Path, name: str, *files: str, age: float = 3600.0) -> Path:
    """A folder that was last changed a while ago."""
    place = base / name
    place.mkdir(parents=True)
    for file in files:
        (place / file).write_text("x")
    os.utime(place, (time.time() - age,) * 2)
    return place


def test_folders_without_a_run_are_removed_at_the_next_start(tmp_path: Path) -> None:
    gone = [
        folder(tmp_path, "1"),
        folder(tmp_path, "2", "config.json", ".config.json.ab12.tmp", "environment.json", ".lock", ".reserve"),
        folder(tmp_path, "c0ffee", "config.json"),
    ]
    kept = [
        folder(tmp_path, "3", age=0.0),
        folder(tmp_path, "notes"),
        folder(tmp_path, "mine", "config.json", "thesis.txt"),
        folder(tmp_path, "4", "config.json"),
        make_run(tmp_path, "5"),
    ]
    (tmp_path / "6").symlink_to(tmp_path / "mine", target_is_directory=True)
    busy = RunLock(kept[3])
    assert busy.acquire()
    os.utime(kept[3], (0, 0))
    writer = RunWriter(tmp_path, entry={})
    writer.make()
    assert writer.directory.name == "7"
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)
    assert (tmp_path / "mine" / "config.json").exists()
    writer.leave()
    busy.release()


def test_half_written_files_are_removed_by_who_continues_the_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, "1", status="RUNNING")
    (run / "figures").mkdir()
    torn = [run / ".resume.pt.x7.tmp", run / "figures" / ".error.png.q.tmp"]
    for path in torn:
        path.write_text("half")
    (run / ".lock").touch()
    owner = RunLock(run)
    assert owner.acquire()
    writer = RunWriter(tmp_path, entry={}, run_id="1", resume=True)
    with pytest.raises(StoreError, match="is being written by another process"):
        writer.make()
    assert all(path.exists() for path in torn)
    owner.release()
    writer.make()
    assert not any(path.exists() for path in torn)
    assert (run / "run.json").exists()
    writer.leave()


def test_a_folder_that_vanishes_while_it_is_taken_up_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire, tries = RunLock.acquire, []

    def vanishing(self: RunLock, *, required: bool = True) -> bool:
        tries.append(self.path)
        if len(tries) == 1:
            self.path.parent.rmdir()
        return acquire(self, required=required)

    monkeypatch.setattr(RunLock, "acquire", vanishing)
    writer = RunWriter(tmp_path, entry={}, run_id="c1", resume=True)
    writer.make()
    assert writer.directory.is_dir()
    writer.leave()


# What is said of it.


def full_from_the_start(folder: Path, path: Path) -> None:
    del folder
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def full_after_the_start(folder: Path, path: Path) -> None:
    if (folder / "metrics.jsonl").exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def removed(folder: Path, path: Path) -> None:
    del path
    if (folder / "metrics.jsonl").exists():
        shutil.rmtree(folder)


def something_in_its_place(folder: Path, path: Path) -> None:
    del folder
    if path.name == "arrays.npz":
        path.mkdir()


def no_permission(folder: Path, path: Path) -> None:
    if path.name == "arrays.npz":
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


SAID = {
    full_from_the_start: ("No space left on device; free some space", "nothing of run 1 could be kept"),
    full_after_the_start: ("free some space", "run 1 could not be marked as FAILED; runs/1 says"),
    removed: ("the run's folder was removed or moved", "nothing of run 1 could be kept"),
    something_in_its_place: ("runs/1/arrays.npz: Is a directory; something that is no file", "kept as FAILED; see"),
    no_permission: ("Permission denied; get the permission", "kept as FAILED; see"),
}


@pytest.mark.parametrize("fault", SAID)
def test_what_failed_and_what_is_left_is_said_as_it_is(
    fault: Callable[[Path, Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from ddl_dyn.runs import atomic_files

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running, "execute", fake_runs.execute)
    replacing = atomic_files.replacing

    def failing(path: Path) -> object:
        fault(Path("runs/1"), path)
        return replacing(path)

    monkeypatch.setattr(atomic_files, "replacing", failing)
    assert main(["run", "with", *SMALL_ARGUMENTS]) == 1
    monkeypatch.undo()
    error = capsys.readouterr().err
    assert all(words in error for words in SAID[fault]), error
    assert "Traceback" not in error
    trace = tmp_path / "runs" / "1" / "traceback.txt"
    assert ("traceback.txt" in error) == trace.exists()
    assert ("kept as FAILED" in error) == (runs.Run(tmp_path / "runs" / "1").status == "FAILED")


def test_what_is_removed_is_what_is_written_before_run_json() -> None:
    assert "run.json" not in leftovers.BEFORE_ENTRY
    assert set(leftovers.BEFORE_ENTRY) >= {".lock", ".reserve", "config.json", "environment.json", "git.diff"}
