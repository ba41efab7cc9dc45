"""Deep Delta Learning. Axes: B batch, U inputs, d rows, V value channels (d_v), r directions per layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ddl_dyn.config.sections import ModelConfig
from ddl_dyn.models.base import StepModel, linear_lift
from ddl_dyn.models.branch import Branch, RMSNorm, join, zero_linear
from ddl_dyn.models.ddl_options import DDLConfig
from ddl_dyn.models.delta import delta_update, discrepancy, erase, unit_direction, write


class DDL(StepModel):
    """Deep Delta Learning stack: each layer replaces the residual shortcut by the Delta operator."""

    Config = DDLConfig
    config: DDLConfig
    equation = "X⁺ = (I − β k kᵀ) X + β k vᵀ,  k, β, v functions of X"
    source = "Deep Delta Learning (2026), arXiv 2601.00417"

    def __init__(self, state_dim: int, config: ModelConfig, *, input_dim: int = 0, dt: float = 1.0) -> None:
        super().__init__(state_dim, config, input_dim=input_dim, dt=dt)
        self.repeats = self.config.channels == "repeated" and self.value_dim > 1
        if self.repeats:
            self.lift_map, self.read_map = linear_lift(state_dim, self.rows)
            # Start by averaging the value channels, which undoes their repetition.
            self.readout = nn.Parameter(torch.full((self.rows, self.value_dim), 1.0 / self.value_dim))

    def lift(self, x: Tensor) -> Tensor:
        """Observed state to latent state, (B, D) -> (B, d·d_v)."""
        h: Tensor = self.lift_map(x)
        return h[..., None].expand(*h.shape, self.value_dim).flatten(-2) if self.repeats else h

    def read(self, h: Tensor) -> Tensor:
        """Latent state to observed state, (B, d·d_v) -> (B, D)."""
        if self.repeats:
            h = (h.unflatten(-1, (self.rows, self.value_dim)) * self.readout).sum(-1)
        x: Tensor = self.read_map(h)
        return x

    @property
    def rows(self) -> int:
        """d, the length of a direction."""
        if self.config.latent_dim is not None:
            return self.config.latent_dim
        return self.state_dim if self.config.lift == "identity" else 8

    @property
    def value_dim(self) -> int:
        """d_v, number of value channels."""
        return self.config.value_dim

    def latent_size(self) -> int:
        """H = d·d_v."""
        return self.rows * self.value_dim

    def make_layer(self) -> nn.Module:
        """One Delta layer."""
        return DeltaLayer(self.rows, self.value_dim, self.input_dim, self.config)


class DeltaLayer(nn.Module):
    """r Delta rewrites whose k, β and v are generated from one context of the incoming state.

    Args:
        rows: d.   value_dim: d_v.   input_dim: U.   config: the model's options.
    Raises:
        ValueError: where k, β or v are to come from the inputs of a task that has none.
    """

    def __init__(self, rows: int, value_dim: int, input_dim: int, config: DDLConfig) -> None:
        super().__init__()
        for name in ("generator", "value", "gate"):
            if getattr(config, name) == "input" and not input_dim:
                raise ValueError(f"{name}=input needs a task with inputs, and this one has none; use {name}=constant")
        self.rows, self.value_dim, self.config = rows, value_dim, config
        r, hidden = config.directions, config.hidden_dim
        compressed = config.generator == "branch"
        width = rows if compressed else rows * value_dim
        if compressed:
            # Start by averaging the value channels.
            self.compress = nn.Parameter(torch.full((rows, value_dim), 1.0 / value_dim))
        self.norm = RMSNorm(width, config.norm_eps) if config.norm else nn.Identity()
        context = width + input_dim
        self.encode: nn.Module = nn.Identity()
        if config.generator == "shared":
            self.encode, context = nn.Sequential(nn.Linear(context, hidden), nn.Tanh()), hidden
        if config.generator in GIVEN:
            self.direction: nn.Module = Given(input_dim * (config.generator == "input"), r * rows)
            nn.init.normal_(self.direction.bias)
        elif config.generator == "shared":
            self.direction = nn.Linear(context, r * rows)
        else:
            self.direction = Branch(context, hidden, r * rows, zero_last=False)
        if config.rewrite != "erase":
            self.value = make_value(context, input_dim, r * value_dim, config)
        if config.gate != "fixed":
            gates = 2 * r if config.rewrite == "untied" else r
            self.gate = make_gate(context, input_dim, gates, config)

    def generate(self, h: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """k (B, r, d), v (B, r, V), erase gate (B, r) and write gate (B, r) from state (B, d·V) and inputs (B, U)."""
        r, config = self.config.directions, self.config
        if config.generator == "branch":
            state = (h.unflatten(-1, (self.rows, self.value_dim)) * self.compress).sum(-1)
        else:
            state = h
        context = self.encode(join(self.norm(state), u))
        k = self.direction(u if config.generator in GIVEN else context).unflatten(-1, (r, self.rows))
        if config.normalize_direction:
            k = unit_direction(k, config.direction_eps)
        if config.rewrite == "erase":
            v = h.new_zeros(*h.shape[:-1], r, self.value_dim)
        else:
            seen = u if config.value in GIVEN else join(state, u) if config.value_before_norm else context
            v = self.value(seen).unflatten(-1, (r, self.value_dim))
            if config.value_bound is not None:
                v = config.value_bound * torch.sigmoid(v)
        if config.gate == "fixed":
            beta = torch.full_like(k[..., 0], config.beta0)
            return k, v, beta, beta
        beta = config.gate_max * torch.sigmoid(self.gate(u if config.gate in GIVEN else context))
        return k, v, beta[..., :r], beta[..., -r:]

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, d·V), (B, U) -> (B, d·V)."""
        pairs = self._rewrites(h, *self.generate(h, u))
        if self.config.order == "successive":
            return pairs[-1][1].flatten(-2)
        X = pairs[0][0]
        return (X + sum(after - X for _, after in pairs)).flatten(-2)

    def trace(self, h: Tensor, u: Tensor) -> dict[str, Tensor]:
        """k (B, r, d), v (B, r, V), beta and beta_write (B, r), e_pre and e_post (B, r, V) of one layer.

        e_pre and e_post are those of each rewrite by itself: of the state that it acts on and of what it makes of that.
        """
        k, v, beta, beta_write = self.generate(h, u)
        pairs = self._rewrites(h, k, v, beta, beta_write)
        before, after = (
            torch.stack([discrepancy(pair[j], k[..., i, :], v[..., i, :]) for i, pair in enumerate(pairs)], dim=-2)
            for j in (0, 1)
        )
        return {"k": k, "v": v, "beta": beta, "beta_write": beta_write, "e_pre": before, "e_post": after}

    def _rewrites(
        self, h: Tensor, k: Tensor, v: Tensor, beta: Tensor, beta_write: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        """The state (B, d, V) that each of the r rewrites acts on, and what it makes of it."""
        X = h.unflatten(-1, (self.rows, self.value_dim))
        pairs = []
        for i in range(self.config.directions):
            after = self._rewrite(X, k[..., i, :], v[..., i, :], beta[..., i], beta_write[..., i])
            pairs.append((X, after))
            X = after if self.config.order == "successive" else X
        return pairs

    def _rewrite(self, X: Tensor, k: Tensor, v: Tensor, beta: Tensor, beta_write: Tensor) -> Tensor:
        if self.config.rewrite == "delta":
            return delta_update(X, k, v, beta)
        if self.config.rewrite == "write":
            return write(X, k, v, beta)
        if self.config.rewrite == "erase":
            return erase(X, k, beta)
        return write(erase(X, k, beta), k, v, beta_write)


# Where k, β or v do not depend on the state.
GIVEN = ("constant", "input")


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


def make_value(context: int, input_dim: int, outputs: int, config: DDLConfig) -> nn.Module:
    """Network of the target v.

    Args:
        context: size of the context.   input_dim: U.   outputs: r·d_v.   config: the model's options.
    """
    if config.value in GIVEN:
        return Given(input_dim * (config.value == "input"), outputs, zero=True)
    zero = config.value_init == "zero"
    if config.generator not in ("branch", "shared"):
        network = Branch(context, config.hidden_dim, outputs, zero_last=zero)
        return network if zero else _scaled(network, network.last)
    return zero_linear(context, outputs) if zero else _scaled(*[nn.Linear(context, outputs)] * 2)


def make_gate(context: int, input_dim: int, gates: int, config: DDLConfig) -> nn.Module:
    """Network g of the gate, starting near β₀: small weights, last bias logit(β₀/gate_max).

    Args:
        context: size of the context.   input_dim: U.   gates: size of the output.   config: the model's options.
    """
    p = config.beta0 / config.gate_max
    if config.gate in GIVEN:
        given = Given(input_dim * (config.gate == "input"), gates, zero=True)
        nn.init.constant_(given.bias, math.log(p / (1.0 - p)))
        return given
    last = nn.Linear(context if config.gate == "linear" else config.hidden_dim, gates)
    if config.gate_init == "small":
        nn.init.normal_(last.weight, std=1e-2)
    else:
        _scaled(last, last)
    nn.init.constant_(last.bias, math.log(p / (1.0 - p)))
    if config.gate == "linear":
        return last
    return nn.Sequential(nn.Linear(context, config.hidden_dim), nn.Tanh(), last)


def _scaled(network: nn.Module, last: nn.Linear) -> nn.Module:
    """A network whose last weights are normal with the standard deviation .5/√(fan-in)."""
    nn.init.normal_(last.weight, std=0.5 / math.sqrt(last.in_features))
    return network
