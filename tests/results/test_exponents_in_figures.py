"""Lyapunov exponents that a figure prints: with error and number of steps, the same before and after an analysis."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ddl_dyn.results.figures.registry import known_figures
from ddl_dyn.results.figures.run_view import ANALYSIS_FILE, RunView
from ddl_dyn.results.inspection.sections import analyse
from ddl_dyn.runs.atomic_files import write_json
from tests.helpers.exact_runs import stored
from tests.helpers.figure_structure import caption


@pytest.mark.slow
def test_exponents_of_the_error_figure_do_not_change_with_an_analysis(tmp_path: Path) -> None:
    train = {"updates": 30, "horizon": 5, "compile": "off"}
    run = stored(tmp_path, "1", task="logistic", model="mlp", train=train)
    draw = known_figures("stored")["error"].draw
    before = caption(draw(RunView(run)))
    true = re.search(r"true (\S+) ± (\S+), MLP \S+ ± \S+\. Exponents over 2000 steps\. ", before)
    assert true is not None
    # As in tests/tasks/test_maps_exponents.py, within four standard errors.
    assert float(true[1]) == pytest.approx(0.4956, abs=4 * float(true[2]))
    write_json(run.path / ANALYSIS_FILE, analyse(run))
    assert caption(draw(RunView(run))) == before
    # An analysis over fewer steps says so.
    write_json(run.path / ANALYSIS_FILE, analyse(run, steps=40))
    assert "Exponents over 40 steps. " in caption(draw(RunView(run)))
