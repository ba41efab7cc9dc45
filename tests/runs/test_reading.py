"""Files of a run folder from elsewhere: links, pipes, devices and long files are refused at once, never read."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ddl_dyn import runs
from ddl_dyn.cli.main import main
from ddl_dyn.config import files
from ddl_dyn.experiments.sweep.record import read_cells
from ddl_dyn.results.report.images import is_image
from ddl_dyn.runs import atomic_files, reading
from ddl_dyn.runs.checkpoint import load_training, load_weights
from ddl_dyn.runs.live import Follower
from ddl_dyn.tasks import make_task
from tests.helpers.run_folders import make_run

SECRET = "the secret itself"


def as_link(path: Path) -> None:
    secret = path.parent.parent / "secret"
    secret.write_text(SECRET)
    path.unlink(missing_ok=True)
    path.symlink_to(secret)


def as_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def as_device(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def as_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


READERS: dict[str, Callable[[runs.Run], object]] = {
    "run.json": lambda run: run.entry,
    "config.json": lambda run: run.config,
    "result.json": lambda run: run.result,
    "metrics.jsonl": lambda run: run.metrics,
    "arrays.npz": lambda run: run.arrays,
    "portraits.npz": lambda run: run.portraits,
    "cout.txt": lambda run: run.output,
    "checkpoint.pt": load_weights,
    "resume.pt": lambda run: load_training(run.path, ""),
    "cells.csv": read_cells,
}


# No time limit: on a pipe that is waited for, and on a device that never ends, the test would not end either.
@pytest.mark.parametrize("spoil", [as_link, as_pipe, as_device, as_folder], ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_regular_file_of_the_folder_is_refused(
    tmp_path: Path, name: str, spoil: Callable[[Path], None]
) -> None:
    run = runs.Run(make_run(tmp_path, "1"))
    spoil(run.path / name)
    with pytest.raises(runs.RunError, match=r"is a (link|pipe|folder)") as told:
        READERS[name](run)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("spoil", [as_link, as_pipe, as_device])
def test_following_and_listing_pass_over_them(
    tmp_path: Path, spoil: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(("run.json", "config.json", "metrics.jsonl", "cells.csv")):
        spoil(make_run(tmp_path, str(number), status="RUNNING", kind="sweep" if name == "cells.csv" else "run") / name)
    spoil(tmp_path / ".index.jsonl")
    Follower(tmp_path).look()
    for command in (["list"], ["watch", "--once"]):
        assert main([*command, "--runs", str(tmp_path)]) == 0
    assert SECRET not in capsys.readouterr().out


def test_output_that_is_a_link_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    as_link(make_run(tmp_path, "1") / "cout.txt")
    assert main(["show", "1", "--output", "--runs", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "cout.txt is a link" in said.err
    assert SECRET not in said.out + said.err


def test_a_longer_file_than_stated_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs.Run(make_run(tmp_path, "1"))
    with open(run.path / "cout.txt", "wb") as file:
        file.truncate(reading.TEXT_LIMIT)
    assert len(run.output) == reading.TEXT_LIMIT
    with open(run.path / "cout.txt", "ab") as file:
        file.write(b"\0")
    with pytest.raises(runs.RunError, match="longer than 64 MB"):
        assert run.output
    # A file that grows while it is read.
    monkeypatch.setattr(os, "fstat", lambda handle, stat=os.fstat: os.stat_result((stat(handle).st_mode, *[0] * 9)))
    with pytest.raises(files.FileError, match="longer than 64 MB"):
        files.read_member(run.path, "cout.txt", reading.TEXT_LIMIT)


def test_arrays_that_unpack_to_more_than_stated_are_refused(tmp_path: Path) -> None:
    run = runs.Run(make_run(tmp_path, "1"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.npy", b"")
    # Size before compression, as the directory at the end of the archive states it.
    data = bytearray(packed.getvalue())
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = (0xFFFFFFFE).to_bytes(4, "little")
    (run.path / "arrays.npz").write_bytes(data)
    assert reading.ARRAYS_LIMIT > 0xFFFFFFFE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ddl_dyn.runs.run.ARRAYS_LIMIT", 0xFFFFFFFD)
        with pytest.raises(runs.RunError, match="hold more than 4,095 MB"):
            assert run.arrays
    (run.path / "arrays.npz").write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(runs.RunError, match="cannot be read"):
        assert runs.Run(run.path).arrays


@pytest.mark.parametrize("name", ["metrics.jsonl", "cout.txt"])
def test_nothing_is_appended_through_a_link(tmp_path: Path, name: str) -> None:
    as_link(make_run(tmp_path, "1") / name)
    with pytest.raises(OSError, match="symbolic links"):
        atomic_files.append_line(tmp_path / "1" / name, {"update": 1})
    assert (tmp_path / "secret").read_text() == SECRET


@pytest.mark.parametrize("spoil", [as_pipe, as_device, as_folder])
def test_files_that_a_user_names_are_regular_ones(
    tmp_path: Path, spoil: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("table.csv", "sweep.toml", "run.json", "mine.py"):
        spoil(tmp_path / name)
    told = r"is a (pipe|device|folder)"
    with pytest.raises(ValueError, match=told):
        make_task("observed", path=str(tmp_path / "table.csv"))
    for words in (["sweep", str(tmp_path / "sweep.toml")], ["run", "print_config", "with", str(tmp_path / "run.json")]):
        assert main(words) == 1
        assert "only a regular file is read" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"is a (pipe|device|folder)|there is no file"):
        make_task(f"{tmp_path / 'mine.py'}:Task")


def test_links_to_files_that_a_user_names_are_followed(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("t,x,y\n" + "".join(f"{i},{i % 7},{i % 5}\n" for i in range(60)))
    (tmp_path / "link.csv").symlink_to(table)
    assert make_task("observed", path=str(tmp_path / "link.csv")).state_dim == 2


def test_a_figure_is_taken_by_its_content() -> None:
    drawn = {}
    for suffix in ("png", "svg"):
        figure, axes = plt.subplots()
        axes.imshow([[0.0, 1.0]])
        axes.fill_between([0, 1], [0, 1], hatch="//", label="a < b & c")
        axes.legend()
        file = io.BytesIO()
        figure.savefig(file, format=suffix)
        plt.close(figure)
        drawn[suffix] = file.getvalue()
        assert is_image(drawn[suffix], suffix)
    assert not is_image(SECRET.encode(), "png")
    assert not is_image(drawn["png"][:-20], "png")
    assert not is_image(drawn["png"], "svg")
    for part in (
        "<script>alert(1)</script>",
        '<rect onload="alert(1)"/>',
        '<image href="http://example.org/x.png"/>',
        '<use href="/etc/passwd#x"/>',
        "<foreignObject/>",
        "<style>@import 'http://example.org'</style>",
        '<rect style="fill: url(http://example.org)"/>',
        '<animate attributeName="href" to="javascript:alert(1)"/>',
    ):
        assert not is_image(drawn["svg"].replace(b"</svg>", part.encode() + b"</svg>"), "svg"), part
    entity = b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg"/>'
    assert not is_image(entity, "svg")
    assert is_image(entity.partition(b"]>")[2], "svg")


@pytest.mark.parametrize("markdown", [False, True])
def test_a_report_holds_no_file_behind_a_link(tmp_path: Path, markdown: bool) -> None:
    from ddl_dyn.results.report.figures import run_figures

    secret = tmp_path / "private" / "training.png"
    secret.parent.mkdir()
    figure = plt.figure()
    figure.savefig(secret)
    plt.close(figure)
    run = runs.Run(make_run(tmp_path / "runs", "1"))
    place = run.path / "figures"
    if markdown:
        place.symlink_to(secret.parent, target_is_directory=True)
    else:
        place.mkdir()
        (place / "training.png").symlink_to(secret)
    assert secret.read_bytes() not in [picture.data for picture in run_figures(run)[0]]
    place.unlink() if markdown else (place / "training.png").unlink()
    place.mkdir(exist_ok=True)
    (place / "training.png").write_bytes(secret.read_bytes())
    assert secret.read_bytes() in [picture.data for picture in run_figures(run)[0]]


@pytest.mark.parametrize("key", ["git", "versions", "resolved", "host", "attempts", "members", "tags"])
@pytest.mark.parametrize("value", ["a text", 3, True])
def test_a_stored_story_of_another_shape(
    key: str, value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path, "2", **{key: value})
    make_run(tmp_path, "3")
    for words in (["diff", "2", "3"], ["show", "2"], ["resume", "2"]):
        assert main([*words, "--runs", str(tmp_path)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert f"run.json is damaged: {key} should be" in line or "run.json is damaged" in line
    assert main(["list", "--runs", str(tmp_path)]) == 0


def test_arrays_that_are_missing_are_the_runs_fault(tmp_path: Path) -> None:
    run = runs.Run(make_run(tmp_path, "1"))
    with pytest.raises(runs.RunError, match=r"arrays\.npz is missing; the run is incomplete"):
        run.arrays["test_pred"]
    atomic_files.write_arrays(run.path / "arrays.npz", {"x": np.zeros(2)})
    again = runs.Run(run.path)
    assert again.arrays["x"].tolist() == [0, 0]
    assert again.arrays.get("y") is None
    with pytest.raises(runs.RunError, match="holds no array 'y'"):
        again.arrays["y"]
