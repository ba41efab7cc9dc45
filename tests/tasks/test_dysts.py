"""Systems of dysts: the same fields as ours, a task's contract, what is refused and why."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from ddl_dyn import lyapunov_spectrum
from ddl_dyn.cli.main import main
from ddl_dyn.tasks import make_dataset, make_task
from ddl_dyn.tasks.contract import check_task
from ddl_dyn.tasks.flows.dysts import Dysts
from ddl_dyn.tasks.flows.dysts_systems import DISCONTINUOUS, _batched, _instance, find_system, stored_facts

installed = pytest.mark.skipif(importlib.util.find_spec("dysts") is None, reason="dysts is not installed")
# Ours, by name there, with the parameters by their names there.
SAME = {
    "Lorenz": ("lorenz63", {"sigma": "sigma", "rho": "rho", "beta": "beta"}),
    "Rossler": ("rossler", {"a": "a", "b": "b", "c": "c"}),
    "Chen": ("chen", {"a": "a", "b": "b", "c": "c"}),
    "SprottB": ("sprott_b", {}),
}


def test_without_the_package_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored_facts.cache_clear()
    find_system.cache_clear()
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "dysts" else there(name, *more)
    )
    for words in (["tasks", "--dysts"], ["run", "with", "task=dysts", "task_args.system=Chen"]):
        assert main(words) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "pip install 'ddl-dyn[dysts]'" in said


def test_the_registry_loads_no_dysts_and_the_system_must_be_named() -> None:
    code = "import sys, ddl_dyn.tasks; print('dysts' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    with pytest.raises(ValueError, match="dysts needs the parameter 'system'"):
        make_task("dysts")


@installed
@pytest.mark.parametrize("name", SAME)
def test_fields_are_those_of_our_own_tasks(name: str) -> None:
    key, names = SAME[name]
    theirs = Dysts(system=name)
    ours = make_task(key, **{own: float(theirs.found.parameters[other]) for own, other in names.items()})
    x = theirs.initial_states(500, rng=np.random.default_rng(0), split="train")
    right = ours.vector_field(0.0, x)  # type: ignore[attr-defined]
    # Sums in another order: some rounding errors of the largest term.
    np.testing.assert_allclose(theirs.vector_field(0.0, x), right, rtol=0, atol=4e-15 * np.abs(right).max())


@installed
@pytest.mark.parametrize("name", ["Chen", "Duffing", "DoublePendulum", "MacArthur", "InteriorSquirmer"])
def test_systems_keep_a_tasks_contract(name: str) -> None:
    task = Dysts(system=name)
    check_task(task)
    assert task.timescale == stored_facts()[name]["period"] == pytest.approx(100 * task.dt)
    few, many = (task.initial_states(n, rng=np.random.default_rng(3), split="train") for n in (5, 10))
    np.testing.assert_array_equal(many[:5], few)
    first, again = (
        make_dataset(Dysts(system=name), n_train=2, n_val=1, n_test=1, n_ood=1, steps=5, seed=0) for _ in range(2)
    )
    assert first.content_hash == again.content_hash
    for split in (first.train, first.ood):
        assert split is not None
        for value in task.invariants(split.states).values():
            np.testing.assert_allclose(value, 1.0, rtol=1e-8)  # the solver's tolerance, 1e-10 a step


@installed
@pytest.mark.parametrize("name", ["InteriorSquirmer", "MacArthur", "Hopfield", "Lorenz96", "BlinkingRotlet", "Chen"])
def test_rows_in_one_call_are_rows_one_by_one(name: str) -> None:
    system = _instance(name)
    field = _batched(system, system.dimension)
    x = 0.2 + np.random.default_rng(5).random((5, system.dimension))
    alone = np.array([np.asarray(system.rhs(row, 0.0), dtype=float) for row in x])
    np.testing.assert_allclose(field(x, 0.0), alone, rtol=1e-12)


@installed
def test_a_forced_system_is_the_raw_one_with_its_phase_on_a_circle() -> None:
    task, system = Dysts(system="ForcedVanDerPol"), _instance("ForcedVanDerPol")
    assert task.state_names == ("x", "y", "cos z", "sin z")
    phases = np.linspace(-3.0, 3.0, 7)
    raw = np.column_stack([np.linspace(-1, 1, 7), np.linspace(2, -2, 7), phases])
    slope = np.stack([system.rhs(row, 0.0) for row in raw])
    found = task.vector_field(0.0, np.column_stack([raw[:, :2], np.cos(phases), np.sin(phases)]))
    np.testing.assert_allclose(found[:, :2], slope[:, :2], rtol=1e-13)
    turning = slope[:, 2:] * np.column_stack([-np.sin(phases), np.cos(phases)])
    np.testing.assert_allclose(found[:, 2:], turning, rtol=1e-13)


@installed
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MackeyGlass", "delay equation"),
        ("Torus", "depends on time"),
        ("BickleyJet", "not periodic"),
        ("SprottMore", "jumps"),
        ("Lorentz", "did you mean 'Lorenz'"),
    ],
)
def test_what_is_no_task_is_refused_in_one_line(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"^[^\n]*{words}[^\n]*$"):
        make_task("dysts", system=name)


@installed
@pytest.mark.parametrize("name", DISCONTINUOUS)
def test_the_systems_that_jump_do(name: str) -> None:
    system, state = _instance(name), {"FluidTrampoline": 0, "SprottMore": 2, "StickSlipOscillator": 1}
    x = np.full((2, 3), 0.7)
    border = float(getattr(system, "vs", 0.0))
    x[:, state[name]] = border - 1e-9, border + 1e-9
    low, high = (np.asarray(system.rhs(row, 0.0)) for row in x)
    assert np.abs(high - low).max() > 1e-3


@installed
def test_the_list_and_a_datasheet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "--dysts"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(lines) == {"system", *stored_facts()}
    assert lines["Duffing"].split()[1:4] == ["4", "0.1403", "7.45"]
    assert lines["IkedaDelay"].split()[1] == "–"
    assert "a delay equation" in lines["IkedaDelay"]


@installed
def test_the_exponent_of_a_system_is_the_known_one() -> None:
    task = Dysts(system="Chen")
    coarse = Dysts(system="Chen", dt=task.timescale / 10)
    found = lyapunov_spectrum(coarse, steps=100, transient=20, rtol=1e-7, atol=1e-9)
    # 2.029 ± .007 from a long run of our own task of that name (tests/tasks/test_exponents.py).
    assert found.exponents[0] == pytest.approx(2.029, abs=4 * found.standard_error[0])
    # The divergence of the field, c − a − b, is the sum of all.
    assert found.total == pytest.approx(-10.0, abs=1e-4)


@installed
@pytest.mark.slow
def test_systems_drawn_at_random_run_end_to_end() -> None:
    from benchmarks.dysts_exponents import drawn, measure, row

    done = []
    for name in drawn(1):
        try:
            find_system(name)
            done.append(measure(name, periods=10))
        except ValueError as reason:
            print(reason)
        if len(done) == 3:
            break
    for found in done:
        print(row(found))
        # Two ways that share nothing but the field agree; what is stored has no error and may be off.
        apart, error = found.tangent[0] - found.divergence[0], np.hypot(found.tangent[1], found.divergence[1])
        assert abs(apart) <= 4 * error + 0.05 * abs(found.tangent[0])
