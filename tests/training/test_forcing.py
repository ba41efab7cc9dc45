"""Teacher forcing: forced windows against plain loops, and what training with them does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import Replicas, TrainConfig, fit, make_model
from ddl_dyn.engine.cpp import toolchain
from ddl_dyn.engine.forcing import forced, forced_inputs
from ddl_dyn.training.schedule import forcing_at
from ddl_dyn.training.trainer import Trainer

D, U, B, STEPS = 2, 1, 5, 6
KINDS = ("generalised", "identity")
ADAPTIVE = {"solver": "dopri5", "rtol": 1e-9, "atol": 1e-10}
WAYS = [
    ("resnet", {"carry": "observed"}),
    ("resnet", {"carry": "latent"}),
    ("ddl", {"carry": "latent", "reencode": 0.2}),
    ("lstm", {"carry": "latent"}),
    ("alrnn", {"carry": "latent", "lift": "identity"}),
    ("neural_ode", {"carry": "latent", "lift": "identity", "augment": 1} | ADAPTIVE),
    ("neural_ode", {"carry": "observed"} | ADAPTIVE),
]


def scrambled(name, *, inputs=U, **options):
    """Two replicas whose read-out does not undo their lift."""

    def build():
        model = make_model(name, state_dim=D, input_dim=inputs, hidden_dim=4, **options).double()
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.2 * torch.randn_like(p))
        return model

    return Replicas(build, (0, 1))


def window(steps=STEPS, inputs=U):
    g = torch.Generator().manual_seed(0)
    shapes = ((2, B, D), (2, B, steps, inputs), (2, B, steps, D))
    return tuple(torch.randn(shape, generator=g, dtype=torch.float64) for shape in shapes)


def run(replicas, kind, share, interval=1, *, compiled=False):
    x0, u, target = window(inputs=replicas.template.input_dim)
    view = forced(replicas, kind)
    if compiled:
        assert view.compile(), view.why_eager
    inputs = forced_inputs(u, x0, target, torch.tensor(share, dtype=torch.float64), interval)
    with torch.no_grad():
        states = view.unroll(x0, inputs)
    return states, *view.loss_and_gradient("mse", x0, inputs, target)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "options"), WAYS, ids=[f"{n} {o['carry']}" for n, o in WAYS])
@pytest.mark.parametrize(("share", "interval"), [(0.3, 1), (1.0, 2)])
def test_a_forced_run_equals_a_plain_loop(kind, name, options, share, interval):
    replicas = scrambled(name, **options)
    found, _, gradient = run(replicas, kind, share, interval)
    x0, u, target = window()
    for r in range(2):
        model = replicas.model(r)
        latent = options["carry"] == "latent"
        s, predicted = (model.lift(x0[r]) if latent else x0[r]), []
        for t in range(STEPS):
            if t > 0 and t % interval == 0:
                x = target[r, :, t - 1]
                if not latent:
                    goal = x
                elif kind == "generalised":
                    goal = model.lift(x)
                elif name in ("alrnn", "lstm"):
                    # The memory goes on, and the state is shifted to where it reads out as x.
                    H = model.latent_dim
                    here = s[:, :H]
                    goal = torch.cat((here + model.lift_map(x) - model.lift_map(model.read_map(here)), s[:, H:]), -1)
                else:
                    goal = s + model.lift(x) - model.lift(model.read(s))
                s = (1 - share) * s + share * goal
            s, seen = model.transition(s, t, u[r, :, t])
            predicted.append(model.read(seen) if latent else seen)
        expected = torch.stack(predicted, dim=1)
        # Replicas share an adaptive solve, whose tolerance is 1e-9.
        torch.testing.assert_close(found[r], expected, rtol=1e-7, atol=1e-7)
        grads = torch.autograd.grad((expected - target[r]).square().mean(), list(model.parameters()), allow_unused=True)
        flat = torch.cat([torch.zeros_like(p).flatten() if g is None else g.flatten() for g, p in zip(
            grads, model.parameters(), strict=True)])  # fmt: skip
        torch.testing.assert_close(gradient[r], flat, rtol=1e-5, atol=1e-7)


def test_the_ends_are_a_free_run_and_one_step_predictions():
    replicas = scrambled("resnet")
    x0, u, target = window()
    free = replicas.unroll(x0, u).detach()
    assert torch.equal(run(replicas, "generalised", 0.0)[0], free)
    whole = run(replicas, "generalised", 1.0)[0]
    observed = torch.cat((x0[:, :, None], target[:, :, :-1]), dim=2)
    for t in range(STEPS):
        step = replicas.advance(observed[:, :, t], t, u[:, :, t])
        # s + 1·(x − s) rounds once.
        torch.testing.assert_close(whole[:, :, t], step.detach(), rtol=1e-12, atol=1e-12)


def test_identity_forcing_replaces_the_observed_units_and_keeps_the_hidden_ones():
    model = scrambled("alrnn", lift="identity", carry="latent").model(0)
    h, x = torch.randn(B, D + 4, dtype=torch.float64), torch.randn(B, D, dtype=torch.float64)
    after = model.assimilate(h, x)
    torch.testing.assert_close(after[:, :D], x, rtol=1e-14, atol=1e-14)
    assert torch.equal(after[:, D:], h[:, D:])


@pytest.mark.skipif(toolchain.compiler() is None, reason="no C++ compiler")
@pytest.mark.parametrize("kind", KINDS)
def test_forced_runs_are_compiled(kind):
    options = {"carry": "latent", "latent_dim": 3}
    expected = run(scrambled("resnet", **options), kind, 0.3)
    found = run(scrambled("resnet", **options), kind, 0.3, compiled=True)
    for a, b in zip(found, expected, strict=True):
        # The same sums in another order, float64.
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_forcing_bounds_the_gradient_of_an_expanding_map(share):
    """Of x⁺ = a x the forced state depends on the last one through (1 − α) a: below 1 the gradient dies out.

    Source: Hess et al. (2023), the condition for bounded gradients of generalised teacher forcing.
    """
    a, T = 1.3, 40
    options = {"lift": "identity", "shortcut": "affine", "layers": 1, "hidden_dim": 1}
    replicas = Replicas(lambda: make_model("resnet", state_dim=1, **options), (0,)).to(dtype=torch.float64)
    with torch.no_grad():
        for name, p in replicas.parameters.items():
            p.fill_(a if "shortcut" in name else 0.0)
    x0 = torch.ones(1, 1, 1, dtype=torch.float64, requires_grad=True)
    target = torch.zeros(1, 1, T, 1, dtype=torch.float64)
    inputs = forced_inputs(torch.zeros(1, 1, T, 0), x0.detach(), target, torch.tensor(share, dtype=torch.float64), 1)
    last = forced(replicas, "generalised").unroll(x0, inputs)[..., -1, :]
    found = torch.autograd.grad(last.sum(), x0)[0].item()
    # The first step is not forced.
    assert found == pytest.approx(a * ((1 - share) * a) ** (T - 1), rel=1e-12)
    assert (found < 1) == (share > 0)


class Series:
    """A rotation of the plane."""

    def __init__(self, seed=0, n=16, steps=20):
        angle = 0.3 * np.arange(steps + 1)
        start = np.random.default_rng(seed).normal(size=(n, 1, 2))
        c, s = np.cos(angle), np.sin(angle)
        self.states = np.stack([c * start[..., 0] - s * start[..., 1], s * start[..., 0] + c * start[..., 1]], axis=-1)
        self.inputs = np.zeros((n, steps, 0))


def config(**options):
    base = {"updates": 12, "batch": 8, "horizon": 6, "validate_every": 6, "compile": "off", "curriculum": False}
    return TrainConfig(**base | options)


def trained(state=None, on_update=None, **options):
    replicas = Replicas(lambda: make_model("resnet", state_dim=2, hidden_dim=8, carry="latent"), (0, 1))
    result = fit(replicas, Series(), Series(1), config(**options), state=state, on_update=on_update)
    return replicas.state_dict(), result


def test_each_setting_trains_another_network_and_validates_it_running_free():
    settings = [
        {},
        {"forcing": 0.3},
        {"forcing": 0.6},
        {"forcing": 0.3, "forcing_kind": "identity"},
        {"forcing": 0.3, "forcing_interval": 3},
        {"forcing": 0.3, "forcing_schedule": "annealed"},
    ]
    found = [trained(**options) for options in settings]
    weights = [state["layers.0.branch.last.weight"] for state, _ in found]
    for i, a in enumerate(weights):
        assert all((a - b).abs().max() > 1e-6 for b in weights[:i])
    # Before the first update all are one network, so a free run of it has one error.
    assert len({tuple(result.history[0].val) for _, result in found}) == 1


def test_a_forced_training_resumes_bit_for_bit(tmp_path):
    options = {"forcing": 0.4, "forcing_schedule": "annealed"}
    whole, _ = trained(**options)

    def keep(trainer):
        if trainer.update == 7:
            torch.save(trainer.state_dict(), tmp_path / "state.pt")

    trained(on_update=keep, **options)
    resumed, _ = trained(state=torch.load(tmp_path / "state.pt", weights_only=True), **options)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_the_share_is_constant_or_falls_to_nothing():
    constant, annealed = (config(forcing=0.4, forcing_schedule=kind) for kind in ("constant", "annealed"))
    assert [forcing_at(constant, update) for update in (0, 5, 11)] == [0.4, 0.4, 0.4]
    assert [forcing_at(annealed, update) for update in (0, 11)] == [0.4, 0.0]
    assert forcing_at(annealed, 5.5) == pytest.approx(0.2)


@pytest.mark.skipif(toolchain.compiler() is None, reason="no C++ compiler")
def test_compiled_and_eager_training_agree():
    states = [trained(forcing=0.3, compile=compile)[0] for compile in ("on", "off")]
    for name, value in states[0].items():
        # Twelve updates of float32 rounding, which AdamW's division by √v can stretch where v is small.
        torch.testing.assert_close(value, states[1][name], rtol=1e-3, atol=1e-4)


def test_without_forcing_nothing_is_wrapped_and_its_options_are_refused():
    replicas = Replicas(lambda: make_model("resnet", state_dim=2), (0,))
    trainer = Trainer(replicas, Series(), Series(1), config())
    assert trainer.runs is replicas
    for options in ({"forcing_kind": "identity"}, {"forcing_interval": 2}, {"forcing_schedule": "annealed"}):
        with pytest.raises(ValueError, match=r"no effect while train\.forcing = 0"):
            config(**options)
    with pytest.raises(ValueError, match="forcing"):
        config(forcing=1.5)
