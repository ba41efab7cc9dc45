"""Free runs of a model or of replicas, with a status per trajectory.

Axes: R replicas, B batch, T steps, D observed state, U inputs, H latent state.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.models.base import StepModel


class Status(IntEnum):
    """Outcome of a free run."""

    OK = 0
    DIVERGED = 1
    SOLVER_FAILED = 2


@dataclass(frozen=True)
class Rollout:
    """A batch of free runs.

    Args:
        states: (B, T+1, D) or (R, B, T+1, D), starting with x0; NaN from the first bad step on.
        status: (B,) or (R, B), values of `Status`.
        first_bad_step: (B,) or (R, B), index of the first step that is not finite or left the bound; T+1 if none.
    """

    states: Tensor
    status: Tensor
    first_bad_step: Tensor


# Normalised states of a bounded task are of order one; what left this bound will not come back.
BOUND = 1e6


def rollout(model: StepModel | Replicas, x0: Tensor, steps: int, inputs: Tensor | None = None) -> Rollout:
    """Free run of `steps` steps from x0, without gradients.

    Args:
        model: a model or replicas.
        x0: (B, D), or (R, B, D) for replicas ((B, D) starts every replica from the same states), in model units.
        steps: T ≥ 0.
        inputs: (…, B, T, U), needed where the model has inputs.
    Returns:
        `Rollout`; a run that leaves the finite range is data (status DIVERGED, NaN from there on), never an error.
    Raises:
        ValueError: when shapes do not fit the model, steps is negative, or an untied stack has fewer layers.
    Example:
        >>> from ddl_dyn import Replicas, make_model, rollout
        >>> replicas = Replicas(lambda: make_model("ddl", state_dim=2), seeds=range(3))
        >>> tuple(rollout(replicas, torch.zeros(4, 2), steps=10).states.shape)
        (3, 4, 11, 2)
    """
    x0 = _check(model, x0, steps)
    replicated = isinstance(model, Replicas)
    if inputs is None:
        if _template(model).input_dim:
            raise ValueError(f"this model takes {_template(model).input_dim} inputs a step; give inputs (…, B, T, U)")
        inputs = x0.new_zeros(*x0.shape[:-1], steps, 0)
    elif replicated and inputs.ndim == 3:
        inputs = inputs.expand(x0.shape[0], *inputs.shape)
    if inputs.shape != (*x0.shape[:-1], steps, _template(model).input_dim):
        raise ValueError(
            f"inputs must have shape {(*x0.shape[:-1], steps, _template(model).input_dim)}, got {tuple(inputs.shape)}"
        )
    inputs = inputs.to(x0)
    failures = getattr(_running(model), "failures", 0)
    with torch.no_grad():
        later = model.unroll(x0, inputs) if steps else x0[..., None, :][..., :0, :]
    states = torch.cat((x0[..., None, :], later), dim=-2)
    bad = ~(torch.isfinite(states) & (states.abs() <= BOUND)).all(-1)
    after = bad.cumsum(-1) > 0
    states = states.masked_fill(after[..., None], torch.nan)
    status = after[..., -1].to(torch.int64) * int(Status.DIVERGED)
    if getattr(_running(model), "failures", 0) > failures:
        status = torch.where(status > 0, int(Status.SOLVER_FAILED), status)
    return Rollout(states, status, (~after).sum(-1))


def _template(model: StepModel | Replicas) -> StepModel:
    return model.template if isinstance(model, Replicas) else model


def _running(model: StepModel | Replicas) -> StepModel:
    return model.model_on_call if isinstance(model, Replicas) else model


def _check(model: StepModel | Replicas, x0: Tensor, steps: int) -> Tensor:
    dim = _template(model).state_dim
    if steps < 0:
        raise ValueError(f"steps must not be negative, got {steps}")
    limit = _template(model).max_steps
    if limit is not None and steps > limit:
        raise ValueError(f"an untied stack of {limit} layers makes at most {limit} steps, got {steps}")
    if isinstance(model, Replicas):
        x0 = model.each(x0)
        if x0.ndim != 3 or x0.shape[0] != model.size or x0.shape[-1] != dim:
            raise ValueError(f"x0 must have shape ({model.size}, B, {dim}) or (B, {dim}), got {tuple(x0.shape)}")
    elif x0.ndim != 2 or x0.shape[-1] != dim:
        raise ValueError(f"x0 must have shape (B, {dim}), got {tuple(x0.shape)}")
    if isinstance(model, Replicas):
        return x0.to(device=model.device, dtype=model.dtype)
    # A model in closed form has buffers only.
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        if tensor.is_floating_point():
            return x0.to(device=tensor.device, dtype=tensor.dtype)
    return x0
