"""The gated recurrent unit. Axes: B batch, H latent state, S hidden state, U inputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ddl_dyn.models.branch import join, zero_linear
from ddl_dyn.models.recurrent import Recurrent, RecurrentConfig


class GRU(Recurrent):
    """Gated recurrent unit as a recurrent step: the hidden state is interpolated as a highway network's is.

    See `Recurrent` for what `carry` does to the memory.
    """

    Config = RecurrentConfig
    memory_parts = 1
    equation = "s⁺ = z ∘ s + (1 − z) ∘ tanh(W h + U (r ∘ s)),  h⁺ = h + V s⁺;  z, r = σ, affine in (h, s)"
    source = (
        "Cho et al. (2014), Learning Phrase Representations using RNN Encoder–Decoder, arXiv 1406.1078; against the "
        "LSTM: Chung et al. (2014), arXiv 1412.3555"
    )

    def make_layer(self) -> nn.Module:
        """One unit."""
        return GRUCell(self.latent_dim, self.input_dim, self.config)


class GRUCell(nn.Module):
    """One unit and the increment that its hidden state gives.

    Args:
        latent_dim: H.   input_dim: U.   config: the model's options.
    """

    def __init__(self, latent_dim: int, input_dim: int, config: RecurrentConfig) -> None:
        super().__init__()
        S = config.hidden_dim
        self.latent_dim, self.hidden_dim = latent_dim, S
        self.gates = nn.Linear(latent_dim + S + input_dim, 2 * S)
        self.candidate = nn.Linear(latent_dim + S + input_dim, S)
        self.output = zero_linear(S, latent_dim)

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, H + S), (B, U) -> (B, H + S): state and hidden state."""
        x, s = h.split((self.latent_dim, self.hidden_dim), dim=-1)
        z, r = torch.sigmoid(self.gates(join(h, u))).chunk(2, dim=-1)
        candidate = torch.tanh(self.candidate(join(torch.cat((x, r * s), dim=-1), u)))
        # c + z(s − c) is zs + (1−z)c with one product fewer.
        s = candidate + z * (s - candidate)
        return torch.cat((x + self.output(s), s), dim=-1)
