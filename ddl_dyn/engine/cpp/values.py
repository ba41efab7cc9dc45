"""Values of the generated code: the addresses of their numbers, and loops over them.

A layout operation (view, permute, slice, expand, …) moves no number: it is applied to the tensor of addresses.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Store:
    """A run of numbers in memory.

    Args:
        name: of the pointer in the code.   size: elements.
        kind: "scratch", "tape" (kept from the forward to the backward sweep), "outside" (given or taken by the
            sweeps); these hold lanes. "uniform": the same for all lanes (a parameter or a constant).
    """

    name: str
    size: int
    kind: str


@dataclass(frozen=True)
class Leaf:
    """Numbers of a store: `address` (any shape) says which."""

    store: Store
    address: Tensor

    @property
    def shape(self) -> torch.Size:
        """Shape of the value."""
        return self.address.shape


@dataclass(frozen=True)
class Fill:
    """One number everywhere; `address` has the shape."""

    number: float
    address: Tensor

    @property
    def shape(self) -> torch.Size:
        """Shape of the value."""
        return self.address.shape


@dataclass(frozen=True)
class Apply:
    """A pointwise operation that no store holds (yet): `form` with {0}, {1}, … for its arguments, all of `shape`."""

    form: str
    args: tuple[Value, ...]
    shape: torch.Size


Value = Leaf | Fill | Apply


def whole_store(store: Store, shape: Sequence[int]) -> Leaf:
    """All of a store, in order."""
    return Leaf(store, torch.arange(store.size).reshape(tuple(shape)))


def fill(number: float, shape: Sequence[int]) -> Fill:
    """A number of a shape."""
    return Fill(number, torch.zeros(tuple(shape), dtype=torch.int64))


def move(value: Value, layout: Callable[[Tensor], Tensor]) -> Value:
    """Apply a layout operation."""
    if isinstance(value, Leaf):
        return Leaf(value.store, layout(value.address))
    if isinstance(value, Fill):
        return Fill(value.number, layout(value.address))
    args = tuple(move(a, layout) for a in value.args)
    return Apply(value.form, args, args[0].shape)


def broadcast(value: Value, shape: Sequence[int]) -> Value:
    """Expand to a shape."""
    return move(value, lambda a: a.expand(tuple(shape)))


def leaves(value: Value) -> list[Leaf]:
    """The stores that a value reads."""
    if isinstance(value, Leaf):
        return [value]
    return [] if isinstance(value, Fill) else list(itertools.chain.from_iterable(map(leaves, value.args)))


def start_of(value: Value) -> int | None:
    """The first address of a value that lies in a store in one piece; None where it does not."""
    if not isinstance(value, Leaf):
        return None
    flat = value.address.flatten()
    first = int(flat[0])
    return first if torch.equal(flat, torch.arange(first, first + flat.numel())) else None


def strides_of(address: Tensor) -> tuple[int, tuple[int, ...]] | None:
    """First address and stride a dimension of addresses that are affine in the index; None where they are not."""
    first = int(address.flatten()[0])
    strides = tuple(int(address.select(d, 1).flatten()[0]) - first if n > 1 else 0 for d, n in enumerate(address.shape))
    expected = torch.full((), first)
    for d, (n, s) in enumerate(zip(address.shape, strides, strict=True)):
        expected = expected + (torch.arange(n) * s).reshape(-1, *[1] * (address.ndim - d - 1))
    return (first, strides) if torch.equal(expected.expand(address.shape), address) else None


class Loop:
    """Nested loops over the elements of some values of one shape, as few as their strides allow.

    Args:
        shape: of all of them.   addresses: of each leaf.   tables: collects address tables where strides do not do.
        prefix: of the index variables.
    """

    def __init__(self, shape: torch.Size, addresses: Sequence[Tensor], tables: list[Tensor], prefix: str = "i") -> None:
        self.tables, self.prefix = tables, prefix
        sizes = [n for n in shape if n > 1]
        flat = [a.reshape(sizes) for a in addresses]
        affine = [strides_of(a) for a in flat]
        self._merge(sizes, [a[1] for a in affine if a is not None], any(a is None for a in affine))
        self._index: dict[int, str] = {}
        for original, a in zip(addresses, flat, strict=True):
            self._index[id(original)] = self._subscript(a.reshape(self.sizes))

    def _merge(self, sizes: list[int], strides: list[tuple[int, ...]], single: bool) -> None:
        """Loop sizes: neighbouring dimensions become one where every value runs through them evenly."""
        self.sizes: list[int] = [math.prod(sizes)] if single else []
        if single:
            return
        for d, n in enumerate(sizes):
            if self.sizes and all(s[d - 1] == s[d] * n for s in strides):
                self.sizes[-1] *= n
            else:
                self.sizes.append(n)

    def _subscript(self, address: Tensor) -> str:
        affine = strides_of(address)
        if affine is None:
            self.tables.append(address.flatten())
            return f"table{len(self.tables) - 1}[{self.prefix}0]"
        first, strides = affine
        terms = [f"{self.prefix}{d} * {s}" if s != 1 else f"{self.prefix}{d}" for d, s in enumerate(strides) if s]
        return " + ".join(([str(first)] if first or not terms else []) + terms)

    def at(self, address: Tensor) -> str:
        """The subscript of a leaf's address within the loops."""
        return self._index[id(address)]

    @property
    def heads(self) -> str:
        """The loops' heads."""
        return "".join(
            f"for (int {self.prefix}{d} = 0; {self.prefix}{d} < {n}; {self.prefix}{d}++) "
            for d, n in enumerate(self.sizes)
        )


def literal(x: float) -> str:
    """A number in C++."""
    if math.isinf(x) or math.isnan(x):
        return "T(NAN)" if math.isnan(x) else f"T({'-' if x < 0 else ''}INFINITY)"
    return f"T({float(x)!r})"


def expression(value: Value, at: Callable[[Tensor], str], load: Callable[[Leaf], str] | None = None) -> str:
    """C++ expression of a value, for one element and one vector of lanes.

    Args:
        value: to be computed.   at: address -> subscript.   load: leaf -> expression; None reads it from memory.
    """
    if isinstance(value, Fill):
        return f"splat({literal(value.number)})"
    if isinstance(value, Leaf):
        if load is not None:
            return load(value)
        where = at(value.address)
        uniform = value.store.kind == "uniform"
        return f"splat({value.store.name}[{where}])" if uniform else f"{value.store.name}[({where}) * NV + v]"
    return value.form.format(*(expression(a, at, load) for a in value.args))


def two_loops(n: int, count: int, addresses: Sequence[Tensor], tables: list[Tensor]) -> tuple[str, list[str]]:
    """Head of the inner loop of a reduction, and each leaf's subscript in rows i and terms k.

    Args:
        n: rows.   count: terms of each.   addresses: of the leaves, n·count each.   tables: collects address tables.
    """
    subscripts = []
    for a in addresses:
        affine = strides_of(a.reshape(n, count))
        if affine is None:
            tables.append(a.flatten())
            subscripts.append(f"table{len(tables) - 1}[i * {count} + k]")
        else:
            first, (si, sk) = affine
            subscripts.append(f"{first} + i * {si} + k * {sk}")
    return f"for (int k = 0; k < {count}; k++) ", subscripts
