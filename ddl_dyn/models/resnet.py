"""The residual network. Axes: B batch, H latent state, U inputs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.models.base import ResidualConfig, StepModel
from ddl_dyn.models.branch import Branch, RMSNorm, join


class ResNetConfig(ResidualConfig):
    """Options of the residual network.

    norm: "pre" normalises what enters the branch, "post" what leaves the sum, "none" neither.
    step_size: factor s of the branch.
    """

    norm: Literal["none", "pre", "post"] = "none"
    step_size: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)


class ResNet(StepModel):
    """Residual network: identity shortcut plus a branch whose last layer is linear."""

    Config = ResNetConfig
    config: ResNetConfig
    equation = "h⁺ = h + s F(h)"
    source = "He et al. (2015), Deep Residual Learning, arXiv 1512.03385; pre-norm: He et al. (2016), arXiv 1603.05027"

    def make_layer(self) -> nn.Module:
        """One residual block."""
        return ResidualLayer(self.latent_dim, self.input_dim, self.config)


class ResidualLayer(nn.Module):
    """One residual block.

    Args:
        latent_dim: H.   input_dim: U.   config: the model's options.
    """

    def __init__(self, latent_dim: int, input_dim: int, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        self.norm = nn.Identity() if config.norm == "none" else RMSNorm(latent_dim)
        self.branch = Branch(latent_dim + input_dim, config.hidden_dim, latent_dim)

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, H), (B, U) -> (B, H)."""
        if self.config.norm == "post":
            return self.norm(h + self.config.step_size * self.branch(join(h, u)))
        return h + self.config.step_size * self.branch(join(self.norm(h), u))
