"""The analogue forecast. Axes: B batch, D observed state, U inputs, M library pairs, K neighbours."""

from __future__ import annotations

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ddl_dyn.models.branch import join
from ddl_dyn.models.closed_form import ClosedForm, ClosedFormConfig, transition_pairs


class AnalogueConfig(ClosedFormConfig):
    """Options of the analogue forecast.

    library: training pairs kept, evenly spread over all of them; memory and time grow with it.
    neighbours: nearest analogues whose successors are averaged.
    increments: add the analogue's increment to the state instead of taking its successor.
    """

    library: int = Field(default=2048, ge=1, le=1_000_000)
    neighbours: int = Field(default=1, ge=1, le=1024)
    increments: bool = False

    @model_validator(mode="after")
    def _enough(self) -> AnalogueConfig:
        if self.neighbours > self.library:
            raise ValueError(f"neighbours must not exceed library = {self.library}, got {self.neighbours}")
        return self


class Analogue(ClosedForm):
    """Analogue forecast: the successor of the nearest state in the training data."""

    Config = AnalogueConfig
    config: AnalogueConfig
    equation = "x⁺ = y_{i*},  i* = argmin_i |(x, u) − (x_i, u_i)|"
    source = "Lorenz (1969), Atmospheric predictability as revealed by naturally occurring analogues, doi:10.1175/1520-0469(1969)26%3C636:APARBN%3E2.0.CO;2"  # noqa: E501

    def make_layer(self) -> nn.Module:
        """The library."""
        return Library(self.state_dim, self.input_dim, self.config)

    def _solve(self, states: Tensor, inputs: Tensor) -> None:
        x, u, y = transition_pairs(states, inputs)
        distinct = x.shape[0]
        if distinct < self.config.neighbours:
            raise ValueError(
                f"analogue: {self.config.neighbours} neighbours need as many training pairs, got {distinct}; lower "
                "neighbours or raise data.n_train"
            )
        M = self.config.library
        chosen = torch.linspace(0, distinct - 1, M).round().long() if distinct >= M else torch.arange(distinct)
        self.rule.fill(join(x, u)[chosen], y[chosen])


class Library(nn.Module):
    """Pairs of a state and its successor, and the search among them.

    Args:
        state_dim: D.   input_dim: U.   config: the model's options.
    """

    keys: Tensor
    successors: Tensor

    def __init__(self, state_dim: int, input_dim: int, config: AnalogueConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("keys", torch.full((config.library, state_dim + input_dim), torch.nan))
        self.register_buffer("successors", torch.full((config.library, state_dim), torch.nan))

    def fill(self, keys: Tensor, successors: Tensor) -> None:
        """Take over up to M pairs; the rest of the library stands infinitely far from every state."""
        self.keys.fill_(torch.inf)
        self.successors.fill_(0.0)
        self.keys[: keys.shape[0]].copy_(keys)
        self.successors[: keys.shape[0]].copy_(successors)

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, D), (B, U) -> (B, D)."""
        D = h.shape[-1]
        # Differences, not products: |a|² − 2 a·b + |b|² loses the digits that tell near neighbours apart. Which pair is
        # nearest has no derivative.
        here = join(h, u).detach()
        distance = torch.cdist(here, self.keys, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = distance.topk(self.config.neighbours, dim=-1, largest=False).indices
        after = self.successors[nearest]
        if self.config.increments:
            after = h[..., None, :] + after - self.keys[nearest][..., :D]
        # 0·h keeps a state that is not finite from being replaced by a training state.
        return after.mean(-2) + 0.0 * h
