"""From nodes of a graph to statements in C++."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, fx

from ddl_dyn.engine.cpp.capture import LAYOUT, PARTS, PASSIVE
from ddl_dyn.engine.cpp.fusion import Group
from ddl_dyn.engine.cpp.placement import PRODUCTS, dim_of, find_homes, parts_of, side_by_side
from ddl_dyn.engine.cpp.plan import lay_out, readers_of, reduced, shape_of
from ddl_dyn.engine.cpp.pointwise import ARITY, form_of, is_pointwise
from ddl_dyn.engine.cpp.statements import Memory, Statement
from ddl_dyn.engine.cpp.values import (
    Apply,
    Leaf,
    Loop,
    Store,
    Value,
    broadcast,
    constant,
    fill,
    leaves,
    move,
    render,
    start_of,
    strides_of,
    two_loops,
    whole,
)
from ddl_dyn.models.errors import CannotCompileError

aten = torch.ops.aten
SUMS = (aten.sum.dim_IntList, aten.mean.dim, aten.amax.default)


class Section:
    """The statements of one sweep.

    Args:
        memory: shared by both sweeps.   values: what is there already.
        nodes: to be run, in order.   ends: nodes that are read from outside.
        kinds: where a node's value must be stored, other than in scratch memory.
        wanted: stores in which a node's value had best be from the first.
    """

    def __init__(
        self,
        memory: Memory,
        values: dict[fx.Node, Value],
        nodes: list[fx.Node],
        ends: list[fx.Node],
        kinds: dict[fx.Node, str],
        wanted: dict[fx.Node, Store],
    ) -> None:
        self.memory, self.values, self.kinds = memory, values, kinds
        self._statements: list[Statement] = []
        self._group = Group()
        self.readers = readers_of(nodes, ends)
        self.homes = find_homes(nodes, kinds, wanted, memory)
        self.deferred: dict[fx.Node, fx.Node] = {}
        for n in nodes:
            self._lower(n)

    @property
    def statements(self) -> list[Statement]:
        """In order; what is appended to them comes after all that was lowered so far."""
        if self._group.assignments:
            self._statements.append(self._group.statement(self.memory.tables))
            self._group = Group()
        return self._statements

    def leaf(self, node: fx.Node) -> Leaf:
        """A node's value in one piece of a store."""
        value = self.values[node]
        if isinstance(value, Leaf) and start_of(value) is not None:
            return value
        return self.put(value, self.memory.new(math.prod(value.shape), "scratch"))

    def put(self, value: Value, store: Store, at: Tensor | None = None) -> Leaf:
        """Write a value to a store, in order or to the addresses `at`, unless it is there."""
        out = whole(store, value.shape) if at is None else Leaf(store, at)
        if isinstance(value, Leaf) and value.store.name == store.name and torch.equal(value.address, out.address):
            return out
        value = broadcast(value, out.shape)
        if not self._group.takes(out, value):
            _ = self.statements
        self._group.assignments.append((out, value))
        return out

    def _lower(self, node: fx.Node) -> None:
        if node.op == "get_attr":
            raise CannotCompileError("a tensor that is neither parameter nor buffer")
        if not node.all_input_nodes:
            self.values[node] = constant(node)
        elif node.target in LAYOUT:
            self.values[node] = self._layout(node)
        elif is_pointwise(node):
            self._pointwise(node)
        elif node.target in SUMS:
            self.values[node] = self._sum(node)
        elif node.target in PRODUCTS:
            self._product(node)
        elif node.target is aten.cat.default:
            self.values[node] = self._cat(node)
        elif node.target is aten.slice_backward.default or node.target is aten.select_backward.default:
            self.values[node] = self._place(node)
        elif node.target in PARTS:
            pass  # its parts are taken one by one
        elif node.target in PASSIVE:
            self.values[node] = self._part(node)
        elif node.target is aten.full_like.default:
            self.values[node] = fill(float(node.args[1]), shape_of(node))  # type: ignore[arg-type]
        else:
            raise CannotCompileError(f"the operation {node.target}")

    def _layout(self, node: fx.Node) -> Value:
        value = self.values[node.all_input_nodes[0]]
        if isinstance(value, Apply):
            # Inlined: every argument has the whole shape, so the operation acts on each.
            value = broadcast(value, value.shape)
        return move(value, lambda a: lay_out(node, a))

    def _argument(self, a: Any) -> Value:
        if isinstance(a, fx.Node):
            return self.values[a]
        return fill(float(a), ())

    def _pointwise(self, node: fx.Node) -> None:
        if self._absorbs(node):
            return
        form = form_of(node)
        if form is None:
            raise CannotCompileError(f"the operation {node.target} with {node.args[1:]}")
        shape = shape_of(node)
        args = tuple(broadcast(self._argument(a), shape) for a in node.args[: ARITY.get(cast(Any, node.target))])
        if node.target is aten.where.self:
            args = (Apply("({0} != T(0))", args[:1], shape), *args[1:])
        value: Value = Apply(form, args, shape)
        mask = node.meta["val"].dtype == torch.bool
        if mask:
            # Memory holds numbers alone, and arithmetic knows no others.
            value = Apply("({0} ? splat(T(1)) : V{{}})", (value,), shape)
        if node in self.kinds or node in self.homes or not (mask or self._inlined(node)):
            home = self._home(node)
            value = self.put(value, home.store, home.address)
        self.values[node] = value

    def _home(self, node: fx.Node) -> Leaf:
        """Where a node's value goes."""
        if node in self.homes:
            return self.homes[node]
        shape = shape_of(node)
        return whole(self.memory.new(math.prod(shape), self.kinds.get(node, "scratch")), shape)

    def _inlined(self, node: fx.Node) -> bool:
        """Whether a value has one reader only, which is a loop over the same elements."""
        readers = self.readers[node]
        if len(readers) != 1 or readers[0] is None:
            return False
        reader = readers[0]
        if is_pointwise(reader):
            return math.prod(shape_of(reader)) == math.prod(shape_of(node))
        return reader.target in SUMS and math.prod(shape_of(reader.all_input_nodes[0])) == math.prod(shape_of(node))

    def _sum(self, node: fx.Node) -> Leaf:
        source = self.values[node.all_input_nodes[0]]
        dims = reduced(node)
        order = [d for d in range(len(source.shape)) if d not in dims] + sorted(dims)
        count = math.prod(source.shape[d] for d in dims)
        source = broadcast(source, source.shape)
        rows = move(source, lambda a: a.permute(order).reshape(-1, count))
        out = self._home(node)
        found = leaves(rows)
        n = rows.shape[0]
        heads, inner = two_loops(
            n, count, [out.address.reshape(n, 1).expand(n, count), *(x.address for x in found)], self.memory.tables
        )
        subscript = dict(zip([id(out.address), *(id(x.address) for x in found)], inner, strict=True))
        value = render(rows, lambda a: subscript[id(a)])
        start, term = ("V{}", f"sum + {value}")
        if node.target is aten.amax.default:
            start, term = ("splat(T(-INFINITY))", f"vmax(sum, {value})")
        scale = f" * T({1.0 / count!r})" if node.target is aten.mean.dim else ""
        code = (
            f"for (int i = 0; i < {n}; i++) for (int v = 0; v < NV; v++) {{ V sum = {start}; {heads}sum = {term}; "
            f"{out.store.name}[i * NV + v] = sum{scale}; }}"
        )
        self.statements.append(Statement(code, [out.store], [x.store for x in found]))
        return out

    def _absorbs(self, node: fx.Node) -> bool:
        """Whether an addition was done within a matrix product that is one of its terms."""
        if node.target is not aten.add.Tensor or node.kwargs:
            return False
        waiting = [a for a in node.all_input_nodes if a in self.deferred]
        if not waiting or len(node.all_input_nodes) != 2:
            return False
        product = waiting[-1]
        other = next(a for a in node.all_input_nodes if a is not product)
        if other in self.deferred:
            self._multiply(self.deferred.pop(other), other, None)
        self.values[node] = self._multiply(self.deferred.pop(product), node, self.values[other])
        return True

    def _product(self, node: fx.Node) -> None:
        readers = self.readers[node]
        alone = len(readers) == 1 and readers[0] is not None and readers[0].target is aten.add.Tensor
        if alone and node.target is aten.mm.default and not readers[0].kwargs and node not in self.kinds:  # type: ignore[union-attr]
            same = [a for a in readers[0].all_input_nodes if shape_of(a) == shape_of(node)]  # type: ignore[union-attr]
            if len(same) == 2 and node in same:
                self.deferred[node] = node
                return
        start = self.values[node.args[0]] if node.target is aten.addmm.default else None  # type: ignore[index]
        self._multiply(node, node, start)

    def _multiply(self, node: fx.Node, result: fx.Node, start: Value | None) -> Leaf:
        """A product of a row of lanes with a parameter, plus `start`."""
        operands: Any = node.args[-2:]
        left, right = operands
        M, K = shape_of(left)
        N = shape_of(right)[1]
        w = self.values[right]
        if not (M == 1 and isinstance(w, Leaf) and w.store.kind == "uniform"):
            raise CannotCompileError(f"a product of {(M, K)} and {(K, N)} that is not a state times a parameter")
        x = self.leaf(left)
        grid = strides_of(w.address)
        if grid is None:
            raise CannotCompileError("a matrix product with a parameter that is not laid out evenly")
        out = self._home(result)
        if start_of(out) is None:
            out = whole(self.memory.new(N, "scratch"), (1, N))
        first, (sk, sn) = grid
        reads = [x.store, w.store]
        begin = "V{}"
        if start is not None:
            start = broadcast(start, (1, N))
            if isinstance(start, Apply):
                start = self.put(start, self.memory.new(N, "scratch"))
            found = leaves(start)
            loop = Loop(start.shape, [s.address for s in found], self.memory.tables, prefix="j")
            if loop.sizes and len(loop.sizes) > 1:
                raise CannotCompileError("a bias that is not laid out evenly")
            begin = render(start, lambda a: loop.at(a).replace("j0", "j"))
            reads += [s.store for s in found]
        code = (
            f"matmul<{N}, {K}, {sn}, {sk}>({out.store.name} + {start_of(out)} * NV, "
            f"{x.store.name} + {start_of(x)} * NV, {w.store.name} + {first}, "
            f"soon, [&](int j, int v) {{ (void)j; (void)v; return {begin}; }});"
        )
        self.statements.append(Statement(code, [out.store], reads))
        self.values[node] = self.values[result] = Leaf(out.store, out.address.reshape(1, N))
        return out

    def _cat(self, node: fx.Node) -> Leaf:
        parts = parts_of(node, torch.zeros(shape_of(node)))
        joined = (
            None
            if node in self.homes
            else side_by_side([self.values[p] for p, at in parts if at.numel()], dim_of(node))
        )
        if joined is not None and self.kinds.get(node, joined.store.kind) == joined.store.kind:
            return joined
        out = self._home(node)
        for part, at in parts_of(node, out.address):
            if at.numel():
                self.put(self.values[part], out.store, at)
        return out

    def _place(self, node: fx.Node) -> Value:
        """The gradient of a slice: zeros, and the slice's gradient in its place."""
        arguments: Any = node.args
        grad, sizes, *where = arguments
        shape = tuple(sizes)
        address = torch.arange(math.prod(shape)).reshape(shape)
        if node.target is aten.select_backward.default:
            at = address.select(*where)
        else:
            at = aten.slice.Tensor(address, *where)
        value = self.values[grad]
        if at.numel() == address.numel() and not isinstance(value, Apply):
            return move(value, lambda a: a.reshape(shape))
        store = self.memory.new(address.numel(), self.kinds.get(node, "scratch"))
        out = self.put(fill(0.0, shape), store)
        self.put(value, store, at)
        return out

    def _part(self, node: fx.Node) -> Value:
        arguments: Any = node.args
        split, i = arguments
        source, sizes, *rest = split.args
        dim = rest[0] if rest else split.kwargs.get("dim", 0)
        value = self.values[source]
        return move(value, lambda a: a.split(sizes, dim)[i])
