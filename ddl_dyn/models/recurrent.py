"""Base class of recurrent steps: a state with a memory beside it.

Axes: B batch, D observed state, H latent state, M memory.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.config.sections import ModelConfig
from ddl_dyn.models.base import ResidualConfig, StepModel


class RecurrentConfig(ResidualConfig):
    """Options of recurrent steps; `hidden_dim` is the size of the hidden state s.

    layers: successive cells that read and rewrite the one memory within a step.
    """

    layers: int = Field(default=1, ge=1, le=10_000)


class Recurrent(StepModel):
    """A cell whose memory travels beside the state: the state is fed in, the memory decides where it moves.

    The memory starts as an affine function of the first state. With carry="latent" it is carried along a free run, as
    a recurrent network's is. With carry="observed" it is made anew from the state in every step: nothing is
    remembered, and the learned map is an ordinary map of the observed state.
    """

    config: RecurrentConfig
    dynamics = "recurrent"
    # Vectors of length hidden_dim in the memory.
    memory_parts: ClassVar[int]

    def __init__(self, state_dim: int, config: ModelConfig, *, input_dim: int = 0, dt: float = 1.0) -> None:
        super().__init__(state_dim, config, input_dim=input_dim, dt=dt)
        self.initial = nn.Linear(state_dim, self.memory_parts * self.config.hidden_dim)

    @property
    def carried_dim(self) -> int:
        """H and the memory."""
        return self.latent_dim + self.memory_parts * self.config.hidden_dim

    @abstractmethod
    def make_layer(self) -> nn.Module:
        """One cell."""

    def lift(self, x: Tensor) -> Tensor:
        """State and its first memory, (B, D) -> (B, H + M)."""
        return torch.cat((self.lift_map(x), torch.tanh(self.initial(x))), dim=-1)

    def assimilate(self, h: Tensor, x: Tensor) -> Tensor:
        """State with its observed part replaced by x; the memory is kept."""
        state, memory = h[..., : self.latent_dim], h[..., self.latent_dim :]
        return torch.cat((state + self.lift_map(x) - self.lift_map(self.read_map(state)), memory), dim=-1)

    def read(self, h: Tensor) -> Tensor:
        """The state without its memory, (B, H + M) -> (B, D)."""
        x: Tensor = self.read_map(h[..., : self.latent_dim])
        return x
