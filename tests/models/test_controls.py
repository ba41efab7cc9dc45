"""Controls of the study: branches, activations and shortcuts of the residual network, the signed highway network.

Each against its equation written out in numpy.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ddl_dyn import make_model
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

H, U, B = 3, 2, 4
SMALL = {"lift": "identity", "hidden_dim": 5}


def branch(p, z, options):
    """F of one state and its inputs, z (H + U,)."""
    if options.get("branch", "mlp") == "mlp":
        a = affine(p, "branch.hidden.0", z)
        sigma = {"tanh": np.tanh, "relu": rectified, "silu": lambda a: a * logistic(a)}
        return affine(p, "branch.last", sigma[options.get("activation", "tanh")](a))
    first = affine(p, "branch.first", z)
    first = logistic(first) if options["branch"] == "glu" else first
    return affine(p, "branch.last", first * affine(p, "branch.second", z))


def residual(p, h, u, options):
    kept = p["shortcut.weight"] @ h if options.get("shortcut") == "affine" else h
    if options.get("norm") == "post":
        return rms_norm(kept + branch(p, np.concatenate([h, u]), options), p["norm.gain"])
    inside = rms_norm(h, p["norm.gain"]) if options.get("norm") == "pre" else h
    return kept + branch(p, np.concatenate([inside, u]), options)


def highway(p, h, u, options):
    z = np.concatenate([h, u])
    T = logistic(affine(p, "gate", z))
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
    model = scrambled(name, **SMALL, **options)
    check_step(model, reference, options)
    check_gradients(model, reference, options)


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
        model = scrambled("resnet", layers=1, **SMALL, **options)
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
