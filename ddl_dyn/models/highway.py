"""The highway network. Axes: B batch, H latent state, U inputs."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.models.base import ResidualConfig, StepModel
from ddl_dyn.models.branch import Branch, join


class HighwayConfig(ResidualConfig):
    """Options of the highway network.

    gate_bias: bias of the transform gate at the start; negative carries the state through.
    signed: the gate ranges over (0, 2) instead of (0, 1), h⁺ = (1 − 2T) ∘ h + 2T ∘ F(h), so that the carry gate ranges
        over (−1, 1): what β does along k in a Delta layer, here along each coordinate axis.
    """

    gate_bias: float = Field(default=-3.0)
    signed: bool = False


class Highway(StepModel):
    """Highway network: a learned gate T mixes the carried state with the branch, component by component."""

    Config = HighwayConfig
    config: HighwayConfig
    equation = "h⁺ = (1 − T(h)) ∘ h + T(h) ∘ F(h),  T = σ(W h + b)"
    source = "Srivastava, Greff & Schmidhuber (2015), Highway Networks, arXiv 1505.00387"

    def make_layer(self) -> nn.Module:
        """One highway block."""
        return HighwayLayer(self.latent_dim, self.input_dim, self.config)


class HighwayLayer(nn.Module):
    """One highway block.

    Args:
        latent_dim: H.   input_dim: U.   config: the model's options.
    """

    def __init__(self, latent_dim: int, input_dim: int, config: HighwayConfig) -> None:
        super().__init__()
        # Not zero at the start: the closed gate alone makes the block nearly the identity.
        self.branch = Branch(latent_dim + input_dim, config.hidden_dim, latent_dim, zero_last=False)
        self.gate = nn.Linear(latent_dim + input_dim, latent_dim)
        nn.init.constant_(self.gate.bias, config.gate_bias)
        self.largest = 2.0 if config.signed else 1.0

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, H), (B, U) -> (B, H)."""
        context = join(h, u)
        gate = torch.sigmoid(self.gate(context))
        # h + T(F − h) is (1−T)h + TF with one product fewer.
        after: Tensor = h + (gate if self.largest == 1.0 else self.largest * gate) * (self.branch(context) - h)
        return after
