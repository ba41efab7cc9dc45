"""The plain step without a shortcut. Axes: B batch, H latent state, U inputs."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.models.base import ResidualConfig, StepModel
from ddl_dyn.models.branch import Branch, join


class MLPConfig(ResidualConfig):
    """Options of the plain step.

    layers: successive maps F, each a network of its own.
    depth: hidden layers in one F.
    """

    layers: int = Field(default=1, ge=1, le=10_000)
    depth: int = Field(default=2, ge=1, le=64)


class MLP(StepModel):
    """Multilayer perceptron as a step: the control that has no shortcut at all.

    What a shortcut buys shows against it: it starts far from the identity, and its gradient passes every weight.
    """

    Config = MLPConfig
    config: MLPConfig
    identity_start = False
    equation = "h⁺ = F(h)"
    source = (
        "Rumelhart, Hinton & Williams (1986), Learning representations by back-propagating errors, "
        "doi:10.1038/323533a0; why its gradient vanishes: Hochreiter (1991), Untersuchungen zu dynamischen neuronalen "
        "Netzen, TU München; Bengio, Simard & Frasconi (1994), doi:10.1109/72.279181"
    )

    def make_layer(self) -> nn.Module:
        """One map F."""
        return PlainLayer(self.latent_dim, self.input_dim, self.config)


class PlainLayer(nn.Module):
    """One map F without a shortcut.

    Args:
        latent_dim: H.   input_dim: U.   config: the model's options.
    """

    def __init__(self, latent_dim: int, input_dim: int, config: MLPConfig) -> None:
        super().__init__()
        size = latent_dim + input_dim
        self.branch = Branch(size, config.hidden_dim, latent_dim, depth=config.depth, zero_last=False)

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, H), (B, U) -> (B, H)."""
        out: Tensor = self.branch(join(h, u))
        return out
