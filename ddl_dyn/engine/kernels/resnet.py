"""One residual block on a tile, with its gradient. Axes: B samples of a tile, H latent state, P hidden units.

    z = tanh(W₁ h + b₁),   h⁺ = h + s (W₂ z + b₂)

and with G = ∂L/∂h⁺

    ∂y = s (W₂ᵀ G) (1 − z²),   ∂h = G + W₁ᵀ ∂y,   ∂W₂ = s G zᵀ,   ∂W₁ = ∂y hᵀ

Source: He et al. (2015), Deep Residual Learning, arXiv 1512.03385.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import triton
import triton.language as tl

from ddl_dyn.engine.kernels.tile import Options, latent_columns, matmul, matrix, tanh
from ddl_dyn.models.resnet import ResNet


@dataclass(frozen=True)
class ResidualOptions(Options):
    """Adds the factor s of the branch."""

    step_size: Any


def residual_options(model: ResNet, *, carried: int, reenter: bool) -> ResidualOptions:
    """Sizes and switches of a residual network.

    Args:
        model: of `norm="none"`.   carried: D.   reenter: read out and lifted again at every step.
    """
    config = model.config
    return ResidualOptions(
        rows=model.latent_dim,
        values=1,
        hidden=config.hidden_dim,
        layers=config.layers,
        layer_size=config.hidden_dim * (2 * model.latent_dim + 1) + model.latent_dim,
        carried=carried,
        reenter=reenter,
        step_size=config.step_size,
    )


def residual_names(model: ResNet) -> list[str]:  # noqa: ARG001
    """Parameters of one layer in the order in which they are packed."""
    return [f"branch.{part}.{kind}" for part in ("hidden.0", "last") for kind in ("weight", "bias")]


@triton.jit
def residual_places(start: tl.tensor, O: tl.constexpr) -> tl.tuple:
    """Places of W₁ (P, H), b₁ (P), W₂ (H, P), b₂ (H)."""
    q = tl.arange(0, O.hidden_padded)
    h, h_there = latent_columns(O)
    bias = start + O.hidden * O.latent
    last = bias + O.hidden
    return (
        matrix(start, q, q < O.hidden, h, h_there, O.latent),
        (bias + q, q < O.hidden),
        matrix(last, h, h_there, q, q < O.hidden, O.hidden),
        (last + O.latent * O.hidden + h, h_there),
    )


@triton.jit
def residual_layer(h: tl.tensor, w: tl.tuple, O: tl.constexpr) -> tl.tensor:
    """State after the block.

    Args:
        h: (B, H).   w: the block's weights.   O: options.
    """
    z = tanh(matmul(h, tl.trans(w[0])) + w[1][None, :])
    return h + O.step_size * (matmul(z, tl.trans(w[2])) + w[3][None, :])


@triton.jit
def residual_layer_backward(h: tl.tensor, w: tl.tuple, sums: tl.tuple, G: tl.tensor, O: tl.constexpr) -> tl.tuple:
    """Gradient of the block: ∂L/∂h, and the block's sums with this tile added.

    Args:
        h: (B, H), the incoming state.   w, sums: the block's weights and their gradients.   G: ∂L/∂h⁺.   O: options.
    """
    z = tanh(matmul(h, tl.trans(w[0])) + w[1][None, :])
    do = O.step_size * G
    dy = matmul(do, w[2]) * (1.0 - z * z)
    return G + matmul(dy, w[0]), (
        sums[0] + matmul(tl.trans(dy), h),
        sums[1] + tl.sum(dy, axis=0),
        sums[2] + matmul(tl.trans(do), z),
        sums[3] + tl.sum(do, axis=0),
    )
