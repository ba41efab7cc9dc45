"""Compiled adaptive solves against torchdiffeq's: states, losses, gradients, and the steps that were chosen."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torchdiffeq import odeint

from ddl_dyn import Replicas, make_model, rollout
from ddl_dyn.engine.cpp import toolchain
from ddl_dyn.engine.losses import mean_loss
from ddl_dyn.engine.rollout import Status
from ddl_dyn.models import neural_ode
from ddl_dyn.models.runge_kutta import PAIRS

pytestmark = pytest.mark.skipif(toolchain.compiler() is None, reason="no C++ compiler")

D, STEPS = 3, 7
ORDER = {"dopri5": 5, "bosh3": 3}


def made(seeds=(3,), dtype=torch.float64, scale=0.4, **options):
    """Replicas with fields that bend, from none of whose parameters the gradient vanishes."""
    options = {"solver": "dopri5", "carry": "latent", "lift": "identity", "hidden_dim": 8} | options
    replicas = Replicas(lambda: make_model("neural_ode", state_dim=D, **options), seeds).to(dtype=dtype)
    with torch.no_grad():
        for r, seed in enumerate(seeds):
            g = torch.Generator().manual_seed(seed)
            for p in replicas.parameters.values():
                p[r] += scale * torch.randn(p.shape[1:], generator=g, dtype=dtype)
    return replicas


def data(batch, R=1, kind="mse", dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    x0, target = (torch.randn(shape, generator=g, dtype=dtype) for shape in ((R, batch, D), (R, batch, STEPS, D)))
    if kind == "cross_entropy":
        target = nn.functional.one_hot(target.argmax(-1), D).to(dtype)
    return x0, x0.new_zeros(R, batch, STEPS, 0), target


class Field(nn.Module):
    """One model's field as torchdiffeq wants it, which keeps the times of all attempts."""

    def __init__(self, model):
        super().__init__()
        self.model, self.evaluations, self.attempts = model, 0, []

    def forward(self, t, y):
        self.evaluations += 1
        return self.model.field(y, y[..., :0], 0, t)

    def callback_step(self, t0, _, dt):
        self.attempts.append((float(t0), dt.detach()))


def solved(model, x0):
    """Observed states (B, T, D) of torchdiffeq's solve, and the field it went along."""
    config, h = model.config, model.lift(x0)
    times = torch.arange(STEPS + 1, dtype=h.dtype)
    given = {"method": config.solver, "rtol": config.rtol, "atol": config.atol}
    field = Field(model)
    with torch.no_grad():
        odeint(field, h, times, **given)
    # torchdiffeq differentiates the size of its first step, of all steps, too: here it is given as a number.
    states = odeint(Field(model), h, times, **given, options={"first_step": field.attempts[0][1]})[1:]
    return model.read(states.flatten(0, 1)).unflatten(0, states.shape[:2]).transpose(0, 1), field


def loss_and_slopes(replicas, kind, x0, inputs, target):
    x0 = x0.clone().requires_grad_()
    loss = replicas.loss(kind, x0, inputs, target)
    wanted = [x0, *replicas.parameters.values()]
    return loss.detach(), torch.autograd.grad(loss.sum(), wanted, materialize_grads=True)


LINEAR = {"lift": "linear", "latent_dim": 4}
slow = pytest.mark.slow  # a library each
CASES = [
    (5, {}, "mse", ()),
    (1, {}, "cross_entropy", ()),
    # Three tiles, the last one not full.
    (70, {}, "mse", ()),
    (70, {"solver": "bosh3"} | LINEAR, "cross_entropy", ()),
    (5, {"solver": "bosh3", "rtol": 1e-3, "atol": 1e-3}, "mse", slow),
    (5, LINEAR, "mse", slow),
    (5, {"rtol": 1e-2, "atol": 1e-2}, "mse", slow),
    (70, {"rtol": 1e-10, "atol": 1e-11}, "mse", slow),
    (5, {"augment": 1, "second_order": True, "time_dependent": True}, "mse", slow),
]


@pytest.mark.parametrize(
    ("batch", "options", "kind"), [pytest.param(*case[:3], marks=case[3], id=str(i)) for i, case in enumerate(CASES)]
)
def test_states_losses_gradients_and_evaluations_are_torchdiffeqs(batch, options, kind):
    replicas = made(**options)
    x0, inputs, target = data(batch, kind=kind)
    assert replicas.compile(), replicas.why_eager
    model, start = replicas.model(0), x0[0].clone().requires_grad_()
    states, field = solved(model, start)
    loss = mean_loss(kind, states[None], target)
    slopes = torch.autograd.grad(loss.sum(), [start, *model.parameters()], materialize_grads=True)
    with torch.no_grad():
        found = replicas.unroll(x0, inputs)
    assert replicas.model_on_call.nfe == field.evaluations
    # Rounding, in another order, along a run that stretches it by some hundreds.
    torch.testing.assert_close(found[0], states.detach(), rtol=1e-11, atol=1e-12)
    names = [name for name, _ in model.named_parameters()]
    assert list(replicas.parameters) == names
    for replicas.checkpointing in (False, True):
        value, gradients = loss_and_slopes(replicas, kind, x0, inputs, target)
        torch.testing.assert_close(value, loss.detach(), rtol=1e-11, atol=0)
        for a, b in zip(gradients, slopes, strict=True):
            assert b.abs().max() > 0
            torch.testing.assert_close(a.view(b.shape), b, rtol=1e-10, atol=1e-10 * float(b.abs().max()))
    assert replicas.model_on_call.nfe == 3 * field.evaluations


def test_a_compiled_solve_is_the_eager_one_of_a_single_replica():
    replicas = made()
    x0, inputs, target = data(5)
    with torch.no_grad():
        eager = replicas.unroll(x0, inputs)
    evaluations = replicas.model_on_call.nfe
    slopes = loss_and_slopes(replicas, "mse", x0, inputs, target)[1]
    assert replicas.compile()
    replicas.model_on_call.nfe = 0
    with torch.no_grad():
        torch.testing.assert_close(replicas.unroll(x0, inputs), eager, rtol=1e-11, atol=1e-12)
    assert replicas.model_on_call.nfe == evaluations
    for a, b in zip(loss_and_slopes(replicas, "mse", x0, inputs, target)[1], slopes, strict=True):
        # Eagerly the gradient also goes through the first step's size, on which a solve depends by its error alone.
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5 * float(b.abs().max()))


def test_a_replica_chooses_the_steps_it_chooses_alone_on_any_number_of_threads():
    many = made(seeds=(3, 1, 4))
    many.threads = 2
    x0, inputs, target = data(5, R=3)
    assert many.compile()
    loss, slopes = loss_and_slopes(many, "mse", x0, inputs, target)
    counts = []
    for r in range(3):
        alone = many.select([r])
        alone.threads = 1
        alone.model_on_call.nfe = 0
        one, gradients = loss_and_slopes(alone, "mse", *(t[r : r + 1] for t in (x0, inputs, target)))
        counts.append(alone.model_on_call.nfe)
        assert torch.equal(one[0], loss[r])
        for a, b in zip(gradients, slopes, strict=True):
            assert torch.equal(a[0], b[r])
    assert len(set(counts)) > 1
    many.model_on_call.nfe = 0
    many.loss("mse", x0, inputs, target)
    # Side by side, they take as long as the one that needs most.
    assert many.model_on_call.nfe == max(counts)


def test_a_field_of_zero_keeps_the_state_and_has_a_gradient():
    replicas = made(scale=0.0)
    x0, inputs, target = data(5)
    assert replicas.compile()
    with torch.no_grad():
        states = replicas.unroll(x0, inputs)
    assert torch.equal(states, x0[:, :, None].expand_as(states))
    assert replicas.model_on_call.nfe == solved(replicas.model(0), x0[0])[1].evaluations
    slopes = dict(zip(replicas.parameters, loss_and_slopes(replicas, "mse", x0, inputs, target)[1][1:], strict=True))
    # With h = h₀ + b t the loss's slope by b is that of Σ 2 (h₀ − x) t / n.
    off = (x0[0][:, None] - target[0]) * torch.arange(1.0, STEPS + 1, dtype=x0.dtype)[:, None]
    expected = 2 * off.sum((0, 1)) / target.numel()
    torch.testing.assert_close(slopes["layers.0.last.bias"][0], expected, rtol=1e-12, atol=0)


def test_a_solver_that_gives_up_spoils_its_replica_alone():
    replicas = made(seeds=(3, 1))
    x0, inputs, target = data(5, R=2)
    assert replicas.compile()
    good = loss_and_slopes(replicas, "mse", x0, inputs, target)
    with torch.no_grad():
        for p in replicas.parameters.values():
            # Beyond what any step size can follow.
            p[0].fill_(1e200)
    loss, slopes = loss_and_slopes(replicas, "mse", x0, inputs, target)
    assert torch.isnan(loss[0])
    assert torch.equal(loss[1], good[0][1])
    for a, b in zip(slopes, good[1], strict=True):
        assert torch.isnan(a[0]).all()
        assert torch.equal(a[1], b[1])
    replicas.model_on_call.failures = 0
    run = rollout(replicas, x0, STEPS)
    assert replicas.model_on_call.failures == STEPS
    assert (run.status[0] == Status.SOLVER_FAILED).all()
    assert (run.status[1] == Status.OK).all()


def test_a_run_ends_in_the_interval_that_takes_too_many_attempts(monkeypatch):
    replicas = made(seeds=(7,), scale=1.0)
    x0, inputs, _ = data(5)
    x0 = 1e-3 * x0
    states, field = solved(replicas.model(0), x0[0])
    attempts = torch.tensor([t for t, _ in field.attempts]).floor().long().bincount(minlength=STEPS)
    limit = int(attempts.max()) - 1
    reached = int((attempts > limit).nonzero()[0])
    assert 0 < reached < STEPS - 1
    monkeypatch.setattr(neural_ode, "MAX_ATTEMPTS", limit)
    assert replicas.compile()
    with torch.no_grad():
        found = replicas.unroll(x0, inputs)[0]
    torch.testing.assert_close(found[:, :reached], states[:, :reached].detach(), rtol=1e-10, atol=1e-12)
    assert torch.isnan(found[:, reached:]).all()
    assert replicas.model_on_call.failures == STEPS - reached


@slow
def test_single_precision_meets_the_tolerance():
    double, single = made(), made()
    single.load_state_dict(double.state_dict())
    single.to(dtype=torch.float32)
    assert double.compile()
    assert single.compile()
    expected = loss_and_slopes(double, "mse", *data(70))
    found = loss_and_slopes(single, "mse", *(t.float() for t in data(70)))
    # Solves to 1e-5, along steps that may be others.
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-4, atol=0)
    for a, b in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(a.double(), b, rtol=0, atol=1e-3 * float(b.abs().max()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adjoint": True}, "continuous adjoint"),
        ({"carry": "observed"}, "carry=latent"),
        ({"layers": 2}, "one tied layer"),
        ({"layers": STEPS, "sharing": "untied"}, "one tied layer"),
        ({"input_dim": 1}, "no inputs"),
    ],
)
def test_what_is_not_one_solve_says_why_and_runs_eagerly(options, message):
    replicas = made(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not replicas.compile()
    assert message in replicas.why_eager
    x0, inputs, _ = data(2)
    inputs = inputs.new_zeros(1, 2, STEPS, replicas.template.input_dim)
    with torch.no_grad():
        assert torch.isfinite(replicas.unroll(x0, inputs)).all()


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_fulfil_the_conditions_of_their_order(name):
    # Hairer, Nørsett & Wanner (1993), section II.2: of quadrature, and those of trees with one branch.
    pair = PAIRS[name]
    S = len(pair.nodes)
    c, e, m = (torch.tensor(x, dtype=torch.float64) for x in (pair.nodes, pair.error, pair.middle))
    a = torch.zeros(S, S, dtype=torch.float64)
    for i, row in enumerate(pair.rows):
        a[i, : len(row)] = torch.tensor(row, dtype=torch.float64)
    b = a[-1]
    close = lambda x, y: torch.testing.assert_close(x, torch.tensor(y, dtype=torch.float64), rtol=0, atol=1e-14)  # noqa: E731
    torch.testing.assert_close(a.sum(1), c, rtol=0, atol=1e-14)
    for q in range(1, ORDER[name] + 1):
        close(b @ c ** (q - 1), 1 / q)
        for p in range(2, q):
            close(b @ (c ** (q - p - 1) * (a @ c ** (p - 1))), 1 / (p * q))
    # The estimate compares with a solution of one order less, and not of two.
    for q in range(1, ORDER[name]):
        close(e @ c ** (q - 1), 0.0)
    assert (e @ c ** (ORDER[name] - 1)).abs() > 1e-4
    # At h/2, the interpolant's own order.
    for q in range(1, {"dopri5": 4, "bosh3": 1}[name] + 1):
        close(m @ c ** (q - 1), 0.5**q / q)
