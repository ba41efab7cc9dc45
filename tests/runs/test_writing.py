"""Writing into a run's folder from elsewhere: nothing is written through a link in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ddl_dyn import plots
from ddl_dyn.cli.main import main
from ddl_dyn.config.files import FileError, inner_folder
from ddl_dyn.experiments import run as running
from ddl_dyn.plots.animation import orbit_animation
from ddl_dyn.plots.style import new_figure
from ddl_dyn.results.comparison.records import comparison_rows, draw_comparison
from ddl_dyn.runs.observer import RunStore
from tests.helpers import fake_runs
from tests.helpers.commands import SMALL_ARGUMENTS
from tests.helpers.synthetic_runs import write_comparison, write_run

SECRET = b"the user's own"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the runs, and a file in it, which no command may change."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_bytes(SECRET)
    return folder


def untouched(outside: Path) -> bool:
    return [path.name for path in outside.iterdir()] == ["file"] and (outside / "file").read_bytes() == SECRET


def drawn(runs: Path) -> int:
    return main(["portrait", "1", "--runs", str(runs)])


def drawn_all(runs: Path) -> int:
    return main(["portrait", "1", "--what", "survival", "--runs", str(runs)])


@pytest.mark.parametrize("command", [drawn, drawn_all])
@pytest.mark.parametrize("kind", ["link", "dangling", "file"])
def test_figures_are_written_through_no_link(
    tmp_path: Path, outside: Path, command: Callable[[Path], int], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "runs", "1")
    place = run.path / "figures"
    if kind == "file":
        place.write_bytes(SECRET)
    else:
        place.symlink_to(outside if kind == "link" else outside / "new", target_is_directory=True)
    assert command(tmp_path / "runs") == 1
    said = "figures is no folder, and files" if kind == "file" else "figures is a link, and nothing is written through"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert untouched(outside)


def test_a_comparison_is_drawn_through_no_link(tmp_path: Path, outside: Path) -> None:
    members = [write_run(tmp_path / "runs", name, model=name) for name in ("ddl", "resnet")]
    whole = write_comparison(tmp_path / "runs", "c", members)
    (whole.path / "figures").symlink_to(outside, target_is_directory=True)
    with pytest.raises(FileError, match="figures is a link"):
        draw_comparison(whole.path, comparison_rows(members), members)
    assert untouched(outside)


def test_a_markdown_report_is_written_through_no_link(
    tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "runs", "1")
    (tmp_path / "page_figures").symlink_to(outside, target_is_directory=True)
    assert main(["report", "1", "--markdown", "--out", f"{tmp_path}/page.md", "--runs", f"{tmp_path}/runs"]) == 1
    assert "page_figures is a link" in capsys.readouterr().err
    assert untouched(outside)
    assert not (tmp_path / "page.md").exists()


def test_a_figure_takes_the_place_of_a_link(tmp_path: Path, outside: Path) -> None:
    figure = new_figure(1, 1)
    figure.subplots().plot([0, 1], [0, 1])
    orbit = np.linspace(0, 1, 8).reshape(4, 2)
    for suffix in ("png", "svg", "gif"):
        (tmp_path / f"a.{suffix}").symlink_to(outside / "file")
    made = [*plots.save(figure, tmp_path / "a"), *plots.save(orbit_animation(orbit, {"ddl": orbit}), tmp_path / "a")]
    assert [path.suffix for path in made] == [".png", ".svg", ".gif"]
    assert not any(path.is_symlink() for path in made)
    assert untouched(outside)


def test_an_artifact_is_written_through_no_link(tmp_path: Path, outside: Path) -> None:
    store = RunStore(tmp_path / "runs", entry={})
    store.make()
    (store.directory / "deep").mkdir()
    (store.directory / "deep" / "link").symlink_to(outside, target_is_directory=True)
    with pytest.raises(FileError, match="link is a link"):
        inner_folder(store.directory, "deep/link")
    with pytest.raises(RuntimeError, match="link is a link"):
        store.artifact_event("deep/link/file", __file__)
    assert untouched(outside)
    store.leave()


def test_a_resumed_run_writes_through_no_link(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file that keeps room on the disk for the last word about a run, before all others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running, "execute", fake_runs.execute)
    monkeypatch.setenv("FAKE_FAIL", "ddl")
    assert main(["run", "with", *SMALL_ARGUMENTS]) == 1
    monkeypatch.delenv("FAKE_FAIL")
    folder = tmp_path / "runs" / "1"
    names = [path.name for path in folder.iterdir() if path.name not in ("run.json", "config.json", "resume.pt")]
    for name in {*names, ".reserve", "environment.json", "arrays.npz", "result.json", "checkpoint.pt"}:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(outside / "file")
    main(["resume", "1"])
    assert untouched(outside)
    # Appended to through no link, so that it cannot go on; whatever is replaced takes the place of its link.
    assert "metrics.jsonl" in capsys.readouterr().err
