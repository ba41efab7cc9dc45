"""Long expressive memory. Axes: B batch, H latent state, S hidden state, U inputs."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.models.branch import join, zero_linear
from ddl_dyn.models.recurrent import Recurrent, RecurrentConfig


class LEMConfig(RecurrentConfig):
    """Options of long expressive memory.

    step_size: Δt, the longest of the learned time steps.
    """

    step_size: float = Field(default=1.0, gt=0.0, le=1.0)


class LEM(Recurrent):
    """Long expressive memory: two coupled memories y and z, each component with a learned time step of its own.

    The state moves by a linear function of y. See `Recurrent` for what `carry` does to the memory.
    """

    Config = LEMConfig
    config: LEMConfig
    memory_parts = 2
    equation = (
        "z⁺ = (1 − δ) ∘ z + δ ∘ tanh(W_z y + V_z h + b_z),  y⁺ = (1 − ε) ∘ y + ε ∘ tanh(W_y z⁺ + V_y h + b_y),  "
        "h⁺ = h + O y⁺;  δ, ε = Δt σ, affine in (y, h)"
    )
    source = "Rusch, Mishra, Erichson & Mahoney (2022), Long Expressive Memory for Sequence Modeling, arXiv 2110.04744"

    def make_layer(self) -> nn.Module:
        """One cell."""
        return LEMCell(self.latent_dim, self.input_dim, self.config)


class LEMCell(nn.Module):
    """One cell and the increment that its memory gives.

    Args:
        latent_dim: H.   input_dim: U.   config: the model's options.
    """

    def __init__(self, latent_dim: int, input_dim: int, config: LEMConfig) -> None:
        super().__init__()
        S = config.hidden_dim
        self.step_size, self.sizes = config.step_size, (latent_dim, S, S)
        context = latent_dim + S + input_dim
        self.early = nn.Linear(context, 3 * S)
        self.late = nn.Linear(context, S)
        self.output = zero_linear(S, latent_dim)

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, H + 2S), (B, U) -> (B, H + 2S): state, y and z."""
        x, y, z = h.split(self.sizes, dim=-1)
        first, second, target = self.early(join(torch.cat((x, y), dim=-1), u)).chunk(3, dim=-1)
        # z + δ(a − z) is (1−δ)z + δa with one product fewer.
        z = z + self.step_size * torch.sigmoid(first) * (torch.tanh(target) - z)
        target = torch.tanh(self.late(join(torch.cat((x, z), dim=-1), u)))
        y = y + self.step_size * torch.sigmoid(second) * (target - y)
        return torch.cat((x + self.output(y), y, z), dim=-1)
