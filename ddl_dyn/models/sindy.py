"""Sparse identification of nonlinear dynamics. Axes: N trajectories, B batch, D state, U inputs, F features."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.models.branch import join
from ddl_dyn.models.closed_form import ClosedForm, ClosedFormConfig, transition_pairs
from ddl_dyn.models.least_squares import ROWS, TriangularFactor, factorise
from ddl_dyn.models.nvar import Monomials
from ddl_dyn.models.runge_kutta import rk4

# Thresholded regressions repeat until no coefficient is lost, which takes at most as many rounds as there are features.
ROUNDS = 100
# Weights of x at t−2, t−1, t+1 and t+2 in twelve times its derivative, of order 4 in the interval.
STENCIL = {0: 1.0, 1: -8.0, 3: 8.0, 4: -1.0}


class SINDyConfig(ClosedFormConfig):
    """Options of sparse identification.

    form: "flow" identifies ẋ = Ξᵀ φ(x), from derivatives by central differences of order 4, and integrates it with
        `substeps` steps of the Runge–Kutta method of order 4 (`solver`) an interval; "map" identifies
        x⁺ = x + Ξᵀ φ(x, u); "auto" takes the one with the smaller error of one step on the training data.
    degree: highest total degree of a monomial.
    threshold: coefficients below it, in model units (and per unit of time of a flow), are left out.
    ridge: weight of the squared coefficients against the mean squared error.
    """

    form: Literal["auto", "flow", "map"] = "auto"
    degree: int = Field(default=3, ge=1, le=8)
    threshold: float = Field(default=0.01, ge=0.0)
    ridge: float = Field(default=1e-8, ge=0.0)
    solver: Literal["rk4"] = "rk4"
    substeps: int = Field(default=4, ge=1, le=10_000)


class SINDy(ClosedForm):
    """Sparse identification of nonlinear dynamics: sequentially thresholded least squares on a library of monomials."""

    Config = SINDyConfig
    config: SINDyConfig
    equation = "ẋ = Ξᵀ φ(x) or x⁺ = x + Ξᵀ φ(x, u),  φ all monomials up to degree p, Ξ sparse"
    source = (
        "Brunton, Proctor & Kutz (2016), Discovering governing equations from data by sparse identification of "
        "nonlinear dynamical systems, doi:10.1073/pnas.1517384113"
    )

    @property
    def claim(self) -> str:
        """A flow or a map, where the options say which."""
        return "floor" if self.config.form == "auto" else self.config.form

    def make_layer(self) -> nn.Module:
        """The identified law."""
        if self.config.form == "flow" and self.input_dim:
            raise ValueError(
                "sindy: form=flow needs derivatives, which jump where inputs do, and this task has inputs; use form=map"
            )
        return Law(self.state_dim, self.input_dim, self.dt, self.config)

    def _solve(self, states: Tensor, inputs: Tensor) -> None:
        form, law = self.config.form, self.rule
        dtype = law.weight.dtype
        law.to(torch.float64)
        if form == "map" or self.input_dim:
            law.fill(self._map(states, inputs), flow=False)
        elif form == "flow":
            law.fill(self._flow(states), flow=True)
        elif states.shape[1] < 5:
            law.fill(self._map(states, inputs), flow=False)
        else:
            found = []
            for flow, weight in ((False, self._map(states, inputs)), (True, self._flow(states))):
                law.fill(weight, flow=flow)
                x, u, y = transition_pairs(states, inputs)
                error = torch.cat([(law(a, b) - c).square().sum(-1) for a, b, c in _blocks(x, u, y)]).mean()
                found.append((torch.nan_to_num(error, nan=torch.inf), weight, flow))
            law.fill(*min(found, key=lambda row: float(row[0]))[1:])
        law.to(dtype)

    def _map(self, states: Tensor, inputs: Tensor) -> Tensor:
        x, u, y = transition_pairs(states, inputs)
        return self._sparse(factorise((self.rule.features(join(a, b)), c - a) for a, b, c in _blocks(x, u, y)))

    def _flow(self, states: Tensor) -> Tensor:
        T = states.shape[1]
        if T < 5:
            raise ValueError(
                f"sindy: form=flow takes derivatives from five successive states, but trajectories have {T}; raise "
                "data.steps or use form=map"
            )
        slope = torch.stack([w * states[:, i : T - 4 + i] for i, w in STENCIL.items()]).sum(0) / (12.0 * self.dt)
        x, y = states[:, 2 : T - 2].flatten(0, 1), slope.flatten(0, 1)
        return self._sparse(factorise((self.rule.features(a), b) for a, b in _blocks(x, y)))

    def _sparse(self, factor: TriangularFactor) -> Tensor:
        """Sequentially thresholded least squares, one output after the other."""
        columns = []
        for d in range(self.state_dim):
            kept = torch.ones(factor.features, dtype=torch.bool)
            for _ in range(ROUNDS):
                column = factor.solve(ridge=self.config.ridge, among=kept, output=d)
                small = kept & (column[:, 0].abs() < self.config.threshold)
                if not small.any():
                    break
                kept = kept & ~small
            columns.append(column)
        return torch.cat(columns, dim=1)


def _blocks(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """Tensors of M rows, some rows at a time."""
    return list(zip(*(t.split(ROWS) for t in tensors), strict=True))


class Law(Monomials):
    """A polynomial map or the flow of a polynomial field.

    Args:
        state_dim: D.   input_dim: U.   dt: interval of the flow.   config: the model's options.
    """

    flow: Tensor

    def __init__(self, state_dim: int, input_dim: int, dt: float, config: SINDyConfig) -> None:
        super().__init__(state_dim + input_dim, state_dim, config.degree)
        self.size, self.substeps = dt / config.substeps, config.substeps
        self.register_buffer("flow", torch.zeros(()))

    def fill(self, weight: Tensor, flow: bool) -> None:
        """Take over coefficients (F, D) of a map or of a field."""
        self.weight.copy_(weight)
        self.flow.fill_(float(flow))

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, D), (B, U) -> (B, D)."""
        moved = h + self.features(join(h, u)) @ self.weight
        flowed = h
        for i in range(self.substeps):
            flowed = rk4(lambda _, x: self.features(join(x, u)) @ self.weight, i * self.size, flowed, self.size)
        return torch.where(self.flow > 0.5, flowed, moved)
