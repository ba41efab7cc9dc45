"""The rollout kernels' Delta update alone, from memory to memory. Axes: N updates, d rows, V value channels."""

from __future__ import annotations

import functools

import torch
import triton
import triton.language as tl
from torch import Tensor

from ddl_dyn.engine.kernels.ddl import DeltaOptions, delta_options, written
from ddl_dyn.engine.kernels.support import padded
from ddl_dyn.engine.kernels.tile import latent_columns
from ddl_dyn.models import make_model
from ddl_dyn.models.ddl import DDL

# Numbers of X that one program holds.
ON_CHIP = 2048


@triton.jit(do_not_specialize=["count"])
def update_kernel(
    X: tl.tensor,
    k: tl.tensor,
    v: tl.tensor,
    beta: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    O: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """X⁺ = X − k (β kᵀX − β v)ᵀ for one tile of updates.

    Args:
        X, k, v, beta: operands.   out: X⁺.   count: N.   O: sizes.   TILE: updates of a program.
    """
    # 64-bit: gibibytes of states have more numbers than 32 bits count.
    n = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    i = tl.arange(0, O.rows_padded)
    c = tl.arange(0, O.values_padded)
    n_there, i_there, c_there = n < count, i < O.rows, c < O.values
    # Loaded and stored as rows of d·V numbers: the longer a row, the wider the accesses.
    column, column_there = latent_columns(O)
    at, there = n[:, None] * O.latent + column[None, :], n_there[:, None] & column_there[None, :]
    state = tl.reshape(tl.load(X + at, mask=there, other=0.0), (TILE, O.rows_padded, O.values_padded))
    direction = tl.load(k + n[:, None] * O.rows + i[None, :], mask=n_there[:, None] & i_there[None, :], other=0.0)
    value = tl.load(v + n[:, None] * O.values + c[None, :], mask=n_there[:, None] & c_there[None, :], other=0.0)
    strength = tl.load(beta + n, mask=n_there, other=0.0)
    _, difference = written(state, direction, value, strength, strength, O)
    state -= direction[:, :, None] * difference[:, None, :]
    tl.store(out + at, tl.reshape(state, (TILE, O.rows_padded * O.values_padded)), mask=there)


def fused_update(X: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Tensor:
    """`ddl_dyn.models.delta.delta_update` for contiguous float32.

    Args:
        X: (N, d, V).   k: (N, d).   v: (N, V).   beta: (N,).
    """
    count, d, values = X.shape
    out, tile = torch.empty_like(X), max(1, ON_CHIP // (padded(d) * padded(values)))
    update_kernel[(triton.cdiv(count, tile),)](X, k, v, beta, out, count, options(d, values), tile)
    return out


@functools.cache
def options(d: int, values: int) -> DeltaOptions:
    """A rewrite of a d × V state by one direction and one gate."""
    model = make_model("ddl", state_dim=1, latent_dim=d, value_dim=values)
    assert isinstance(model, DDL)
    return delta_options(model, carried=model.latent_dim, reenter=False)
