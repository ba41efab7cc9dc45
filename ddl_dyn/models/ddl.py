"""Deep Delta Learning. Axes: B batch, U inputs, d rows, V value channels (d_v), r directions per layer."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ddl_dyn.models.base import ResidualConfig, StepModel
from ddl_dyn.models.branch import Branch, RMSNorm, join, zero_linear
from ddl_dyn.models.delta import delta_update, discrepancy, erase, unit_direction, write


class DDLConfig(ResidualConfig):
    """Options of the DDL family; `latent_dim` is d.

    value_dim: d_v (None: 1 under lift=identity, else 4).
    generator: where the direction comes from. "mlp": its own network on the flattened state (the paper's first
        version); "branch": the residual branch itself, v and β affine in the compressed context (later versions);
        "shared": one hidden layer on the flattened state with a head each for k, v and β; "constant": a learned
        constant, or affine in the inputs where a task has them.
    rewrite: "delta"; "write" (the matched control that erases nothing); "erase" (v = 0); "untied" (separate gates).
    value: where v comes from under "delta", "write" and "untied". "state": as `generator` says; "constant": a learned
        constant, or affine in the inputs. Only with constant k, β and v is the gate that is found a property of the
        map: a v that depends on the state can undo any part of β.
    gate: "linear" or two-layer "tanh" gate β = gate_max·σ(g); "constant": g a learned constant, or affine in the
        inputs; "fixed" holds β = beta0.
    gate_max: 2 for the paper's range (0, 2), 1 for (0, 1).
    directions: successive rank-1 rewrites per layer, generated from one context.
    norm: RMS-normalise the context. Off by default: a trajectory's amplitude is part of its state.
    """

    value_dim: int | None = Field(default=None, ge=1, le=4096)
    generator: Literal["mlp", "branch", "shared", "constant"] = "shared"
    rewrite: Literal["delta", "write", "erase", "untied"] = "delta"
    value: Literal["state", "constant"] = "state"
    gate: Literal["linear", "tanh", "constant", "fixed"] = "linear"
    gate_max: float = Field(default=2.0, gt=0.0, le=2.0)
    beta0: float = Field(default=0.1, ge=0.0, le=2.0)
    normalize_direction: bool = True
    directions: int = Field(default=1, ge=1, le=64)
    norm: bool = False

    @model_validator(mode="after")
    def _value(self) -> DDLConfig:
        if self.rewrite == "erase" and self.value != "state":
            raise ValueError("value has nothing to say under rewrite=erase, where v = 0; drop it or use rewrite=delta")
        return self

    @model_validator(mode="after")
    def _gate(self) -> DDLConfig:
        if self.gate != "fixed" and not 0.0 < self.beta0 < self.gate_max:
            raise ValueError(
                f"beta0 must lie strictly between 0 and gate_max = {self.gate_max} for a learned gate, got "
                f"{self.beta0}; use gate=fixed to hold β at an end of its range"
            )
        return self


class DDL(StepModel):
    """Deep Delta Learning stack: each layer replaces the residual shortcut by the Delta operator."""

    Config = DDLConfig
    config: DDLConfig
    equation = "X⁺ = (I − β k kᵀ) X + β k vᵀ,  k, β, v functions of X"
    source = "Deep Delta Learning (2026), arXiv 2601.00417"

    @property
    def rows(self) -> int:
        """d, the length of a direction."""
        if self.config.latent_dim is not None:
            return self.config.latent_dim
        return self.state_dim if self.config.lift == "identity" else 8

    @property
    def value_dim(self) -> int:
        """d_v, number of value channels."""
        if self.config.value_dim is not None:
            return self.config.value_dim
        return 1 if self.config.lift == "identity" else 4

    def latent_size(self) -> int:
        """H = d·d_v."""
        return self.rows * self.value_dim

    def make_layer(self) -> nn.Module:
        """One Delta layer."""
        return DeltaLayer(self.rows, self.value_dim, self.input_dim, self.config)


class DeltaLayer(nn.Module):
    """r successive Delta rewrites whose k, β and v are generated from one context of the incoming state.

    Args:
        rows: d.   value_dim: d_v.   input_dim: U.   config: the model's options.
    """

    def __init__(self, rows: int, value_dim: int, input_dim: int, config: DDLConfig) -> None:
        super().__init__()
        self.rows, self.value_dim, self.config = rows, value_dim, config
        r, hidden = config.directions, config.hidden_dim
        compressed = config.generator == "branch"
        width = rows if compressed else rows * value_dim
        if compressed:
            # Start by averaging the value channels.
            self.compress = nn.Parameter(torch.full((rows, value_dim), 1.0 / value_dim))
        self.norm = RMSNorm(width) if config.norm else nn.Identity()
        context = width + input_dim
        self.encode: nn.Module = nn.Identity()
        if config.generator == "shared":
            self.encode, context = nn.Sequential(nn.Linear(context, hidden), nn.Tanh()), hidden
        if config.generator == "constant":
            self.direction: nn.Module = Given(input_dim, r * rows)
            nn.init.normal_(self.direction.bias)
        elif config.generator == "shared":
            self.direction = nn.Linear(context, r * rows)
        else:
            self.direction = Branch(context, hidden, r * rows, zero_last=False)
        if config.rewrite != "erase" and config.value == "constant":
            self.value: nn.Module = Given(input_dim, r * value_dim, zero=True)
        elif config.rewrite != "erase":
            affine = config.generator in ("branch", "shared")
            self.value = zero_linear(context, r * value_dim) if affine else Branch(context, hidden, r * value_dim)
        if config.gate != "fixed":
            gates = 2 * r if config.rewrite == "untied" else r
            self.gate = make_gate(input_dim if config.gate == "constant" else context, gates, config)

    def generate(self, h: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """k (B, r, d), v (B, r, V), erase gate (B, r) and write gate (B, r) from state (B, d·V) and inputs (B, U)."""
        r, config = self.config.directions, self.config
        if config.generator == "branch":
            context = (h.unflatten(-1, (self.rows, self.value_dim)) * self.compress).sum(-1)
        else:
            context = h
        context = self.encode(join(self.norm(context), u))
        if config.generator == "constant":
            k = self.direction(u)
        else:
            k = self.direction(context)
        k = k.unflatten(-1, (r, self.rows))
        if config.normalize_direction:
            k = unit_direction(k)
        if config.rewrite == "erase":
            v = h.new_zeros(*h.shape[:-1], r, self.value_dim)
        else:
            v = self.value(u if config.value == "constant" else context).unflatten(-1, (r, self.value_dim))
        if config.gate == "fixed":
            beta = torch.full_like(k[..., 0], config.beta0)
            return k, v, beta, beta
        beta = config.gate_max * torch.sigmoid(self.gate(u if config.gate == "constant" else context))
        return k, v, beta[..., :r], beta[..., -r:]

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, d·V), (B, U) -> (B, d·V)."""
        return self._rewrite(h, *self.generate(h, u))[-1].flatten(-2)

    def trace(self, h: Tensor, u: Tensor) -> dict[str, Tensor]:
        """k (B, r, d), v (B, r, V), beta and beta_write (B, r), e_pre and e_post (B, r, V) of one layer."""
        k, v, beta, beta_write = self.generate(h, u)
        states = self._rewrite(h, k, v, beta, beta_write)
        pairs = list(zip(states, states[1:], range(self.config.directions), strict=False))
        return {
            "k": k,
            "v": v,
            "beta": beta,
            "beta_write": beta_write,
            "e_pre": torch.stack([discrepancy(before, k[..., i, :], v[..., i, :]) for before, _, i in pairs], dim=-2),
            "e_post": torch.stack([discrepancy(after, k[..., i, :], v[..., i, :]) for _, after, i in pairs], dim=-2),
        }

    def _rewrite(self, h: Tensor, k: Tensor, v: Tensor, beta: Tensor, beta_write: Tensor) -> list[Tensor]:
        """The state (B, d, V) before the first and after each of the r rewrites."""
        states = [h.unflatten(-1, (self.rows, self.value_dim))]
        for i in range(self.config.directions):
            X, ki, vi, bi = states[-1], k[..., i, :], v[..., i, :], beta[..., i]
            if self.config.rewrite == "delta":
                X = delta_update(X, ki, vi, bi)
            elif self.config.rewrite == "write":
                X = write(X, ki, vi, bi)
            elif self.config.rewrite == "erase":
                X = erase(X, ki, bi)
            else:
                X = write(erase(X, ki, bi), ki, vi, beta_write[..., i])
            states.append(X)
        return states


class Given(nn.Module):
    """State-independent term: a learned constant, affine in the inputs where there are any.

    Args:
        inputs: U.   outputs: O.   zero: start at zero.
    """

    def __init__(self, inputs: int, outputs: int, *, zero: bool = False) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weight: nn.Parameter | None = None
        if inputs:
            bound = 0.0 if zero else 1.0 / math.sqrt(inputs)
            self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))

    def forward(self, u: Tensor) -> Tensor:
        """(B, U) -> (B, O)."""
        if self.weight is None:
            return self.bias.expand(*u.shape[:-1], -1)
        return nn.functional.linear(u, self.weight, self.bias)


def make_gate(context: int, gates: int, config: DDLConfig) -> nn.Module:
    """Network g of the gate, starting near β₀ everywhere: small weights, last bias logit(β₀/gate_max).

    Args:
        context: size of what it sees.   gates: size of its output.   config: the model's options.
    """
    p = config.beta0 / config.gate_max
    if config.gate == "constant":
        given = Given(context, gates, zero=True)
        nn.init.constant_(given.bias, math.log(p / (1.0 - p)))
        return given
    last = nn.Linear(context if config.gate == "linear" else config.hidden_dim, gates)
    nn.init.normal_(last.weight, std=1e-2)
    nn.init.constant_(last.bias, math.log(p / (1.0 - p)))
    if config.gate == "linear":
        return last
    return nn.Sequential(nn.Linear(context, config.hidden_dim), nn.Tanh(), last)
