"""Pieces that the rollout kernels share: products, tanh, and how weights lie in one packed vector per replica.

Axes: B samples of a tile, H latent state, D what a free run carries from step to step, P hidden units.

Every axis on the chip is padded to a power of two. A padded weight is loaded as 0, so that what it feeds is 0 as well:
hidden units tanh(0), state components and directions. Nothing padded is ever stored.
"""

# In a kernel tuples grow by addition alone, unrolled loop by loop, and a name's type with them.
# ruff: noqa: RUF005
# mypy: disable-error-code="assignment"

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import triton
import triton.language as tl

from ddl_dyn.engine.kernels.support import padded


@dataclass(frozen=True)
class Options:
    """Sizes and switches of a model; each becomes a `tl.constexpr`.

    Args:
        rows, values: the latent state is rows × values, H = rows·values (values 1 where it is a vector).
        hidden: P.   layers: L, applied one after the other at every step.   layer_size: weights of one layer.
        carried: D, components that a run carries: H, or the observed state under `reenter`.
        reenter: read out and lifted again at every step.
    """

    rows: Any
    values: Any
    hidden: Any
    layers: Any
    layer_size: Any
    carried: Any
    reenter: Any

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, tl.constexpr(getattr(self, field.name)))

    @property
    def latent(self) -> Any:
        """H."""
        return tl.constexpr(self.rows.value * self.values.value)

    @property
    def rows_padded(self) -> Any:
        """Rows on the chip."""
        return tl.constexpr(padded(self.rows.value))

    @property
    def values_padded(self) -> Any:
        """Value channels on the chip."""
        return tl.constexpr(padded(self.values.value))

    @property
    def hidden_padded(self) -> Any:
        """Hidden units on the chip."""
        return tl.constexpr(padded(self.hidden.value))

    @property
    def carried_padded(self) -> Any:
        """Carried components on the chip."""
        return tl.constexpr(padded(self.carried.value))

    @property
    def size(self) -> Any:
        """Weights of one replica: all layers, then the lift and the read-out where the kernel applies them."""
        edges = 2 * self.latent.value * self.carried.value + self.latent.value + self.carried.value
        return tl.constexpr(self.layers.value * self.layer_size.value + (edges if self.reenter.value else 0))


@triton.jit
def matmul(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    """Product (M, K) (K, N) -> (M, N), in float32 throughout."""
    # A dot needs K ≥ 16; a shorter sum is cheaper as it stands than padded. Its threads hold rows of length K of both
    # factors, which fewer than 8 columns do not repay: then they spill. The plain sum runs along the last axis because
    # the compiler takes a broadcast product that is summed along the middle one for a dot, and rounds that to TF32.
    if a.shape[1] >= 16 and b.shape[1] >= 8:
        return tl.dot(a, b, input_precision="ieee", out_dtype=tl.float32)
    else:
        return tl.sum(a[:, None, :] * tl.trans(b)[None, :, :], axis=2)


@triton.jit
def tanh(x: tl.tensor) -> tl.tensor:
    """Hyperbolic tangent to about one unit in the last place: (1 − e^(−2|x|)) / (1 + e^(−2|x|)) with x's sign."""
    e = tl.exp(-2.0 * tl.abs(x))
    far = (1.0 - e) / (1.0 + e)
    # Near 0 that difference cancels; there the Taylor series to x⁹ is exact to float32 (next term 5e-8 at 0.3).
    y = x * x
    series = 1.0 + y * (-1.0 / 3.0 + y * (2.0 / 15.0 + y * (-17.0 / 315.0 + y * (62.0 / 2835.0))))
    return tl.where(tl.abs(x) < 0.3, x * series, tl.where(x < 0.0, -far, far))


@triton.jit
def latent_columns(O: tl.constexpr) -> tl.tuple:
    """Column of component (i, c) of the padded latent state in the unpadded one, and a mask of those that exist."""
    j = tl.arange(0, O.rows_padded * O.values_padded)
    i = j // O.values_padded
    c = j % O.values_padded
    return i * O.values + c, (i < O.rows) & (c < O.values)


@triton.jit
def carried_columns(O: tl.constexpr) -> tl.tuple:
    """Column of each component of the padded carried state, and a mask of those that exist."""
    if O.reenter:
        j = tl.arange(0, O.carried_padded)
        return j, j < O.carried
    else:
        return latent_columns(O)


@triton.jit
def matrix(
    start: tl.tensor, row: tl.tensor, row_there: tl.tensor, column: tl.tensor, column_there: tl.tensor, width: tl.tensor
) -> tl.tuple:
    """Addresses (M, N) of a row-major matrix, and a mask of those that exist.

    Args:
        start: of the matrix.   row, column: (M,), (N,).   row_there, column_there: masks.   width: of a row.
    """
    return start + row[:, None] * width + column[None, :], row_there[:, None] & column_there[None, :]


@triton.jit
def absent(start: tl.tensor) -> tl.tuple:
    """Stands for weights that a model does not have: loads as 0, is stored nowhere."""
    one = tl.arange(0, 1)
    return start + one, one < 0


@triton.jit
def edge_places(start: tl.tensor, O: tl.constexpr) -> tl.tuple:
    """Places of the lift (H, D), its bias (H), the read-out (D, H), its bias (D)."""
    if O.reenter:
        h, h_there = latent_columns(O)
        d, d_there = carried_columns(O)
        bias = start + O.latent * O.carried
        read = bias + O.latent
        return (
            matrix(start, h, h_there, d, d_there, O.carried),
            (bias + h, h_there),
            matrix(read, d, d_there, h, h_there, O.latent),
            (read + O.latent * O.carried + d, d_there),
        )
    else:
        return (absent(start), absent(start), absent(start), absent(start))


@triton.jit
def load_places(places: tl.tuple) -> tl.tuple:
    """The weights at some places; 0 where there is none."""
    weights = ()
    for n in tl.static_range(len(places)):
        weights = weights + (tl.load(places[n][0], mask=places[n][1], other=0.0),)
    return weights


@triton.jit
def zeros(places: tl.tuple) -> tl.tuple:
    """Empty sums of the weights' shapes."""
    sums = ()
    for n in tl.static_range(len(places)):
        sums = sums + (tl.zeros(places[n][0].shape, tl.float32),)
    return sums


@triton.jit
def store_sums(places: tl.tuple, sums: tl.tuple) -> None:
    """Write sums where the weights' own places are."""
    for n in tl.static_range(len(places)):
        tl.store(places[n][0], sums[n], mask=places[n][1])
