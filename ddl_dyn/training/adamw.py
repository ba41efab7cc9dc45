"""AdamW for replicas: one update of all parameters of all replicas, each with its own learning rate.

Axes: R replicas, P all parameters of one replica.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FIRST, SECOND, EPS = 0.9, 0.999, 1e-8


class AdamW:
    """Adam with decoupled weight decay, θ ← (1 − ηλ) θ − η m̂ / (√v̂ + ε), in place.

    Torch's own does the same parameter by parameter, at a cost in launches that exceeds a small model's arithmetic.

    Args:
        flat: θ (R, P).   weight_decay: λ.
        factors: (R,), multiples of the learning rate η, one a replica; None for the rate itself.
    Source: Kingma & Ba (2015), arXiv 1412.6980; Loshchilov & Hutter (2019), arXiv 1711.05101.
    """

    def __init__(self, flat: Tensor, weight_decay: float, factors: Sequence[float] | None = None) -> None:
        self.flat, self.weight_decay = flat, weight_decay
        self.mean, self.square = torch.zeros_like(flat), torch.zeros_like(flat)
        scale = torch.ones(1) if factors is None else torch.tensor(list(factors), dtype=torch.float64)
        self.factors = scale.to(flat)[:, None]
        self.updates = 0
        # Numbers of the coming update, where the device finds them without asking the host.
        self.rate, self.first, self.second = (flat.new_zeros(()) for _ in range(3))

    def prepare(self, lr: float) -> None:
        """Set the learning rate and the bias corrections of the coming update."""
        self.updates += 1
        self.rate.fill_(lr)
        self.first.fill_(lr / (1.0 - FIRST**self.updates))
        self.second.fill_((1.0 - SECOND**self.updates) ** -0.5)

    @torch.no_grad()
    def apply(self, gradient: Tensor) -> None:
        """Make the update that was prepared, from ∂loss/∂θ (R, P)."""
        self.flat.mul_(1.0 - self.rate * self.weight_decay * self.factors)
        self.mean.lerp_(gradient, 1.0 - FIRST)
        self.square.mul_(SECOND).addcmul_(gradient, gradient, value=1.0 - SECOND)
        step = self.mean / self.square.sqrt().mul_(self.second).add_(EPS)
        self.flat.sub_(step.mul_(self.first * self.factors))

    def state_dict(self) -> dict[str, Tensor | int]:
        """Number of updates and moments, as the next update needs them."""
        return {"updates": self.updates, "mean": self.mean.clone(), "square": self.square.clone()}

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        """Continue where `state_dict` was taken."""
        self.updates = int(state["updates"])
        for name in ("mean", "square"):
            getattr(self, name).copy_(state[name])
