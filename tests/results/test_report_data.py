"""The report says of the data what was used, not what was asked for."""

from __future__ import annotations

from pathlib import Path

from ddl_dyn.experiments.evaluation.evaluate import _sizes
from ddl_dyn.results import report
from ddl_dyn.results.comparison.groups import group_runs
from ddl_dyn.results.report import dynamics, provenance
from ddl_dyn.results.report.document import ReportTable, TableCell, TableColumn, without_constant
from ddl_dyn.runs.atomic_files import write_json
from ddl_dyn.tasks import make_dataset, make_task
from tests.helpers.synthetic_runs import write_run


def trajectories(base: Path, splits: object, notes: list[str] | None = None) -> str:
    data = {"trust_steps": 5, "notes": notes or [], "splits": splits}
    run = write_run(base, "1", arrays={}, result={"data": data})
    table = provenance.asked_table(group_runs([run]))
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


def test_horizons_are_no_longer_than_the_data(tmp_path: Path) -> None:
    def horizons(name: str, splits: object) -> str:
        data = {"trust_steps": 5, "notes": [], "splits": splits}
        config = {"eval": {"short": 20, "long": 100}}
        table = provenance.asked_table(
            group_runs([write_run(tmp_path, name, arrays={}, result={"data": data}, config=config)])
        )
        return table.rows[0][[column.title for column in table.columns].index("tested over")].text

    assert horizons("1", {"test": {"trajectories": 14, "steps": 26}}) == "20 and 26"
    assert horizons("2", {"test": {"trajectories": 14, "steps": 10}}) == "10"
    assert horizons("3", None) == "20 and 100"


def test_one_protocol_is_said_once_and_two_in_every_row() -> None:
    columns = (TableColumn("task"), TableColumn("protocol"), TableColumn("model"))
    one = tuple((TableCell(task), TableCell("carry = latent"), TableCell("ddl")) for task in "ab")
    slim = without_constant(ReportTable("t", columns, one, "Note."), "protocol")
    assert [column.title for column in slim.columns] == ["task", "model"]
    assert [[cell.text for cell in row] for row in slim.rows] == [["a", "ddl"], ["b", "ddl"]]
    assert slim.note == "Protocol of every row: carry = latent. Note."
    two = (*one, (TableCell("a"), TableCell("carry = observed"), TableCell("ddl")))
    for table in (
        ReportTable("t", columns, two),
        ReportTable("t", columns, one[:1]),
        ReportTable("t", columns[:1], (one[0][:1],) * 2),
    ):
        assert without_constant(table, "protocol") is table


def test_an_analysis_beside_the_runs_becomes_a_table_of_models(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, str(i), model=m, arrays={}) for i, m in enumerate(("ddl", "resnet", "highway"), 1)]
    (setting,) = group_runs(runs)
    assert dynamics.analysis_table(setting) is None
    write_json(runs[0].path / "analysis.json", {"symmetries": {"x → −x": [0.02, 0.01, 0.05]}})
    write_json(runs[1].path / "analysis.json", {"symmetries": {"x → −x": [0.5, 0.4, 0.7]}})
    # Of another version, or a stranger's: it is left out and breaks nothing.
    write_json(runs[2].path / "analysis.json", {"symmetries": [1], "spectrum": None})
    table = dynamics.analysis_table(setting)
    assert table is not None
    assert [column.title for column in table.columns] == ["quantity", "true system", "DDL", "ResNet"]
    assert [cell.text for cell in table.rows[0]] == [
        "symmetry defect, x → −x [σ]", "0", "0.02 [0.01, 0.05]", "0.5 [0.4, 0.7]",
    ]  # fmt: skip
    assert table.note.endswith("Not analysed: Highway.")
