"""Kernels of one call each, to test what the rollout kernels are made of. Imports Triton."""

from __future__ import annotations

import triton
import triton.language as tl

from ddl_dyn.engine.kernels.tile import matmul, tanh


@triton.jit
def product(a, b, out, K: tl.constexpr):
    """out (16, 8) = a (16, K) b (K, 8)."""
    m, n, k = tl.arange(0, 16), tl.arange(0, 8), tl.arange(0, K)
    left = tl.load(a + m[:, None] * K + k[None, :])
    right = tl.load(b + k[:, None] * 8 + n[None, :])
    tl.store(out + m[:, None] * 8 + n[None, :], matmul(left, right))


@triton.jit
def curve(x, y):
    """y (1024) = tanh(x)."""
    i = tl.arange(0, 1024)
    tl.store(y + i, tanh(tl.load(x + i)))
