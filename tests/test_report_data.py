"""The report says of the data what was used, not what was asked for."""

from __future__ import annotations

from pathlib import Path

from ddl_dyn import report
from ddl_dyn.contests import settings
from ddl_dyn.evaluation import _sizes
from ddl_dyn.report import origin
from tasks import make_dataset, make_task
from tests.synthetic_runs import write_run


def trajectories(base: Path, splits: object, notes: list[str] | None = None) -> str:
    data = {"trust_steps": 5, "notes": notes or [], "splits": splits}
    run = write_run(base, "1", arrays={}, result={"data": data})
    table = origin.asked_table(settings([run]))
    place = [column.title for column in table.columns].index("trajectories")
    return table.rows[0][place].text


def test_a_recorded_series_counts_the_windows_it_gave() -> None:
    asked = {"n_train": 64, "n_val": 16, "n_test": 16, "n_ood": 16, "steps": 100}
    data = make_dataset(make_task("sunspots"), **asked, noise=0.0, seed=0)
    sizes = _sizes(data)
    assert sizes["train"] == {"trajectories": 64, "steps": 100}
    assert sizes["val"]["trajectories"] < asked["n_val"]
    assert sizes["test"]["steps"] == data.test.states.shape[1] - 1 < asked["steps"]
    assert "ood" not in sizes


def test_the_settings_show_what_was_used(tmp_path: Path) -> None:
    uneven = {"train": {"trajectories": 64, "steps": 100}, "test": {"trajectories": 14, "steps": 26}}
    assert trajectories(tmp_path / "a", uneven).startswith("64 train of 100 steps, 14 test of 26 steps; noise ")
    even = {"train": {"trajectories": 64, "steps": 100}, "test": {"trajectories": 14, "steps": 100}}
    assert trajectories(tmp_path / "b", even).startswith("64 train, 14 test, of 100 steps; noise ")
    for place, damaged in enumerate((None, [], "x")):
        assert " train, " in trajectories(tmp_path / f"c{place}", damaged)


def test_how_the_request_was_met_is_said_once_a_task(tmp_path: Path) -> None:
    data = {"trust_steps": 5, "notes": ["val: 15 windows instead of 16"]}
    runs = [
        write_run(tmp_path, str(i), model=m, arrays={}, result={"data": data}) for i, m in ((1, "ddl"), (2, "resnet"))
    ]
    out = report.write_report(runs, tmp_path / "page.md", markdown=True)
    assert out.read_text(encoding="utf-8").count("val: 15 windows instead of 16.") == 1
