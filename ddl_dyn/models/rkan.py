"""The residual Kolmogorov–Arnold block. Axes: B batch, H latent state, U inputs, I and O of one layer, N degree."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.models.base import ResidualConfig, StepModel
from ddl_dyn.models.branch import join


class RKANConfig(ResidualConfig):
    """Options of the residual Kolmogorov–Arnold block.

    layers: successive blocks.
    hidden_dim: nodes between the two layers of univariate functions of a block.
    degree: highest Chebyshev polynomial of a univariate function.
    """

    layers: int = Field(default=1, ge=1, le=10_000)
    hidden_dim: int = Field(default=8, ge=1, le=65_536)
    degree: int = Field(default=5, ge=1, le=64)


class RKAN(StepModel):
    """Residual Kolmogorov–Arnold network: the branch is two layers of learned univariate Chebyshev series."""

    Config = RKANConfig
    config: RKANConfig
    equation = "h⁺ = h + Φ₂(Φ₁(h)),  Φ(x)_i = b_i + Σ_j Σ_n c_ijn T_n(tanh x_j),  n = 1 … N"
    source = (
        "Liu et al. (2024), KAN, arXiv 2404.19756; Chebyshev form: Sidharth et al. (2024), arXiv 2405.07200; residual: "
        "Yu, Wu & Gui (2024), Residual Kolmogorov–Arnold Network, arXiv 2410.05500"
    )

    def make_layer(self) -> nn.Module:
        """One residual block."""
        return KANBlock(self.latent_dim, self.input_dim, self.config)


class KANBlock(nn.Module):
    """h + Φ₂(Φ₁(h)), zero branch at the start.

    Args:
        latent_dim: H.   input_dim: U.   config: the model's options.
    """

    def __init__(self, latent_dim: int, input_dim: int, config: RKANConfig) -> None:
        super().__init__()
        self.first = ChebyshevLayer(latent_dim + input_dim, config.hidden_dim, config.degree)
        self.second = ChebyshevLayer(config.hidden_dim, latent_dim, config.degree)
        nn.init.zeros_(self.second.series.weight)

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, H), (B, U) -> (B, H)."""
        after: Tensor = h + self.second(self.first(join(h, u)))
        return after


class ChebyshevLayer(nn.Module):
    """Sums of univariate Chebyshev series of squashed inputs, Φ(x)_i = b_i + Σ_j Σ_n c_ijn T_n(tanh x_j).

    Args:
        inputs: I.   outputs: O.   degree: N ≥ 1.
    """

    def __init__(self, inputs: int, outputs: int, degree: int) -> None:
        super().__init__()
        self.degree = degree
        # T₀ = 1 is the same for all j: one bias stands for all of them.
        self.series = nn.Linear(degree * inputs, outputs)
        nn.init.normal_(self.series.weight, std=1.0 / math.sqrt(degree * inputs))
        nn.init.zeros_(self.series.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I) -> (B, O)."""
        out: Tensor = self.series(torch.cat(chebyshev_polynomials(torch.tanh(x), self.degree), dim=-1))
        return out


def chebyshev_polynomials(x: Tensor, degree: int) -> list[Tensor]:
    """Chebyshev polynomials T_1 … T_N of x in [−1, 1] by T_{n+1} = 2x T_n − T_{n−1}, each of x's shape."""
    rows = [torch.ones_like(x), x]
    for _ in range(degree - 1):
        rows.append(2.0 * x * rows[-1] - rows[-2])
    return rows[1:]
