"""Long short-term memory. Axes: B batch, H latent state, S hidden state, U inputs."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.models.branch import join, zero_linear
from ddl_dyn.models.recurrent import Recurrent, RecurrentConfig


class LSTMConfig(RecurrentConfig):
    """Options of the long short-term memory.

    forget_bias: bias of the forget gate at the start; positive keeps what the cell holds.
    """

    forget_bias: float = Field(default=1.0)


class LSTM(Recurrent):
    """Long short-term memory as a recurrent step: the constant error carousel c is the first residual connection.

    See `Recurrent` for what `carry` does to the memory.
    """

    Config = LSTMConfig
    config: LSTMConfig
    memory_parts = 2
    equation = "c⁺ = f ∘ c + i ∘ tanh(a),  s⁺ = o ∘ tanh(c⁺),  h⁺ = h + W s⁺;  i, f, o = σ, a affine in (h, s)"
    source = (
        "Hochreiter (1991), Untersuchungen zu dynamischen neuronalen Netzen, TU München; Hochreiter & Schmidhuber "
        "(1997), Long Short-Term Memory, doi:10.1162/neco.1997.9.8.1735; forget gate: Gers, Schmidhuber & Cummins "
        "(2000), Learning to Forget, doi:10.1162/089976600300015015"
    )

    def make_layer(self) -> nn.Module:
        """One cell."""
        return LSTMCell(self.latent_dim, self.input_dim, self.config)


class LSTMCell(nn.Module):
    """One cell and the increment that its hidden state gives.

    Args:
        latent_dim: H.   input_dim: U.   config: the model's options.
    """

    def __init__(self, latent_dim: int, input_dim: int, config: LSTMConfig) -> None:
        super().__init__()
        S = config.hidden_dim
        self.latent_dim, self.hidden_dim = latent_dim, S
        self.gates = nn.Linear(latent_dim + S + input_dim, 4 * S)
        with torch.no_grad():
            self.gates.bias[S : 2 * S].fill_(config.forget_bias)
        self.output = zero_linear(S, latent_dim)

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, H + 2S), (B, U) -> (B, H + 2S): state, hidden state and cell."""
        x, s, c = h.split((self.latent_dim, self.hidden_dim, self.hidden_dim), dim=-1)
        i, f, o, a = self.gates(join(torch.cat((x, s), dim=-1), u)).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(a)
        s = torch.sigmoid(o) * torch.tanh(c)
        return torch.cat((x + self.output(s), s, c), dim=-1)
