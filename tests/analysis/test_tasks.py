"""The suite's own tasks through the code that analyses trained models."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn.analysis import fixed_points, from_task, lyapunov_spectrum, match_cycles, orientation, predict_for
from ddl_dyn.analysis.exact import central_difference
from ddl_dyn.cli.facts import required_parameters
from ddl_dyn.models.neural_ode import NeuralODE, NeuralODEConfig
from ddl_dyn.tasks import TASKS, make_task

AUTONOMOUS = sorted(
    name
    for name, cls in TASKS.items()
    if not cls.input_names and cls.state_kind == "continuous" and not required_parameters(cls) and not cls.recorded
)


def start(task, n: int, seed: int = 0):
    return task.initial_states(n, rng=np.random.default_rng(seed), split="train")


def test_henon_and_lorenz_by_name():
    henon = make_task("henon")
    result = lyapunov_spectrum(henon, start(henon, 32), 500, transient=100)
    assert result.total == pytest.approx(np.log(0.3), abs=1e-11)
    assert result.exponents[0] == pytest.approx(0.4188, abs=5 * result.standard_error[0])
    q = np.sqrt(72.0)
    known = [np.array([[0.0, 0.0, 0.0]]), np.array([[q, q, 27.0]]), np.array([[-q, -q, 27.0]])]
    found = fixed_points(make_task("lorenz63"), box=[[-25, 25], [-30, 30], [-5, 55]], count=64)
    match = match_cycles(found, known, tolerance=1e-6)
    assert (match.precision, match.recall) == (1.0, 1.0)


def test_logistic_and_flip_flop_by_name():
    logistic = make_task("logistic", r=3.2)
    x0 = start(logistic, 8)
    assert lyapunov_spectrum(logistic, x0, 50, transient=400).exponents == pytest.approx([-0.9162907], abs=1e-6)
    flip_flop = make_task("flip_flop")
    result = lyapunov_spectrum(flip_flop, start(flip_flop, 8), 50, transient=400)
    assert result.exponents == pytest.approx([np.log(0.4)], abs=1e-6)


@pytest.mark.parametrize("name", ["henon", "flip", "mirror", "twisted_mirror"])
def test_tasks_that_reverse_orientation_do_and_theory_forbids_flows(name):
    task = make_task(name)
    assert task.obstruction == "orientation_reversing"
    assert orientation(task, start(task, 16)).reversed_share == 1.0
    flow = NeuralODE(task.state_dim, NeuralODEConfig(lift="identity", solver="dopri5"))
    assert predict_for(task, flow).verdict == "impossible"


@pytest.mark.parametrize("name", AUTONOMOUS)
def test_every_autonomous_task_is_a_map_that_agrees_with_its_simulation(name):
    task = make_task(name)
    phi = from_task(task)
    x = start(task, 2)
    truth = task.simulate(x, 1).states[:, 1]
    ours = phi.step(phi.states(x)).numpy()
    scale = 1 + np.abs(truth).max()
    # Two integrations at relative tolerances of 1e-10 and 1e-11.
    assert np.abs(ours - truth).max() < 1e-7 * scale
    _, j = phi.step_and_jacobian(phi.states(x))
    assert j.shape == (2, task.state_dim, task.state_dim)


def test_central_differences_of_a_known_field():
    def field(x):
        return np.stack([np.sin(x[..., 0]) * x[..., 1], x[..., 0] ** 2], axis=-1)

    x = np.array([[0.3, -2.0], [100.0, 5.0]])
    exact = np.stack(
        [
            np.stack([np.cos(x[:, 0]) * x[:, 1], np.sin(x[:, 0])], axis=-1),
            np.stack([2 * x[:, 0], np.zeros(2)], axis=-1),
        ],
        axis=-2,
    )
    # Truncation h²f‴/6 with h = 6e-6·max(1, |x|): 2e-7·|y| at x = 100 and 1e-10 at x = .3.
    assert central_difference(field, x)[0] == pytest.approx(exact[0], abs=1e-9)
    assert central_difference(field, x)[1] == pytest.approx(exact[1], abs=1e-6)


def test_a_row_that_blows_up_leaves_the_others_alone():
    class Explosive:
        state_dim, dt = 1, 1.0

        def vector_field(self, t, x):  # noqa: ARG002
            return x**2

    # ẋ = x²: x(1) = x₀/(1 − x₀), which does not exist for x₀ ≥ 1.
    phi = from_task(Explosive())
    out = phi.step(torch.tensor([[0.5], [2.0], [-1.0]], dtype=torch.float64))
    assert out[[0, 2], 0].tolist() == pytest.approx([1.0, -0.5], abs=1e-9)
    assert torch.isnan(out[1, 0])


def test_a_driven_task_is_a_family_and_is_refused():
    class Driven:
        state_dim, dt, input_dim, input_names = 1, 1.0, 1, ("mu",)

    with pytest.raises(ValueError, match="family of maps"):
        from_task(Driven())
    with pytest.raises(ValueError, match="defines no map"):
        from_task(type("Nothing", (), {"state_dim": 1, "dt": 1.0})())
