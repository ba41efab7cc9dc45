"""Baselines: persistence, mean and linear forecasts. Axes: B batch, D observed state, U inputs, M pairs."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.models.branch import join
from ddl_dyn.models.closed_form import ClosedForm, ClosedFormConfig, transition_pairs
from ddl_dyn.models.least_squares import regress


class Persistence(ClosedForm):
    """Persistence forecast: the state stays as it is."""

    Config = ClosedFormConfig
    equation = "x⁺ = x"
    source = "Lorenz (1969), Atmospheric predictability as revealed by naturally occurring analogues, doi:10.1175/1520-0469(1969)26%3C636:APARBN%3E2.0.CO;2"  # noqa: E501

    def make_layer(self) -> nn.Module:
        """The identity."""
        return Keep()

    def _solve(self, states: Tensor, inputs: Tensor) -> None:
        """There is nothing to find."""


class Keep(nn.Module):
    """The identity map of a state under any inputs."""

    def forward(self, h: Tensor, u: Tensor) -> Tensor:  # noqa: ARG002
        """(B, H), (B, U) -> (B, H)."""
        return h


class Mean(ClosedForm):
    """Climatological forecast: the mean of all training states, whatever the state."""

    Config = ClosedFormConfig
    equation = "x⁺ = ⟨x⟩"
    source = "Murphy (1992), Climatology, persistence, and their linear combination as standards of reference in skill scores, doi:10.1175/1520-0434(1992)007%3C0692:CPATLC%3E2.0.CO;2"  # noqa: E501

    def make_layer(self) -> nn.Module:
        """The constant."""
        return Constant(self.state_dim)

    def _solve(self, states: Tensor, inputs: Tensor) -> None:  # noqa: ARG002
        self.rule.value.copy_(states.flatten(0, 1).mean(0))


class Constant(nn.Module):
    """A map with one value.

    Args:
        dim: D.
    """

    value: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("value", torch.full((dim,), torch.nan))

    def forward(self, h: Tensor, u: Tensor) -> Tensor:  # noqa: ARG002
        """(B, D), (B, U) -> (B, D)."""
        # 0·h keeps a state that is not finite from being forgotten.
        return self.value + 0.0 * h


class LinearConfig(ClosedFormConfig):
    """Options of the linear map.

    affine: with a constant term; model units are centred on the training mean, not on a fixed point.
    ridge: weight of the squared coefficients against the mean squared error.
    """

    affine: bool = True
    ridge: float = Field(default=0.0, ge=0.0)


class Linear(ClosedForm):
    """Linear least-squares map of one step: dynamic mode decomposition with inputs."""

    Config = LinearConfig
    config: LinearConfig
    equation = "x⁺ = A x + B u + c,  (A, B, c) = argmin Σ |x_{t+1} − A x_t − B u_t − c|²"
    source = (
        "Schmid (2010), Dynamic mode decomposition, doi:10.1017/S0022112010001217; with inputs: Proctor, Brunton & "
        "Kutz (2016), doi:10.1137/15M1013857"
    )

    def make_layer(self) -> nn.Module:
        """The affine map."""
        return Affine(self.state_dim + self.input_dim, self.state_dim)

    def _solve(self, states: Tensor, inputs: Tensor) -> None:
        x, u, y = transition_pairs(states, inputs)
        self.rule.fill(regress(self._features, join(x, u), y, ridge=self.config.ridge), self.config.affine)

    def _features(self, z: Tensor) -> Tensor:
        return torch.cat((z, torch.ones_like(z[:, :1])), dim=-1) if self.config.affine else z


class Affine(nn.Module):
    """An affine map with fixed coefficients.

    Args:
        inputs: I.   outputs: O.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.full((outputs, inputs), torch.nan))
        self.register_buffer("bias", torch.full((outputs,), torch.nan))

    def fill(self, coefficients: Tensor, affine: bool) -> None:
        """Take over coefficients (I + 1, O), the constant last, or (I, O) without one."""
        self.weight.copy_(coefficients[: self.weight.shape[1]].mT)
        self.bias.copy_(coefficients[-1] if affine else torch.zeros_like(self.bias))

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, D), (B, U) -> (B, D)."""
        return nn.functional.linear(join(h, u), self.weight, self.bias)
