"""AdamW for replicas: one update of all parameters of all replicas, each with its own learning rate.

Axes: R replicas, P all parameters of one replica.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_FIRST, SECOND, EPS = 0.9, 0.999, 1e-8


class AdamW:
    """Adam with decoupled weight decay, θ ← (1 − ηλ) θ − η m̂ / (√v̂ + ε), in place.

    Torch's own does the same parameter by parameter, at a cost in launches that exceeds a small model's arithmetic.

    Args:
        flat: θ (R, P).   weight_decay: λ.   rates: (R,), the learning rate η of each replica, or (1,) for all.
    Source: Kingma & Ba (2015), arXiv 1412.6980; Loshchilov & Hutter (2019), arXiv 1711.05101.
    """

    def __init__(self, flat: Tensor, weight_decay: float, rates: Sequence[float]) -> None:
        self.flat, self.weight_decay = flat, weight_decay
        self.mean, self.square = torch.zeros_like(flat), torch.zeros_like(flat)
        # In float64, so that a replica's rates are those of a run of its own; on the device, where no update waits for
        # a copy.
        self.rates = torch.tensor(list(rates), dtype=torch.float64)[:, None].to(flat.device)
        self.updates = 0
        # Numbers of the coming update, where the device finds them without asking the host.
        self.rate, self.first = (flat.new_zeros(self.rates.shape) for _ in range(2))
        self.second = flat.new_zeros(())

    def prepare(self, shape: float) -> None:
        """Set learning rates, multiples of the highest by the schedule's shape, and the coming update's corrections."""
        self.updates += 1
        rates = self.rates * shape
        self.rate.copy_(rates)
        self.first.copy_(rates / (1.0 - _FIRST**self.updates))
        self.second.fill_((1.0 - SECOND**self.updates) ** -0.5)

    @torch.no_grad()
    def apply(self, gradient: Tensor) -> None:
        """Make the update that was prepared, from ∂loss/∂θ (R, P)."""
        self.flat.mul_(1.0 - self.rate * self.weight_decay)
        self.mean.lerp_(gradient, 1.0 - _FIRST)
        self.square.mul_(SECOND).addcmul_(gradient, gradient, value=1.0 - SECOND)
        step = self.mean / self.square.sqrt().mul_(self.second).add_(EPS)
        self.flat.sub_(step.mul_(self.first))

    def state_dict(self) -> dict[str, Tensor | int]:
        """Number of updates and moments, as the next update needs them."""
        return {"updates": self.updates, "mean": self.mean.clone(), "square": self.square.clone()}

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        """Continue where `state_dict` was taken."""
        self.updates = int(state["updates"])
        for name in ("mean", "square"):
            getattr(self, name).copy_(state[name])
