"""Verdicts at 5, 6 and 12 seeds: the terminal, the page and the CSV say the same, with coverage, family and size.

Axes: R seeds.
"""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.results import report
from ddl_dyn.results.comparison import records, terminal
from ddl_dyn.results.comparison.groups import group_runs
from ddl_dyn.results.comparison.verdicts import contrasts, coverage_words, verdict_words
from ddl_dyn.runs import Run
from tests.helpers.synthetic_runs import write_run

# A common spread of a tenth, and ratios that scatter by a few per cent to either side of one.
SPREAD = 0.1 * np.exp(0.1 * np.random.default_rng(0).standard_normal(12))
SCATTER = np.exp(0.03 * np.array([1, -2, 2, -1, 1, -1, 2, -2, 1, -2, 2, -1]))
EVERYWHERE = [(split, horizon) for split in ("test", "ood") for horizon in PRIMARY.horizons]


def two_runs(base: Path, seeds: int, factor: float, *, data_seeds: int = 1, **result: Any) -> list[Run]:
    """DDL with `factor` times the errors of a ResNet, on all splits and horizons."""
    second = SPREAD[:seeds]
    first = factor * second * SCATTER[:seeds]
    config = {"data": {"seeds": data_seeds}} if data_seeds > 1 else {}
    return [
        write_run(base, name, model=model, scores=dict.fromkeys(EVERYWHERE, values), arrays={}, config=config, **more)
        for name, model, values, more in (
            ("1", "ddl", list(first), {}),
            ("2", "resnet", list(second), {"result": result} if result else {}),
        )
    ]


def seen(runs: list[Run], base: Path) -> tuple[str, str, list[dict[str, str]]]:
    """Texts that a reader sees of some runs: the terminal, the page without its line breaks, the rows of the CSV."""
    found = records.comparison_rows(runs)
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(terminal.as_table(found))
    page = report.write_report(runs, base / "page.md", markdown=True).read_text(encoding="utf-8")
    return console.export_text(), page.replace("\\", ""), list(csv.DictReader(io.StringIO(records.as_csv(found))))


@pytest.mark.parametrize(
    ("seeds", "data_seeds", "factor", "verdict", "coverage"),
    [
        # The least p of five pairs is .0625: they cannot win, whatever the ratio. Two one-sided tests can reach .031.
        (5, 1, 0.5, "unresolved", "93.75 %"),
        (5, 1, 1.0, "tie", "93.75 %"),
        (5, 1, 0.82, "unresolved", "93.75 %"),
        (6, 1, 0.5, "win", "95 %"),
        (6, 1, 2.0, "loss", "95 %"),
        (6, 1, 1.0, "tie", "95 %"),
        (6, 1, 0.82, "unresolved", "95 %"),
        (12, 4, 0.5, "win", "95 %"),
        (12, 4, 2.0, "loss", "95 %"),
        (12, 4, 1.0, "tie", "95 %"),
        (12, 4, 0.82, "unresolved", "95 %"),
    ],
)
def test_the_same_verdict_stands_in_the_terminal_the_page_and_the_csv(
    tmp_path: Path, seeds: int, data_seeds: int, factor: float, verdict: str, coverage: str
) -> None:
    printed, page, rows = seen(two_runs(tmp_path, seeds, factor, data_seeds=data_seeds), tmp_path)
    sets = f"{data_seeds} data set{'s' if data_seeds > 1 else ''}"
    told = r"^ddl against resnet: (\w+).*; ratio (\S+) \[(\S+), (\S+)\] \((.*)\), corrected p (\S+)"
    (line,) = re.findall(told, printed, flags=re.MULTILINE)
    (claim,) = re.findall(r"In distribution, 20 steps: DDL .* against ResNet .*?: (\w+).*?, ratio (\S+) ", page)
    (primary,) = [row for row in rows if row["first"] == "ddl" and row["primary"] == "True"]
    assert line[0] == claim[0] == primary["verdict"] == verdict
    told = f"**{verdict}**" if verdict == "win" else verdict
    assert f"| DDL against ResNet | in distribution, 20 steps | primary | {told} |" in page
    counts = [f"{int(verdict == name)} {noun}" for name, noun in
              (("win", "win"), ("loss", "loss"), ("tie", "tie"), ("unresolved", "unresolved"))]  # fmt: skip
    opening = page.partition("p corrected by Holm over this one): ")[2].partition(".")[0]
    assert [word.replace("wins", "win").replace("losses", "loss").replace("ties", "tie")
            for word in re.split(", | and ", opening)] == counts  # fmt: skip
    # The numbers behind it: three digits in the terminal and on the page, all of them in the CSV.
    assert float(line[1]) == pytest.approx(float(primary["ratio"]), rel=5e-3)
    assert float(claim[1]) == pytest.approx(float(primary["ratio"]), rel=5e-3)
    assert float(line[2]) == pytest.approx(float(primary["ratio_low"]), rel=5e-3)
    assert float(line[3]) == pytest.approx(float(primary["ratio_high"]), rel=5e-3)
    assert float(line[5]) == pytest.approx(float(primary["p_corrected"]), rel=5e-3)
    # A family of one: nothing to correct.
    assert (primary["family"], primary["p_corrected"]) == ("1", primary["p"])
    # Coverage, seeds and data sets under every interval.
    assert line[4] == coverage
    assert f"median over {seeds} seeds on {sets}, its {coverage} interval below" in printed
    assert f"median over {seeds} seeds on {sets}, which covers at most {coverage}" in page
    assert (primary["seeds"], primary["data_sets"]) == (str(seeds), str(data_seeds))
    assert float(primary["coverage"]) == pytest.approx(float(coverage[:-2]) / 100, abs=1e-12)
    # A mark for a win, in the primary column alone, and for nothing else.
    marks = int(verdict == "win")
    assert len(re.findall(r"\* \.", printed)) == page.count(" ★** |") == marks
    assert [row["model"] for row in rows if row["best"] == "True"] == ["ddl"] * marks


def test_what_is_not_primary_is_exploratory_and_not_corrected(tmp_path: Path) -> None:
    printed, page, rows = seen(two_runs(tmp_path, 6, 0.5), tmp_path)
    others = [row for row in rows if row["first"] == "ddl" and row["primary"] == "False"]
    assert [(row["split"], row["horizon"]) for row in others] == [
        ("test", "100 steps"), ("ood", "20 steps"), ("ood", "100 steps"),
    ]  # fmt: skip
    assert {row["p_corrected"] for row in others} == {"nan"}
    assert {row["family"] for row in others} == {""}
    assert page.count("| exploratory | win |") == 3
    assert page.count("(exploratory): DDL") == 3
    assert "Every other column is exploratory" in printed
    assert "every other column is exploratory" in page


def test_the_family_spans_all_tasks_and_protocols_of_a_page(tmp_path: Path) -> None:
    runs = two_runs(tmp_path, 6, 0.5)
    other = {"task": "henon", "seeds": 6}
    alone = [c.decision.verdict for c in contrasts(group_runs(runs)) if c.decision.primary]
    runs += [write_run(tmp_path, f"{i}", model=m, arrays={}, config=other) for i, m in ((3, "ddl"), (4, "resnet"))]
    found = [c.decision for c in contrasts(group_runs(runs)) if c.decision.primary]
    assert alone == ["win"]
    # Six seeds cannot win within a family of two: 2 · 2⁻⁵ > .05.
    assert [(one.verdict, one.family) for one in found] == [("unresolved", 2), ("tie", 2)]


def test_the_latent_size_is_a_column_of_every_table_of_models(tmp_path: Path) -> None:
    printed, page, rows = seen(two_runs(tmp_path, 6, 0.5, latent_dim=8), tmp_path)
    assert {row["model"]: row["latent_dim"] for row in rows} == {"ddl": "32", "resnet": "8", "persistence": ""}
    assert re.search(r"^ ddl .* 32 +1000 *$", printed, flags=re.MULTILINE)
    assert re.search(r"^ resnet .* 8 +1000 *$", printed, flags=re.MULTILINE)
    tables = re.findall(r"^\| model \|.*$", page, flags=re.MULTILINE)
    assert len(tables) >= 3
    assert all(line.startswith("| model | H |") for line in tables)
    assert "| ResNet | 8 |" in page


def test_one_seed_has_no_interval_and_no_verdict_but_unresolved(tmp_path: Path) -> None:
    printed, page, rows = seen(two_runs(tmp_path, 1, 0.5), tmp_path)
    assert "interval" not in printed
    assert "ddl against resnet: unresolved; ratio" in printed
    assert {row["coverage"] for row in rows if row["run"]} == {"0.0"}
    assert "covers at most" not in page
    assert page.count("★") == 1, "the note defines the mark, no cell has it"


def test_words_for_verdicts_and_coverages() -> None:
    assert coverage_words([0.95, 0.9375, 0.5, 0.0]) == "50–95 %"
    assert coverage_words([0.75, 0.75]) == "75 %"
    assert coverage_words([0.0]) == ""
    assert verdict_words("tie", matched=True, seeds_needed=math.nan) == "tie"
    assert verdict_words("win", matched=False, seeds_needed=math.nan) == "win (parameters not matched)"
    assert verdict_words("unresolved", matched=True, seeds_needed=1234.0) == (
        "unresolved (about 1,234 seeds would resolve it)"
    )
    assert "no number of seeds" in verdict_words("unresolved", matched=True, seeds_needed=math.inf)
