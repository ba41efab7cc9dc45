"""Re-encoding h ← h + μ(lift(read h) − h) between plain latent carrying (μ = 0) and carry=observed (μ = 1)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import Replicas, TrainConfig, fit, make_model
from ddl_dyn.analysis import from_replicas
from ddl_dyn.engine.cpp import toolchain
from ddl_dyn.models import MODELS, model_config
from ddl_dyn.training.budget import count_flops

D, U, B, STEPS = 2, 1, 5, 4
TRAINED = sorted(name for name, cls in MODELS.items() if not cls.closed_form)
ADAPTIVE = {"solver": "dopri5", "rtol": 1e-9, "atol": 1e-10}


def scrambled(name, *, seeds=(0, 1), inputs=U, **options):
    """Replicas whose read-out no longer undoes their lift."""

    def build():
        model = make_model(name, state_dim=D, input_dim=inputs, **options).double()
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.2 * torch.randn_like(p))
        return model

    return Replicas(build, seeds)


def data(inputs=U):
    g = torch.Generator().manual_seed(0)
    x0, u, target = ((2, B, D), (2, B, STEPS, inputs), (2, B, STEPS, D))
    return tuple(torch.randn(shape, generator=g, dtype=torch.float64) for shape in (x0, u, target))


def values_and_gradients(replicas, x0, u, target):
    loss, gradient = replicas.loss_and_gradient("mse", x0, u, target)
    with torch.no_grad():
        return replicas.unroll(x0, u), loss, gradient


@pytest.mark.parametrize("name", TRAINED)
def test_a_whole_share_is_carry_observed_in_values_and_gradients(name):
    found, expected = (
        values_and_gradients(scrambled(name, **options), *data())
        for options in ({"carry": "latent", "reencode": 1.0}, {"carry": "observed"})
    )
    for a, b in zip(found, expected, strict=True):
        # h + (lift(read h) − h) rounds once more than lift(read h); the Chebyshev series stretch that by 1e3.
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)
    plain = scrambled(name, carry="latent").unroll(*data()[:2])
    # A share of nothing is another map than a whole one.
    assert (plain - expected[0]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("name", "options"),
    [("resnet", {}), ("ddl", {}), ("lstm", {"lift": "identity"}), ("neural_ode", ADAPTIVE)],
)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_free_run_equals_a_plain_loop(name, options, checkpointing):
    replicas = scrambled(name, carry="latent", reencode=0.3, **options)
    replicas.checkpointing = checkpointing
    x0, u, target = data()
    found = values_and_gradients(replicas, x0, u, target)[0]
    for r in range(2):
        model = replicas.model(r)
        h = model.lift(x0[r])
        for t in range(STEPS):
            h = model.step(h, t, u[r, :, t])
            x = model.read(h)
            # Replicas share an adaptive solve, whose tolerance is 1e-9.
            torch.testing.assert_close(found[r, :, t], x, rtol=1e-7, atol=1e-7)
            h = 0.7 * h + 0.3 * model.lift(x)


def test_the_analysed_map_is_the_one_that_runs():
    replicas = scrambled("resnet", inputs=0, carry="latent", reencode=0.3)
    phi = from_replicas(replicas)
    h = torch.randn(2, B, 8, dtype=torch.float64)
    plain = replicas.step(h, 0, h.new_zeros(2, B, 0))
    torch.testing.assert_close(phi.step(h), plain + 0.3 * (replicas.lift(replicas.read(plain)) - plain))
    # J = (I + μ(LR − I)) J_step with the matrices L of the lift and R of the read-out.
    model = replicas.model(0)
    correct = torch.eye(8) + 0.3 * (model.lift_map.weight @ model.read_map.weight - torch.eye(8))
    bare = from_replicas(scrambled("resnet", inputs=0, carry="latent")).jacobian(h)[0]
    torch.testing.assert_close(phi.jacobian(h)[0], correct @ bare, rtol=1e-10, atol=1e-10)


def test_a_learned_share_starts_where_it_is_set_and_is_trained():
    fixed = scrambled("resnet", carry="latent", reencode=0.3)
    learned = scrambled("resnet", carry="latent", reencode=0.3, decay=True)
    learned.load_state_dict(fixed.state_dict() | {"decay_logit": torch.full((2, 1), float(np.log(3 / 7)))})
    torch.testing.assert_close(learned.unroll(*data()[:2]), fixed.unroll(*data()[:2]), rtol=1e-6, atol=1e-6)

    class Series:
        states = np.random.default_rng(0).normal(size=(8, 9, D))
        inputs = np.zeros((8, 8, U))

    before = learned.state_dict()["decay_logit"]
    fit(learned, Series, Series, TrainConfig(updates=3, horizon=4, batch=4, compile="off", lr=0.01))
    gradient = torch.autograd.grad(learned.loss("mse", *data()).sum(), learned.parameters["decay_logit"])[0]
    assert gradient.abs().min() > 0
    assert before.shape == (2, 1)


@pytest.mark.skipif(toolchain.compiler() is None, reason="no C++ compiler")
def test_compiled_free_runs_re_encode_too():
    replicas = scrambled("resnet", carry="latent", reencode=0.3, decay=True)
    expected = values_and_gradients(replicas, *data())
    assert replicas.compile(), replicas.why_eager
    for a, b in zip(values_and_gradients(replicas, *data()), expected, strict=True):
        # The same sums in another order, float64.
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)
    adaptive = scrambled("neural_ode", inputs=0, carry="latent", reencode=0.3, **ADAPTIVE)
    assert not adaptive.compile()
    assert "without reencode" in adaptive.why_eager


def test_its_products_are_counted():
    plain, re_encoded, observed = (
        make_model("resnet", state_dim=D, **options)
        for options in ({"carry": "latent"}, {"carry": "latent", "reencode": 0.5}, {"carry": "observed"})
    )
    assert count_flops(plain) < count_flops(re_encoded) == count_flops(observed)


def test_what_would_change_nothing_is_refused():
    with pytest.raises(ValueError, match="set carry=latent or drop reencode"):
        model_config("resnet", reencode=0.1)
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        model_config("resnet", carry="latent", decay=True)
    with pytest.raises(ValueError, match="every latent state its own lift"):
        make_model("resnet", state_dim=D, lift="identity", carry="latent", reencode=0.1)
    # A memory, or appended zeros, are more than the state.
    make_model("lstm", state_dim=D, lift="identity", carry="latent", reencode=0.1)
    make_model("neural_ode", state_dim=D, lift="identity", carry="latent", augment=1, reencode=0.1)
    with pytest.raises(ValueError, match="reencode"):
        model_config("nvar", carry="latent", delays=1, reencode=0.5)
