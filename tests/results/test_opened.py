"""A stored run opened in Python: forecasts, bands, figures, the page of a notebook. Axes: R, B, T, D, U."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest

import ddl_dyn
from ddl_dyn import TrainConfig, load_runs, make_dataset, make_task, open_run
from ddl_dyn.plots.bands import band
from ddl_dyn.results import opened
from ddl_dyn.results.opened import OpenRun
from ddl_dyn.runs import RunError
from tests.helpers.exact_runs import stored
from tests.helpers.run_folders import make_run
from tests.helpers.synthetic_runs import write_comparison, write_run

KINDS = {
    "cycle": {"task": "van_der_pol", "model": "ddl"},
    "two_data_sets": {"task": "henon", "model": "resnet", "data": {"seeds": 2}},
    "family": {"task": "van_der_pol_family", "model": "resnet"},
    "series": {"task": "sunspots", "model": "ddl"},
}


@pytest.fixture(scope="module", params=KINDS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OpenRun:
    base = tmp_path_factory.mktemp("opened") / "runs"
    data = {"n_train": 16, "n_val": 4, "n_test": 6, "n_ood": 0, "steps": 30} | KINDS[request.param].get("data", {})
    made = {"seeds": 2, "train": {"updates": 20, "compile": "off"}, **KINDS[request.param], "data": data}
    return open_run(stored(base, request.param, **made).id, base)


def test_a_forecast_from_the_same_starts_is_the_stored_one(run: OpenRun) -> None:
    future = run.predict()
    kept = run.arrays["test_pred"]
    assert future.states.shape == kept.shape
    # Kept in float32: 2⁻²⁴ relative to the largest state, and as much again from sums in another order.
    np.testing.assert_allclose(future.states, kept, rtol=0, atol=2**-22 * np.abs(kept).max())
    np.testing.assert_allclose(future.times, run.arrays["test_times"], rtol=1e-12)
    assert future.state_names == tuple(run.setup.task.state_names)
    # The starts given as they are, two steps fewer.
    test = run.setup.data.test
    steps = kept.shape[2] - 3
    inputs = test.inputs[:, :steps]
    again = run.predict(test.states[:, 0], steps, inputs)
    np.testing.assert_allclose(again.states, future.states[:, :, : steps + 1], rtol=1e-5, atol=1e-6)
    # Negative control: other starts are another forecast.
    assert not np.allclose(again.states, run.predict(2 * test.states[:, 0], steps, inputs).states)


def test_bands_are_quantiles_over_seeds(run: OpenRun) -> None:
    future = run.predict(level=0.5)
    for got, q in ((future.median, 0.5), (future.low, 0.25), (future.high, 0.75)):
        np.testing.assert_allclose(got, np.quantile(future.states, q, axis=0), rtol=1e-12, atol=1e-12)
    narrow, wide = (one.high - one.low for one in (future, run.predict(level=1.0)))
    np.testing.assert_allclose(wide, 2 * narrow, rtol=1e-9, atol=1e-12)  # two seeds: the half of their distance
    assert wide[:, 1:].max() > 0
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\]"):
        run.predict(level=0.0)


def test_what_does_not_fit_is_refused_in_a_line(run: OpenRun) -> None:
    task = run.setup.task
    with pytest.raises(ValueError, match=rf"x0 must be finite, of shape \(B, {task.state_dim}\)"):
        run.predict(np.zeros(task.state_dim + 1), 3)
    with pytest.raises(ValueError, match="x0 must be finite"):
        run.predict(np.full(task.state_dim, np.nan), 3)
    for steps in (-1, 2.5):
        with pytest.raises(ValueError, match="steps must be a number of steps"):
            run.predict(steps=steps)
    x0 = run.setup.data.test.states[:2, 0]
    if task.input_dim:
        with pytest.raises(ValueError, match="give inputs"):
            run.predict(x0, 3)
        with pytest.raises(ValueError, match="give inputs"):
            run.predict(steps=31)
        # One value for all times: the member of a family.
        held = run.predict(x0, 3, [1.0])
        np.testing.assert_array_equal(held.states, run.predict(x0, 3, np.ones((2, 3, 1))).states)
        assert not np.allclose(held.states, run.predict(x0, 3, [2.0]).states)
    for wrong in ([1.0, 2.0], [np.nan] * task.input_dim or [1.0], np.ones((4, 3, task.input_dim))):
        with pytest.raises(ValueError, match=r"inputs must be finite, of shape \(2, 3, \d\) or one that repeats to it"):
            run.predict(x0, 3, wrong)


def test_a_page_holds_what_it_is_its_scores_and_a_picture(run: OpenRun) -> None:
    text = run._repr_html_()
    assert f"{run.config['model']} on {run.config['task']}, 2 seeds (COMPLETED)" in text
    assert "NRMSE over" in text
    assert text.count('<img src="data:image/png;base64,iVBOR') == 1
    assert repr(run) == f"Run {run.id}: {run.config['model']} on {run.config['task']}, 2 seeds (COMPLETED)"


def test_figures_and_rollouts(run: OpenRun) -> None:
    assert run.portrait().axes
    assert run.portrait("training").axes
    with pytest.raises(ValueError, match=r"unknown figure 'eror'.*did you mean 'error'"):
        run.portrait("eror")
    with pytest.raises(ValueError, match="has no tracking"):
        run.portrait("tracking")
    free = run.rollout(steps=4)
    assert free.states.shape[2] == 5
    assert free.status.tolist() == [[0] * free.states.shape[1]] * 2
    assert free.first_bad_step.unique().tolist() == [5]
    assert run.replicas.seeds == (0, 1)
    if run.config["task"] == "henon":  # an analysis takes seconds
        found = run.analyse(steps=40)
        assert (found["run"], found["steps"]) == (run.id, 40)
        assert np.shape(found["spectrum"]["trained"]["exponents"]) == (2, 2)


def test_examples_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(tmp_path / "runs", "1", task="van_der_pol", model="resnet", train={"updates": 5, "compile": "off"})
    monkeypatch.chdir(tmp_path)
    face = {name: getattr(ddl_dyn, name) for name in ddl_dyn.__all__}
    for method in (OpenRun.predict, OpenRun.portrait):
        (test,) = doctest.DocTestFinder(recurse=False).find(method, globs=face)
        assert test.examples
        said: list[str] = []
        failed, _ = doctest.DocTestRunner().run(test, out=said.append)
        assert not failed, "".join(said)


def test_text_from_elsewhere_is_escaped_and_what_is_damaged_is_said(tmp_path: Path) -> None:
    hostile = '<img src=x onerror="alert(1)">'
    write_run(tmp_path, "1", arrays={}, entry={"note": hostile, "task": hostile})
    text = open_run("1", tmp_path)._repr_html_()
    assert "<img" not in text
    assert text.count("&lt;img") == 2
    both = write_comparison(tmp_path, "2", [write_run(tmp_path, "3", arrays={})])
    assert repr(open_run(both.path)) == "Run 2: compare of 1 run (COMPLETED)"
    (make_run(tmp_path, "4") / "run.json").write_text("{", encoding="utf-8")
    assert "cannot be read" in open_run("4", tmp_path)._repr_html_()
    (make_run(tmp_path, "5") / "result.json").write_text("{", encoding="utf-8")
    assert "result.json cannot be read" in open_run("5", tmp_path)._repr_html_()
    make_run(tmp_path, "6", status="FAILED")
    with pytest.raises(RunError, match="is FAILED; only a completed run"):
        open_run("6", tmp_path).predict([0.0, 0.0], 3)


def test_a_row_a_seed_has_plain_numbers(tmp_path: Path) -> None:
    write_run(tmp_path, "1", scores={("test", "short"): [0.1, 0.2, np.inf]}, result={"tuning": None}, arrays={})
    make_run(tmp_path, "2", status="FAILED", seeds=2)
    table = load_runs(tmp_path, by="seed")
    assert table[["id", "seed"]].to_numpy().tolist() == [["1", 0], ["1", 1], ["1", 2], ["2", 0], ["2", 1]]
    assert table["result.test.nrmse_short"].tolist()[:3] == [0.1, 0.2, np.inf]
    assert table["result.test.nrmse_short"].dtype == table["result.training.best_val"].dtype == np.float64
    # None of three seeds has an amplitude error.
    assert table["result.test.amplitude_error"][:3].isna().all()
    # A list of the configuration is one value, however many entries it has.
    assert len(table["config.train.lr_grid"][0]) == len(load_runs(tmp_path)["config.train.lr_grid"][0])
    assert len(load_runs(tmp_path)) == 2
    with pytest.raises(ValueError, match="by must be run or seed, got 'model'"):
        load_runs(tmp_path, by="model")  # type: ignore[arg-type]


def test_what_is_shown_of_an_object_is_one_short_line() -> None:
    data = make_dataset(make_task("henon"), n_train=16, n_val=4, n_test=4, steps=50)
    assert repr(data) == "Dataset(henon: train 16 × 50, val 4 × 50, test 4 × 50 steps)"
    assert repr(data.train) == "Trajectories(N = 16, T = 50, D = 2, U = 0)"
    replicas = ddl_dyn.Replicas(lambda: ddl_dyn.make_model("resnet", state_dim=2, hidden_dim=4), seeds=range(8))
    size = replicas.count_parameters()
    assert repr(replicas) == f"Replicas(ResNet, 8 seeds: 0, 1, 2, 3, 4, 5, …; {size:,} parameters each)"
    found = ddl_dyn.fit(replicas, data.train, data.val, TrainConfig(updates=2, horizon=2, compile="off"))
    assert repr(found).startswith("FitResult(2 updates in ")
    assert len(repr(found)) < 120


def test_the_face_opens_runs_by_this_module() -> None:
    assert ddl_dyn.open_run is opened.open_run
    low = band(np.array([[1.0], [np.nan]]), 1.0)[2]
    assert low.tolist() == [np.inf], "a failed seed counts as infinitely large"
