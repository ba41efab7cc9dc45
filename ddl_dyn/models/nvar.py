"""The next-generation reservoir. Axes: B batch, D observed state, U inputs, K delays, F features."""

from __future__ import annotations

import itertools
import math

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ddl_dyn.models.closed_form import ClosedForm, ClosedFormConfig
from ddl_dyn.models.least_squares import regress

MOST_FEATURES = 1000


class NVARConfig(ClosedFormConfig):
    """Options of the next-generation reservoir.

    degree: highest total degree of a monomial (None: the highest up to 3 that keeps at most 1000 features).
    delays: past states that enter beside the present one; they are a memory, so they need carry="latent".
    ridge: weight of the squared coefficients against the mean squared error.
    """

    degree: int | None = Field(default=None, ge=1, le=12)
    delays: int = Field(default=0, ge=0, le=64)
    ridge: float = Field(default=1e-8, ge=0.0)

    @model_validator(mode="after")
    def _memory(self) -> NVARConfig:
        if self.delays and self.carry != "latent":
            raise ValueError(f"delays = {self.delays} are a memory that carry=observed forgets; set carry=latent")
        return self


class NVAR(ClosedForm):
    """Nonlinear vector autoregression (next-generation reservoir): ridge regression on monomials of recent states.

    The latent state is the present state and the K before it, newest first; before a run began they equal its first
    state, in training as in a free run.
    """

    Config = NVARConfig
    config: NVARConfig
    equation = "x⁺ = x + Wᵀ φ(x_t, …, x_{t−K}, u_t),  φ all monomials up to degree p"
    source = "Gauthier et al. (2021), Next generation reservoir computing, doi:10.1038/s41467-021-25801-2"

    def latent_size(self) -> int:
        """D, as lift=identity wants; the delays are appended by `lift`."""
        return self.state_dim

    def make_layer(self) -> nn.Module:
        """The regression."""
        variables = (1 + self.config.delays) * self.state_dim + self.input_dim
        return Monomials(variables, self.state_dim, self._degree(variables))

    def _degree(self, variables: int) -> int:
        """The degree in force for so many variables."""
        if self.config.degree is None:
            return max([p for p in (2, 3) if math.comb(variables + p, p) <= MOST_FEATURES], default=1)
        if (count := math.comb(variables + self.config.degree, self.config.degree)) > 10 * MOST_FEATURES:
            raise ValueError(
                f"nvar: degree = {self.config.degree} of {variables} variables gives {count} features, more than "
                f"{10 * MOST_FEATURES}; lower degree or delays"
            )
        return self.config.degree

    def lift(self, x: Tensor) -> Tensor:
        """A state as its own past, (B, D) -> (B, (1+K)·D)."""
        return torch.cat([x] * (1 + self.config.delays), dim=-1)

    def read(self, h: Tensor) -> Tensor:
        """The present state, (B, (1+K)·D) -> (B, D)."""
        return h[..., : self.state_dim]

    def _solve(self, states: Tensor, inputs: Tensor) -> None:
        K, T = self.config.delays, inputs.shape[1]
        padded = torch.cat([states[:, :1]] * K + [states], dim=1)
        past = [padded[:, K - j : K - j + T] for j in range(K + 1)]
        z = torch.cat([*past, inputs], dim=-1).flatten(0, 1)
        increment = (states[:, 1:] - states[:, :-1]).flatten(0, 1)
        self.rule.weight.copy_(regress(self.rule.features, z, increment, ridge=self.config.ridge))


class Monomials(nn.Module):
    """State plus a linear combination of all monomials of its variables.

    Args:
        variables: of the monomials.   state_dim: D.   degree: highest total degree.
    """

    factors: Tensor
    weight: Tensor

    def __init__(self, variables: int, state_dim: int, degree: int) -> None:
        super().__init__()
        self.state_dim, self.variables = state_dim, variables
        # Index 0 stands for the constant 1, so that products of exactly `degree` factors have every lower degree too.
        table = list(itertools.combinations_with_replacement(range(variables + 1), degree))
        self.register_buffer("factors", torch.tensor(table).T.contiguous())
        self.register_buffer("weight", torch.full((len(table), state_dim), torch.nan))

    def features(self, z: Tensor) -> Tensor:
        """Monomials φ of the variables, (…, variables) -> (…, F)."""
        z = torch.cat((torch.ones_like(z[..., :1]), z), dim=-1)
        out = z[..., self.factors[0]]
        for row in range(1, self.factors.shape[0]):
            out = out * z[..., self.factors[row]]
        return out

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, (1+K)·D), (B, U) -> (B, (1+K)·D)."""
        z = torch.cat((h, u), dim=-1)
        after = h[..., : self.state_dim] + self.features(z) @ self.weight
        return torch.cat((after, h[..., : h.shape[-1] - self.state_dim]), dim=-1)
