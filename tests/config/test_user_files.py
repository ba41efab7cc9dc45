"""A user's own model and task, by file and class name; the code of docs/adding.md runs as it stands."""

from __future__ import annotations

import os
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ddl_dyn import Normalizer, Replicas, TrainConfig, fit, make_model, rollout
from ddl_dyn.models import model_class, model_config
from ddl_dyn.tasks import make_dataset, make_task
from ddl_dyn.tasks.contract import check_task

DOC = Path(__file__).parents[2] / "docs" / "adding.md"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory that holds the files of docs/adding.md."""
    for block in re.findall(r"```python\n(.*?)```", DOC.read_text(encoding="utf-8"), re.S):
        (tmp_path / block.splitlines()[0].removeprefix("# ")).write_text(block, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_documented_model_learns_the_documented_task(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "my_friction.py",
        "my_series.py",
        "my_step.py",
        "my_task.py",
    ]
    task = make_task("my_task.py:Selkov", b=0.5)
    data = make_dataset(task, n_train=16, n_val=4, n_test=4, n_ood=4, steps=40, noise=0.0, seed=0)
    normalizer = Normalizer.fit(data.train.states, "component")
    train, val = (part.replace(states=normalizer.normalize(part.states)) for part in (data.train, data.val))
    shape = {"state_dim": task.state_dim, "input_dim": task.input_dim, "dt": task.dt}
    replicas = Replicas(lambda: make_model("my_step.py:SineStep", **shape, hidden_dim=8, frequency=2.0), [0, 1])
    config = TrainConfig(updates=60, batch=16, horizon=5, lr=1e-2, validate_every=20, compile="off")
    result = fit(replicas, train, val, config)
    assert (result.best_val < 0.7 * result.history[0].val).all()
    assert rollout(replicas, torch.zeros(1, 2), 3).states.shape == (2, 1, 4, 2)


def test_documented_series_become_tasks(folder):
    task = runpy.run_path(str(folder / "my_series.py"))["task"]
    assert (task.dt, task.time_unit, task.state_names[0]) == (1.0, "day", "level[t]")
    walks = make_task("observed", path="walks.npz")
    assert (walks.dt, walks.state_names, len(walks.series.records)) == (pytest.approx(0.1), ("x", "y"), 2)


def test_documented_task_is_the_oscillator_it_says_it_is(folder):
    task = make_task(f"{folder}/my_task.py:Selkov")
    # Fixed point x = b, y = b/(a + b²), Strogatz (2015), example 7.3.2.
    fixed = np.array([[0.6, 0.6 / (0.08 + 0.36)]])
    np.testing.assert_allclose(task.vector_field(0.0, fixed), 0.0, atol=1e-15)
    # Inside the limit cycle's region the fixed point repels: what starts beside it does not come back.
    late = task.simulate(fixed + 1e-3, 2000).states[0, -200:]
    assert np.ptp(late[:, 0]) > 0.3


def test_documented_friction_loses_twice_its_force_in_every_half_turn(folder):
    task = make_task(f"{folder}/my_friction.py:DryFriction", dt=np.pi)
    check_task(task)
    # From (x, 0) the turning points are ±(x − 2kf) until one lies within f of 0 and stays.
    states = task.simulate(np.array([[2.0, 0.0], [0.2, 0.0]]), 6).states
    np.testing.assert_allclose(states[0, :, 0], [2.0, -1.4, 0.8, -0.2, -0.2, -0.2, -0.2], atol=1e-12)
    np.testing.assert_array_equal(states[0, 3:, 1], 0.0)
    np.testing.assert_array_equal(states[1], [[0.2, 0.0]] * 7)
    # Before the first turning point, at t = .37, the equation holds to what second differences leave, 1e-7 of x⁗.
    fine = make_task(f"{folder}/my_friction.py:DryFriction", dt=1e-3).simulate(np.array([[1.5, 0.7]]), 360).states[0]
    second = (fine[2:, 0] - 2 * fine[1:-1, 0] + fine[:-2, 0]) / 1e-6
    np.testing.assert_allclose(second, -fine[1:-1, 0] - 0.3 * np.sign(fine[1:-1, 1]), atol=1e-4)


def test_documented_model_is_of_the_promised_length():
    block = re.search(r"```python\n# my_step.py\n(.*?)```", DOC.read_text(encoding="utf-8"), re.S)
    code = [line for line in block[1].splitlines() if line.strip()]
    assert len(code) <= 30


def test_options_of_a_users_model_are_checked(folder):  # noqa: ARG001
    with pytest.raises(ValueError, match="did you mean 'frequency'"):
        model_config("my_step.py:SineStep", frequencey=1.0)
    with pytest.raises(ValueError, match="greater than 0"):
        model_config("my_step.py:SineStep", frequency=-1.0)
    with pytest.raises(ValueError, match="a must lie in"):
        make_task("my_task.py:Selkov", a=-1.0)
    with pytest.raises(ValueError, match="did you mean 'a'"):
        make_task("my_task.py:Selkov", aa=1.0)


def test_the_class_is_one_until_the_file_changes(folder, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = folder / "my_step.py"
    first, written = model_class("my_step.py:SineStep"), path.stat()
    assert model_class(f"{path}:SineStep") is first
    # A change within the clock's resolution, to a text of the same length, is a change too.
    path.write_text(path.read_text(encoding="utf-8").replace("W₂ sin", "W₃ sin"), encoding="utf-8")
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert model_class("my_step.py:SineStep").equation == first.equation.replace("W₂", "W₃")


BAD = {
    "class Nothing: pass": "must be a subclass",
    "class Somthing: pass": "did you mean 'Somthing'",
    "x = 1/0": "does not run: ZeroDivisionError: division by zero",
    "def (": "does not run: SyntaxError",
    "Something = 3": "must be a subclass",
}


@pytest.mark.parametrize("load", [model_class, make_task])
@pytest.mark.parametrize(("code", "message"), BAD.items())
def test_a_bad_file_is_one_clear_error(load, code, message, tmp_path):
    path = tmp_path / "bad.py"
    path.write_text(code.replace("class Nothing", "class Something"), encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(message)):
        load(f"{path}:Something")


@pytest.mark.parametrize("load", [model_class, make_task])
def test_a_missing_file_or_class_name_is_said(load, tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        load(f"{tmp_path}/none.py:Something")
    (tmp_path / "bare.py").write_text("")
    with pytest.raises(ValueError, match="name the class too"):
        load(f"{tmp_path}/bare.py")


def test_an_incomplete_class_is_told_what_it_needs(tmp_path):
    path = tmp_path / "part.py"
    path.write_text(
        "from ddl_dyn.models import StepModel\nfrom ddl_dyn.tasks.base import MapTask\n"
        "class Step(StepModel): equation = source = ''\nclass Map(MapTask): state_names = ('x',)\n"
    )
    with pytest.raises(ValueError, match=r"Step still needs Config, make_layer"):
        model_class(f"{path}:Step")
    with pytest.raises(ValueError, match=r"Map still needs source, equations, family, initial_states"):
        make_task(f"{path}:Map")
