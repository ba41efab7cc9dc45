"""Lowering: nodes of a graph to statements in C++."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, fx

from ddl_dyn.engine.cpp.layout import LAYOUT, PARTS, PASSIVE, lay_out, shape_of, with_constants
from ddl_dyn.engine.cpp.partition import Partition, reduced
from ddl_dyn.engine.cpp.placement import PRODUCTS, adjoining, dim_of, parts_of
from ddl_dyn.engine.cpp.pointwise import ARITY, form_of, is_pointwise
from ddl_dyn.engine.cpp.products import Products
from ddl_dyn.engine.cpp.statements import Memory
from ddl_dyn.engine.cpp.values import (
    Apply,
    Leaf,
    Store,
    Value,
    broadcast,
    fill,
    move,
)
from ddl_dyn.models.errors import CannotCompileError

_aten = torch.ops.aten
# Reduction -> its first value, and the next one from the value so far and a term.
REDUCTIONS = {
    _aten.sum.dim_IntList: ("V{}", "sum + {}"),
    _aten.mean.dim: ("V{}", "sum + {}"),
    _aten.amax.default: ("splat(T(-INFINITY))", "vmax(sum, {})"),
    _aten.amin.default: ("splat(T(INFINITY))", "vmin(sum, {})"),
    _aten.any.dim: ("V{}", "vmax(sum, {})"),
    _aten.any.dims: ("V{}", "vmax(sum, {})"),
}


class Lowering(Products):
    """A sweep with all of its nodes lowered; arguments as `Sweep` has them."""

    def __init__(
        self,
        memory: Memory,
        values: dict[fx.Node, Value],
        plan: Partition,
        nodes: list[fx.Node],
        ends: list[fx.Node],
        kinds: dict[fx.Node, str],
        wanted: dict[fx.Node, Store],
    ) -> None:
        super().__init__(memory, values, plan, nodes, ends, kinds, wanted)
        for n in nodes:
            self._lower(n)

    def _lower(self, node: fx.Node) -> None:
        if node in self.constants:
            self.values[node] = self.memory.constant(self.constants[node])
        elif node.target in LAYOUT:
            self.values[node] = self._layout(node)
        elif is_pointwise(node):
            self._pointwise(node)
        elif node.target in REDUCTIONS:
            self.values[node] = self._reduce(node)
        elif node.target in PRODUCTS:
            self.multiply(node)
        elif node.target is _aten.cat.default:
            self.values[node] = self._cat(node)
        elif node.target in SCATTERS:
            self.values[node] = self._scatter(node)
        elif node.target in PARTS:
            pass  # its parts are taken one by one
        elif node.target in PASSIVE:
            self.values[node] = self._part(node)
        else:
            raise CannotCompileError(f"the operation {node.target}")

    def _layout(self, node: fx.Node) -> Value:
        value = self.values[node.all_input_nodes[0]]
        if isinstance(value, Apply):
            # Inlined: every argument has the whole shape, so the operation acts on each.
            value = broadcast(value, value.shape)
        return move(value, lambda a: lay_out(node, a, self.constants))

    def _argument(self, a: Any) -> Value:
        if isinstance(a, fx.Node):
            return self.values[a]
        return fill(float(a), ())

    def _pointwise(self, node: fx.Node) -> None:
        if self.absorbs(node):
            return
        form = form_of(node)
        if form is None:
            raise CannotCompileError(f"the operation {node.target} with {node.args[1:]}")
        shape = shape_of(node)
        args = tuple(broadcast(self._argument(a), shape) for a in node.args[: ARITY.get(cast(Any, node.target))])
        if node.target is _aten.where.self:
            args = (Apply("({0} != T(0))", args[:1], shape), *args[1:])
        value: Value = Apply(form, args, shape)
        mask = node.meta["val"].dtype == torch.bool
        if mask:
            # Memory holds numbers alone, and arithmetic knows no others.
            value = Apply("({0} ? splat(T(1)) : V{{}})", (value,), shape)
        if node in self.kinds or node in self.places or not (mask or self._inlined(node)):
            place = self.place(node)
            value = self.put(value, place.store, place.address)
        self.values[node] = value

    def _inlined(self, node: fx.Node) -> bool:
        """True for a value with one reader only, which is a loop over the same elements."""
        readers = self.readers[node]
        if len(readers) != 1 or readers[0] is None:
            return False
        reader = readers[0]
        if is_pointwise(reader):
            return math.prod(shape_of(reader)) == math.prod(shape_of(node))
        source = reader.all_input_nodes[0] if reader.target in REDUCTIONS else None
        return source is not None and math.prod(shape_of(source)) == math.prod(shape_of(node))

    def _reduce(self, node: fx.Node) -> Leaf:
        source, dims = self.values[node.all_input_nodes[0]], reduced(node)
        order = [d for d in range(len(source.shape)) if d not in dims] + sorted(dims)
        count = math.prod(source.shape[d] for d in dims)
        source = broadcast(source, source.shape)
        rows = move(source, lambda a: a.permute(order).reshape(-1, count))
        scale = f" * T({1.0 / count!r})" if node.target is _aten.mean.dim else ""
        return self.reduce(rows, self.place(node), *REDUCTIONS[node.target], scale)  # type: ignore[index]

    def _cat(self, node: fx.Node) -> Leaf:
        parts = parts_of(node, torch.zeros(shape_of(node)))
        joined = (
            None if node in self.places else adjoining([self.values[p] for p, at in parts if at.numel()], dim_of(node))
        )
        if joined is not None and self.kinds.get(node, joined.store.kind) == joined.store.kind:
            return joined
        out = self.place(node)
        for part, at in parts_of(node, out.address):
            if at.numel():
                self.put(self.values[part], out.store, at)
        return out

    def _scatter(self, node: fx.Node) -> Value:
        """Values put into a part of others, or added to them; a later one at the same place acts after the earlier."""
        base, value, at, adds = SCATTERS[node.target](self, node)  # type: ignore[index]
        if at.numel() == math.prod(shape_of(node)) == at.unique().numel() and not (adds or isinstance(value, Apply)):
            there = torch.empty(at.numel(), dtype=torch.int64)
            there[at.flatten()] = torch.arange(at.numel())
            there = there.reshape(shape_of(node))
            return move(broadcast(value, at.shape), lambda a: a.flatten()[there])
        store = self.memory.new(math.prod(shape_of(node)), self.kinds.get(node, "scratch"))
        out = self.put(base, store)
        value, flat = broadcast(value, at.shape), at.flatten()
        # Turns in which every place is met once at most.
        turn = torch.stack([(flat[:i] == a).sum() for i, a in enumerate(flat)])
        for n in range(int(turn.max()) + 1):
            where, part = (at, value) if not turn.any() else _some(at, value, turn == n)
            self.put(Apply("({0} + {1})", (Leaf(store, where), part), where.shape) if adds else part, store, where)
        return out

    def _part(self, node: fx.Node) -> Value:
        arguments: Any = node.args
        split, i = arguments
        source, sizes, *rest = split.args
        dim = rest[0] if rest else split.kwargs.get("dim", 0)
        return move(self.values[source], lambda a: a.split(sizes, dim)[i])


def _some(at: Tensor, value: Value, chosen: Tensor) -> tuple[Tensor, Value]:
    """Chosen elements of a value, and where they go."""
    return at.flatten()[chosen], move(value, lambda a: a.flatten()[chosen])


def _numbered(shape: Any) -> Tensor:
    return torch.arange(math.prod(shape)).reshape(tuple(shape))


def _placed(lowering: Lowering, node: fx.Node) -> tuple[Value, Value, Tensor, bool]:
    """The gradient of a part: zeros around it."""
    arguments: Any = node.args
    grad, sizes, *where = arguments
    take = _aten.select.int if node.target is _aten.select_backward.default else _aten.slice.Tensor
    return fill(0.0, sizes), lowering.values[grad], take(_numbered(sizes), *where), False


def _sliced(lowering: Lowering, node: fx.Node) -> tuple[Value, Value, Tensor, bool]:
    arguments: Any = node.args
    base, part, *where = arguments
    take = _aten.select.int if node.target is _aten.select_scatter.default else _aten.slice.Tensor
    return lowering.values[base], lowering.values[part], take(_numbered(shape_of(node)), *where, **node.kwargs), False


def _indexed(lowering: Lowering, node: fx.Node) -> tuple[Value, Value, Tensor, bool]:
    arguments: Any = node.args
    base, _, value, *adds = arguments
    at = _aten.index.Tensor(_numbered(shape_of(node)), with_constants(node.args[1], lowering.constants))
    return lowering.values[base], lowering.values[value], at, bool(adds and adds[0])


SCATTERS = {
    **dict.fromkeys((_aten.slice_backward.default, _aten.select_backward.default), _placed),
    **dict.fromkeys((_aten.slice_scatter.default, _aten.select_scatter.default), _sliced),
    **dict.fromkeys((_aten.index_put.default, _aten._unsafe_index_put.default), _indexed),
}
