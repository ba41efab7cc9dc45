"""Hyper-connections. Axes: B batch, n copies of the state, H components of one copy, U inputs."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.config.sections import ModelConfig
from ddl_dyn.models.base import ResidualConfig, StepModel
from ddl_dyn.models.branch import Branch, RMSNorm, join


class HyperConnectionsConfig(ResidualConfig):
    """Options of hyper-connections.

    copies: n, the expansion rate.
    dynamic: the connections follow the state through tanh of a linear map of each normalised copy; else they are
        learned constants.
    """

    copies: int = Field(default=4, ge=1, le=64)
    dynamic: bool = True


class HyperConnections(StepModel):
    """Residual network with n copies of the state, mixed by learned connections: the shortcut is a matrix A_r over the
    copies, the branch reads one mixture of them and writes to each with its own weight.

    The lift fills every copy alike and the read-out is of their mean (the paper's is of their sum), so that the two
    undo each other. At the start layer l reads copy l mod n, keeps all copies and writes to all: a residual network.
    """

    Config = HyperConnectionsConfig
    config: HyperConnectionsConfig
    equation = "H⁺ = A_rᵀ H + bᵀ F(a_mᵀ H),  A_r (n × n), a_m (n), b (n) constant plus s tanh(norm(H) W)"
    source = "Zhu et al. (2024), Hyper-Connections, arXiv 2409.19606"

    def __init__(self, state_dim: int, config: ModelConfig, *, input_dim: int = 0, dt: float = 1.0) -> None:
        super().__init__(state_dim, config, input_dim=input_dim, dt=dt)
        with torch.no_grad():
            for l, layer in enumerate(self.layers):
                layer.read[l % self.config.copies] = 1.0  # type: ignore[operator]

    @property
    def carried_dim(self) -> int:
        """n·H."""
        return self.config.copies * self.latent_dim

    def lift(self, x: Tensor) -> Tensor:
        """Observed state to n equal copies, (B, D) -> (B, n·H)."""
        return torch.cat([self.lift_map(x)] * self.config.copies, dim=-1)

    def read(self, h: Tensor) -> Tensor:
        """Mean of the copies to observed state, (B, n·H) -> (B, D)."""
        x: Tensor = self.read_map(h.unflatten(-1, (self.config.copies, self.latent_dim)).mean(-2))
        return x

    def make_layer(self) -> nn.Module:
        """One block."""
        return HyperLayer(self.latent_dim, self.input_dim, self.config)


class HyperLayer(nn.Module):
    """One block with its width connections (read, mix) and depth connections (write).

    Args:
        latent_dim: H.   input_dim: U.   config: the model's options.
    """

    def __init__(self, latent_dim: int, input_dim: int, config: HyperConnectionsConfig) -> None:
        super().__init__()
        n, self.dynamic = config.copies, config.dynamic
        self.sizes = (n, latent_dim)
        self.branch = Branch(latent_dim + input_dim, config.hidden_dim, latent_dim)
        self.read = nn.Parameter(torch.zeros(n))
        self.mix = nn.Parameter(torch.eye(n))
        self.write = nn.Parameter(torch.ones(n))
        if self.dynamic:
            self.norm = RMSNorm(latent_dim)
            self.connect = nn.Linear(latent_dim, n + 2, bias=False)
            nn.init.zeros_(self.connect.weight)
            # One scale for what is read and mixed, one for what is written.
            self.scale = nn.Parameter(torch.full((2,), 0.01))

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, n·H), (B, U) -> (B, n·H)."""
        H = h.unflatten(-1, self.sizes)
        read, mix, write = self.connections(H)
        out = self.branch(join((read[..., None] * H).sum(-2), u))
        # Sums of products instead of products of small matrices, which compiled code and a vmap do at less cost.
        kept = (mix[..., :, :, None] * H[..., :, None, :]).sum(-3)
        after: Tensor = (kept + write[..., None] * out[..., None, :]).flatten(-2)
        return after

    def connections(self, H: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """a_m (…, n), A_r (…, n, n) and b (…, n) at copies H (B, n, H)."""
        if not self.dynamic:
            return self.read, self.mix, self.write
        found = torch.tanh(self.connect(self.norm(H)))
        width, depth = self.scale[0] * found[..., :-1], self.scale[1] * found[..., -1]
        return self.read + width[..., 0], self.mix + width[..., 1:], self.write + depth
