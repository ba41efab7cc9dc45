"""The shallow piecewise-linear recurrent network. Axes: B batch, H latent state, L hidden units, U inputs."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.models.base import ResidualConfig, StepModel
from ddl_dyn.models.branch import join, zero_linear


class ShPLRNNConfig(ResidualConfig):
    """Options of the shallow piecewise-linear recurrent network; `hidden_dim` is L.

    layers: successive maps.
    clipped: φ(W₂ h + b₂) − φ(W₂ h) in place of φ(W₂ h + b₂): the hidden units are bounded, and with |a| < 1 so are all
        orbits.
    """

    layers: int = Field(default=1, ge=1, le=10_000)
    clipped: bool = False


class ShPLRNN(StepModel):
    """Shallow piecewise-linear recurrent network: a diagonal linear part and one hidden layer of rectifiers.

    Inputs enter the hidden layer beside the state, so that a token can choose among maps.
    """

    Config = ShPLRNNConfig
    config: ShPLRNNConfig
    equation = "h⁺ = a ∘ h + W₁ φ(W₂ h + b₂) + b₁,  φ = max(0, ·)"
    source = (
        "Hess, Monfared, Brenner & Durstewitz (2023), Generalized Teacher Forcing for Learning Chaotic Dynamics, "
        "arXiv 2306.04406"
    )

    def make_layer(self) -> nn.Module:
        """One map."""
        return ShallowLayer(self.latent_dim, self.input_dim, self.config)


class ShallowLayer(nn.Module):
    """One shallow piecewise-linear map, the identity at the start.

    Args:
        latent_dim: H.   input_dim: U.   config: the model's options.
    """

    def __init__(self, latent_dim: int, input_dim: int, config: ShPLRNNConfig) -> None:
        super().__init__()
        self.latent_dim, self.clipped = latent_dim, config.clipped
        self.diagonal = nn.Parameter(torch.ones(latent_dim))
        self.hidden = nn.Linear(latent_dim + input_dim, config.hidden_dim)
        self.last = zero_linear(config.hidden_dim, latent_dim)

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, H), (B, U) -> (B, H)."""
        units = torch.relu(self.hidden(join(h, u)))
        if self.clipped:
            units = units - torch.relu(nn.functional.linear(h, self.hidden.weight[:, : self.latent_dim]))
        after: Tensor = self.diagonal * h + self.last(units)
        return after
