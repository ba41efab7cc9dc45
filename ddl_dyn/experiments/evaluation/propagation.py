"""Propagation of a signal and its gradient through an untrained stack.

Axes: R seeds, B batch, D observed state, H latent state, L layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.models import make_model

DEPTH = 200
SAMPLES = 256


@dataclass(frozen=True)
class Propagation:
    """Signal and gradient through an untrained stack, layer by layer.

    Args:
        layers: (L+1,), 0 is the input.
        state_std: (R, L+1), root mean square deviation of the latent state from its mean over the batch.
        gradient_norm: (R, L+1), norm of the gradient of ⟨w, h_L⟩ (w random, of unit length in each row) with respect to
            that state, root mean square over the batch; 1 at the last layer.
    """

    layers: NDArray[np.int64]
    state_std: NDArray[np.float64]
    gradient_norm: NDArray[np.float64]


def propagation(
    name: str, *, state_dim: int = 8, depth: int = DEPTH, seeds: Sequence[int] = range(5), **options: object
) -> Propagation:
    """Statistics of the step and of its gradient through an untied stack, before any training, in float64.

    Args:
        name: a model that is trained, see `ddl_dyn.models.MODELS`.
        state_dim: D.   depth: L, layers passed in turn.   seeds: of the replicas.
        options: of the model; the stack is untied and its latent state is carried.
    Returns:
        `Propagation`; what overflows is not finite there.
    Raises:
        ValueError: for a model in closed form, or bad options.
    """
    stack: dict[str, Any] = {"sharing": "untied", "carry": "latent", "layers": depth} | options
    replicas = Replicas(lambda: make_model(name, state_dim=state_dim, **stack), seeds).to(dtype=torch.float64)
    if replicas.template.closed_form:
        raise ValueError(f"{name} is solved, not trained: it has no start to describe")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(SAMPLES, state_dim, generator=generator, dtype=torch.float64).repeat(replicas.size, 1, 1)
    u = x.new_zeros(replicas.size, SAMPLES, 0)
    states = [replicas.lift(x.requires_grad_())]
    for l in range(depth):
        states.append(replicas.step(states[-1], l, u))
    w = torch.randn(states[0].shape[1:], generator=generator, dtype=torch.float64)
    w = w / w.norm(dim=-1, keepdim=True)
    grads = torch.autograd.grad((states[-1] * w).sum(), states)
    std = [(h - h.mean(1, keepdim=True)).square().mean(dim=(1, 2)).sqrt() for h in states]
    norm = [g.square().sum(-1).mean(1).sqrt() for g in grads]
    return Propagation(
        np.arange(depth + 1), torch.stack(std, 1).detach().numpy(), torch.stack(norm, 1).detach().numpy()
    )
