"""The published versions of Deep Delta Learning, each against a numpy transcription of its equations.

Axes: D observed state, d rows, V value channels, H = d·V. Transcribed from arXiv 2601.00417v1 (first_version) and from
the authors' code of 27 July 2026, commit 2b55f25 (july_2026), with this suite's residual branch as their F.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ddl_dyn import make_model
from ddl_dyn.models import model_config
from ddl_dyn.models.ddl_options import PRESETS

D, W = 3, 6
LIFTED = {"latent_dim": 5}
IDENTITY = {"lift": "identity"}


def scrambled(**options):
    torch.manual_seed(0)
    model = make_model("ddl", state_dim=D, hidden_dim=W, **options).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return model


def logistic(a):
    return 1.0 / (1.0 + np.exp(-a))


def affine(p, name, z):
    return p[f"{name}.weight"] @ z + p[f"{name}.bias"]


def network(p, name, z):
    """F: one tanh hidden layer."""
    return affine(p, f"{name}.last", np.tanh(affine(p, f"{name}.hidden.0", z)))


def unit(k, eps):
    return k / np.sqrt((k**2).sum() + eps**2)


def rewrite(X, k, beta, v):
    """X⁺ = (I − β k kᵀ) X + β k vᵀ."""
    return (np.eye(len(k)) - beta * np.outer(k, k)) @ X + beta * np.outer(k, v)


def first_version_layer(p, X):
    """k from an MLP of the flattened state, β = 2σ(w·X + b), v the residual branch F(X)."""
    x = X.reshape(-1)
    k = unit(network(p, "direction", x), 1e-6)
    beta = 2.0 * logistic(affine(p, "gate", x))[0]
    return rewrite(X, k, beta, network(p, "value", x))


def july_layer(p, X, *, code=True):
    """c = RMSNorm(x_in), x_in compressed; k̃ = F(c); β = 2σ(W c + b); v = 4σ(W x_in + b), in the paper W c + b."""
    x_in = (p["compress"] * X).sum(axis=1)
    c = x_in / np.sqrt((x_in**2).mean() + 1e-5) * p["norm.gain"]
    k = unit(network(p, "direction", c), 1e-5)
    beta = 2.0 * logistic(affine(p, "gate", c))[0]
    v = 4.0 * logistic(affine(p, "value", x_in)) if code else affine(p, "value", c)
    return rewrite(X, k, beta, v)


def paper(p, X):
    return july_layer(p, X, code=False)


CASES = [
    ({"preset": "first_version"} | LIFTED, first_version_layer),
    ({"preset": "first_version"} | IDENTITY, first_version_layer),
    ({"preset": "july_2026"} | LIFTED, july_layer),
    ({"preset": "july_2026", "value_dim": 2} | LIFTED, july_layer),
    ({"preset": "july_2026"} | IDENTITY, july_layer),
    ({"preset": "july_2026", "value_bound": None, "value_before_norm": False} | LIFTED, paper),
]


def transcribed(model, options, layer, x):
    """The observed state after one step from x (D,): embedding, layers, read-out."""
    p = {name: t.detach().numpy() for name, t in model.named_parameters()}
    V = model.value_dim
    repeated = "july" in options["preset"] and V > 1
    if options.get("lift") == "identity":
        X = x.reshape(-1, 1)
    elif repeated:
        X = np.outer(affine(p, "lift_map", x), np.ones(V))
    else:
        X = affine(p, "lift_map", x).reshape(-1, V)
    for l in range(2):
        inside = f"layers.{l}."
        X = layer({name.removeprefix(inside): t for name, t in p.items() if name.startswith(inside)}, X)
    if options.get("lift") == "identity":
        return X[:, 0]
    return affine(p, "read_map", (p["readout"] * X).sum(axis=1) if repeated else X.reshape(-1))


@pytest.mark.parametrize(("options", "layer"), CASES, ids=[" ".join(map(str, o.values())) for o, _ in CASES])
def test_a_preset_is_its_version_in_values_and_derivatives(options, layer):
    model = scrambled(**options)
    x = np.random.default_rng(0).normal(size=(4, D))
    u = torch.zeros(4, 0, dtype=torch.float64)
    found = model.read(model.step(model.lift(torch.as_tensor(x)), 0, u)).detach().numpy()
    # Some tens of float64 roundings.
    np.testing.assert_allclose(found, [transcribed(model, options, layer, row) for row in x], rtol=1e-12, atol=1e-12)

    def step(z):
        return model.read(model.step(model.lift(z[None]), 0, z.new_zeros(1, 0)))[0]

    jacobian = torch.vmap(torch.func.jacrev(step))(torch.as_tensor(x)).detach().numpy()
    for i, j in itertools.product(range(4), range(D)):
        moved = x[i].astype(complex)
        moved[j] += 1e-30j
        # A complex step of 1e-30 is exact to rounding.
        expected = transcribed(model, options, layer, moved).imag / 1e-30
        np.testing.assert_allclose(jacobian[i, :, j], expected, rtol=1e-10, atol=1e-11)


def test_july_starts_as_its_authors_start_it():
    torch.manual_seed(0)
    model = make_model("ddl", state_dim=2, latent_dim=64, preset="july_2026", layers=1)
    assert model.value_dim == 4
    layer = model.layers[0]
    # β₀ = 1: the bias of the gate is logit(1/2) = 0.
    assert layer.gate.bias.abs().max() == 0
    for weight in (layer.gate.weight, layer.value.weight):
        # Standard deviation of 64 and of 256 normal numbers: within 30 and 15 % (three standard errors).
        assert weight.std().item() == pytest.approx(0.5 / 8.0, rel=3.5 / weight.numel() ** 0.5)
    x = torch.randn(5, 2)
    channels = model.lift(x).unflatten(-1, (64, 4))
    assert torch.equal(channels, channels[..., :1].expand(5, 64, 4))
    # Averaging undoes the repetition, and the read-out the lift.
    torch.testing.assert_close(model.read(model.lift(x)), x, rtol=1e-5, atol=1e-6)


def test_a_preset_gives_defaults_and_no_more():
    config = model_config("ddl", preset="july_2026", beta0=0.3)
    assert (config.beta0, config.norm_eps, config.generator) == (0.3, 1e-5, "branch")
    assert model_config("ddl", **config.model_dump()) == config
    assert model_config("ddl").model_dump() == model_config("ddl", preset="ours").model_dump()
    assert set(PRESETS) == {"ours", "first_version", "july_2026"}
    assert all(set(preset) <= set(type(config).model_fields) for preset in PRESETS.values())
    with pytest.raises(ValueError, match="preset"):
        model_config("ddl", preset="third_version")


def test_the_default_is_neither_published_version():
    ours, *published = (
        model_config("ddl", preset=name).model_dump(exclude={"preset"})
        for name in ("ours", "first_version", "july_2026")
    )
    assert ours not in published
