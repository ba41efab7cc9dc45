"""The residual network. Axes: B batch, H latent state, U inputs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from ddl_dyn.models.base import ResidualConfig, StepModel
from ddl_dyn.models.branch import Activation, Branch, Product, RMSNorm, join


class ResNetConfig(ResidualConfig):
    """Options of the residual network.

    norm: "pre" normalises what enters the branch, "post" what leaves the sum, "none" neither.
    step_size: factor s of the branch.
    branch: F(h) = W₂ σ(W₁ h) ("mlp"), W₃(W₁h ∘ W₂h) ("bilinear") or W₃(logistic(W₁h) ∘ W₂h) ("glu"), W affine.
    activation: σ of branch=mlp.
    shortcut: "identity", or "affine": h⁺ = A h + s F(h) with a learned constant matrix A that starts at I.
    """

    norm: Literal["none", "pre", "post"] = "none"
    step_size: float = Field(default=1.0, gt=0.0)
    branch: Literal["mlp", "glu", "bilinear"] = "mlp"
    activation: Activation = "tanh"
    shortcut: Literal["identity", "affine"] = "identity"

    @model_validator(mode="after")
    def _activation(self) -> ResNetConfig:
        if self.branch != "mlp" and self.activation != "tanh":
            raise ValueError(
                f"activation={self.activation} belongs to branch=mlp; branch={self.branch} multiplies instead, so drop "
                "activation"
            )
        return self


class ResNet(StepModel):
    """Residual network: a shortcut plus a branch whose last layer is linear."""

    Config = ResNetConfig
    config: ResNetConfig
    equation = "h⁺ = h + s F(h)"
    source = (
        "He et al. (2015), Deep Residual Learning, arXiv 1512.03385; pre-norm: He et al. (2016), arXiv 1603.05027; "
        "products: Shazeer (2020), GLU Variants Improve Transformer, arXiv 2002.05202"
    )

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
        sizes = (latent_dim + input_dim, config.hidden_dim, latent_dim)
        if config.branch == "mlp":
            self.branch: nn.Module = Branch(*sizes, activation=config.activation)
        else:
            self.branch = Product(*sizes, gated=config.branch == "glu")
        self.shortcut: nn.Module = nn.Identity()
        if config.shortcut == "affine":
            self.shortcut = nn.Linear(latent_dim, latent_dim, bias=False)
            nn.init.eye_(self.shortcut.weight)

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, H), (B, U) -> (B, H)."""
        # The constant term of an affine shortcut is the branch's last bias.
        kept = self.shortcut(h)
        after: Tensor
        if self.config.norm == "post":
            after = self.norm(kept + self.config.step_size * self.branch(join(h, u)))
        else:
            after = kept + self.config.step_size * self.branch(join(self.norm(h), u))
        return after
