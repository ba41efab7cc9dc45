"""The almost-linear recurrent network. Axes: B batch, D observed state, H latent state, S hidden state, U inputs."""

from __future__ import annotations

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ddl_dyn.models.recurrent import Recurrent, RecurrentConfig


class ALRNNConfig(RecurrentConfig):
    """Options of the almost-linear recurrent network; its units are the H of the state and `hidden_dim` more.

    relu_units: P, how many of the hidden units are rectified (None: a quarter, at least one); all others are linear.
    """

    relu_units: int | None = Field(default=None, ge=1, le=65_536)

    @model_validator(mode="after")
    def _units(self) -> ALRNNConfig:
        if self.relu_units is not None and self.relu_units > self.hidden_dim:
            raise ValueError(
                f"relu_units = {self.relu_units} are some of the hidden_dim = {self.hidden_dim} hidden units; lower "
                "relu_units or raise hidden_dim"
            )
        return self


class ALRNN(Recurrent):
    """Almost-linear recurrent network: linear units all but P, so that the state space falls into 2^P linear regions.

    The first units are the state itself (an identity read-out under lift=identity); the hidden ones start as an affine
    function of it. See `Recurrent` for what `carry` does to them.
    """

    Config = ALRNNConfig
    config: ALRNNConfig
    memory_parts = 1
    equation = "z⁺ = a ∘ z + W Φ(z) + C u + b,  z = (h, s),  Φ = max(0, ·) on the last P units, else the identity"
    source = (
        "Brenner, Hemmer, Monfared & Durstewitz (2024), Almost-Linear RNNs Yield Highly Interpretable Symbolic Codes "
        "in Dynamical Systems Reconstruction, arXiv 2410.14240"
    )

    def lift(self, x: Tensor) -> Tensor:
        """State and its first hidden units, (B, D) -> (B, H + S)."""
        return torch.cat((self.lift_map(x), self.initial(x)), dim=-1)

    def make_layer(self) -> nn.Module:
        """One map."""
        return AlmostLinear(self.latent_dim, self.input_dim, self.config)


class AlmostLinear(nn.Module):
    """One almost-linear map, which starts by keeping the state.

    Args:
        latent_dim: H.   input_dim: U.   config: the model's options.
    """

    def __init__(self, latent_dim: int, input_dim: int, config: ALRNNConfig) -> None:
        super().__init__()
        S = config.hidden_dim
        self.rectified = config.relu_units if config.relu_units is not None else max(1, S // 4)
        self.diagonal = nn.Parameter(torch.cat((torch.ones(latent_dim), torch.full((S,), 0.5))))
        self.units = nn.Linear(latent_dim + S, latent_dim + S)
        with torch.no_grad():
            self.units.weight[:latent_dim] = 0.0
            self.units.bias[:latent_dim] = 0.0
        self.drive = nn.Linear(input_dim, latent_dim + S, bias=False) if input_dim else None

    def forward(self, z: Tensor, u: Tensor) -> Tensor:
        """(B, H + S), (B, U) -> (B, H + S)."""
        linear, others = z[..., : -self.rectified], z[..., -self.rectified :]
        out: Tensor = self.diagonal * z + self.units(torch.cat((linear, torch.relu(others)), dim=-1))
        return out if self.drive is None else out + self.drive(u)
