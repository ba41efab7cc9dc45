"""Controls of the study: branches, activations and shortcuts of the residual network, the signed highway network.

Each against its equation written out in numpy with gradients by complex steps or by a dense autograd of its own.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ddl_dyn import make_model
from ddl_dyn.models import model_config

H, U, B, W = 3, 2, 4, 5


def scrambled(name, **options):
    """One float64 model on the state itself, moved off its start."""
    torch.manual_seed(0)
    model = make_model(name, state_dim=H, input_dim=U, lift="identity", hidden_dim=W, **options).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.4 * torch.randn_like(p))
    return model


def numbers(model):
    """Parameters of a model's layers: one dictionary of numpy arrays a layer."""
    return [{name: p.detach().numpy() for name, p in layer.named_parameters()} for layer in model.layers]


def logistic(a):
    return 1.0 / (1.0 + np.exp(-a))


def rms(x, gain, eps=1e-6):
    return x / np.sqrt((x**2).mean() + eps) * gain


def branch(p, z, options):
    """F of one state and its inputs, z (H + U,)."""

    def affine(name, x):
        return p[f"branch.{name}.weight"] @ x + p[f"branch.{name}.bias"]

    if options.get("branch", "mlp") == "mlp":
        a = affine("hidden.0", z)
        # Where the real part decides, a complex step sees the branch that acts.
        sigma = {
            "tanh": np.tanh(a),
            "relu": np.where(a.real > 0, a, 0.0),
            "silu": a * logistic(a),
        }[options.get("activation", "tanh")]
        return affine("last", sigma)
    first = affine("first", z)
    return affine("last", (logistic(first) if options["branch"] == "glu" else first) * affine("second", z))


def residual(p, h, u, options):
    kept = p["shortcut.weight"] @ h if options.get("shortcut") == "affine" else h
    if options.get("norm") == "post":
        return rms(kept + branch(p, np.concatenate([h, u]), options), p["norm.gain"])
    inside = rms(h, p["norm.gain"]) if options.get("norm") == "pre" else h
    return kept + branch(p, np.concatenate([inside, u]), options)


def highway(p, h, u, options):
    z = np.concatenate([h, u])
    T = logistic(p["gate.weight"] @ z + p["gate.bias"])
    F = branch(p, z, {})
    return (1 - 2 * T) * h + 2 * T * F if options["signed"] else (1 - T) * h + T * F


KINDS = [
    {"branch": kind} | extra
    for kind, extra in itertools.product(("mlp", "glu", "bilinear"), ({}, {"shortcut": "affine"}))
]
KINDS += [{"activation": name, "norm": norm} for name in ("tanh", "relu", "silu") for norm in ("none", "pre", "post")]
KINDS += [{"branch": "bilinear", "shortcut": "affine", "norm": "post"}]
CASES = [("resnet", residual, options) for options in KINDS]
CASES += [("highway", highway, {"signed": signed}) for signed in (False, True)]


@pytest.mark.parametrize(("name", "reference", "options"), CASES, ids=lambda v: str(v) if isinstance(v, dict) else None)
def test_step_equals_the_equation_in_values_and_derivatives(name, reference, options):
    model = scrambled(name, **options)
    rng = np.random.default_rng(1)
    h, u = rng.normal(size=(B, H)), rng.normal(size=(B, U))
    layers = numbers(model)

    def stack(x, drive):
        for p in layers:
            x = reference(p, x, drive, options)
        return x

    found = model.step(torch.as_tensor(h), 0, torch.as_tensor(u)).detach().numpy()
    # Some tens of float64 roundings.
    np.testing.assert_allclose(found, [stack(a, b) for a, b in zip(h, u, strict=True)], rtol=1e-12, atol=1e-12)
    jacobian = torch.vmap(torch.func.jacrev(lambda a, b: model.step(a[None], 0, b[None])[0]))
    found = jacobian(torch.as_tensor(h), torch.as_tensor(u)).detach().numpy()
    for b, j in itertools.product(range(B), range(H)):
        # A complex step of 1e-30 is exact to rounding.
        step = h[b].astype(complex)
        step[j] += 1e-30j
        np.testing.assert_allclose(found[b, :, j], stack(step, u[b]).imag / 1e-30, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("name", "reference", "options"), CASES, ids=lambda v: str(v) if isinstance(v, dict) else None)
def test_gradients_by_the_parameters_agree_with_complex_steps_of_the_equation(name, reference, options):
    model = scrambled(name, layers=1, **options)
    rng = np.random.default_rng(2)
    h, u, weight = rng.normal(size=H), rng.normal(size=U), rng.normal(size=H)
    out = model.step(torch.as_tensor(h)[None], 0, torch.as_tensor(u)[None])[0]
    layer = dict(model.layers[0].named_parameters())
    grads = torch.autograd.grad((out * torch.as_tensor(weight)).sum(), list(layer.values()))
    (p,) = numbers(model)
    for key, grad in zip(layer, grads, strict=True):
        for index in np.ndindex(*grad.shape):
            moved = p | {key: p[key].astype(complex)}
            moved[key][index] += 1e-30j
            expected = (reference(moved, h.astype(complex), u, options) * weight).sum().imag / 1e-30
            assert grad[index].item() == pytest.approx(expected, rel=1e-11, abs=1e-12), (key, index)


def test_an_affine_shortcut_starts_as_the_identity_and_changes_nothing_there():
    models = []
    for shortcut in ("identity", "affine"):
        torch.manual_seed(0)
        models.append(make_model("resnet", state_dim=H, shortcut=shortcut))
    x, u = torch.randn(B, 8), torch.zeros(B, 0)
    assert torch.equal(models[0].step(x, 0, u), models[1].step(x, 0, u))
    extra = [sum(p.numel() for p in m.parameters()) for m in models]
    assert extra[1] - extra[0] == 2 * 8 * 8


@pytest.mark.parametrize(("signed", "range_"), [(False, (0.0, 1.0)), (True, (-1.0, 1.0))])
def test_the_carry_gate_reaches_its_range_and_no_further(signed, range_):
    carried = []
    for bias in (-40.0, 40.0):
        model = make_model("highway", state_dim=H, lift="identity", layers=1, signed=signed).double()
        layer = model.layers[0]
        with torch.no_grad():
            layer.gate.weight.zero_()
            layer.gate.bias.fill_(bias)
            layer.branch.last.weight.zero_()
            layer.branch.last.bias.zero_()
        x = torch.ones(1, H, dtype=torch.float64)
        carried.append(model.step(x, 0, x[:, :0])[0, 0].item())
    assert carried == pytest.approx(range_[::-1], abs=1e-12)


def test_far_from_the_data_the_controls_do_what_only_they_can():
    """With a bounded branch the linear part along a ray tends to the shortcut's matrix; a rectifier keeps its own."""
    g = torch.Generator().manual_seed(0)
    ray = torch.randn(H, generator=g, dtype=torch.float64)
    found = {}
    for label, options in (
        ("tanh", {}),
        ("affine", {"shortcut": "affine"}),
        ("relu", {"activation": "relu"}),
    ):
        model = scrambled("resnet", layers=1, **options)
        u = torch.zeros(1, U, dtype=torch.float64)
        far = torch.func.jacrev(lambda z, model=model, u=u: model.step(z[None], 0, u)[0])(1e6 * ray)
        found[label] = far - torch.eye(H, dtype=torch.float64)
        if label == "affine":
            found[label] -= model.layers[0].shortcut.weight - torch.eye(H, dtype=torch.float64)
    # 1 − tanh² of 1e6 is 0 in float64.
    assert found["tanh"].abs().max() < 1e-12
    assert found["affine"].abs().max() < 1e-12
    assert found["relu"].abs().max() > 0.1


def test_an_activation_that_a_branch_does_not_have_is_refused():
    with pytest.raises(ValueError, match="belongs to branch=mlp"):
        model_config("resnet", branch="glu", activation="relu")
    with pytest.raises(ValueError, match="branch"):
        model_config("resnet", branch="cubic")
