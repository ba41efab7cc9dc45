"""Starts, windows, linear tasks and token errors as a reader sees them: terminal, CSV, page and the run's own lines.

Axes: R seeds.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ddl_dyn.cli.show import parts
from ddl_dyn.metrics.registry import METRICS
from ddl_dyn.results import report
from ddl_dyn.results.comparison import records, terminal
from ddl_dyn.results.comparison.groups import group_runs
from ddl_dyn.results.comparison.verdicts import NO_EVIDENCE, contrasts
from ddl_dyn.results.score_lines import result_lines
from ddl_dyn.runs import Run
from tests.helpers.synthetic_runs import numbers, write_run

SHORT = ("test", "short")
BETTER, WORSE = [0.1, 0.11, 0.12, 0.13, 0.14, 0.15], [0.2, 0.21, 0.22, 0.23, 0.24, 0.25]


def a_run(base: Path, run_id: str, model: str, scores: list[float], part: Mapping[str, Any], **result: Any) -> Run:
    """A run with numbers of its own for the test split, and for the result as a whole."""
    whole = numbers({SHORT: scores})
    return write_run(
        base, run_id, model=model, scores={SHORT: scores}, arrays={}, result={"test": whole["test"] | part, **result}
    )


def seen(runs: list[Run], base: Path, width: int = 300) -> tuple[str, str, list[dict[str, str]]]:
    """Terminal, page without its escapes, rows of the CSV."""
    found = records.comparison_rows(runs)
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(terminal.as_table(found))
    page = report.write_report(runs, base / "page.md", markdown=True).read_text(encoding="utf-8")
    return console.export_text(), page.replace("\\", ""), list(csv.DictReader(io.StringIO(records.as_csv(found))))


@pytest.fixture
def lopsided(tmp_path: Path) -> list[Run]:
    """DDL whose pooled error one start in 64 makes, and a ResNet that is as bad everywhere."""
    return [
        a_run(tmp_path, "1", "ddl", BETTER, {"start_median_short": [0.0123] * 6, "start_beyond_short": [1 / 64] * 6}),
        a_run(tmp_path, "2", "resnet", WORSE, {"start_median_short": WORSE, "start_beyond_short": [0.0] * 6}),
    ]


def test_a_row_that_few_starts_decide_is_marked_everywhere(lopsided: list[Run], tmp_path: Path) -> None:
    printed, page, rows = seen(lopsided, tmp_path)
    marked = {row["model"]: row["few_starts"] for row in rows}
    assert marked == {"ddl": "True", "resnet": "False", "persistence": "False"}
    assert [float(row["start_median"]) for row in rows] == pytest.approx([0.0123, 0.225, 0.8])
    assert [float(row["start_beyond"]) for row in rows] == pytest.approx([1 / 64, 0.0, 1.0])
    # The pooled error with its mark, the interval, then what the starts say.
    assert re.search(r"ddl +\* \.125! .*\n.*\n +\.0123, 2 %", printed)
    assert re.search(r"resnet +\.225 ", printed)
    assert (
        "! few starts decide this number: NRMSE pooled over starts and its median over starts are more than" in printed
    )
    assert "The primary score is NRMSE pooled over starts" in printed
    assert "| **0.125 [0.105, 0.145] ★ ‡** |" in page
    assert "| 0.125 ‡ | 0.0123 | 2 % |" in page
    assert "| 0.225 | 0.225 | 0 % |" in page
    assert "| floor: persistence | – | In distribution, 20 steps | 0.900 | 0.800 | 100 % |".lower() in page.lower()
    assert "‡ few starts decide this number" in page
    assert "Few starts decide the pooled error" in page
    assert "NRMSE, pooled (primary score)" in page
    own, other = result_lines(lopsided[0]), result_lines(lopsided[1])
    assert own[1].strip() == (
        "median over starts, over 20 steps, in distribution: 0.0123, 2 % of starts beyond 0.4; few starts decide the "
        "pooled error"
    )
    assert other[1].strip() == "median over starts, over 20 steps, in distribution: 0.225, 0 % of starts beyond 0.4"
    assert own[-1] == "NRMSE is pooled over starts: the primary score"
    assert own[1].strip() in [text for part in parts(lopsided[0]) for _, text in part.pairs]


def test_nothing_is_said_of_few_starts_where_none_decide(lopsided: list[Run], tmp_path: Path) -> None:
    printed, page, _ = seen(lopsided[1:], tmp_path)
    assert "few starts" not in printed + page.lower().replace("few starts decide the", "few starts")
    assert "‡" not in page


def test_the_registry_names_the_numbers_of_starts(
    lopsided: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(METRICS["start_median"]), "title", "typical start")
    assert "| typical start |" in seen(lopsided, tmp_path)[1]
    assert any("typical start" in line for line in result_lines(lopsided[0]))


@pytest.mark.parametrize("width", [80, 300])
def test_four_columns_with_their_starts_fit(tmp_path: Path, width: int) -> None:
    everywhere = {(split, horizon): BETTER for split in ("test", "ood") for horizon in ("short", "long")}
    run = write_run(tmp_path, "1", scores=everywhere, arrays={})
    printed = seen([run], tmp_path, width)[0]
    assert "…" not in printed
    assert printed.count("25 %") == 4


@pytest.mark.parametrize(("floor", "counts"), [(0.0999, False), (0.1, True)])
def test_a_task_that_a_linear_map_solves_gives_no_evidence(tmp_path: Path, floor: float, counts: bool) -> None:
    floors = {"floors": {"linear": {"test": {"nrmse_short": floor}}}}
    runs = [a_run(tmp_path, i, m, s, {}, **floors) for i, m, s in (("1", "ddl", BETTER), ("2", "resnet", WORSE))]
    printed, page, rows = seen(runs, tmp_path)
    (contrast,) = contrasts(group_runs(runs))
    # The test itself is the same; what it counts for is not.
    assert contrast.decision.verdict == "win"
    assert contrast.marked == counts
    assert {row["evidence"] for row in rows} == {"" if counts else NO_EVIDENCE}
    assert [row["best"] for row in rows if row["model"] == "ddl"] == [str(counts)]
    assert ("ddl against resnet: win;" in printed) == counts
    assert ("ddl against resnet: win (linear: no evidence);" in printed) == (not counts)
    assert ("carry = latent, lift = linear, linear: no evidence" in printed) == (not counts)
    says = "verdicts there are not counted as wins"
    assert (says in printed, says in page) == (not counts, not counts)
    opening = page.partition("p corrected by Holm over this one): ")[2].partition(".")[0]
    assert opening == f"{int(counts)} win{'' if counts else 's'}, 0 losses, 0 ties and 0 unresolved"
    assert ("| win (linear: no evidence) |" in page) == (not counts)


def test_windows_of_a_series_have_an_interval_of_their_own(tmp_path: Path) -> None:
    blocks = {"short": {"windows": 40, "block": 3, "low": 0.0812, "high": 0.191}}
    few = {"short": {"windows": 5, "block": 3, "low": None, "high": None}}
    runs = [
        a_run(tmp_path, "1", "ddl", BETTER, {"windows": blocks}),
        a_run(tmp_path, "2", "resnet", WORSE, {"windows": few}),
    ]
    printed, page, rows = seen(runs, tmp_path)
    told = "0.0812 to 0.191 over blocks of 3 overlapping windows"
    none = "none (fewer than two blocks of 3 overlapping windows)"
    assert f"ddl, interval over windows (shared by all seeds), 20 steps: {told}" in printed
    assert f"resnet, interval over windows (shared by all seeds), 20 steps: {none}" in printed
    bounds = [tuple(row[f"windows_{name}"] for name in ("low", "high", "block")) for row in rows]
    assert bounds == [("0.0812", "0.191", "3"), ("", "", "3"), ("", "", "")]
    assert f"| {told} |" in page
    assert f"| {none} |" in page
    assert "intervals over seeds leave out" in page
    assert f"interval over windows, over 20 steps, in distribution: {told}" in result_lines(runs[0])[2]
    assert none in result_lines(runs[1])[2]


def test_a_word_task_is_compared_by_its_token_error(tmp_path: Path) -> None:
    facts = {"trained_length": 7, "longest_tested": 512, "chance": 1 / 6}
    facts |= {"accuracy_trained": [0.9] * 6, "accuracy_longest": [0.25] * 6}
    runs = [
        a_run(tmp_path, "1", "ddl", WORSE, {"token_error_short": BETTER}, tracking=facts, floors={}),
        a_run(tmp_path, "2", "resnet", BETTER, {"token_error_short": WORSE}, tracking=facts, floors={}),
    ]
    printed, page, rows = seen(runs, tmp_path)
    assert {row["metric"] for row in rows} == {"token error"}
    # By NRMSE the other one would have won.
    assert [(row["model"], float(row["median"]), row["verdict"]) for row in rows] == [
        ("ddl", pytest.approx(0.125), ""), ("resnet", pytest.approx(0.225), "win"),
    ]  # fmt: skip
    assert {row["start_median"] for row in rows} == {""}
    assert "token error of free runs: median over 6 seeds" in printed
    assert "NRMSE" not in printed
    assert "Free-run token error on unseen initial states" in page
    assert result_lines(runs[0]) == [
        "token error over 20 steps, in distribution: 0.125 (0.105 to 0.145 covers 95 %, 6 seeds)",
        "token accuracy after 7 tokens: 90 % (90 % to 90 % covers 95 %, 6 seeds), 17 % by chance",
        "token accuracy after 512 tokens: 25 % (25 % to 25 % covers 95 %, 6 seeds), 17 % by chance",
    ]
