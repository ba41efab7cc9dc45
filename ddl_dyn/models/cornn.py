"""The coupled oscillatory recurrent network. Axes: B batch, H latent state, S oscillators, U inputs."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.models.branch import join, zero_linear
from ddl_dyn.models.recurrent import Recurrent, RecurrentConfig


class CoRNNConfig(RecurrentConfig):
    """Options of the coupled oscillatory recurrent network.

    step_size: Δt of the oscillators in one step.   gamma: squared frequency γ.   epsilon: damping ε.
    """

    step_size: float = Field(default=0.5, gt=0.0, le=10.0)
    gamma: float = Field(default=1.0, ge=0.0)
    epsilon: float = Field(default=1.0, ge=0.0)


class CoRNN(Recurrent):
    """Coupled oscillatory recurrent network: its memory is a set of damped oscillators y with velocities z, driven by
    the state and by each other; symplectic Euler steps, with explicit damping.

    The state moves by a linear function of the positions. See `Recurrent` for what `carry` does to the memory.
    """

    Config = CoRNNConfig
    config: CoRNNConfig
    memory_parts = 2
    equation = "z⁺ = z + Δt(tanh(W y + 𝒲 z + V h + b) − γ y − ε z),  y⁺ = y + Δt z⁺,  h⁺ = h + O y⁺"
    source = (
        "Rusch & Mishra (2021), Coupled Oscillatory Recurrent Neural Network (coRNN), arXiv 2010.00951, with the "
        "damping at the old velocity"
    )

    def make_layer(self) -> nn.Module:
        """One step of the oscillators."""
        return Oscillators(self.latent_dim, self.input_dim, self.config)


class Oscillators(nn.Module):
    """One step of the oscillators and the increment that they give.

    Args:
        latent_dim: H.   input_dim: U.   config: the model's options.
    """

    def __init__(self, latent_dim: int, input_dim: int, config: CoRNNConfig) -> None:
        super().__init__()
        S = config.hidden_dim
        self.config, self.sizes = config, (latent_dim, S, S)
        self.force = nn.Linear(latent_dim + 2 * S + input_dim, S)
        self.output = zero_linear(S, latent_dim)

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, H + 2S), (B, U) -> (B, H + 2S): state, positions and velocities."""
        config = self.config
        x, y, z = h.split(self.sizes, dim=-1)
        force = torch.tanh(self.force(join(h, u)))
        z = z + config.step_size * (force - config.gamma * y - config.epsilon * z)
        y = y + config.step_size * z
        return torch.cat((x + self.output(y), y, z), dim=-1)
