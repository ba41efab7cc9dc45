"""Jacobians of a stack: per layer, per step and through depth, beside the spectrum of the frozen Delta operator.

Axes: B batch, L layers, T steps, D state components, H latent state, d rows, r directions.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ddl_dyn.analysis.maps import DiscreteMap, row_jacobian
from ddl_dyn.analysis.spectra import eigenvalues, singular_values
from ddl_dyn.metrics.arrays import Array, Complex


@dataclass(frozen=True, kw_only=True)
class LayerSpectra:
    """Jacobians and spectra of every layer of one model at the states that reach it.

    Args:
        states: (L+1, B, H), before the first and after each layer.
        jacobians: (L, B, H, H), of each layer.
        eigenvalues: (L, B, H), complex, of those Jacobians.
        singular_values: (L, B, H).
        operator_eigenvalues: (L, B, d), of the `frozen_operator`; None where layers have no trace.
    """

    states: Array
    jacobians: Array
    eigenvalues: Complex
    singular_values: Array
    operator_eigenvalues: Complex | None


@dataclass(frozen=True, kw_only=True)
class DepthProfile:
    """Growth of perturbations and gradients through a sequence of maps.

    Args:
        singular_values: (T+1, B, D), of the Jacobian of the first t maps; those below ε·largest are round-off.
        gradient_norms: (T+1, B), root mean square norm, at depth t, of a gradient of unit length at the end that
            points in a uniformly random direction: ‖J_{T←t}‖_F / √D.
    """

    singular_values: Array
    gradient_norms: Array


def layer_maps(model: Any, *, index: int = 0, inputs: ArrayLike | None = None) -> list[DiscreteMap]:
    """Each layer that acts at a time index, as a map of the latent space of one model.

    Args:
        model: StepModel with `layers_at` (one replica: Replicas.model(r)).
        index: time index, which chooses the layer of an untied stack.
        inputs: (U,), held constant.
    Raises:
        ValueError: when the model has no layers, or inputs do not match.
    """
    if not hasattr(model, "layers_at"):
        raise ValueError(f"{type(model).__name__} has no layers to look at one by one; for replicas use model(r)")
    double = copy.deepcopy(model).to("cpu", torch.float64)
    held = torch.as_tensor(np.asarray(() if inputs is None else inputs, dtype=np.float64))
    if held.shape != (double.input_dim,):
        raise ValueError(f"the model takes inputs of shape ({double.input_dim},), got {tuple(held.shape)}")
    size = double.lift(torch.zeros(1, double.state_dim, dtype=torch.float64)).shape[-1]

    def as_step(layer: Any) -> Any:
        return lambda h: layer(h, held.expand(*h.shape[:-1], held.shape[0]))

    return [DiscreteMap(step=as_step(layer), dim=size, name="layer") for layer in double.layers_at(index)]


def layer_spectra(model: Any, x: ArrayLike, *, index: int = 0, inputs: ArrayLike | None = None) -> LayerSpectra:
    """Jacobian and operator spectra of every layer of one model, along the states that pass through it.

    Args:
        model, index, inputs: as for `layer_maps`.
        x: (B, D), observed states in model units.
    """
    maps = layer_maps(model, index=index, inputs=inputs)
    double = copy.deepcopy(model).to("cpu", torch.float64)
    with torch.no_grad():
        h = double.lift(torch.as_tensor(np.asarray(x, dtype=np.float64)))
        u = torch.as_tensor(np.asarray(() if inputs is None else inputs, dtype=np.float64)).expand(len(h), -1)
        trace = double.trace(h, index, u)
        states, jacobians = [h], []
        for phi in maps:
            h, j = phi.step_and_jacobian(h)
            states.append(h)
            jacobians.append(j)
        stacked = torch.stack(jacobians)
        at_once = getattr(double.config, "order", "") == "simultaneous"
        operator = None
        if "k" in trace:
            operator = eigenvalues(frozen_operator(trace["k"], trace["beta"], simultaneous=at_once)).numpy()
        return LayerSpectra(
            states=torch.stack(states).numpy(),
            jacobians=stacked.numpy(),
            eigenvalues=eigenvalues(stacked).numpy(),
            singular_values=singular_values(stacked).numpy(),
            operator_eigenvalues=operator,
        )


def frozen_operator(k: Tensor, beta: Tensor, *, simultaneous: bool = False) -> Tensor:
    """Shortcut of one layer with its gates and directions held fixed: A = Π_i (I − β_i k_i k_iᵀ), last applied left.

    Args:
        k: (..., r, d).
        beta: (..., r).
        simultaneous: A = I − Σ_i β_i k_i k_iᵀ instead, of rewrites that all act on the incoming state.
    Returns:
        (..., d, d); for r = 1 and unit k its eigenvalues are 1 (d−1 times) and 1 − β.
    """
    d = k.shape[-1]
    eye = torch.eye(d, dtype=k.dtype, device=k.device)
    if simultaneous:
        return eye - (beta[..., :, None] * k).mT @ k
    out = eye.expand(*k.shape[:-2], d, d)
    for i in range(k.shape[-2]):
        ki = k[..., i, :]
        out = out - (beta[..., i, None] * ki)[..., :, None] * (ki[..., None, :] @ out)
    return out


def closed_form_jacobian(
    x: Tensor, k: Tensor, beta: Tensor, v: Tensor, k_jacobian: Tensor, beta_gradient: Tensor, v_gradient: Tensor
) -> Tensor:
    """Jacobian of the Delta layer x⁺ = x + β k (v − kᵀx) for one value channel.

    J = I − β k kᵀ + e k ∇βᵀ + β k ∇vᵀ − β k (J_kᵀ x)ᵀ + β e J_k,   e = v − kᵀx

    Args:
        x, k: (..., d), state and direction (of any length).
        beta, v: (...).
        k_jacobian: (..., d, d), J_k = ∂k/∂x.
        beta_gradient, v_gradient: (..., d).
    Returns:
        (..., d, d). With constant k: rank(J − I) = 1 and det J = 1 − β + e kᵀ∇β + β kᵀ∇v.
    Source: REFERENCE equations of Deep Delta Learning (2026), arXiv 2601.00417, differentiated by the product rule.
    """
    e = (v - (k * x).sum(-1))[..., None, None]
    b = beta[..., None, None]
    column = k[..., :, None]
    pulled = (k_jacobian.transpose(-1, -2) @ x[..., None]).transpose(-1, -2)
    eye = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    return (
        eye
        - b * column * k[..., None, :]
        + e * column * beta_gradient[..., None, :]
        + b * column * v_gradient[..., None, :]
        - b * column * pulled
        + b * e * k_jacobian
    )


def delta_layer_jacobian(layer: Any, h: Tensor, u: Tensor) -> Tensor:
    """The closed form evaluated on a trained Delta layer (one direction, one value channel, rewrite "delta").

    Args:
        layer: with `generate(h, u)` -> k (B, 1, d), v (B, 1, 1), β (B, 1), and the write gate.
        h: (B, d).   u: (B, U).
    Returns:
        (B, d, d).
    Raises:
        ValueError: when the layer has several directions or value channels.
    """

    def packed(state: Tensor) -> Tensor:
        k, v, beta, _ = layer.generate(state, u)
        if k.shape[-2] != 1 or v.shape[-1] != 1:
            raise ValueError(
                f"the closed form is for one direction and one value channel, got {k.shape[-2]} and {v.shape[-1]}"
            )
        return torch.cat([k[..., 0, :], beta, v[..., 0]], dim=-1)

    value, j = row_jacobian(packed, h, constant=True)
    d = h.shape[-1]
    return closed_form_jacobian(
        h, value[..., :d], value[..., d], value[..., d + 1], j[..., :d, :], j[..., d, :], j[..., d + 1, :]
    )


def depth_profile(maps: Sequence[DiscreteMap], x0: ArrayLike | Tensor) -> DepthProfile:
    """Singular values and gradient norms through a sequence of maps: the same one T times, or an untied stack's.

    Args:
        maps: T maps of one dimension, applied first to last.
        x0: (B, D), or (R, B, D) where the maps have replicas (the axes B of the result are then R, B).
    Raises:
        ValueError: when there is no map.
    """
    if not maps:
        raise ValueError("a depth profile needs at least one map")
    x = maps[0].states(x0)
    eye = torch.eye(maps[0].dim, dtype=x.dtype, device=x.device).expand(*x.shape, maps[0].dim)
    forward, each = [eye], []
    with torch.no_grad():
        for phi in maps:
            x, j = phi.step_and_jacobian(x)
            each.append(j)
            forward.append(j @ forward[-1])
        backward = [eye]
        for j in reversed(each):
            backward.append(backward[-1] @ j)
        norms = torch.stack([torch.linalg.matrix_norm(b) for b in reversed(backward)]) / maps[0].dim ** 0.5
        return DepthProfile(
            singular_values=singular_values(torch.stack(forward)).cpu().numpy(), gradient_norms=norms.cpu().numpy()
        )
