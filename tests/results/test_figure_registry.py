"""The registry of figures: one function in one file is a figure everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddl_dyn.cli.main import main
from ddl_dyn.results.figures import catalogue, stored
from ddl_dyn.results.figures.catalogue import available_figures, draw_figures
from ddl_dyn.results.figures.registry import FIGURES, figure, known_figures
from ddl_dyn.results.report import write_report
from ddl_dyn.results.report.figures import run_figures
from tests.helpers.synthetic_runs import write_run

ONE_FILE = """
from ddl_dyn.plots.style import PAGE_WIDTH, new_figure
from ddl_dyn.results.figures.registry import figure


@figure("ends", "where runs end", alt="last states", by_default=True,
        unless=lambda v: "" if v.dim == 2 else "it needs a plane")
def _ends(view):
    drawn = new_figure(PAGE_WIDTH, 3.0, **{"title": view.title, "caption": view.note})
    drawn.subplots().plot(*view.pred[0, :, -1].T, "o")
    return drawn
"""


@pytest.fixture
def one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file added to the folder of figures."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "ends.py").write_text(ONE_FILE, encoding="utf-8")
    monkeypatch.setattr(stored, "__path__", [*stored.__path__, str(tmp_path / "more")])
    yield
    FIGURES.pop("ends", None)
    sys.modules.pop("ddl_dyn.results.figures.stored.ends", None)
    vars(stored).pop("ends", None)


@pytest.mark.usefixtures("one_more")
def test_a_figure_in_one_file_is_drawn_listed_and_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "runs", "1")
    names = [path.name for path in draw_figures(run, ["ends"], tmp_path / "out")]
    assert names == ["ends.png", "ends.svg"]
    shown, problems = run_figures(run)
    assert problems == []
    assert "ddl on harmonic, run 1: last states" in [picture.alt for picture in shown]
    # The list goes on to figures of the trained map, which a run of chosen numbers has none of.
    main(["--runs", str(tmp_path / "runs"), "portrait", "1", "--what", "list"])
    assert "where runs end" in capsys.readouterr().out
    page = write_report([run], tmp_path / "page.md", markdown=True)
    assert "run 1: last states" in page.read_text(encoding="utf-8")
    # Its predicate refuses in one line, and its name is among those that one may have meant.
    line = {name: values[..., :1] for name, values in run.arrays.items() if name in ("test_true", "test_pred")}
    other = write_run(tmp_path / "runs", "2", arrays={**run.arrays, **line})
    with pytest.raises(ValueError, match=r"run 2 \(ddl on harmonic\) has no ends: it needs a plane"):
        draw_figures(other, ["ends"], tmp_path / "out")
    assert not [picture for picture in run_figures(other)[0] if "last states" in picture.alt]
    assert main(["--runs", str(tmp_path / "runs"), "portrait", "1", "--what", "end", "--out", str(tmp_path)]) == 1
    assert "unknown figure 'end' (did you mean 'ends'?)" in capsys.readouterr().err


def test_the_list_is_read_from_beside_the_run_where_this_code_has_written_it(tmp_path: Path) -> None:
    run = write_run(tmp_path, "1")
    file = run.path / catalogue.LIST_FILE
    kept = [["portrait", "what it shows", "no reason"]]
    file.write_text(json.dumps({"code": catalogue._code(), "figures": kept}), encoding="utf-8")
    assert [list(one) for one in available_figures(run)] == kept
    # A list that other code has written, or that is none, is made again.
    for text in (json.dumps({"code": "other", "figures": kept}), "{", '{"code": 1, "figures": 2}'):
        file.write_text(text, encoding="utf-8")
        name, shows, _ = next(available_figures(run))
        assert (name, shows) in {(one.name, one.shows) for one in known_figures().values()}


def test_progress_and_paths_are_told_as_they_come(tmp_path: Path) -> None:
    told: list[object] = []
    run = write_run(tmp_path, "1")
    paths = draw_figures(
        run, ["trajectories", "training"], tmp_path / "out",
        on_figure=lambda done, count, name: told.append((done, count, name)), on_path=told.append,
    )  # fmt: skip
    assert told == [(0, 2, "training"), *paths[:2], (1, 2, "trajectories"), *paths[2:]]


def test_a_name_is_registered_once() -> None:
    known_figures()
    with pytest.raises(ValueError, match="'portrait' is registered twice"):
        figure("portrait", "another")(lambda view: view)


def test_every_figure_says_what_it_shows() -> None:
    for name, one in known_figures().items():
        assert one.name == name
        assert len(one.shows) > 10, name
        assert len(one.alt) > 10, name
    default = [one.name for one in known_figures().values() if one.by_default]
    assert default == list(known_figures())[: len(default)]
    assert all(one.needs == "stored" for one in known_figures("stored").values())
    assert set(known_figures()) > set(known_figures("stored"))


def test_stored_figures_and_the_report_load_no_torch() -> None:
    code = (
        "import sys, ddl_dyn.results.report.build, ddl_dyn.results.figures.catalogue\n"
        "from ddl_dyn.results.figures.registry import known_figures\n"
        "assert known_figures('stored'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
