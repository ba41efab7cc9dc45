"""Promises of every registered model, under every lift, carry and sharing."""

from __future__ import annotations

import itertools

import pytest
import torch

from ddl_dyn import Replicas, make_model, rollout
from ddl_dyn.models import MODELS, model_config

B, D, STEPS = 6, 2, 4
WAYS = [
    dict(zip(("lift", "carry", "sharing"), way, strict=True))
    for way in itertools.product(("linear", "identity"), ("observed", "latent"), ("tied", "untied"))
]
ids = [" ".join(way.values()) for way in WAYS]
TRAINED = sorted(name for name, cls in MODELS.items() if not cls.closed_form)
every_model = pytest.mark.parametrize("name", TRAINED)
every_way = pytest.mark.parametrize("way", WAYS, ids=ids)


def options(way):
    kwargs = dict(way)
    if way["sharing"] == "untied":
        kwargs["layers"] = STEPS
    return kwargs


def scramble(model, seed=0, scale=0.3):
    """Move every parameter off its deliberate start, so that no gradient vanishes by construction."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(scale * torch.randn(p.shape, generator=g, dtype=p.dtype))
    return model


def states(dim=D, batch=B, dtype=torch.float32):
    return torch.randn(batch, dim, generator=torch.Generator().manual_seed(1), dtype=dtype)


@every_model
@every_way
@pytest.mark.parametrize("dims", [(1, 0), (2, 0), (3, 2)])
def test_shapes_and_batch_independence(name, way, dims):
    dim, inputs = dims
    torch.manual_seed(0)
    model = scramble(make_model(name, state_dim=dim, input_dim=inputs, **options(way))).double()
    x, u = states(dim, dtype=torch.float64), torch.randn(B, STEPS, inputs, dtype=torch.float64)
    h = model.lift(x)
    assert model.read(model.step(h, 0, u[:, 0])).shape == (B, dim)
    run = rollout(model, x, STEPS, u)
    assert run.states.shape == (B, STEPS + 1, dim)
    torch.testing.assert_close(run.states[:, 0], x)
    # A row's future may not depend on its neighbours; 1e-9: products of other shapes round differently, and the
    # scrambled Chebyshev series stretch that by 1e3 in four steps.
    alone = rollout(model, x[2:3], STEPS, u[2:3])
    torch.testing.assert_close(alone.states[0], run.states[2], rtol=1e-9, atol=1e-9, equal_nan=True)


@every_model
@every_way
def test_a_replica_runs_as_it_does_alone(name, way):
    replicas = Replicas(lambda: scramble(make_model(name, state_dim=D, **options(way))), [3, 1, 4])
    replicas.to(dtype=torch.float64)
    x = states(dtype=torch.float64)
    together = rollout(replicas, x, STEPS)
    for r in range(3):
        alone = rollout(replicas.model(r), x, STEPS)
        # Same arithmetic in another order: a few float64 roundings.
        torch.testing.assert_close(together.states[r], alone.states, rtol=1e-11, atol=1e-12, equal_nan=True)
    assert not torch.allclose(together.states[0], together.states[1])


@every_model
@every_way
def test_gradients_agree_with_differences_and_none_is_zero(name, way):
    torch.manual_seed(0)
    model = scramble(make_model(name, state_dim=D, input_dim=1, hidden_dim=3, **options(way))).double()
    x, u = states(batch=2, dtype=torch.float64), torch.randn(2, STEPS, 1, dtype=torch.float64)
    params = list(model.parameters())
    loss = model.unroll(x, u).square().sum()
    grads = torch.autograd.grad(loss, params)
    for (label, p), g in zip(model.named_parameters(), grads, strict=True):
        assert g.abs().max() > 0, f"{label} has no gradient"
        index = tuple(int(i) for i in torch.unravel_index(g.abs().argmax(), g.shape))
        eps = 1e-6
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                p[index] += sign * eps
                values.append(model.unroll(x, u).square().sum().item())
                p[index] -= sign * eps
        # Central differences in float64: error of order eps² and rounding of order 1e-16/eps.
        assert (values[0] - values[1]) / (2 * eps) == pytest.approx(g[index].item(), rel=1e-5, abs=1e-7), label


@pytest.mark.parametrize("name", [name for name in TRAINED if MODELS[name].identity_start])
@every_way
def test_starts_nearly_as_the_identity(name, way):
    torch.manual_seed(0)
    model = make_model(name, state_dim=D, **options(way))
    x = states(batch=64)
    moved = rollout(model, x, 1).states[:, 1] - x
    assert moved.norm() < 0.35 * x.norm()


@every_model
def test_saves_and_loads(name, tmp_path):
    replicas = Replicas(lambda: scramble(make_model(name, state_dim=D)), [0, 1])
    torch.save(replicas.state_dict(), tmp_path / "state.pt")
    other = Replicas(lambda: make_model(name, state_dim=D), [5, 6])
    x = states()
    assert not torch.equal(rollout(other, x, 3).states, rollout(replicas, x, 3).states)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(rollout(other, x, 3).states, rollout(replicas, x, 3).states)


@every_model
def test_float32_follows_float64(name):
    torch.manual_seed(0)
    model = scramble(make_model(name, state_dim=D), scale=0.1)
    x = states()
    single = rollout(model, x, 5).states
    double = rollout(model.double(), x.double(), 5).states
    # Five steps of float32 arithmetic; 1e-4 leaves two digits for the growth of rounding.
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-4)


@every_model
@pytest.mark.parametrize("steps", [0, 500])
def test_long_free_run_has_a_status(name, steps):
    replicas = Replicas(lambda: scramble(make_model(name, state_dim=D), scale=1.5), [0, 1, 2])
    run = rollout(replicas, 3 * states(), steps)
    assert run.states.shape == (3, B, steps + 1, D)
    finite = torch.isfinite(run.states).all(-1)
    assert torch.equal(finite.sum(-1), run.first_bad_step)
    assert torch.equal(run.status != 0, ~finite.all(-1))


@every_model
def test_same_seed_same_model_and_the_global_generator_is_left_alone(name):
    before = torch.get_rng_state()
    one, two = (Replicas(lambda: make_model(name, state_dim=D), [7, 8]).state_dict() for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert any(not torch.equal(v[0], v[1]) for v in one.values())


@every_model
def test_unknown_option_is_named_with_the_nearest(name):
    with pytest.raises(ValueError, match="did you mean 'hidden_dim'"):
        model_config(name, hiden_dim=3)
    with pytest.raises(ValueError, match="layers"):
        model_config(name, layers=0)


def test_unknown_model_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'resnet'"):
        make_model("resnt", state_dim=2)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_documents_itself(name):
    cls = MODELS[name]
    assert cls.equation
    assert "arXiv" in cls.source or "doi" in cls.source.lower(), cls.source
    assert cls.__doc__


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", TRAINED)
def test_gpu_follows_cpu(name):
    x = states(dtype=torch.float64)
    runs = []
    for device in ("cpu", "cuda"):
        replicas = Replicas(lambda: scramble(make_model(name, state_dim=D), scale=0.1), [0, 1])
        replicas.to(device, torch.float64)
        runs.append(rollout(replicas, x, 5).states.cpu())
    # float64 products summed in another order.
    torch.testing.assert_close(runs[0], runs[1], rtol=1e-9, atol=1e-9)


@every_model
@every_way
def test_trace_shows_the_layers_or_nothing(name, way):
    replicas = Replicas(lambda: make_model(name, state_dim=D, **options(way)), [0, 1])
    x = states().expand(2, B, D)
    trace = replicas.trace(replicas.lift(x), 0, x.new_zeros(2, B, 0))
    layers = 1 if way["sharing"] == "untied" else replicas.template.config.layers
    assert all(values.shape[:3] == (2, layers, B) for values in trace.values())
    assert ("beta" in trace) == (name == "ddl")
