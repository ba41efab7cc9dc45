"""One Delta layer on a tile, with its gradient. Axes: B samples of a tile, d rows, V value channels, P hidden units.

    z = tanh(W₁ x + b₁)                                    x: the state X (d × V) row by row
    a = W_k z + b_k,   k = a s,   s = 1 / √(‖a‖² + ε²)      (s = 1 without normalisation)
    v = W_v z + b_v,   β = gate_max · σ(w·z + b)            (one gate, two under rewrite=untied, or β = beta0)
    p = kᵀX,   w = β_e p − β_w v,   X⁺ = X − k wᵀ           β_e erases, β_w writes; both are β under rewrite=delta

and with G = ∂L/∂X⁺

    ∂w = −kᵀG,   ∂p = β_e ∂w,   ∂v = −β_w ∂w,   ∂β_e = p·∂w,   ∂β_w = −v·∂w
    ∂k = X ∂p − G w,   ∂X = G + k ∂pᵀ,   ∂a = s (∂k − k (k·∂k))

With r directions the rewrites follow one another on one context z.
Source: Deep Delta Learning (2026), arXiv 2601.00417.
"""

# In a kernel tuples grow by addition alone, unrolled loop by loop, and a name's type with them.
# ruff: noqa: RUF005
# mypy: disable-error-code="assignment"

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import triton
import triton.language as tl

from ddl_dyn.engine.kernels.tile import Options, absent, latent_columns, matmul, matrix, tanh
from ddl_dyn.models.ddl import DDL

# Weights of one direction in the tuple of a layer's: W_k, b_k, W_v, b_v, then w and b of the eraser's and the writer's
# gate. The first two of a layer are W₁ and b₁.
PER_DIRECTION = tl.constexpr(8)


@dataclass(frozen=True)
class DeltaOptions(Options):
    """Adds what a Delta layer is told.

    Args:
        directions: r.   erases, writes: whether β_e p and β_w v are there.   gates: learned gates of a direction, 0 to
            2.   gate_max, beta0: see `DDLConfig`.   normalize: whether k has unit length.
    """

    directions: Any
    erases: Any
    writes: Any
    gates: Any
    gate_max: Any
    beta0: Any
    normalize: Any


def delta_options(model: DDL, *, carried: int, reenter: bool) -> DeltaOptions:
    """Sizes and switches of a DDL model.

    Args:
        model: of `generator="shared"`.   carried: D.   reenter: read out and lifted again at every step.
    """
    config = model.config
    gates = 0 if config.gate == "fixed" else 2 if config.rewrite == "untied" else 1
    latent, r = model.latent_dim, config.directions
    heads = r * (model.rows + gates + (model.value_dim if config.rewrite != "erase" else 0))
    return DeltaOptions(
        rows=model.rows,
        values=model.value_dim,
        hidden=config.hidden_dim,
        layers=config.layers,
        layer_size=config.hidden_dim * (latent + 1) + heads * (config.hidden_dim + 1),
        carried=carried,
        reenter=reenter,
        directions=r,
        erases=config.rewrite != "write",
        writes=config.rewrite != "erase",
        gates=gates,
        gate_max=config.gate_max,
        beta0=config.beta0,
        normalize=config.normalize_direction,
    )


def delta_names(model: DDL) -> list[str]:
    """Parameters of one layer in the order in which they are packed."""
    there = {"encode.0": True, "direction": True}
    there |= {"value": model.config.rewrite != "erase", "gate": model.config.gate != "fixed"}
    return [f"{part}.{kind}" for part, is_there in there.items() if is_there for kind in ("weight", "bias")]


@triton.jit
def delta_places(start: tl.tensor, O: tl.constexpr) -> tl.tuple:
    """Places of a layer's weights."""
    P: tl.constexpr = O.hidden
    q = tl.arange(0, O.hidden_padded)
    q_there = q < P
    x, x_there = latent_columns(O)
    i = tl.arange(0, O.rows_padded)
    c = tl.arange(0, O.values_padded)
    bias = start + P * O.latent
    places = (matrix(start, q, q_there, x, x_there, O.latent), (bias + q, q_there))
    direction = bias + P
    direction_bias = direction + O.directions * O.rows * P
    value = direction_bias + O.directions * O.rows
    value_bias = value + O.directions * O.values * P
    gate = value
    if O.writes:
        gate = value_bias + O.directions * O.values
    gate_bias = gate + O.gates * O.directions * P
    one = tl.arange(0, 1)
    for n in tl.static_range(O.directions):
        places = places + (
            matrix(direction + n * O.rows * P, i, i < O.rows, q, q_there, P),
            (direction_bias + n * O.rows + i, i < O.rows),
        )
        if O.writes:
            places = places + (
                matrix(value + n * O.values * P, c, c < O.values, q, q_there, P),
                (value_bias + n * O.values + c, c < O.values),
            )
        else:
            places = places + (absent(start), absent(start))
        if O.gates > 0:
            places = places + ((gate + n * P + q, q_there), (gate_bias + n + one, one < 1))
        else:
            places = places + (absent(start), absent(start))
        if O.gates > 1:
            places = places + (
                (gate + (O.directions + n) * P + q, q_there),
                (gate_bias + O.directions + n + one, one < 1),
            )
        else:
            places = places + (absent(start), absent(start))
    return places


@triton.jit
def gate(z: tl.tensor, weight: tl.tensor, bias: tl.tensor, O: tl.constexpr) -> tl.tensor:
    """Gate β = gate_max · σ(w·z + b), (B,).

    Args:
        z: (B, P).   weight: (P,).   bias: (1,).   O: options.
    """
    return O.gate_max * tl.sigmoid(tl.sum(z * weight[None, :], axis=1) + bias)


@triton.jit
def generate_rewrite(z: tl.tensor, w: tl.tuple, n: tl.constexpr, O: tl.constexpr) -> tl.tuple:
    """Terms of a rewrite: k (B, d), its scale s (B,), v (B, V), β_e (B,) and β_w (B,).

    Args:
        z: (B, P).   w: the layer's weights.   n: direction.   O: options.
    """
    first: tl.constexpr = 2 + n * PER_DIRECTION
    a = matmul(z, tl.trans(w[first])) + w[first + 1][None, :]
    s = tl.full((z.shape[0],), 1.0, tl.float32)
    if O.normalize:
        s = tl.rsqrt(tl.sum(a * a, axis=1) + 1e-12)
    v = tl.zeros((z.shape[0], O.values_padded), tl.float32)
    if O.writes:
        v = matmul(z, tl.trans(w[first + 2])) + w[first + 3][None, :]
    beta_e = tl.full((z.shape[0],), O.beta0, tl.float32)
    if O.gates > 0:
        beta_e = gate(z, w[first + 4], w[first + 5], O)
    beta_w = beta_e
    if O.gates > 1:
        beta_w = gate(z, w[first + 6], w[first + 7], O)
    return a * s[:, None], s, v, beta_e, beta_w


@triton.jit
def written(
    X: tl.tensor, k: tl.tensor, v: tl.tensor, beta_e: tl.tensor, beta_w: tl.tensor, O: tl.constexpr
) -> tl.tuple:
    """Projection p = kᵀX and difference w = β_e p − β_w v, both (B, V).

    Args:
        X: (B, d, V).   k: (B, d).   v: (B, V).   beta_e, beta_w: (B,).   O: options.
    """
    p = tl.sum(k[:, :, None] * X, axis=1)
    w = tl.zeros((X.shape[0], O.values_padded), tl.float32)
    if O.erases:
        w += beta_e[:, None] * p
    if O.writes:
        w -= beta_w[:, None] * v
    return p, w


@triton.jit
def delta_layer(h: tl.tensor, w: tl.tuple, O: tl.constexpr) -> tl.tensor:
    """State after the layer.

    Args:
        h: (B, H).   w: the layer's weights.   O: options.
    """
    z = tanh(matmul(h, tl.trans(w[0])) + w[1][None, :])
    X = tl.reshape(h, (h.shape[0], O.rows_padded, O.values_padded))
    for n in tl.static_range(O.directions):
        k, _, v, beta_e, beta_w = generate_rewrite(z, w, n, O)
        _, difference = written(X, k, v, beta_e, beta_w, O)
        X = X - k[:, :, None] * difference[:, None, :]
    return tl.reshape(X, (h.shape[0], O.rows_padded * O.values_padded))


@triton.jit
def gate_backward(z: tl.tensor, beta: tl.tensor, dbeta: tl.tensor, O: tl.constexpr) -> tl.tuple:
    """Gradient of a gate's argument (B,), of its weight (P,) and its bias (1,).

    Args:
        z: (B, P).   beta: (B,).   dbeta: ∂L/∂β (B,).   O: options.
    """
    dg = dbeta * beta * (1.0 - beta / O.gate_max)
    return dg, tl.sum(dg[:, None] * z, axis=0), tl.sum(dg, axis=0, keep_dims=True)


@triton.jit
def rewrite_backward(
    X: tl.tensor,
    z: tl.tensor,
    w: tl.tuple,
    sums: tl.tuple,
    G: tl.tensor,
    n: tl.constexpr,
    O: tl.constexpr,
) -> tl.tuple:
    """Gradient of a rewrite: ∂L/∂X, its part of ∂L/∂z, and its sums of weight gradients with this tile added.

    Args:
        X: (B, d, V), before it.   z: (B, P).   w, sums: the layer's weights and their gradients.
        G: ∂L/∂X⁺.   n: direction.   O: options.
    """
    first: tl.constexpr = 2 + n * PER_DIRECTION
    k, s, v, beta_e, beta_w = generate_rewrite(z, w, n, O)
    p, difference = written(X, k, v, beta_e, beta_w, O)
    dw = -tl.sum(k[:, :, None] * G, axis=1)
    dk = -tl.sum(G * difference[:, None, :], axis=2)
    dX = G
    if O.erases:
        dp = beta_e[:, None] * dw
        dk += tl.sum(X * dp[:, None, :], axis=2)
        dX += k[:, :, None] * dp[:, None, :]
    da = dk
    if O.normalize:
        da = s[:, None] * (dk - k * tl.sum(k * dk, axis=1)[:, None])
    dz = matmul(da, w[first])
    out = (sums[first] + matmul(tl.trans(da), z), sums[first + 1] + tl.sum(da, axis=0))
    if O.writes:
        dv = -beta_w[:, None] * dw
        dz += matmul(dv, w[first + 2])
        out = out + (sums[first + 2] + matmul(tl.trans(dv), z), sums[first + 3] + tl.sum(dv, axis=0))
    else:
        out = out + (sums[first + 2], sums[first + 3])
    dbeta_e = tl.zeros((z.shape[0],), tl.float32)
    dbeta_w = tl.zeros((z.shape[0],), tl.float32)
    if O.erases:
        dbeta_e += tl.sum(p * dw, axis=1)
    if O.writes:
        dbeta_w -= tl.sum(v * dw, axis=1)
    if O.gates > 0:
        # One gate serves both ends of a tied rewrite.
        if O.gates == 1:
            dbeta_e += dbeta_w
        dg, weight, bias = gate_backward(z, beta_e, dbeta_e, O)
        dz += dg[:, None] * w[first + 4][None, :]
        out = out + (sums[first + 4] + weight, sums[first + 5] + bias)
    else:
        out = out + (sums[first + 4], sums[first + 5])
    if O.gates > 1:
        dg, weight, bias = gate_backward(z, beta_w, dbeta_w, O)
        dz += dg[:, None] * w[first + 6][None, :]
        out = out + (sums[first + 6] + weight, sums[first + 7] + bias)
    else:
        out = out + (sums[first + 6], sums[first + 7])
    return dX, dz, out


@triton.jit
def delta_layer_backward(h: tl.tensor, w: tl.tuple, sums: tl.tuple, G: tl.tensor, O: tl.constexpr) -> tl.tuple:
    """Gradient of the layer: ∂L/∂h, and the layer's sums with this tile added.

    Args:
        h: (B, H), the incoming state.   w, sums: the layer's weights and their gradients.   G: ∂L/∂h⁺.   O: options.
    """
    z = tanh(matmul(h, tl.trans(w[0])) + w[1][None, :])
    X = tl.reshape(h, (h.shape[0], O.rows_padded, O.values_padded))
    before = (X,)
    for n in tl.static_range(O.directions - 1):
        k, _, v, beta_e, beta_w = generate_rewrite(z, w, n, O)
        _, difference = written(X, k, v, beta_e, beta_w, O)
        X = X - k[:, :, None] * difference[:, None, :]
        before = before + (X,)
    dX = tl.reshape(G, (h.shape[0], O.rows_padded, O.values_padded))
    dz = tl.zeros((h.shape[0], O.hidden_padded), tl.float32)
    heads = ()
    for m in tl.static_range(O.directions):
        dX, part, head = rewrite_backward(before[O.directions - 1 - m], z, w, sums, dX, O.directions - 1 - m, O)
        dz += part
        heads = head + heads
    dy = dz * (1.0 - z * z)
    dh = tl.reshape(dX, (h.shape[0], O.rows_padded * O.values_padded)) + matmul(dy, w[0])
    return dh, (sums[0] + matmul(tl.trans(dy), h), sums[1] + tl.sum(dy, axis=0)) + heads
