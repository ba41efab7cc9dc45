"""The benchmarks' own contestants: the same equations, written apart; and what is made of their numbers."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch

from benchmarks.scaling import lines
from benchmarks.scaling.__main__ import main as measure_scaling
from benchmarks.throughput.__main__ import main, parse, present
from benchmarks.throughput.cells import Cell, ContestantFailed, Measured, Worker, compare, difference, measure, prepare
from benchmarks.throughput.loop import Loop
from benchmarks.throughput.problem import AFFINE, MODELS, Data, Problem, suite_name, write
from benchmarks.throughput.report import Target, layout, number, rates_table, ratios_table, slug, targets, to_json
from benchmarks.throughput.roofline import Roofline, applications, products
from benchmarks.throughput.suite import Suite
from benchmarks.throughput.worker import Finished

SMALL = {"replicas": 3, "steps": 3, "batch": 4, "hidden": 6, "dim": 6, "dtype": "float64", "compile": "off"}
# Float64 sums in another order differ in the last digits; solvers that choose their own steps, by their tolerance.
ROUNDING, TOLERANCE = 1e-11, 1e-3


@pytest.fixture(params=MODELS)
def shared(request, tmp_path):
    problem = Problem(model=request.param, **SMALL)
    write(problem, tmp_path / "data.npz")
    return problem, Data.read(tmp_path / "data.npz", problem.dtype)


def cell_of(rates, model="ddl", replicas=32, **numbers):
    found = {name: Measured(rates=values, training=numbers.get(name, 100.0)) for name, values in rates.items()}
    return Cell(Problem(model=model, replicas=replicas), "wall", found)


def test_the_suite_and_the_plain_loop_solve_the_same_equations(shared):
    problem, data = shared
    loss, gradients = Suite(problem, data).gradients()
    expected, slow = Loop(problem, data).gradients()
    limit = TOLERANCE if problem.adaptive else ROUNDING
    assert difference(loss, expected) < limit
    assert set(gradients) == set(slow) == set(data.weights)
    for name, g in slow.items():
        assert np.abs(g).max() > 0, f"{name} has no gradient: nothing is compared"
        assert difference(gradients[name], g) < limit


def test_another_weight_is_noticed(shared):
    # Negative control: the comparison above sees a change of one weight by a thousandth.
    problem, data = shared
    part = next(p for p in AFFINE[problem.key] if p != "initial")
    data.weights[f"{part}.weight"][0, 0, 0] += 1e-3
    suite = Suite(problem, data).gradients()
    data.weights[f"{part}.weight"][0, 0, 0] -= 1e-3
    loop = Loop(problem, data).gradients()
    assert difference(suite[0], loop[0]) > ROUNDING


def test_every_contestant_stops_when_it_is_told(shared):
    problem, data = shared
    for cls in (Suite, Loop, Roofline):
        calls = []

        def after_update(calls=calls):
            calls.append(None)
            if len(calls) == 4:
                raise Finished

        contestant = cls(problem, data)
        with pytest.raises(Finished):
            contestant.train(after_update)
        assert len(calls) == 4


def test_training_leaves_the_work_as_it_is_and_still_updates(shared):
    problem, data = shared
    suite = Suite(problem, data)
    before = suite.replicas.state_dict()

    def once():
        raise Finished

    with pytest.raises(Finished):
        suite.train(once)
    for name, value in suite.replicas.state_dict().items():
        assert not torch.equal(value, before[name])
        # One step of Adam is at most the learning rate, which is 1e-7.
        assert (value - before[name]).abs().max() < 2e-7


def test_the_roofline_multiplies_by_every_weight_once_an_application(shared):
    problem, data = shared
    # Weights of the layer, without the biases and without the memory's first value, which is made once a run.
    weights = sum(w[0].size for n, w in data.weights.items() if n.endswith("weight") and not n.startswith("initial"))
    if problem.key == "ddl":
        assert problem.dim // 2 + 2 + 1 == products(problem)[1][1]
    assert sum(i * o for i, o in products(problem)) == weights
    assert applications(problem, data) >= problem.steps
    if problem.model == "neural_ode(rk4)":
        assert applications(problem, data) == 4 * problem.steps


def test_weights_without_an_equation_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(AFFINE, "resnet", {"hidden": "layers.0.branch.hidden.0"})
    with pytest.raises(ValueError, match=r"layers\.0\.branch\.last"):
        write(Problem(model="resnet", **SMALL), tmp_path / "data.npz")


def test_names_of_weights():
    assert suite_name(Problem(model="ddl", replicas=1), "encode.weight") == "layers.0.encode.0.weight"
    assert slug("Intel(R) Xeon(R) Processor") == "intel-xeon-processor"


def test_a_ratio_is_taken_sample_by_sample():
    # The machine slows down threefold after the first sample: the ratio of medians is 4, pair by pair it is 2.
    cell = cell_of({"suite": [60.0, 40.0, 20.0], "loop": [30.0, 20.0, 10.0], "jax": [10.0, 10.0, 10.0]})
    assert cell.ratio("suite", "loop") == 2.0
    assert cell.ratio("suite", "jax") == 4.0
    assert np.isnan(cell.ratio("suite", "torchode"))


def test_targets_are_met_missed_or_unknown():
    cell = cell_of({"suite": [90.0], "loop": [10.0], "jax": [31.0], "roofline": [100.0]}, suite=131.0)
    found = {t.name: t.mark for t in targets(cell)}
    assert found == {"a/b": "met", "a/c": "MISSED", "a/d": "met", "memory a/c": "MISSED"}
    assert {t.name: t.mark for t in targets(cell_of({"suite": [1.0]}))}["a/c"] == ""
    assert not [t for t in targets(cell_of({"suite": [1.0], "roofline": [1.0]}, model="lstm")) if t.name == "a/d"]
    assert Target("ddl", 32, "first call", 21.0, 20.0, at_least=False).met is False


def test_tables_hold_every_cell_and_the_spread():
    cells = [cell_of({"suite": [3.0, 5.0, 4.0], "loop": [1.0, 1.0, 1.0]}, replicas=R) for R in (8, 32)]
    rates, ratios = rates_table(cells), ratios_table(cells)
    assert "4 (3–5)" in rates
    assert "c JAX" not in rates
    assert ratios.count("MISSED") == 2  # a/b wants 5 and 8
    assert len(rates.splitlines()) == 4
    held = json.loads(to_json(cells, [], {"machine": {}}))
    assert held["cells"][1]["contestants"]["suite"]["rates"] == [3.0, 5.0, 4.0]
    assert held["cells"][0]["contestants"]["suite"]["first_call"] is None
    assert number(float("nan")) == ""
    assert layout(["a", "b"], [["x", "10"]]).splitlines()[-1] == "x  10"


def test_disagreement_is_found_in_what_the_processes_wrote(tmp_path):
    cell = cell_of({"suite": [], "loop": [], "jax": [], "roofline": []})
    right = {"loss": np.ones(2), "last.weight": np.full((2, 3), 4.0)}
    np.savez(tmp_path / "loop.npz", **right)
    np.savez(tmp_path / "suite.npz", **right)
    np.savez(tmp_path / "jax.npz", **right | {"last.weight": np.full((2, 3), 4.01)})
    compare(cell, tmp_path)
    assert cell.found["suite"].gradients == 0.0
    assert cell.found["roofline"].gradients is None
    assert [line for line in cell.disagreements() if "jax" in line] == cell.disagreements() != []
    np.savez(tmp_path / "suite.npz", **right | {"loss": np.array([1.0, np.nan])})
    compare(cell, tmp_path)
    assert cell.found["suite"].loss == np.inf


def test_what_is_not_installed_is_said_once(capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", {}.get)
    assert present(["suite", "jax", "torchode"]) == ["suite"]
    said = capsys.readouterr().out
    assert said.count("not installed") == 1
    assert "diffrax" in said


def test_unknown_models_are_refused(capsys):
    with pytest.raises(SystemExit):
        parse(["--models", "perceptron"])
    assert "perceptron" in capsys.readouterr().err


def test_a_contestant_that_ends_says_why(tmp_path):
    prepare(Problem(model="resnet", **SMALL), tmp_path)
    (tmp_path / "data.npz").unlink()
    worker = Worker("roofline", tmp_path)
    with pytest.raises(ContestantFailed, match=r"data\.npz"):
        worker.answer()
    worker.close()


def test_slopes_are_fitted_to_the_larger_half():
    sizes = [1, 2, 4, 8, 16]
    line = lines.Line.fit(sizes, [100.0, 50.0, *(3.0 * n**1.5 for n in sizes[2:])])
    assert line.slope == pytest.approx(1.5)
    # 10 MiB at no steps, and one more for every fourth.
    points = [lines.Point("steps", n, 1, 1, False, 1.0, 10 + n / 4) for n in (100, 400, 800)]
    assert lines.largest(points) == pytest.approx(4 * (lines.LIMIT * 1024 - 10))
    assert lines.sizes_to(700) == [50, 100, 200, 500, 700]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jax", "torchode"])
@pytest.mark.parametrize("model", MODELS)
def test_peers_solve_the_same_equations_in_float64(model, name, tmp_path):
    pytest.importorskip("diffrax" if name == "jax" else "torchode")
    if name == "torchode" and model != "neural_ode(dopri5)":
        pytest.skip("steps of its own are for the adaptive solver")
    problem = Problem(model=model, **SMALL)
    cell = measure(problem, ["loop", name], tmp_path, repeats=1, seconds=0.0)
    limit = TOLERANCE if problem.adaptive else ROUNDING
    assert cell.found[name].failure == ""
    assert cell.found[name].loss < limit
    assert cell.found[name].gradients < limit
    assert cell.found[name].rates[0] > 0


@pytest.mark.slow
def test_the_whole_benchmark_at_a_small_size(tmp_path, capsys):
    small = "--models ddl,neural_ode(dopri5) --replicas 1,2 --repeats 2 --seconds 0 --steps 3 --batch 4 --hidden 8"
    skipped = "--contestants suite,loop,roofline --skip-tests --skip-two-threads"
    assert main([*small.split(), *skipped.split(), "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "a/b" in said
    assert "next process s" in said
    (path,) = tmp_path.glob("*.json")
    held = json.loads(path.read_text())
    assert len(held["cells"]) == 4
    for cell in held["cells"]:
        for measured in cell["contestants"].values():
            assert len(measured["rates"]) == 2
            assert min(measured["rates"]) > 0
            assert measured["failure"] == ""
    assert held["compile"][0]["cold"] > 0
    assert path.with_suffix(".png").stat().st_size > 10_000


@pytest.mark.slow
def test_scaling_at_a_small_size(tmp_path, capsys):
    small = "--model resnet --longest 200 --replicas 1 --batch 2 --most 4 --compile off --repeats 1"
    assert measure_scaling([*small.split(), "--out", str(tmp_path)]) == 0
    assert "extrapolated" in capsys.readouterr().out
    (path,) = tmp_path.glob("*.json")
    points = json.loads(path.read_text())["points"]
    # Three sizes of T with checkpointing and without, three of R, three of B.
    assert len(points) == 12
    longest = {p["checkpointing"]: p for p in points if p["axis"] == "steps" and p["steps"] == 200}
    assert longest[False]["seconds"] > 0
    assert path.with_suffix(".png").exists()
