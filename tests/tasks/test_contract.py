"""Promises of every task, tested over the whole registry. Axes: N, T, D, U."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from scipy.spatial import cKDTree

from ddl_dyn.cli.facts import required_parameters
from ddl_dyn.tasks import TASKS, FlowTask, MapTask, Task, make_dataset, make_task
from ddl_dyn.tasks.base import Obstruction
from ddl_dyn.tasks.flows.families import ConditionedTask
from ddl_dyn.tasks.series.observed import Observed

NAMES = [name for name, cls in TASKS.items() if not required_parameters(cls)]
SIMULATED = [name for name in NAMES if not issubclass(TASKS[name], Observed)]
N, STEPS = 4, 12


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def small(task: Task, seed: int = 0):
    return make_dataset(task, n_train=N, n_val=2, n_test=2, n_ood=2, steps=STEPS, seed=seed)


@functools.cache
def shared(name: str):
    """One dataset for all tests that only look."""
    return small(make_task(name))


def start(task: Task, n: int = N, steps: int = STEPS, split="train"):
    x0 = task.initial_states(n, rng=rng(), split=split)
    return x0, task.inputs(n, steps, rng=rng(1), split=split)


@pytest.mark.parametrize("name", NAMES)
def test_registry_key_and_datasheet(name):
    cls, task = TASKS[name], make_task(name)
    assert cls.key() == name
    sheet = cls.__doc__ or ""
    assert len(sheet.splitlines()) >= 4, "a datasheet: equations, components, units, regime, facts"
    assert all(("tate" in sheet, cls.equations, cls.source, cls.family))
    assert cls.obstruction in get_args(Obstruction)
    assert cls.obstruction_reason, "the obstruction label needs its reason"
    assert len(task.state_names) == task.state_dim == len(set(task.state_names))
    assert np.isfinite(task.timescale)
    assert task.timescale > 0


@pytest.mark.parametrize("name", NAMES)
def test_dataset_shapes_and_types(name):
    task = make_task(name)
    data = shared(name)
    for part in (data.train, data.val, data.test, data.ood):
        if part is None:
            assert task.recorded
            continue
        assert part.states.dtype == np.float64
        assert part.states.shape == (len(part), part.steps + 1, task.state_dim)
        assert part.inputs.shape == (len(part), part.steps, task.input_dim)
        assert np.isfinite(part.states).all()
        np.testing.assert_allclose(np.diff(part.times), task.dt, rtol=1e-9)  # rounding of k·dt only
    assert data.train.states.shape[:2] == (N, STEPS + 1)
    assert 0 <= data.trust_steps <= STEPS


@pytest.mark.parametrize("name", SIMULATED)
def test_first_state_is_the_initial_state(name):
    task = make_task(name)
    x0, inputs = start(task)
    np.testing.assert_array_equal(task.simulate(x0, STEPS, inputs).states[:, 0], x0)


@pytest.mark.parametrize("name", SIMULATED)
def test_prefix_stability(name):
    task = make_task(name)
    for split in ("train", "val", "test", "ood"):
        few, many = (task.initial_states(n, rng=rng(3), split=split) for n in (5, 10))
        # Equal but for the last bit that vector units may round differently at the end of an array.
        np.testing.assert_allclose(many[:5], few, rtol=1e-9, atol=1e-12)
        few, many = (task.inputs(n, 6, rng=rng(3), split=split) for n in (5, 10))
        np.testing.assert_array_equal(many[:5], few)


def separated(a: np.ndarray, b: np.ndarray) -> bool:
    """True if some component, its modulus, or the distance from the centre of `a` tells the two samples apart."""
    centre = (a.min(axis=0) + a.max(axis=0)) / 2
    for fa, fb in zip(
        *(
            [
                *z.T,
                *abs(z).T,
                *abs(z - centre).T,
                np.linalg.norm(z, axis=1),
                np.linalg.norm(z - centre, axis=1),
                abs(z).max(axis=1),
            ]
            for z in (a, b)
        ),
        strict=True,
    ):
        if fb.min() > fa.max() or fb.max() < fa.min():
            return True
    return False


@pytest.mark.parametrize("name", SIMULATED)
def test_training_and_ood_supports_are_disjoint(name):
    task = make_task(name)
    if task.state_kind == "categorical":
        pytest.skip("a word problem starts from the identity; its ood split has longer words")
    train, ood = (
        np.concatenate(
            [task.initial_states(400, rng=rng(s), split=k), task.inputs(400, 1, rng=rng(s + 9), split=k)[:, 0]], axis=1
        )
        for s, k in ((0, "train"), (1, "ood"))
    )
    assert separated(train, ood) or _task_separates(task, train, ood) or told_apart(train, ood) > 0.9
    assert not separated(train[::2], train[1::2]), "the test must be able to fail"
    assert told_apart(train[::2], train[1::2]) < 0.7, "the test must be able to fail"


def told_apart(a: np.ndarray, b: np.ndarray) -> float:
    """Share of states whose nearest other state is of their own sample: ½ for one support, near 1 for disjoint ones.

    What is missing to 1 comes from neighbours across a shared border.
    """
    both = np.concatenate([a, b]) / np.maximum(a.std(axis=0), 1e-12)
    label = np.repeat((0, 1), (len(a), len(b)))
    nearest = cKDTree(both).query(both, k=2)[1][:, 1]
    return float((label[nearest] == label).mean())


def _task_separates(task: Task, train: np.ndarray, ood: np.ndarray) -> bool:
    """Invariants (energy) may be what tells train from ood."""
    a, b = task.invariants(train[:, : task.state_dim]), task.invariants(ood[:, : task.state_dim])
    return any(b[k].min() > a[k].max() or b[k].max() < a[k].min() for k in a)


@pytest.mark.parametrize("name", SIMULATED)
def test_bad_initial_states_are_refused(name):
    task = make_task(name)
    x0, inputs = start(task)
    bad = x0.copy()
    bad[1, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        task.simulate(bad, STEPS, inputs)
    with pytest.raises(ValueError, match="shape"):
        task.simulate(np.zeros((N, task.state_dim + 1)), STEPS, inputs)
    with pytest.raises(ValueError, match="shape"):
        task.simulate(x0[0], STEPS, inputs)
    with pytest.raises(ValueError, match="steps"):
        task.simulate(x0, -1, inputs)


@pytest.mark.parametrize("name", NAMES)
def test_determinism_and_seeds(name):
    task = make_task(name)
    first, again, other = shared(name), small(make_task(name)), small(task, seed=1)
    np.testing.assert_array_equal(first.train.states, again.train.states)
    np.testing.assert_array_equal(first.train.inputs, again.train.inputs)
    assert first.content_hash == again.content_hash
    assert first.content_hash != other.content_hash
    if not task.recorded:
        same = np.array_equal(first.train.states, other.train.states)
        assert not same or not np.array_equal(first.train.inputs, other.train.inputs)


@pytest.mark.parametrize("name", SIMULATED)
def test_invariants_are_kept(name):
    task = make_task(name)
    x0, inputs = start(task)
    states = task.simulate(x0, STEPS, inputs).states
    for key, value in task.invariants(states).items():
        assert value.shape == states.shape[:-1]
        # The solver's tolerance is 1e-10 per step relative to the state; over a dozen sampling steps.
        scale = np.abs(value).max() or 1.0
        assert np.abs(value - value[:, :1]).max() <= 1e-8 * scale, key


@pytest.mark.parametrize("name", SIMULATED)
def test_exact_solution_agrees(name):
    task = make_task(name)
    x0, inputs = start(task)
    exact = task.exact(x0, STEPS)
    if exact is not None:
        np.testing.assert_allclose(task.simulate(x0, STEPS, inputs).states, exact, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", [n for n in SIMULATED if issubclass(TASKS[n], FlowTask)])
def test_vector_field_is_the_derivative_of_the_trajectory(name):
    task = make_task(name)
    x0, _ = start(task)
    h = 1e-4
    fine = TASKS[name](**{**task.parameters(), "dt": h}).simulate(x0, 4).states
    # Fourth-order central difference at the middle sample: truncation ~ h⁴, rounding ~ 1e-16/h.
    slope = (fine[:, 0] - 8 * fine[:, 1] + 8 * fine[:, 3] - fine[:, 4]) / (12 * h)
    field = task.vector_field(2 * h, fine[:, 2])
    np.testing.assert_allclose(slope, field, atol=1e-6 * max(1.0, np.abs(field).max()))


@pytest.mark.parametrize("name", [n for n in SIMULATED if issubclass(TASKS[n], (FlowTask, MapTask))])
def test_jacobian_agrees_with_differences(name):
    task = make_task(name)
    x = start(task)[0]
    if isinstance(task, FlowTask):
        t = 0.7
        jacobian, f = task.jacobian(t, x), lambda z: task.vector_field(t, z)
    else:
        jacobian, f = task.jacobian(x), task.next_state
    if jacobian is None:
        return
    assert jacobian.shape == (*x.shape, task.state_dim)
    h = 1e-5
    for j in range(task.state_dim):
        e = h * np.eye(task.state_dim)[j]
        column = (f(x + e) - f(x - e)) / (2 * h)
        # Central differences: truncation h²|f'''|/6, rounding 1e-16|f|/h.
        np.testing.assert_allclose(jacobian[..., j], column, atol=1e-6 * max(1.0, np.abs(jacobian).max()))


@pytest.mark.parametrize("name", [n for n in SIMULATED if issubclass(TASKS[n], FlowTask)])
def test_a_trajectory_alone_equals_itself_in_the_batch(name):
    task = make_task(name)
    x0, inputs = start(task)
    batch = task.simulate(x0, STEPS, inputs).states
    alone = task.simulate(x0[2:3], STEPS, inputs[2:3]).states[0]
    # 1e-10 per step, a dozen sampling steps, amplification of a chaotic flow over them included.
    assert np.abs(batch[2] - alone).max() <= 1e-7 * max(1.0, np.abs(alone).max())


@pytest.mark.parametrize("name", [n for n in SIMULATED if issubclass(TASKS[n], ConditionedTask)])
def test_conditioned_tasks_hold_a_gap_out(name):
    task = make_task(name)
    drawn = {s: task.inputs(500, 3, rng=rng(4), split=s) for s in ("train", "val", "test", "ood")}
    for split, u in drawn.items():
        assert (u == u[:, :1]).all(), split
    low, high = task.gap
    for split in ("train", "val"):
        u = drawn[split]
        assert ((u < low) | (u > high)).all()
        assert u.min() >= task.train_range[0]
        assert u.max() <= task.train_range[1]
        assert (u < low).any()
        assert (u > high).any()
    assert ((drawn["test"] >= low) & (drawn["test"] <= high)).all()
    assert ((drawn["ood"] >= task.ood_range[0]) & (drawn["ood"] <= task.ood_range[1])).all()
    x0, inputs = start(task)
    member = task.at(float(inputs[1, 0, 0]))
    # Each trajectory obeys its own parameter: equal to the member alone, up to shared step sizes.
    one = member.simulate(x0[1:2], STEPS).states[0]
    np.testing.assert_allclose(task.simulate(x0, STEPS, inputs).states[1], one, rtol=1e-7, atol=1e-7)
    with pytest.raises(ValueError, match="inputs"):
        task.simulate(x0, STEPS, None)


HASHES = """
from tests.tasks.test_contract import NAMES, shared
for name in NAMES:
    print(name, shared(name).content_hash)
"""


def test_hashes_are_stable_across_processes():
    # Another hash seed, as every new process has one: an order of sets or dicts in the hash would show.
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    out = subprocess.run([sys.executable, "-c", HASHES], capture_output=True, text=True, check=True, env=environment)
    elsewhere = dict(line.split() for line in out.stdout.splitlines())
    here = {name: shared(name).content_hash for name in NAMES}
    assert here == elsewhere
    assert len(set(here.values())) == len(NAMES)


def test_importing_tasks_imports_no_heavy_package():
    code = "import ddl_dyn.tasks, sys; print(*sorted({'torch', 'matplotlib', 'sacred', 'pydantic'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == ""


def test_unknown_names_list_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'van_der_pol'"):
        make_task("vanderpol")
    with pytest.raises(ValueError, match="did you mean 'omega'"):
        make_task("harmonic", omga=2.0)
    with pytest.raises(ValueError, match="needs the parameter 'path'"):
        make_task("observed")


@pytest.mark.parametrize("value", [-1.0, 0.0, float("nan"), float("inf"), "fast", True, None])
def test_bad_parameter_values_are_refused(value):
    with pytest.raises(ValueError, match="omega"):
        make_task("harmonic", omega=value)
