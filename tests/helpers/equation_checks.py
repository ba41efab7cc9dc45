"""A model's step against its equation written in numpy, in values and derivatives.

A reference is a function (p, h, u, options) -> h⁺ of one layer's parameters by name, one state and its inputs, written
so that it also takes complex numbers: derivatives are then complex steps, exact to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from ddl_dyn import make_model

TINY = 1e-30
Reference = Callable[[Mapping[str, Any], Any, Any, Mapping[str, Any]], Any]


def scrambled(name: str, *, state_dim: int = 3, input_dim: int = 2, scale: float = 0.4, **options: Any) -> Any:
    """One float64 model, moved off its start."""
    torch.manual_seed(0)
    model = make_model(name, state_dim=state_dim, input_dim=input_dim, **options).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(scale * torch.randn_like(p))
    return model


def logistic(a: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-a))


def rectified(a: Any) -> Any:
    """max(0, ·); of a complex number the real part decides."""
    return np.where(a.real > 0, a, 0.0)


def affine(p: Mapping[str, Any], name: str, z: Any) -> Any:
    return p[f"{name}.weight"] @ z + p[f"{name}.bias"]


def rms_norm(x: Any, gain: Any, eps: float = 1e-6) -> Any:
    return x / np.sqrt((x**2).mean() + eps) * gain


def numbers(module: Any) -> dict[str, Any]:
    """A module's parameters as numpy arrays."""
    return {name: p.detach().numpy() for name, p in module.named_parameters()}


def check_step(model: Any, reference: Reference, options: Mapping[str, Any], rows: int = 4) -> None:
    """The step of all layers, and its Jacobian, at random states under random inputs."""
    rng = np.random.default_rng(1)
    h, u = rng.normal(size=(rows, model.carried_dim)), rng.normal(size=(rows, model.input_dim))
    layers = [numbers(layer) for layer in model.layers]

    def stack(x: Any, drive: Any) -> Any:
        for p in layers:
            x = reference(p, x, drive, options)
        return x

    found = model.step(torch.as_tensor(h), 0, torch.as_tensor(u)).detach().numpy()
    # Some tens of float64 roundings.
    np.testing.assert_allclose(found, [stack(a, b) for a, b in zip(h, u, strict=True)], rtol=1e-12, atol=1e-12)
    jacobian = torch.vmap(torch.func.jacrev(lambda a, b: model.step(a[None], 0, b[None])[0]))
    found = jacobian(torch.as_tensor(h), torch.as_tensor(u)).detach().numpy()
    for b in range(rows):
        for j in range(model.carried_dim):
            moved = h[b].astype(complex)
            moved[j] += TINY * 1j
            np.testing.assert_allclose(found[b, :, j], stack(moved, u[b]).imag / TINY, rtol=1e-10, atol=1e-11)


def check_gradients(model: Any, reference: Reference, options: Mapping[str, Any]) -> None:
    """Every entry of the gradient by the first layer's parameters, of a random combination of its outputs."""
    rng = np.random.default_rng(2)
    h, u, weight = (rng.normal(size=n) for n in (model.carried_dim, model.input_dim, model.carried_dim))
    layer = model.layers[0]
    out = layer(torch.as_tensor(h)[None], torch.as_tensor(u)[None])[0]
    names, tensors = zip(*layer.named_parameters(), strict=True)
    grads = torch.autograd.grad((out * torch.as_tensor(weight)).sum(), tensors)
    p = numbers(layer)
    for key, grad in zip(names, grads, strict=True):
        assert grad.abs().max() > 0, f"{key} has no effect"
        for index in np.ndindex(*grad.shape):
            moved = p | {key: p[key].astype(complex)}
            moved[key][index] += TINY * 1j
            expected = (reference(moved, h.astype(complex), u, options) * weight).sum().imag / TINY
            assert grad[index].item() == pytest.approx(expected, rel=1e-10, abs=1e-11), (key, index)
