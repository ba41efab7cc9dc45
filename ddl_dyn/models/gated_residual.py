"""The gated residual network. Axes: B batch, H latent state, U inputs."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.models.base import ResidualConfig, StepModel
from ddl_dyn.models.branch import Branch, join


class GatedResidualConfig(ResidualConfig):
    """Options of the gated residual network.

    gate: "state": a gate per component, computed from the state; "scalar": one learned number per layer.
    gate_bias: the gate's logit at the start.
    """

    gate: Literal["state", "scalar"] = "state"
    gate_bias: float = Field(default=0.0)


class GatedResidual(StepModel):
    """Residual network whose branch is gated and whose shortcut is not: the highway network's untied cousin."""

    Config = GatedResidualConfig
    config: GatedResidualConfig
    equation = "h⁺ = h + g(h) ∘ F(h),  g = σ(W h + b)"
    source = (
        "Savarese, Mazza & Figueiredo (2016), Learning Identity Mappings with Residual Gates, arXiv 1611.01260; "
        "a scalar gate that starts closed: Bachlechner et al. (2020), ReZero, arXiv 2003.04887"
    )

    def make_layer(self) -> nn.Module:
        """One gated residual block."""
        return GatedLayer(self.latent_dim, self.input_dim, self.config)


class GatedLayer(nn.Module):
    """One gated residual block.

    Args:
        latent_dim: H.   input_dim: U.   config: the model's options.
    """

    def __init__(self, latent_dim: int, input_dim: int, config: GatedResidualConfig) -> None:
        super().__init__()
        self.branch = Branch(latent_dim + input_dim, config.hidden_dim, latent_dim)
        if config.gate == "scalar":
            self.logit = nn.Parameter(torch.full((1,), config.gate_bias))
        else:
            self.gate = nn.Linear(latent_dim + input_dim, latent_dim)
            nn.init.constant_(self.gate.bias, config.gate_bias)
        self.scalar = config.gate == "scalar"

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, H), (B, U) -> (B, H)."""
        context = join(h, u)
        logit = self.logit if self.scalar else self.gate(context)
        after: Tensor = h + torch.sigmoid(logit) * self.branch(context)
        return after
