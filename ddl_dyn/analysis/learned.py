"""The map of a trained model or of its replicas as a DiscreteMap, in float64.

Axes: R replicas, B batch, D observed state, H latent state, U inputs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ddl_dyn.analysis.compiled_map import compiled_map
from ddl_dyn.analysis.maps import DiscreteMap, row_jacobian
from ddl_dyn.engine.normalizer import Normalizer
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.models.base import StepModel

Learned = StepModel | Replicas


def from_replicas(
    model: Learned,
    *,
    normalizer: Normalizer | None = None,
    inputs: ArrayLike | None = None,
    index: int | None = None,
) -> DiscreteMap:
    """The learned map of a model, or of R replicas at once.

    carry="observed": Φ = read ∘ step ∘ lift on R^D, in physical units where a normalizer is given.
    lift="identity": the same, as D = H. carry="latent" in a latent space of its own: Φ = step on R^H, followed by
    re-encoding where there is any, in model units.

    Args:
        model: StepModel or Replicas; it is copied, and the copy is float64.
        normalizer: the affine map of the training data, needed for physical units.
        inputs: (U,), held constant, in the units the model was trained on.
        index: time index of the step of an untied stack, whose every step is another map.
    Raises:
        ValueError: when inputs do not match, or an untied stack comes without an index.
    """
    width = int(_template(model).input_dim)
    if inputs is None and width:
        raise ValueError(f"the model takes {width} inputs: say which are held constant with inputs, shape ({width},)")
    return learned_family(model, normalizer=normalizer, index=index)(() if inputs is None else inputs)


def learned_family(
    model: Learned, *, normalizer: Normalizer | None = None, index: int | None = None
) -> Callable[[ArrayLike], DiscreteMap]:
    """Family of learned maps: inputs (U,) -> the map with those inputs held constant; all share one float64 copy.

    Args:
        model, normalizer, index: as for `from_replicas`.
    Raises:
        ValueError: as for `from_replicas`.
    """
    template, replicas = _template(model), int(model.size) if isinstance(model, Replicas) else None
    config, width, l = template.config, int(template.input_dim), index or 0
    if config.sharing == "untied" and index is None:
        raise ValueError("an untied stack is a different map at every step: say which with index=0, 1, …")
    double = in_float64(model)
    origin = _lifted(model, double, torch.zeros(1, int(template.state_dim), dtype=torch.float64))
    device, latent = origin.device, is_latent(template, origin.shape[-1])
    dim = int(origin.shape[-1] if latent else template.state_dim)

    def member(inputs: ArrayLike) -> DiscreteMap:
        held = torch.as_tensor(np.atleast_1d(np.asarray(inputs, dtype=np.float64)), device=device)
        if held.shape != (width,):
            raise ValueError(f"the model takes inputs of shape ({width},), got {tuple(held.shape)}")

        def model_rows(x: Tensor) -> Tensor:
            h = x.reshape(x.shape[0], -1, x.shape[-1]) if replicas else x.reshape(-1, x.shape[-1])
            return h if latent or normalizer is None else normalizer.normalize(h)

        def in_units(h: Tensor) -> Tensor:
            return h if latent or normalizer is None else normalizer.denormalize(h)

        def step(x: Tensor) -> Tensor:
            h = model_rows(x)
            u = held.expand(*h.shape[:-1], width)
            carried = latent or config.carry == "observed"
            after = double.advance(h, l, u) if carried else double.read(double.step(double.lift(h), l, u))
            return in_units(after).reshape(x.shape)

        def path(x: Tensor, steps: int) -> Tensor:
            h = model_rows(x)
            with torch.no_grad():
                states = double.unroll(h, held.expand(*h.shape[:-1], steps, width))
            return in_units(states).movedim(-2, 0).reshape(steps, *x.shape)

        return DiscreteMap(
            step=step,
            compiled=lambda: compiled_map(double, member(inputs), held, normalizer=None if latent else normalizer),
            # A floor such as the training mean does not depend on the state: its derivative is zero, not an error.
            joint=lambda x: row_jacobian(step, x, constant=True),
            # An untied stack's steps are others; what is carried must be what the map acts on.
            path=path if config.carry == "observed" and index is None else None,
            dim=dim,
            dt=float(template.dt),
            replicas=replicas,
            name=type(template).__name__.lower(),
            device=device,
        )

    return member


def typical_states(model: Learned, count: int, *, seed: int, normalizer: Normalizer | None = None) -> Tensor:
    """States such as the model was trained on, in the coordinates of `from_replicas`.

    Args:
        model: StepModel or Replicas.
        count: B.
        seed: of standard normal draws in the model's normalised units.
        normalizer: as for `from_replicas`.
    Returns:
        (B, D), or (R?, B, H) where the learned map is one of the latent space.
    """
    template = _template(model)
    z = torch.randn(count, int(template.state_dim), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    h = _lifted(model, in_float64(model), z)
    if is_latent(template, h.shape[-1]):
        return h
    return z if normalizer is None else normalizer.denormalize(z)


def _lifted(model: Learned, double: Learned, z: Tensor) -> Tensor:
    """Model states (B, D) lifted by the float64 copy, (R?, B, H), on the model's device."""
    z = z.to(next((t.device for t in model.state_dict().values()), z.device))
    with torch.no_grad():
        return double.lift(z.expand(int(model.size), *z.shape) if isinstance(model, Replicas) else z)


def is_latent(template: StepModel, lifted: int) -> bool:
    """True where the step's own space is another than the observed one, so that physical units cannot be kept."""
    config = template.config
    return config.carry == "latent" and (config.lift != "identity" or lifted != template.state_dim)


def _template(model: Learned) -> StepModel:
    """The module that knows the sizes and options: the model itself, or the one that replicas are copies of."""
    return model.template if isinstance(model, Replicas) else model


def in_float64(model: Learned) -> Learned:
    """An independent float64 copy, which runs eagerly: a compiled step is bound to one batch size and dtype."""
    bare = copy.copy(model)
    if hasattr(bare, "_compiled"):
        bare._compiled = None
    return copy.deepcopy(bare).to(dtype=torch.float64)
