"""The network F that all residual types share. Axes: B batch, I inputs, O outputs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["tanh", "relu", "silu"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "silu": nn.functional.silu,
}


class Branch(nn.Module):
    """Multilayer perceptron with a linear last layer, O = W₂ σ(W₁ I + b₁) + b₂.

    Args:
        inputs: I.   hidden: width of the hidden layers.   outputs: O.   depth: number of hidden layers.
        zero_last: start with a last layer of zeros, so that h + F(h) starts as the identity.
        activation: σ.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        *,
        depth: int = 1,
        zero_last: bool = True,
        activation: Activation = "tanh",
    ) -> None:
        super().__init__()
        sizes = [inputs] + [hidden] * depth
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.last = nn.Linear(hidden, outputs) if not zero_last else zero_linear(hidden, outputs)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """(B, I) -> (B, O)."""
        for layer in self.hidden:
            x = self.activation(layer(x))
        out: Tensor = self.last(x)
        return out


class Product(nn.Module):
    """Branch of products, O = W₃(g(W₁ I) ∘ W₂ I) with affine maps W; zero at the start.

    Args:
        inputs: I.   hidden: number of products.   outputs: O.
        gated: g is the logistic function (a gated linear unit) instead of the identity (bilinear).
    Source: Dauphin et al. (2017), Language Modeling with Gated Convolutional Networks, arXiv 1612.08083; bilinear:
        Shazeer (2020), GLU Variants Improve Transformer, arXiv 2002.05202.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, *, gated: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, hidden), nn.Linear(inputs, hidden)
        self.last = zero_linear(hidden, outputs)
        self.gated = gated

    def forward(self, x: Tensor) -> Tensor:
        """(B, I) -> (B, O)."""
        first = self.first(x)
        out: Tensor = self.last((torch.sigmoid(first) if self.gated else first) * self.second(x))
        return out


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """An affine map that starts at zero."""
    linear = nn.Linear(inputs, outputs)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


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
