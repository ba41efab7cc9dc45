"""The echo state network. Axes: N trajectories, T steps, B batch, D observed state, N_r reservoir, U inputs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.models.branch import join
from ddl_dyn.models.closed_form import ClosedForm, ClosedFormConfig
from ddl_dyn.models.least_squares import ROWS, factorise


class ESNConfig(ClosedFormConfig):
    """Options of the echo state network.

    reservoir_dim: N_r.   spectral_radius: largest modulus of the eigenvalues of A.   density: share of A's entries that
        are not zero.
    leak: α, share of a unit that is renewed in a step.   input_scale, bias_scale: bounds of the uniform V and b.
    warmup: steps under the first state, from r = 0, before a run begins; the reservoir's memory of a constant past.
    ridge: weight of the squared coefficients against the mean squared error.
    """

    reservoir_dim: int = Field(default=300, ge=1, le=20_000)
    spectral_radius: float = Field(default=0.9, gt=0.0, le=10.0)
    density: float = Field(default=0.1, gt=0.0, le=1.0)
    leak: float = Field(default=1.0, gt=0.0, le=1.0)
    input_scale: float = Field(default=0.5, gt=0.0)
    bias_scale: float = Field(default=0.5, ge=0.0)
    warmup: int = Field(default=20, ge=0, le=10_000)
    ridge: float = Field(default=1e-8, ge=0.0)


class ESN(ClosedForm):
    """Echo state network: a fixed random recurrent network, the reservoir, with a linear output by ridge regression.

    Training drives the reservoir with the true states. With carry="latent" a free run carries the reservoir, as is
    usual; with "observed" it is made anew from the state in every step, in training too, and is a set of random
    features of the state.
    """

    Config = ESNConfig
    config: ESNConfig
    equation = "r⁺ = (1 − α) r + α tanh(A r + V (x, u) + b),  x⁺ = x + Wᵀ (1, x, u, r⁺)"
    source = (
        "Jaeger (2001), The echo state approach to analysing and training recurrent neural networks, GMD report 148; "
        "for chaotic systems: Lu et al. (2017), Reservoir observers, doi:10.1063/1.4979665"
    )

    @property
    def claim(self) -> str:
        """A recurrent map, solved or not."""
        return "recurrent"

    @property
    def carried_dim(self) -> int:
        """D and the reservoir."""
        return self.state_dim + self.config.reservoir_dim

    def latent_size(self) -> int:
        """D, as lift=identity wants; the reservoir is appended by `lift`."""
        return self.state_dim

    def make_layer(self) -> nn.Module:
        """The reservoir and its output."""
        return Reservoir(self.state_dim, self.input_dim, self.config)

    def lift(self, x: Tensor) -> Tensor:
        """A state and the reservoir that a constant past has left, (B, D) -> (B, D + N_r)."""
        r = x.new_zeros(*x.shape[:-1], self.config.reservoir_dim)
        z = join(x, x.new_zeros(*x.shape[:-1], self.input_dim))
        for _ in range(self.config.warmup):
            r = self.rule.drive(r, z)
        return torch.cat((x, r), dim=-1)

    def read(self, h: Tensor) -> Tensor:
        """The state, (B, D + N_r) -> (B, D)."""
        return h[..., : self.state_dim]

    def _solve(self, states: Tensor, inputs: Tensor) -> None:
        dtype = self.rule.weight.dtype
        self.to(torch.float64)
        self.rule.scale_spectrum(self.config.spectral_radius)
        blocks = self._remembering if self.config.carry == "latent" else self._forgetting
        self.rule.output.copy_(factorise(blocks(states, inputs)).solve(ridge=self.config.ridge))
        self.to(dtype)

    def _remembering(self, states: Tensor, inputs: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Features and increments along the trajectories, some steps at a time."""
        r, rows = self.lift(states[:, 0])[:, self.state_dim :], []
        for t in range(inputs.shape[1]):
            z = join(states[:, t], inputs[:, t])
            r = self.rule.drive(r, z)
            rows.append((self.rule.features(r, z), states[:, t + 1] - states[:, t]))
            if len(rows) * len(states) >= ROWS or t == inputs.shape[1] - 1:
                yield torch.cat([phi for phi, _ in rows]), torch.cat([y for _, y in rows])
                rows = []

    def _forgetting(self, states: Tensor, inputs: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Features and increments at each state by itself."""
        x, u = states[:, :-1].flatten(0, 1), inputs.flatten(0, 1)
        y = states[:, 1:].flatten(0, 1) - x
        for i in range(0, len(x), ROWS):
            part = slice(i, i + ROWS)
            z = join(x[part], u[part])
            r = self.rule.drive(self.lift(x[part])[:, self.state_dim :], z)
            yield self.rule.features(r, z), y[part]


class Reservoir(nn.Module):
    """A random recurrent network and its linear output, which is NaN until it is solved for.

    Args:
        state_dim: D.   input_dim: U.   config: the model's options.
    """

    weight: Tensor
    inward: Tensor
    bias: Tensor
    output: Tensor

    def __init__(self, state_dim: int, input_dim: int, config: ESNConfig) -> None:
        super().__init__()
        N, inputs = config.reservoir_dim, state_dim + input_dim
        self.state_dim, self.leak = state_dim, config.leak
        weight, kept, inward, bias = (
            nn.init.uniform_(torch.empty(shape), low, high)
            for shape, low, high in (
                ((N, N), -1.0, 1.0),
                ((N, N), 0.0, 1.0),
                ((N, inputs), -config.input_scale, config.input_scale),
                ((N,), -config.bias_scale, config.bias_scale),
            )
        )
        self.register_buffer("weight", weight * (kept < config.density))
        self.register_buffer("inward", inward)
        self.register_buffer("bias", bias)
        self.register_buffer("output", torch.full((1 + inputs + N, state_dim), torch.nan))

    def scale_spectrum(self, radius: float) -> None:
        """Scale A to a spectral radius; a matrix whose eigenvalues all vanish stays as it is."""
        largest = torch.linalg.eigvals(self.weight).abs().max()
        if largest > 0.0:
            self.weight.mul_(radius / largest)

    def drive(self, r: Tensor, z: Tensor) -> Tensor:
        """The reservoir after a step under z = (x, u), (…, N_r) and (…, D + U) -> (…, N_r)."""
        a = torch.tanh(nn.functional.linear(r, self.weight) + nn.functional.linear(z, self.inward, self.bias))
        return a if self.leak == 1.0 else r + self.leak * (a - r)

    def features(self, r: Tensor, z: Tensor) -> Tensor:
        """Regressors of the linear output: (1, z, r)."""
        return torch.cat((torch.ones_like(z[..., :1]), z, r), dim=-1)

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, D + N_r), (B, U) -> (B, D + N_r)."""
        x, r = h[..., : self.state_dim], h[..., self.state_dim :]
        z = join(x, u)
        r = self.drive(r, z)
        return torch.cat((x + self.features(r, z) @ self.output, r), dim=-1)
