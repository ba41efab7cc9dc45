"""Recurrent networks made for dynamical systems, and hyper-connections, each against its equation written in numpy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ddl_dyn import make_model, rollout
from ddl_dyn.models import model_config
from tests.helpers.equation_checks import (
    affine,
    check_gradients,
    check_step,
    logistic,
    rectified,
    rms_norm,
    scrambled,
)

D, U = 3, 2


def shallow(p, h, u, options):
    """h⁺ = a ∘ h + W₁ φ(W₂ (h, u) + b₂) + b₁, clipped: minus W₁ φ(W₂ h)."""
    units = rectified(affine(p, "hidden", np.concatenate([h, u])))
    if options.get("clipped"):
        units = units - rectified(p["hidden.weight"][:, : len(h)] @ h)
    return p["diagonal"] * h + affine(p, "last", units)


def almost_linear(p, z, u, options):
    """z⁺ = a ∘ z + W Φ(z) + C u + b, the last P units rectified."""
    P = options["relu_units"]
    phi = np.concatenate([z[:-P], rectified(z[-P:])])
    return p["diagonal"] * z + affine(p, "units", phi) + p["drive.weight"] @ u


def oscillators(p, h, u, options):
    """z⁺ = z + Δt(tanh(W (x, y, z, u) + b) − γ y − ε z), y⁺ = y + Δt z⁺, x⁺ = x + O y⁺."""
    dt, gamma, epsilon = (options[name] for name in ("step_size", "gamma", "epsilon"))
    x, y, z = h[:D], h[D : D + 4], h[D + 4 :]
    after = z + dt * (np.tanh(affine(p, "force", np.concatenate([h, u]))) - gamma * y - epsilon * z)
    y = y + dt * after
    return np.concatenate([x + affine(p, "output", y), y, after])


def long_memory(p, h, u, options):
    """Two memories with learned time steps δ and ε, z first."""
    S = 4
    x, y, z = h[:D], h[D : D + S], h[D + S :]
    W, b = p["early.weight"], p["early.bias"]
    context = np.concatenate([x, y, u])
    delta, eps, target = (W[i * S : (i + 1) * S] @ context + b[i * S : (i + 1) * S] for i in range(3))
    delta, eps = options["step_size"] * logistic(delta), options["step_size"] * logistic(eps)
    z = (1 - delta) * z + delta * np.tanh(target)
    y = (1 - eps) * y + eps * np.tanh(affine(p, "late", np.concatenate([x, z, u])))
    return np.concatenate([x + affine(p, "output", y), y, z])


def hyper(p, h, u, options):
    """H⁺ = A_rᵀ H + bᵀ F(a_mᵀ H), with matrices written out."""
    n = options["copies"]
    H = h.reshape(n, -1)
    read, mix, write = p["read"], p["mix"], p["write"]
    if options["dynamic"]:
        normed = np.stack([rms_norm(row, p["norm.gain"]) for row in H])
        found = np.tanh(normed @ p["connect.weight"].T)
        read = read + p["scale"][0] * found[:, 0]
        mix = mix + p["scale"][0] * found[:, 1:-1]
        write = write + p["scale"][1] * found[:, -1]
    z = np.concatenate([H.T @ read, u])
    F = affine(p, "branch.last", np.tanh(affine(p, "branch.hidden.0", z)))
    return (mix.T @ H + np.outer(write, F)).reshape(-1)


SMALL = {"lift": "identity", "hidden_dim": 4}
CASES = [
    ("shplrnn", shallow, {"layers": 2}),
    ("shplrnn", shallow, {"clipped": True}),
    ("alrnn", almost_linear, {"relu_units": 1}),
    ("alrnn", almost_linear, {"relu_units": 3, "layers": 2}),
    ("cornn", oscillators, {"step_size": 0.3, "gamma": 1.7, "epsilon": 0.6}),
    ("lem", long_memory, {"step_size": 0.7, "layers": 2}),
    ("hyper_connections", hyper, {"copies": 2, "dynamic": True, "layers": 3}),
    ("hyper_connections", hyper, {"copies": 3, "dynamic": False}),
]


@pytest.mark.parametrize(
    ("name", "reference", "options"), CASES, ids=[f"{n} {' '.join(map(str, o.values()))}" for n, _, o in CASES]
)
def test_step_equals_the_equation_in_values_and_derivatives(name, reference, options):
    model = scrambled(name, **SMALL, **options)
    check_step(model, reference, options)
    check_gradients(model, reference, options)


@pytest.mark.parametrize("name", ["alrnn", "cornn", "lem"])
def test_the_memory_is_carried_in_the_latent_state_only(name):
    model = scrambled(name, input_dim=0, carry="latent", **SMALL)
    x, u = torch.randn(4, D, dtype=torch.float64), torch.zeros(4, 0, dtype=torch.float64)
    after = model.step(model.lift(x), 0, u)
    # The same observed state, with and without its past.
    remembered, forgotten = model.step(after, 1, u), model.step(model.lift(model.read(after)), 1, u)
    assert (model.read(remembered) - model.read(forgotten)).abs().max() > 1e-2


def test_a_clipped_network_with_contracting_diagonal_is_bounded_and_an_unclipped_one_need_not_be():
    """|φ(a + b) − φ(a)| ≤ |b|, so |h| ≤ (‖W₁‖ |b₂| + |b₁|)/(1 − max|a|) in the long run."""
    runs = {}
    for clipped in (True, False):
        torch.manual_seed(0)
        model = make_model("shplrnn", state_dim=D, lift="identity", clipped=clipped).double()
        layer = model.layers[0]
        with torch.no_grad():
            layer.diagonal.fill_(0.8)
            layer.last.weight.normal_(std=1.0)
        runs[clipped] = rollout(model, 100.0 * torch.randn(8, D, dtype=torch.float64), 400)
        gain = torch.linalg.matrix_norm(layer.last.weight, 2)
        bound = (gain * layer.hidden.bias.norm() + layer.last.bias.norm()) / 0.2
        if clipped:
            assert (runs[True].states[:, -1].norm(dim=-1) <= bound).all()
    assert (runs[True].status == 0).all()
    assert (runs[False].status == 1).all()


def test_an_almost_linear_network_is_linear_within_a_region():
    """A state whose rectified units have the signs of another has its Jacobian, exactly."""
    model = scrambled("alrnn", input_dim=0, relu_units=2, **SMALL)
    z = torch.randn(300, D + 4, dtype=torch.float64)
    jacobians = torch.vmap(torch.func.jacrev(lambda a: model.step(a[None], 0, a.new_zeros(1, 0))[0]))(z)
    region = (z[:, -2:] > 0).long() @ torch.tensor([1, 2])
    assert region.unique().tolist() == [0, 1, 2, 3]
    representatives = [jacobians[region == r] for r in range(4)]
    for same in representatives:
        assert torch.equal(same, same[:1].expand_as(same))
    assert all((a[0] - b[0]).abs().max() > 0.01 for a, b in itertools.pairwise(representatives))
    with pytest.raises(ValueError, match="lower relu_units or raise hidden_dim"):
        model_config("alrnn", hidden_dim=3, relu_units=4)


def test_undriven_oscillators_lose_their_energy_at_the_rate_of_their_damping():
    """Without a force y'' = −γ y − ε y': for small Δt the amplitude is exp(−ε t/2) and the frequency √(γ − ε²/4)."""
    dt, gamma, epsilon, steps = 1e-3, 4.0, 0.5, 2000
    options = {"step_size": dt, "gamma": gamma, "epsilon": epsilon, "carry": "latent"}
    model = make_model("cornn", state_dim=1, lift="identity", hidden_dim=1, **options).double()
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    h = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
    for l in range(steps):
        h = model.step(h, l, h.new_zeros(1, 0))
    t, omega = steps * dt, np.sqrt(gamma - epsilon**2 / 4)
    exact = np.exp(-epsilon * t / 2) * (np.cos(omega * t) + epsilon / (2 * omega) * np.sin(omega * t))
    # First order in Δt.
    assert h[0, 1].item() == pytest.approx(exact, abs=2 * dt)


def test_hyper_connections_start_as_a_residual_network():
    torch.manual_seed(0)
    model = make_model("hyper_connections", state_dim=D, copies=2, layers=2).double()
    with torch.no_grad():
        for layer in model.layers:
            layer.branch.last.weight.normal_()
    x, u = torch.randn(5, D, dtype=torch.float64), torch.zeros(5, 0, dtype=torch.float64)
    h = model.lift(x)
    residual = h[:, :8]
    for layer in model.layers:
        residual = residual + layer.branch(residual)
    found = model.step(h, 0, u)
    # All copies stay alike, and each is the residual network's state.
    torch.testing.assert_close(found, torch.cat((residual, residual), dim=-1), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(model.read(h), x, rtol=1e-6, atol=1e-6)
