"""Files of recorded series in the forms that people have, each a kind; and what is refused. Axes: T samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddl_dyn.tasks import Series, make_dataset, make_task

T = 60
TIMES, WAVE, OTHER = 0.5 * np.arange(T), np.sin(0.4 * np.arange(T)), np.cos(0.3 * np.arange(T))


def observed(path: Path, text: str | bytes, **options: Any) -> Any:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return make_task("observed", path=str(path), **options)


def lines(separator: str = ",", *, names: tuple[str, ...] = ("t", "x", "y"), comma: bool = False, end: str = "") -> str:
    rows = [[f"{a:.1f}", f"{b:.6f}", f"{c:.6f}"] for a, b, c in zip(TIMES, WAVE, OTHER, strict=True)]
    rows = [[cell.replace(".", ",") if comma else cell for cell in row] for row in rows]
    return "".join(separator.join(row) + end + "\n" for row in ([list(names)] if names else []) + rows)


def quoted(text: str) -> str:
    return "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines())


SAME = {
    "comma": lines(),
    "semicolon": lines(";"),
    "decimal comma": lines(";", comma=True),
    "tab": lines("\t"),
    "tab and decimal comma": lines("\t", comma=True),
    "blank": lines(" "),
    "blanks": "  " + lines("   ").replace("\n", "  \n  "),
    "bar": lines("|"),
    "BOM and CRLF": "\ufeff" + lines().replace("\n", "\r\n"),
    "CR": lines().replace("\n", "\r"),
    "quoted": quoted(lines()),
    "trailing separators": lines(end=","),
    "trailing separator below the header": lines(";", end=";").replace("t;x;y;", "t;x;y"),
    "comments": "# a recorder\n% another\n" + lines().replace("\n", "\n# note\n", 1),
    "header in a comment": "# t x y\n" + lines(" ", names=()),
    "blanks behind commas": lines(", "),
}


@pytest.mark.parametrize("form", SAME)
def test_one_table_in_many_forms(form: str, tmp_path: Path) -> None:
    task = observed(tmp_path / "a.csv", SAME[form])
    assert (task.state_names, task.dt) == (("x", "y"), pytest.approx(0.5))
    (record,) = task.series.records
    np.testing.assert_allclose(record.values, np.stack([WAVE, OTHER], axis=1), atol=1e-6)


def test_the_notes_say_how_the_columns_were_told_apart(tmp_path: Path) -> None:
    said = observed(tmp_path / "a.csv", lines(";", comma=True)).notes
    assert said == ("columns are separated by semicolons", "commas stand before decimals")


def test_binary_files_hold_the_same(tmp_path: Path) -> None:
    values = np.stack([WAVE, OTHER], axis=1)
    np.savez(tmp_path / "b.npz", t=TIMES, x=WAVE, y=OTHER)
    np.save(tmp_path / "b.npy", np.column_stack([TIMES, values]))
    np.save(tmp_path / "c.npy", values)
    for name, options, names in (
        ("b.npz", {}, ("x", "y")),
        ("b.npy", {}, ("x1", "x2")),
        ("c.npy", {"dt": 0.5}, ("x0", "x1")),
    ):
        task = make_task("observed", path=str(tmp_path / name), **options)
        assert (task.state_names, task.dt) == (names, pytest.approx(0.5))
        np.testing.assert_array_equal(task.series.records[0].values, values)


def test_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    days = np.datetime64("2024-02-20") + np.arange(T)
    parquet.write_table(pyarrow.table({"day": days, "x": WAVE}), tmp_path / "a.parquet")
    task = make_task("observed", path=str(tmp_path / "a.parquet"), dimension=2, delay=1)
    assert (task.dt, task.time_unit) == (1.0, "day")
    (tmp_path / "b.parquet").write_bytes(b"no such file")
    with pytest.raises(ValueError, match="cannot be read as parquet"):
        make_task("observed", path=str(tmp_path / "b.parquet"))


def test_parquet_without_its_reader_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"reading parquet needs pyarrow.*ddl-dyn\[parquet\]"):
        make_task("observed", path=str(tmp_path / "a.parquet"))


def test_several_files_are_trajectories_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, level in (("b", 10.0), ("a", 0.0)):
        (tmp_path / f"{name}.csv").write_text(
            "t,x\n" + "".join(f"{i},{level + i % 7}\n" for i in range(40 + int(level)))
        )
    task = make_task("observed", path=str(tmp_path / "*.csv"), delay=1, dimension=1)
    assert [len(record.times) for record in task.series.records] == [40, 50]
    assert task.series.records[1].values.min() == 10.0
    (tmp_path / "c.csv").write_text("t,z\n0,1\n1,2\n")
    with pytest.raises(ValueError, match=r"c\.csv: all files must have the same columns"):
        make_task("observed", path=str(tmp_path / "*.csv"))
    with pytest.raises(ValueError, match="no file has such a name"):
        make_task("observed", path=str(tmp_path / "*.dat"))


def test_the_time_is_the_first_column_that_is_no_id(tmp_path: Path) -> None:
    text = "id,t,x\n" + "".join(f"{name},{0.1 * i:.1f},{i % 7}\n" for name in "ab" for i in range(40)) + "c,0,1\n"
    task = observed(tmp_path / "a.csv", text, id_column="id", delay=1, dimension=1)
    assert (task.time_column, task.dt, len(task.series.records)) == ("t", pytest.approx(0.1), 3)
    data = make_dataset(task, n_train=8, n_val=2, n_test=2, steps=3)
    # A trajectory of one row: its sample lies in the training segment.
    assert "train: 1 of 3 segments hold no two states and are left out" in data.notes


@pytest.mark.parametrize(("name", "first"), [("", 0), ('""', 1), ("Unnamed: 0", 0)])
def test_a_column_that_counts_the_rows_is_left_out(tmp_path: Path, name: str, first: int) -> None:
    body = "".join(f"{i + first},{0.1 * i:.1f},{i % 7}\n" for i in range(40))
    task = observed(tmp_path / "a.csv", f"{name},t,x\n{body}", delay=1, dimension=1)
    assert (task.state_names, task.dt) == (("x[t]",), pytest.approx(0.1))
    assert "the unnamed first column counts the rows and is left out" in task.notes
    # R leaves its name out.
    assert observed(tmp_path / "b.csv", f"t,x\n{body}", delay=1, dimension=1).state_names == ("x[t]",)


def test_a_straight_line_is_noted(tmp_path: Path) -> None:
    text = "t,count,x\n" + "".join(f"{0.1 * i:.1f},{i},{i % 7}\n" for i in range(40))
    assert any("count is a straight line" in note for note in observed(tmp_path / "a.csv", text).notes)


def test_without_a_header_or_a_time(tmp_path: Path) -> None:
    text = "".join(f"{i % 7}\n" for i in range(60))
    task = observed(tmp_path / "laser.dat", text, header=False, dt=0.04, delay=1, dimension=2)
    assert (task.state_names, task.dt, task.time_column) == (("x0[t]", "x0[t-1]"), 0.04, None)
    task = observed(tmp_path / "b.csv", lines(names=()), header=False)
    assert (task.state_names, task.time_column) == (("x1", "x2"), "x0")
    # A first column with other even steps may be the time; it is not made a state in silence.
    with pytest.raises(ValueError, match=r"'t' has even steps of 0\.5; got dt=2"):
        observed(tmp_path / "c.csv", lines(), dt=2.0)
    assert observed(tmp_path / "c.csv", lines(), dt=2.0, value_columns=("x", "y", "t")).dt == 2.0


def test_the_parameters_make_the_same_task_again(tmp_path: Path) -> None:
    for options in ({}, {"value_columns": "y"}, {"resample": 0.25}):
        task = observed(tmp_path / "a.csv", lines(), **options)
        assert make_task("observed", path=task.path, **task.parameters()).parameters() == task.parameters()


@pytest.mark.parametrize("series", ["arrays", "table"])
def test_what_is_saved_has_the_same_digest_and_data(series: str, tmp_path: Path) -> None:
    if series == "arrays":
        made = Series.from_arrays([WAVE, OTHER[:50]], dt=0.5, names=["x"])
    else:
        text = "id,t,x\n" + "".join(f"{name},{i},{i % 7}\n" for name in "ab" for i in range(40))
        made = observed(tmp_path / "a.csv", text, id_column="id", delay=1, dimension=1).series
    path = made.save(tmp_path / "a.npz")
    task = make_task("observed", path=path, delay=1, dimension=1, id_column=made.id_name or None)
    assert task.series.digest == made.digest == task.content_key()
    assert [len(record.times) for record in task.series.records] == [len(record.times) for record in made.records]
    other = Series.from_arrays([WAVE, OTHER[:50] + 1e-12], dt=0.5, names=["x"])
    assert other.digest != made.digest


def test_whole_numbers_beyond_double_precision_keep_their_differences(tmp_path: Path) -> None:
    # Nanoseconds since 1970: a double holds them to 256.
    text = "ns,x\n" + "".join(f"{1700000000000000000 + 100 * i},{i % 7}\n" for i in range(60))
    assert observed(tmp_path / "a.csv", text, delay=1, dimension=1).dt == 100.0


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("t,x\n0,1\n0,2\n1,3\n", {}, r"line 3, column 't': time must increase"),
        ("t,x\n1,1\n0,2\n", {}, r"line 3, column 't': time must increase"),
        ("t,x,x\n0,1,2\n1,2,3\n", {}, r"line 1: column 'x' is there more than once"),
        ("t,x\n0,1\n", {}, "too short"),
        ("t,x\n0,1_0\n1,2\n", {}, "write it without separators"),
        ("t;x\n0;1.234,5\n1;2\n", {}, "expected a finite number, got '1.234,5'"),
        ("t,x\n,1\n1,2\n", {}, "line 2, column 't': expected a time as a finite number, got an empty cell"),
        ("t,x\n0,1\n2020-01-01,2\n", {}, "give all times in one form"),
        ("t,x\n0,1\n1,2\n", {"max_gap": 3.0}, "max_gap is for gaps or resample"),
        ("t,x\n0,1\n1,2\n", {"resample_method": "cubic"}, "resample_method is for resample"),
        ("t,x\n0,1\n1,2\n", {"gaps": "join"}, "gaps must be one of 'split'"),
        ("t,x\n0,1\n1,2\n", {"missing_values": "none"}, "missing_values must be"),
        ("t,x\n0,1\n1,2\n", {"value_columns": ("x", "x")}, "names 'x' twice"),
    ],
)
def test_a_fault_is_one_line(text: str, options: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words) as error:
        observed(tmp_path / "a.csv", text, **options)
    assert "\n" not in str(error.value)


def test_arrays_that_hold_no_series_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", t=TIMES, x=WAVE[:-1])
    with pytest.raises(ValueError, match="all arrays must have the same length, got t 60, x 59"):
        make_task("observed", path=str(tmp_path / "a.npz"))
    np.save(tmp_path / "b.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="cannot be read as arrays of numpy"):
        make_task("observed", path=str(tmp_path / "b.npy"))
