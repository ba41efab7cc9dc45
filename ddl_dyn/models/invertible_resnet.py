"""The invertible residual network. Axes: B batch, H latent state, U inputs."""

from __future__ import annotations

import itertools

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.models.base import ResidualConfig, StepModel

# Squarings in the bound of a spectral norm: it is then at most n^(1/256) times too large, 1.4 % for n = 32.
SQUARINGS = 6


class InvertibleResNetConfig(ResidualConfig):
    """Options of the invertible residual network.

    lipschitz: bound of a branch's Lipschitz constant in the state, below 1.
    depth: hidden layers in a branch.
    """

    lipschitz: float = Field(default=0.9, gt=0.0, lt=1.0)
    depth: int = Field(default=1, ge=1, le=64)


class InvertibleResNet(StepModel):
    """Residual network whose branches contract: each block is a homeomorphism of the latent space with det J > 0.

    It can neither fold nor reflect what it acts on. Under lift="linear" that is the latent space: the read-out may
    still reflect the plane that is observed.
    """

    Config = InvertibleResNetConfig
    config: InvertibleResNetConfig
    dynamics = "invertible"
    equation = "h⁺ = h + F(h),  Lip F ≤ c < 1"
    source = (
        "Behrmann et al. (2019), Invertible Residual Networks, arXiv 1811.00995; bound of the spectral norm: "
        "Delattre et al. (2023), Efficient Bound of Lipschitz Constant by Gram Iteration, arXiv 2305.16173"
    )

    def make_layer(self) -> nn.Module:
        """One contracting residual block."""
        return InvertibleLayer(self.latent_dim, self.input_dim, self.config)


class InvertibleLayer(nn.Module):
    """One residual block whose branch has a Lipschitz constant below 1 in the state (the inputs are free).

    Args:
        latent_dim: H.   input_dim: U.   config: the model's options.
    """

    def __init__(self, latent_dim: int, input_dim: int, config: InvertibleResNetConfig) -> None:
        super().__init__()
        sizes = [latent_dim, *[config.hidden_dim] * config.depth, latent_dim]
        self.maps = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        nn.init.zeros_(self.maps[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.maps[-1].bias)  # type: ignore[arg-type]
        self.drive = nn.Linear(input_dim, config.hidden_dim, bias=False) if input_dim else None
        # tanh is 1-Lipschitz, so the product of the factors' bounds bounds the branch.
        self.bound = config.lipschitz ** (1.0 / len(self.maps))

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        """(B, H), (B, U) -> (B, H)."""
        x = h
        for i, linear in enumerate(self.maps):
            x = nn.functional.linear(x, contracted(linear.weight, self.bound), linear.bias)  # type: ignore[arg-type]
            if i == 0 and self.drive is not None:
                x = x + self.drive(u)
            if i < len(self.maps) - 1:
                x = torch.tanh(x)
        return h + x


def contracted(weight: Tensor, bound: float) -> Tensor:
    """The weight (O, I), scaled down where its spectral norm may exceed `bound`."""
    return weight * (bound / spectral_bound(weight).clamp(min=bound))


def spectral_bound(weight: Tensor, squarings: int = SQUARINGS) -> Tensor:
    """Upper bound of the spectral norm by Gram iteration: σ(W)^(2^(n+1)) ≤ ‖(WᵀW)^(2^n)‖_F.

    Args:
        weight: (O, I).
        squarings: n ≥ 0.
    Returns:
        Scalar ≥ σ(W), at most min(O, I)^(2^−(n+2)) times as large; differentiable, 0 (to 1e-6) for a zero matrix.
    Source: Delattre et al. (2023), algorithm 1, arXiv 2305.16173.
    """
    gram = weight.mT @ weight if weight.shape[0] > weight.shape[1] else weight @ weight.mT
    log_scale = gram.new_zeros(())
    for _ in range(squarings):
        size = _norm(gram)
        gram = gram / size
        gram = gram @ gram
        log_scale = 2.0 * (log_scale + size.log())
    # gram · exp(log_scale) is (WᵀW)^(2^n).
    return ((_norm(gram).log() + log_scale) / 2.0 ** (squarings + 1)).exp()


def _norm(matrix: Tensor) -> Tensor:
    """Frobenius norm, kept off zero so that its gradient exists for a zero matrix."""
    return (matrix.square().sum() + 1e-24).sqrt()
