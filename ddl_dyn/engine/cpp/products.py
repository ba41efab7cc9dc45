"""Lowering of matrix products: of rows of a state with a parameter, by tiles of registers; of two states, as sums."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from ddl_dyn.engine.cpp.layout import shape_of
from ddl_dyn.engine.cpp.statements import Statement
from ddl_dyn.engine.cpp.sweep import Sweep
from ddl_dyn.engine.cpp.values import (
    Apply,
    Leaf,
    Loop,
    Value,
    broadcast,
    expression,
    leaves,
    move,
    start_of,
    strides_of,
    whole_store,
)

_aten = torch.ops.aten


class Products(Sweep):
    """A sweep that lowers matrix products. One whose only reader adds to it waits for that addition."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._waiting: set[fx.Node] = set()

    def absorbs(self, node: fx.Node) -> bool:
        """Do an addition within a product that is one of its terms; False where neither is such a product."""
        if node.target is not _aten.add.Tensor or node.kwargs:
            return False
        waiting = [a for a in node.all_input_nodes if a in self._waiting]
        if not waiting or len(node.all_input_nodes) != 2:
            return False
        product = waiting[-1]
        other = next(a for a in node.all_input_nodes if a is not product)
        if other in self._waiting:
            self._multiply(other, other, None)
        self._multiply(product, node, self.values[other])
        return True

    def multiply(self, node: fx.Node) -> None:
        """Lower a product, or let it wait."""
        readers = self.readers[node]
        reader = readers[0] if len(readers) == 1 else None
        sums = reader is not None and reader.target is _aten.add.Tensor and not reader.kwargs
        if reader is not None and sums and node.target is _aten.mm.default and node not in self.kinds:
            same = [a for a in reader.all_input_nodes if shape_of(a) == shape_of(node)]
            if len(same) == 2 and node in same:
                self._waiting.add(node)
                return
        start: Any = node.args[0] if node.target is _aten.addmm.default else None
        self._multiply(node, node, None if start is None else self.values[start])

    def _multiply(self, node: fx.Node, result: fx.Node, start: Value | None) -> None:
        """The product of a node, plus `start`, as the value of the result."""
        self._waiting.discard(node)
        operands: Any = node.args[-2:]
        a, b = (self.values[operand] for operand in operands)
        if _even(b):
            found = self._by_parameter(a, b, result, start)
        elif _even(a):
            # (B Aᵀ)ᵀ.
            turned = None if start is None else _transposed(broadcast(start, shape_of(node)))
            found = _transposed(self._by_parameter(_transposed(b), _transposed(a), result, turned))
        else:
            found = self._as_sums(a, b)
            if start is not None:
                found = Apply("({0} + {1})", (found, broadcast(start, found.shape)), found.shape)
            place = self.place(result)
            found = self.put(found, place.store, place.address)
        self.values[node] = self.values[result] = found

    def _by_parameter(self, x: Value, w: Any, result: fx.Node, start: Value | None) -> Value:
        """Rows (M, K) of a state, times a parameter (K, N), plus (M, N)."""
        (M, K), N = x.shape, w.shape[1]
        x = self.leaf(x)
        out = self.place(result)
        if start_of(out) is None or (M > 1 and result in self.places):
            out = whole_store(self.memory.new(M * N, "scratch"), (M, N))
        first, (sk, sn) = strides_of(w.address)  # type: ignore[misc]
        begin, reads = "V{}", [x.store, w.store]
        later = None if start is None else broadcast(start, (M, N))
        if later is not None and M == 1:
            if isinstance(later, Apply):
                later = self.put(later, self.memory.new(N, "scratch"))
            found = leaves(later)
            loop = Loop(later.shape, [s.address for s in found], self.memory.tables, prefix="j")
            begin = expression(later, lambda a: loop.at(a).replace("j0", "j"))
            reads += [s.store for s in found]
            later = None
        head, row = (f"for (int m = 0; m < {M}; m++) ", " + m * {}") if M > 1 else ("", "")
        at_out, at_x = (f"({start_of(t)}{row.format(n)})" if M > 1 else start_of(t) for t, n in ((out, N), (x, K)))
        code = (
            f"{head}matmul<{N}, {K}, {sn}, {sk}>({out.store.name} + {at_out} * NV, "
            f"{x.store.name} + {at_x} * NV, {w.store.name} + {first}, "
            f"soon, [&](int j, int v) {{ (void)j; (void)v; return {begin}; }});"
        )
        self.statements.append(Statement(code, [out.store], reads))
        product = Leaf(out.store, out.address.reshape(M, N))
        if later is None:
            return product
        return self.put(Apply("({0} + {1})", (product, later), later.shape), out.store, product.address)

    def _as_sums(self, a: Value, b: Value) -> Leaf:
        """(M, K) times (K, N), element by element."""
        (M, K), N = a.shape, b.shape[1]
        wide = (
            broadcast(move(a, lambda t: t[:, None, :]), (M, N, K)),
            broadcast(move(_transposed(b), lambda t: t[None]), (M, N, K)),
        )
        rows = move(Apply("({0} * {1})", wide, torch.Size((M, N, K))), lambda t: t.reshape(M * N, K))
        out = self.reduce(rows, whole_store(self.memory.new(M * N, "scratch"), (M * N,)), "V{}", "sum + {}")
        return Leaf(out.store, out.address.reshape(M, N))


def _even(value: Value) -> bool:
    """True for a parameter that is laid out evenly."""
    return isinstance(value, Leaf) and value.store.kind == "uniform" and strides_of(value.address) is not None


def _transposed(value: Value) -> Value:
    return move(value, lambda a: a.reshape(a.shape).mT)
