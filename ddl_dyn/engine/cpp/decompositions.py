"""Decompositions of torch's larger operations into the few that the generator writes out.

They act before differentiation, so that a gradient is that of the small operations; at a kink (a norm of zero, ties of
a maximum) they keep torch's. An operation returned as `NotImplemented` stays as it is, and is refused later by name.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._decomp import core_aten_decompositions, get_decompositions

_aten = torch.ops.aten
# Torch writes these with masks and tables of indices where a layout of addresses says them plainly.
_KEPT = (_aten.select_backward, _aten.slice_backward, _aten.roll, _aten.index_put, _aten._unsafe_index_put)
COMPOSITE = ("gelu", "silu", "elu", "leaky_relu", "softplus", "hardtanh", "mish", "hardswish", "hardsigmoid")
# Elements along a dimension that are written out one after the other.
_LONGEST = 64


@functools.cache
def decompositions() -> dict[Any, Callable[..., Any]]:
    """Table for `make_fx`: operation -> its decomposition."""
    packets = [
        getattr(_aten, name + end) for name in COMPOSITE for end in ("", "_backward") if hasattr(_aten, name + end)
    ]
    packets += [_aten._softmax, _aten._log_softmax]
    found = dict(core_aten_decompositions().items()) | get_decompositions(packets) | OWN
    return {k: v for k, v in found.items() if k.overloadpacket not in _KEPT}


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    dims = list(range(-len(shape), 0))
    mean = x.mean(dims, keepdim=True)
    scale = torch.rsqrt((x - mean).square().mean(dims, keepdim=True) + eps)
    out = (x - mean) * scale
    out = out if weight is None else out * weight
    return (out if bias is None else out + bias), mean, scale


def _group_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, n: int, c: int, _: int, groups: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    out, mean, scale = _layer_norm(x.reshape(n, groups, -1), (x.numel() // (n * groups),), None, None, eps)
    out, each = out.view(x.shape), (1, c, *[1] * (x.ndim - 2))
    out = out if weight is None else out * weight.view(each)
    return (out if bias is None else out + bias.view(each)), mean, scale


def _root(square: Tensor) -> Tensor:
    """Square root with the gradient 0 at 0."""
    zero = square == 0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, square).sqrt())


def _dims(x: Tensor, dim: int | Sequence[int] | None) -> list[int]:
    return list(range(x.ndim)) if dim is None or dim == [] else [dim] if isinstance(dim, int) else list(dim)


def _vector_norm(x: Tensor, order: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    dims = _dims(x, dim)
    if dtype is not None or order <= 0:
        return NotImplemented
    if order == 2:
        return _root(x.square().sum(dims, keepdim))
    if math.isinf(order):
        return x.abs().amax(dims, keepdim)
    return x.abs().sum(dims, keepdim) if order == 1 else x.abs().pow(order).sum(dims, keepdim).pow(1 / order)


def _var(x: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> Tensor:
    dims = _dims(x, dim)
    count = math.prod(x.shape[d] for d in dims) - (1 if correction is None else correction)
    return (x - x.mean(dims, keepdim=True)).square().sum(dims, keepdim) / count


def _std(x: Tensor, dim: object = None, *, correction: object = None, keepdim: bool = False) -> Tensor:
    return _root(_var(x, dim, correction=correction, keepdim=keepdim))


def _var_mean(x: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    return _var(x, dim, correction=correction, keepdim=keepdim), x.mean(_dims(x, dim), keepdim)


def _bmm(a: Tensor, b: Tensor) -> Tensor:
    return (a[0] @ b[0])[None] if a.shape[0] == 1 else (a[..., None] * b[:, None]).sum(2)


def _addmm(start: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Any:
    return NotImplemented if beta == alpha == 1 else beta * start + alpha * (a @ b)


def _trilinear(a: Tensor, b: Tensor, c: Tensor, *rest: Any) -> Tensor:
    *expand, dims = rest[:4]
    for dim, i in ((d, i) for i, each in enumerate(expand) for d in each):
        a, b, c = (t.unsqueeze(dim) if i == j else t for j, t in enumerate((a, b, c)))
    return (a * b * c).sum(dims)


def _pad(x: Tensor, pad: Sequence[int], value: float = 0.0) -> Tensor:
    for i, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        dim = x.ndim - 1 - i
        x = x.narrow(dim, max(-before, 0), x.shape[dim] - max(-before, 0) - max(-after, 0))
        sizes = [[*x.shape[:dim], max(n, 0), *x.shape[dim + 1 :]] for n in (before, after)]
        x = torch.cat([x.new_full(sizes[0], value), x, x.new_full(sizes[1], value)], dim)
    return x


def _patches(x: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> list[Tensor]:
    """x (N, C, …) as seen from each place of a window, (N, C, …) each."""
    found = []
    for offsets in itertools.product(*map(range, kernel)):
        part = x
        for d, (o, k, s, gap) in enumerate(zip(offsets, kernel, stride, dilation, strict=True), start=2):
            count = (x.shape[d] - gap * (k - 1) - 1) // s + 1
            part = _aten.slice.Tensor(part, d, o * gap, o * gap + (count - 1) * s + 1, s)
        found.append(part)
    return found


def _each(n: Sequence[int], count: int) -> list[int]:
    return list(n) * (count if len(n) == 1 else 1)


def _convolution(
    x: Tensor, w: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, transposed: bool, _: Any,
    groups: int,
) -> Any:  # fmt: skip
    kernel, count = w.shape[2:], w.ndim - 2
    if transposed:
        return NotImplemented
    x = _pad(x, [n for p in reversed(_each(padding, count)) for n in (p, p)])
    rows = torch.stack(_patches(x, kernel, _each(stride, count), _each(dilation, count)), 2)
    parts = [
        torch.stack([own.flatten(1) @ one.flatten(2).flatten(0, 1) for one in part])
        for own, part in zip(w.chunk(groups), rows.chunk(groups, 1), strict=True)
    ]
    out = torch.cat(parts, 1).unflatten(2, rows.shape[3:])
    return out if bias is None else out + bias.view(-1, *[1] * count)


def _average_pool(
    x: Tensor, kernel: Any, stride: Any = (), padding: Any = (0,), ceil: bool = False, include: bool = True,
    divisor: int | None = None,
) -> Any:  # fmt: skip
    if ceil or not (include or sum(padding) == 0):
        return NotImplemented
    kernel, padding = _each(kernel, 2), _each(padding, 2)
    parts = _patches(
        _pad(x, [n for p in reversed(padding) for n in (p, p)]), kernel, _each(stride or kernel, 2), (1, 1)
    )
    return torch.stack(parts).sum(0) / (divisor or math.prod(kernel))


def _max_pool(
    x: Tensor, kernel: Any, stride: Any = (), padding: Any = (0,), dilation: Any = (1,), ceil: bool = False
) -> Any:
    if ceil:
        return NotImplemented
    kernel, padding = _each(kernel, 2), _each(padding, 2)
    x = _pad(x, [n for p in reversed(padding) for n in (p, p)], -math.inf)
    return _max(torch.stack(_patches(x, kernel, _each(stride or kernel, 2), _each(dilation, 2)), -1), -1)


def _first(mask: Tensor) -> Tensor:
    """The first True along the last dimension alone."""
    seen, found = torch.zeros_like(mask[..., 0]), []
    for one in mask.unbind(-1):
        found.append(one & ~seen)
        seen = seen | one
    return torch.stack(found, -1)


def _topk(x: Tensor, k: int, dim: int = -1, largest: bool = True, _: object = True) -> Any:
    if k * x.shape[dim] > _LONGEST or x.ndim == 0:
        return NotImplemented
    x = x.movedim(dim, -1)
    left, found = torch.ones_like(x, dtype=torch.bool), []
    for _ in range(k):
        best = torch.where(left, x if largest else -x, -math.inf)
        most = best.amax(-1, keepdim=True)
        one = _first(best == most)
        left = left & ~one
        # What is not a number is no maximum, and stays what it is.
        value = torch.where(one, x, 0.0).sum(-1)
        found.append(torch.where(most[..., 0] == most[..., 0], value, most[..., 0]))
    values = torch.stack(found, -1).movedim(-1, dim)
    # Refused where it is read: an index that depends on the state.
    return values, torch.empty(values.shape, dtype=torch.int64)


def _max(x: Tensor, dim: int, keepdim: bool = False, largest: bool = True) -> Any:
    found = _topk(x, 1, dim, largest)
    return found if found is NotImplemented or keepdim else tuple(t.squeeze(dim) for t in found)


def _accumulate(join: Callable[[Tensor, Tensor], Tensor], x: Tensor, dim: int) -> Any:
    if x.shape[dim] > _LONGEST:
        return NotImplemented
    return list(itertools.accumulate(x.unbind(dim), join))


def _scan(join: Callable[[Tensor, Tensor], Tensor], x: Tensor, dim: int, *, dtype: object = None) -> Any:
    rows = _accumulate(join, x, dim)
    return NotImplemented if rows is NotImplemented or dtype is not None else torch.stack(rows, dim)


def _prod(x: Tensor, dim: int, keepdim: bool = False, *, dtype: object = None) -> Any:
    rows = _accumulate(torch.mul, x, dim)
    if rows is NotImplemented or dtype is not None:
        return NotImplemented
    return rows[-1].unsqueeze(dim) if keepdim else rows[-1]


OWN: dict[Any, Callable[..., Any]] = {
    _aten.native_layer_norm.default: _layer_norm,
    _aten.native_group_norm.default: _group_norm,
    _aten.linalg_vector_norm.default: _vector_norm,
    _aten.var.correction: _var,
    _aten.std.correction: _std,
    _aten.var_mean.correction: _var_mean,
    _aten.bmm.default: _bmm,
    _aten.addmm.default: _addmm,
    _aten._trilinear.default: _trilinear,
    _aten.constant_pad_nd.default: _pad,
    _aten.convolution.default: _convolution,
    _aten.avg_pool2d.default: _average_pool,
    _aten.max_pool2d_with_indices.default: _max_pool,
    _aten.topk.default: _topk,
    _aten.max.dim: _max,
    _aten.min.dim: functools.partial(_max, largest=False),
    _aten.cumsum.default: functools.partial(_scan, torch.add),
    _aten.cumprod.default: functools.partial(_scan, torch.mul),
    _aten.prod.dim_int: _prod,
}
