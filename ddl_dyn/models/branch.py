"""The network F that all residual types share. Axes: B batch, I inputs, O outputs."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn


class Branch(nn.Module):
    """Multilayer perceptron with tanh hidden layers and a linear last layer, O = W₂ tanh(W₁ I + b₁) + b₂.

    Args:
        inputs: I.   hidden: width of the hidden layers.   outputs: O.   depth: number of hidden layers.
        zero_last: start with a last layer of zeros, so that h + F(h) starts as the identity.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, *, depth: int = 1, zero_last: bool = True) -> None:
        super().__init__()
        sizes = [inputs] + [hidden] * depth
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.last = nn.Linear(hidden, outputs)
        if zero_last:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I) -> (B, O)."""
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        return self.last(x)


class RMSNorm(nn.Module):
    """Root-mean-square normalisation x / √(mean x² + ε) · g. Source: Zhang & Sennrich (2019), arXiv 1910.07467."""

    def __init__(self, dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(…, dim) -> (…, dim)."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.gain


def join(h: Tensor, u: Tensor) -> Tensor:
    """State and inputs side by side, (B, H) and (B, U) -> (B, H + U)."""
    # An autonomous system has U = 0: no copy for nothing in the innermost loop.
    return torch.cat((h, u), dim=-1) if u.shape[-1] else h
