"""One registry of metrics: every table, page, file and figure takes a number's name, unit and format from it."""

from __future__ import annotations

import ast
import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import ddl_dyn
from ddl_dyn.metrics.registry import METRICS, PRIMARY
from ddl_dyn.results import report
from ddl_dyn.results.comparison import records, terminal
from ddl_dyn.results.comparison.groups import group_runs
from ddl_dyn.results.report.build import build_report
from ddl_dyn.results.report.document import ReportSection
from ddl_dyn.results.score_lines import result_lines
from ddl_dyn.runs import Run
from ddl_dyn.runs.result import at, horizon_steps
from tests.helpers.figure_structure import caption
from tests.helpers.synthetic_runs import write_run

SCORES = {(split, horizon): [0.123456] * 6 for split in ("test", "ood") for horizon in PRIMARY.horizons}


def everything(runs: list[Run], tmp_path: Path) -> dict[str, str]:
    """Texts that a reader sees of some runs, by place."""
    found = records.comparison_rows(runs)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(terminal.as_table(found))
    page = report.write_report(runs, tmp_path / "page.md", markdown=True)
    return {
        "terminal": console.export_text(),
        "csv": records.as_csv(found),
        "page": page.read_text(encoding="utf-8"),
        "run": "\n".join(line for run in runs for line in result_lines(run)),
    }


def test_a_change_of_one_entry_is_seen_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [write_run(tmp_path, str(i), model=m, scores=SCORES) for i, m in ((1, "ddl"), (2, "resnet"))]
    before = everything(runs, tmp_path)
    for name, text in before.items():
        assert "NRMSE" in text, name
        assert ".123" in text, name
        assert ".12346" not in text, name
    monkeypatch.setitem(vars(PRIMARY), "title", "free-run error")
    monkeypatch.setitem(vars(PRIMARY), "unit", "σ")
    monkeypatch.setitem(vars(PRIMARY), "digits", 5)
    for name, text in everything(runs, tmp_path).items():
        assert "NRMSE" not in text, name
        assert "free-run error" in text, name
        # The CSV has full precision whatever is shown.
        assert (".123456" if name == "csv" else ".12346") in text, name
    monkeypatch.setitem(vars(METRICS["vpt"]), "title", "horizon of validity")
    assert "horizon of validity" in everything(runs, tmp_path)["page"]


def test_a_printed_name_stands_in_the_registry_alone() -> None:
    # Phrases and abbreviations; "training" or "step" are words of every day.
    titles = [one.title for one in METRICS.values() if " " in one.title or re.search("[A-Z]{2}", one.title)]
    assert {"NRMSE", "sMAPE", "valid prediction time"} <= set(titles)
    printed = re.compile("|".join(rf"(?<!\w){re.escape(title)}" for title in titles))
    found = []
    for path in sorted(Path(ddl_dyn.__file__).parent.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # A text that is a statement of its own is a docstring.
        documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
                found += [f"{path.name}: {node.value!r}"] if printed.search(node.value) else []
    assert {line.partition(":")[0] for line in found} == {"registry.py"}, found


def test_figures_name_the_primary_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    from ddl_dyn import plots

    row = {"task": "a", "model": "ddl", "protocol": "p", "horizon": "5 steps", "median": 1.0, "low": 0.5, "high": 2.0}
    monkeypatch.setitem(vars(PRIMARY), "title", "free-run error")
    chart = plots.interval_chart([row])
    assert chart.axes[0].get_xlabel() == "free-run error"
    assert "Median free-run error" in caption(chart)
    assert plots.error_growth([1, 2], {"ddl": [[0.1, 0.2]]}).axes[0].get_ylabel() == "free-run error"


def test_every_metric_stands_where_its_path_says(tmp_path: Path) -> None:
    run = write_run(tmp_path, "1", scores=SCORES, arrays={})
    optional = {"gates", "accuracy", "words"}
    for name, metric in METRICS.items():
        for horizon in metric.horizons or ("",):
            found = at(run.result, metric.found_at(split="test", horizon=horizon))
            known = ("memory", "milliseconds_per_step")
            assert found is not None or metric.group in optional or name in known, name
        assert metric.better in ("lower", "higher", "")
        # A path that names a horizon has one, and the other way round.
        assert bool(metric.horizons) == ("{horizon}" in metric.path)


def test_units_shares_and_failures_are_printed_alike() -> None:
    memory = METRICS["memory"]
    assert memory.heading == "memory [MiB]"
    assert (memory.text(3 * 2**20), memory.page(3 * 2**20)) == ("3", "3.00")
    assert METRICS["vpt_censored"].text(0.25) == METRICS["vpt_censored"].page(0.25) == "25 %"
    assert (PRIMARY.text(float("inf")), PRIMARY.page(float("inf"))) == ("failed", "failed")
    assert (PRIMARY.text(None), PRIMARY.page(None)) == ("", "–")


def test_a_horizon_that_was_not_run_is_printed_nowhere(tmp_path: Path) -> None:
    """The windows of a series may be shorter than what was asked for: 26 steps, not 100."""
    data = {"data": {"trust_steps": 26, "notes": [], "splits": {"test": {"trajectories": 4, "steps": 26}}}}
    short = {("test", "short"): [0.1] * 6, ("test", "long"): [0.2] * 6}
    runs = [write_run(tmp_path, str(i), model=m, scores=short, result=data) for i, m in ((1, "ddl"), (2, "resnet"))]
    assert [horizon_steps(runs[0], "test", name) for name in PRIMARY.horizons] == [20, 26]
    for name, text in everything(runs, tmp_path).items():
        # The configuration itself is kept, and says what was asked.
        claims = text.partition("## Where each number comes from")[0]
        assert "26 steps" in claims, name
        assert "100 steps" not in claims, name


def test_models_are_ranked_where_tasks_enough_tell_ranks_apart(tmp_path: Path) -> None:
    def runs(count: int) -> list[Run]:
        base, out = tmp_path / str(count), []
        for i, task in enumerate(("henon", "ikeda", "lorenz63", "rossler", "van_der_pol", "pendulum")[:count]):
            for j, model in enumerate(("ddl", "resnet", "highway")):
                scores = {("test", "short"): [0.1 * (1 + j) + 0.001 * i] * 6}
                out.append(write_run(base, f"{i}{j}", model=model, scores=scores, arrays={}, config={"task": task}))
        return out

    def section(count: int) -> ReportSection | None:
        parts = next(part.parts for part in build_report(runs(count)).sections if part.id == "result")
        return next((part for part in parts if part.id == "ranks"), None)

    # CD = 2.343 √(2/K) for three models: at K = 2 it is wider than the ranks' own scale of 2.
    assert section(2) is None
    found = section(6)
    assert found is not None
    (sentence,) = found.points
    # Friedman's χ² is 12 at K = 6 without ties, p = exp(−6).
    assert "Mean rank over 6 tasks, carry = latent, lift = linear; in distribution, short horizon" in sentence
    assert "DDL 1.00, ResNet 2.00, Highway 3.00" in sentence
    assert "closer than 1.35" in sentence
    assert "p = 0.00248" in sentence
    assert [figure.name for figure in found.pictures] == ["ranks_0"]
    assert len(found.pictures[0].data) > 5000


def test_bars_and_numbers_of_the_gates_are_one_definition(tmp_path: Path) -> None:
    """Two seeds whose gates differ: the mean of their shares, in the bar and beside it."""
    from ddl_dyn.results.report import gates

    beta = np.concatenate([np.full((1, 4, 1, 3, 1), 0.1), np.full((1, 4, 1, 3, 1), 2.0), np.full((1, 4, 1, 3, 1), 0.1)])
    (row,) = gates.gate_table(group_runs([write_run(tmp_path, "1", arrays={"audit_beta": beta})])).rows
    assert row[8].shares == pytest.approx((2 / 3, 0, 1 / 3))
    assert [cell.order for cell in row[9:]] == pytest.approx(row[8].shares)
    assert [cell.text for cell in row[9:]] == ["67 % [0 %, 100 %]", "0 % [0 %, 0 %]", "33 % [0 %, 100 %]"]
