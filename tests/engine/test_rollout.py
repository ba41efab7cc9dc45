"""Free runs: what is carried, what a failed run looks like, what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torchdiffeq import odeint

from ddl_dyn import Replicas, make_model, rollout
from ddl_dyn.engine.rollout import Status
from ddl_dyn.models.runge_kutta import FIXED


def build(**options):
    return lambda: make_model("resnet", state_dim=2, **options)


def test_carry_decides_what_is_iterated():
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    model = make_model("resnet", state_dim=2, carry="observed")
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    u = torch.zeros(3, 0)
    observed, latent, h = [x], [x], model.lift(x)
    for t in range(4):
        observed.append(model.read(model.step(model.lift(observed[-1]), t, u)))
        h = model.step(h, t, u)
        latent.append(model.read(h))
    torch.testing.assert_close(rollout(model, x, 4).states, torch.stack(observed, 1))
    model.config = model.config.model_copy(update={"carry": "latent"})
    torch.testing.assert_close(rollout(model, x, 4).states, torch.stack(latent, 1))
    assert not torch.allclose(torch.stack(observed, 1)[:, -1], torch.stack(latent, 1)[:, -1])


def test_a_run_that_leaves_the_finite_range_has_a_status_and_nan_from_there():
    model = make_model("resnet", state_dim=2, lift="identity")
    with torch.no_grad():
        model.layers[0].branch.last.bias.fill_(1e5)
    run = rollout(model, torch.zeros(2, 2), 20)
    assert run.status.tolist() == [Status.DIVERGED] * 2
    # Both layers add: 1e5 a step, past the bound of 1e6 at step 11.
    assert run.first_bad_step.tolist() == [11, 11]
    assert torch.isfinite(run.states[:, :11]).all()
    assert torch.isnan(run.states[:, 11:]).all()


def test_initial_states_that_are_not_finite_are_bad_from_the_start():
    run = rollout(make_model("resnet", state_dim=2), torch.tensor([[0.0, float("nan")], [0.0, 1.0]]), 3)
    assert run.first_bad_step.tolist() == [0, 4]
    assert run.status.tolist() == [Status.DIVERGED, Status.OK]


def test_a_solver_that_gives_up_is_a_status_and_spares_the_other_replicas():
    replicas = Replicas(lambda: make_model("neural_ode", state_dim=1, lift="identity", solver="dopri5"), [0, 1])
    with torch.no_grad():
        for p in replicas.parameters.values():
            # The field of replica 0 alone turns stiff beyond what the step size can follow.
            p[0].fill_(1e18)
    run = rollout(replicas, torch.ones(4, 1), 3)
    assert (run.status[0] == Status.SOLVER_FAILED).all()
    assert (run.status[1] == Status.OK).all()
    assert torch.isfinite(run.states[1]).all()


def test_adaptive_replicas_meet_their_own_tolerance_together():
    def one():
        model = make_model("neural_ode", state_dim=2, solver="dopri5", rtol=1e-8, atol=1e-9)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.5 * torch.randn_like(p))
        return model

    replicas = Replicas(one, [0, 1, 2]).to(dtype=torch.float64)
    x = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    together = rollout(replicas, x, 5)
    assert replicas.model_on_call.nfe > 0
    for r in range(3):
        # Both runs are within their tolerance of the flow, not of each other's step sizes.
        torch.testing.assert_close(together.states[r], rollout(replicas.model(r), x, 5).states, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("time_dependent", [False, True])
def test_an_adaptive_free_run_is_one_solve_that_agrees_with_step_by_step(adjoint, time_dependent, monkeypatch):
    def one():
        options = {"solver": "dopri5", "rtol": 1e-8, "atol": 1e-9, "carry": "latent"}
        model = make_model("neural_ode", state_dim=2, adjoint=adjoint, time_dependent=time_dependent, **options)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.1 * torch.randn_like(p))
        return model

    replicas = Replicas(one, [0, 1]).to(dtype=torch.float64)
    x = torch.randn(2, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    inputs, params = x.new_zeros(2, 5, 12, 0), list(replicas.parameters.values())

    def run():
        replicas.model_on_call.nfe = 0
        states = replicas.unroll(x, inputs)
        evaluations = replicas.model_on_call.nfe
        return states, torch.autograd.grad(states.square().sum(), params, allow_unused=True), evaluations

    whole, slopes, few = run()
    monkeypatch.setattr(type(replicas.model_on_call), "follow", lambda *_: None)
    stepped, others, many = run()
    # Each is within its tolerance of the flow; intermediate states are interpolated at the solver's own order less one.
    torch.testing.assert_close(whole, stepped, rtol=1e-5, atol=1e-6)
    for a, b in zip(slopes, others, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert few < many / 1.5


def test_adjoint_and_direct_gradients_agree():
    grads = []
    for adjoint in (False, True):
        torch.manual_seed(0)
        model = make_model("neural_ode", state_dim=2, solver="dopri5", rtol=1e-9, atol=1e-10, adjoint=adjoint).double()
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(2), dtype=p.dtype))
        h = model.lift(torch.ones(3, 2, dtype=torch.float64))
        loss = model.read(model.step(h, 0, h.new_zeros(3, 0))).square().sum()
        grads.append(torch.autograd.grad(loss, list(model.parameters())))
    for a, b in zip(*grads, strict=True):
        # Two solves at 1e-9.
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("x0", "steps", "message"),
    [
        (torch.zeros(3), 2, "x0 must have shape"),
        (torch.zeros(3, 5), 2, "x0 must have shape"),
        (torch.zeros(3, 2), -1, "steps must not be negative"),
    ],
)
def test_wrong_calls_are_refused(x0, steps, message):
    for model in (build()(), Replicas(build(), [0, 1])):
        with pytest.raises(ValueError, match=message):
            rollout(model, x0, steps)


def test_inputs_are_asked_for_and_checked():
    model = make_model("resnet", state_dim=2, input_dim=1)
    with pytest.raises(ValueError, match="takes 1 inputs"):
        rollout(model, torch.zeros(3, 2), 2)
    with pytest.raises(ValueError, match="inputs must have shape"):
        rollout(model, torch.zeros(3, 2), 2, torch.zeros(3, 3, 1))


def test_untied_stack_runs_no_further_than_its_depth():
    model = make_model("resnet", state_dim=2, sharing="untied", layers=3)
    assert rollout(model, torch.zeros(1, 2), 3).states.shape == (1, 4, 2)
    with pytest.raises(ValueError, match="at most 3 steps"):
        rollout(model, torch.zeros(1, 2), 4)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_fixed_steps_agree_with_torchdiffeq_and_converge_in_their_order(solver, order):
    torch.manual_seed(0)
    field = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    field.double().requires_grad_(False)
    y0 = torch.randn(5, 3, dtype=torch.float64)

    def run(substeps):
        y = y0
        for i in range(substeps):
            y = FIXED[solver](
                lambda t, y: field(y) * torch.cos(torch.as_tensor(t, dtype=torch.float64)),
                i / substeps,
                y,
                1 / substeps,
            )
        return y

    def rhs(t, y):
        return field(y) * torch.cos(t)

    times = torch.linspace(0.0, 1.0, 5, dtype=torch.float64)
    # The same rule on the same grid: rounding alone.
    torch.testing.assert_close(run(4), odeint(rhs, y0, times, method=solver)[-1], rtol=1e-13, atol=1e-14)
    exact = odeint(rhs, y0, times[[0, -1]], method="dopri8", rtol=1e-12, atol=1e-12)[-1]
    coarse, fine = (float((run(n) - exact).norm()) for n in (8, 16))
    # Halving the step divides the error by 2^order; half an order of room for the next term.
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.5)


@pytest.mark.parametrize("name", ["ddl", "resnet", "lstm", "neural_ode"])
def test_an_eager_replica_is_to_within_rounding_what_it_is_alone(name):
    many = Replicas(lambda: make_model(name, state_dim=3), range(5))
    x, u = torch.randn(5, 64, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(5, 64, 0)
    with torch.no_grad():
        beside = many.read(many.step(many.lift(x), 0, u))
        for r in range(5):
            one = many.select([r])
            alone = one.read(one.step(one.lift(x[r : r + 1]), 0, u[:1]))
            # Half a unit in the last place of float32 is 6e-8; two of them for another order of sums.
            assert (beside[r] - alone[0]).abs().max() <= 1.2e-7 * alone.abs().max()
