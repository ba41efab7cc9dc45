"""The map of a trained model or of its replicas as a DiscreteMap, in float64.

Axes: R replicas, B batch, D observed state, H latent state, U inputs.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ddl_dyn.analysis.maps import DiscreteMap
from ddl_dyn.normalizer import Normalizer


def from_replicas(
    model: Any,
    *,
    normalizer: Normalizer | None = None,
    inputs: ArrayLike | None = None,
    index: int | None = None,
) -> DiscreteMap:
    """The learned map of a model, or of R replicas at once.

    carry="observed": Φ = read ∘ step ∘ lift on R^D, in physical units where a normalizer is given.
    lift="identity": the same, D = H. carry="latent" under a linear lift: Φ = step on the latent R^H, in model units.

    Args:
        model: StepModel or Replicas; it is copied, and the copy is float64.
        normalizer: the affine map of the training data, needed for physical units.
        inputs: (U,), held constant, in the units the model was trained on.
        index: time index of the step of an untied stack, whose every step is another map.
    Raises:
        ValueError: when inputs do not match, or an untied stack comes without an index.
    """
    replicas = int(model.size) if hasattr(model, "seeds") else None
    template = model.template if replicas else model
    config = template.config
    if config.sharing == "untied" and index is None:
        raise ValueError("an untied stack is a different map at every step: say which with index=0, 1, …")
    double = _in_float64(model)
    width = int(template.input_dim)
    held = torch.zeros(0, dtype=torch.float64) if inputs is None else torch.as_tensor(inputs, dtype=torch.float64)
    if held.shape != (width,):
        raise ValueError(f"the model takes {width} inputs: give inputs of shape ({width},), got {tuple(held.shape)}")
    latent = config.carry == "latent" and config.lift != "identity"
    l = index or 0

    def step(x: Tensor) -> Tensor:
        h = x.reshape(*x.shape[:1], -1, x.shape[-1]) if replicas else x.reshape(-1, x.shape[-1])
        u = held.to(x.device).expand(*h.shape[:-1], width)
        if latent:
            return double.step(h, l, u).reshape(x.shape)
        z = h if normalizer is None else normalizer.normalize(h)
        z = double.read(double.step(double.lift(z), l, u))
        return (z if normalizer is None else normalizer.denormalize(z)).reshape(x.shape)

    dim = int(template.latent_dim if latent else template.state_dim)
    return DiscreteMap(
        step=step, dim=dim, dt=float(template.dt), replicas=replicas, name=type(template).__name__.lower()
    )


def _in_float64(model: Any) -> Any:
    """An independent float64 copy, which runs eagerly: a compiled step cannot be differentiated in forward mode."""
    bare = copy.copy(model)
    if hasattr(bare, "_compiled"):
        bare._compiled = None
    return copy.deepcopy(bare).to(dtype=torch.float64)
