"""Base class of models without a gradient: their step follows from the training data, or from the truth itself.

Axes: N trajectories, T steps, M pairs of states, B batch, D observed state, U inputs, H latent state.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from ddl_dyn.config.sections import ModelConfig
from ddl_dyn.models.base import StepModel


class ClosedFormConfig(ModelConfig):
    """Options of a model that is solved: there is one map of the observed state, and no network to size.

    lift, sharing, layers, hidden_dim, reencode, decay: fixed; there is nothing that they could change.
    carry: either; the two are one where the model keeps no memory.
    """

    lift: Literal["identity"] = "identity"
    sharing: Literal["tied"] = "tied"
    layers: Literal[1] = 1
    hidden_dim: Literal[1] = 1
    reencode: float = Field(default=0.0, ge=0.0, le=0.0)
    decay: Literal[False] = False


class ClosedForm(StepModel):
    """A step without trainable parameters; `solve` fills its buffers. Unsolved buffers are NaN, so it cannot be used
    by mistake: a free run of an unsolved model has the status DIVERGED.
    """

    closed_form = True
    identity_start = False
    dynamics: ClassVar[Literal["floor", "oracle"]] = "floor"

    def __init__(self, state_dim: int, config: ModelConfig, *, input_dim: int = 0, dt: float = 1.0) -> None:
        super().__init__(state_dim, config, input_dim=input_dim, dt=dt)
        # Also what gives a model without numbers of its own a device and a dtype.
        self.register_buffer("solved", torch.zeros(()))

    @property
    def rule(self) -> Any:
        """The one layer."""
        return self.layers[0]

    @torch.no_grad()
    def solve(self, states: Tensor, inputs: Tensor) -> None:
        """Fill the buffers from training trajectories.

        Args:
            states: (N, T+1, D), in model units, float64.   inputs: (N, T, U).
        """
        self._solve(states, inputs)
        self.solved.fill_(1.0)  # type: ignore[operator]

    @abstractmethod
    def _solve(self, states: Tensor, inputs: Tensor) -> None:
        """Model-specific part of `solve`."""


def transition_pairs(states: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """States (M, D), the inputs that acted on them (M, U) and the states that followed (M, D), M = N·T."""
    before, after = states[:, :-1], states[:, 1:]
    return before.flatten(0, 1), inputs.flatten(0, 1), after.flatten(0, 1)
