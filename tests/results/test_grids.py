"""Comparisons and sweeps from Python: the words of the command line, objects that say what was found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ddl_dyn
from ddl_dyn import compare, fit, load_runs, make_dataset, make_model, make_task, open_run, search, sweep
from ddl_dyn.config.notebook import html_table
from ddl_dyn.config.parsing import ConfigError
from ddl_dyn.experiments import notebook_bars
from ddl_dyn.experiments.progress import Bars
from ddl_dyn.results.searched import Searched
from ddl_dyn.runs import RunError
from tests.helpers.commands import ROOT

DATA = {"n_train": 8, "n_val": 4, "n_test": 4, "n_ood": 0, "steps": 20}
EVAL = {"short": 5, "long": 10}
SCRIPT = """
import ddl_dyn
print("the script runs")
data = {"n_train": 8, "n_val": 4, "n_test": 4, "n_ood": 0, "steps": 20}
found = ddl_dyn.compare("models=linear,mean", tasks=["henon"], seeds=4, data=data, eval={"short": 5, "long": 10})
print(found)
again = ddl_dyn.compare("models=linear,mean", "tasks=henon", seeds=4, data=data, eval={"short": 5, "long": 10})
print(again.members == found.members)
"""


def test_a_script_compares_without_a_guard(tmp_path: Path) -> None:
    """Worker processes import the main module, unless it is kept from them."""
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["the script runs", "Run 1: compare of 2 runs (COMPLETED)", "True"]
    assert "2 of 2 runs are complete already" in done.stderr
    opened = open_run("1", tmp_path / "runs")
    table = opened.table
    assert set(table["model"]) >= {"linear", "mean"}
    short = table[
        (table["model"] == "linear")
        & table["run"].notna()
        & (table["split"] == "test")
        & (table["horizon"] == "5 steps")
    ]
    runs = load_runs(tmp_path / "runs", by="seed")
    own = runs[runs["model"] == "linear"]["result.test.nrmse_short"]
    assert short["median"].item() == pytest.approx(float(np.median(own)))
    page = opened._repr_html_()
    assert "Run 1: compare of 2 runs (COMPLETED)" in page
    assert page.count("<tr>") == 3, "a head and two models"
    assert (opened.path / "index.html").is_file()
    with pytest.raises(RunError, match="is a comparison; name one of its runs"):
        opened.predict([0.0, 0.0], 3)
    with pytest.raises(RunError, match="is no comparison or sweep"):
        _ = open_run(opened.members[0], tmp_path / "runs").table


def test_a_list_spans_a_sweep_and_what_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    found = sweep(tasks=["henon"], models=["linear"], seeds=[1, 2], data=DATA, eval=EVAL, runs=tmp_path / "runs")
    assert repr(found).endswith("sweep of 2 runs (COMPLETED)")
    assert sorted(load_runs(tmp_path / "runs")["seeds"]) == [1, 2]
    with pytest.raises(ConfigError, match=r"unknown key 'sseds'.*did you mean 'seeds'"):
        sweep(tasks=["henon"], models=["linear"], sseds=2, runs=tmp_path / "none")
    with pytest.raises(ConfigError, match="unknown model 'dll'"):
        compare("models=dll", runs=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_search_has_its_trials_and_the_best_ones_run(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    runs = tmp_path / "runs"
    train = {"lr": "log(1e-3,1e-1)", "updates": 5, "validate_every": 5, "horizon": 5, "compile": "off"}
    words = {"data": DATA | {"radii": []}, "train": train, "eval": EVAL, "runs": runs}
    found = search("task=henon", "model=resnet", "model_args.branch=mlp|glu", "search.trials=3", **words)
    table = found.table
    assert list(table.columns) == ["number", "state", "score", "model_args.branch", "train.lr", "run", "error"]
    assert sorted(table["number"]) == [0, 1, 2]
    assert table["score"].is_monotonic_increasing
    assert found.best.id == table["run"][0]
    assert found.best.config["train"]["lr"] == table["train.lr"][0]
    assert found.best.config["model_args"]["branch"] == table["model_args.branch"][0]
    assert repr(found).startswith(f"{found.plan.search_id}: 3 trials (3 complete); best ")
    assert found._repr_html_().count("<tr>") == 4, "a head and three trials"
    again = search("task=henon", "model=resnet", "model_args.branch=mlp|glu", "search.trials=3", **words)
    assert again.trials == found.trials, "what has ended is not done again"
    with pytest.raises(ConfigError, match="nothing to search"):
        search("task=henon", runs=tmp_path / "none")
    with pytest.raises(ConfigError, match="jobs must be a whole number of at least 1, got 0"):
        search("task=henon", "train.lr=log(1e-3,1e-1)", jobs=0, runs=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_search_without_a_complete_trial_has_no_best_run(tmp_path: Path) -> None:
    plan: Any = SimpleNamespace(search_id="search-1", spans={})
    one: Any = SimpleNamespace(state="failed", score=float("nan"), number=0, proposed={}, run_id="", error="E: broken")
    found = Searched(plan, (one,), tmp_path)
    assert repr(found) == "search-1: 1 trial (1 failed)"
    with pytest.raises(RunError, match="search-1: no trial is complete: E: broken"):
        _ = found.best


def test_code_that_is_typed_in_a_call_may_run_and_code_from_a_file_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.json").write_text('{"models": ["mine.py:Net"], "tasks": ["henon"]}')
    with pytest.raises(ValueError, match=r"the settings in a file would execute mine\.py"):
        compare("settings.json")
    with pytest.raises(ConfigError, match=r"mine\.py"):
        compare(models=["mine.py:Net"], tasks=["henon"])  # trusted, and not there


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pages that a notebook has been given, each as it was then."""
    pages: list[str] = []
    handle = SimpleNamespace(update=lambda item: pages.append(item._repr_html_()))

    def display(item: object, display_id: bool) -> object:
        assert display_id
        handle.update(item)
        return handle

    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    return pages


def test_bars_in_a_notebook_are_renewed_in_place(shown: list[str]) -> None:
    assert notebook_bars.in_notebook()
    account = {"update": 5, "updates": 10, "loss": 0.1, "loss_low": 0.05, "loss_high": 0.2, "alive": 3, "replicas": 3}
    with Bars(["ddl on <henon>", "resnet on henon"], whole=True) as bars:
        bars.show(0, account | {"seconds": 2.0, "seconds_left": 2.0, "trial": False})  # type: ignore[arg-type]
        assert 'value="5" max="10"' in shown[-1]
        assert "ddl on &lt;henon&gt;" in shown[-1]
        assert "2 s left" in shown[-1]
        bars.end(0, "run c1")
    assert "1/2 ddl on &lt;henon&gt;: run c1" in shown[-1]
    assert shown[-1].count("<progress") == 1, "what has ended has no bar"


def test_what_is_no_notebook_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not notebook_bars.in_notebook()


def test_objects_show_themselves_in_a_notebook() -> None:
    task = make_task("henon")
    data = make_dataset(make_task("van_der_pol"), n_train=16, n_val=4, n_test=4, n_ood=2, steps=50, radii=(2.0,))
    assert "<td" in data._repr_html_()
    for part in ("data of van_der_pol", "train", "16", "2 × the training radius"):
        assert part in data._repr_html_()
    for part in ("henon:", "x, y (D = 2)", "doi:"):
        assert part in task._repr_html_()
    replicas = ddl_dyn.Replicas(lambda: make_model("resnet", state_dim=2, hidden_dim=4), seeds=range(3))
    for part in ("ResNet: h⁺ = h + s F(h)", "0, 1, 2", "hidden_dim", "cpu, float32"):
        assert part in replicas._repr_html_(), replicas._repr_html_()
    config = ddl_dyn.TrainConfig(updates=4, horizon=2, compile="off", validate_every=2)
    found = fit(replicas, data.train, data.val, config)
    assert found._repr_html_().count("<tr>") == 4
    assert "4 updates in" in found._repr_html_()
    assert html_table("<b>", [("<i>",)]).count("&lt;") == 2
