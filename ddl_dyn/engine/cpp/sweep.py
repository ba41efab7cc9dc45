"""Statements of one sweep over a step's graph, and the memory that its values are written to."""

from __future__ import annotations

import math

import torch
from torch import Tensor, fx

from ddl_dyn.engine.cpp.fusion import FusedLoop
from ddl_dyn.engine.cpp.layout import shape_of
from ddl_dyn.engine.cpp.partition import Partition, readers_of
from ddl_dyn.engine.cpp.placement import find_places
from ddl_dyn.engine.cpp.statements import Memory, Statement
from ddl_dyn.engine.cpp.values import (
    Leaf,
    Store,
    Value,
    broadcast,
    expression,
    leaves,
    start_of,
    two_loops,
    whole_store,
)


class Sweep:
    """Statements of one sweep, without what lowers its nodes.

    Args:
        memory: shared by both sweeps.   values: node -> value, given ones first.   plan: of the step.
        nodes: to be run, in order.   ends: nodes that are read from outside.
        kinds: node -> kind of store that its value must lie in, other than scratch memory.
        wanted: node -> store that its value had best be written to.
    """

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
        self.memory, self.values, self.kinds, self.constants = memory, values, kinds, plan.constants
        self.readers = readers_of(nodes, ends)
        self.places = find_places(nodes, kinds, wanted, memory)
        self._statements: list[Statement] = []
        self._loop = FusedLoop()

    @property
    def statements(self) -> list[Statement]:
        """Statements in order; what is appended comes after all that was written so far."""
        if self._loop.assignments:
            self._statements.append(self._loop.statement(self.memory.tables))
            self._loop = FusedLoop()
        return self._statements

    def place(self, node: fx.Node) -> Leaf:
        """Place of a node's value."""
        if node in self.places:
            return self.places[node]
        shape = shape_of(node)
        return whole_store(self.memory.new(math.prod(shape), self.kinds.get(node, "scratch")), shape)

    def leaf(self, value: Value) -> Leaf:
        """A value of lanes in one piece of a store, in order."""
        if isinstance(value, Leaf) and value.store.kind != "uniform" and start_of(value) is not None:
            return value
        return self.put(value, self.memory.new(math.prod(value.shape), "scratch"))

    def put(self, value: Value, store: Store, at: Tensor | None = None) -> Leaf:
        """Write a value to a store, unless it is there.

        Args:
            value: to write.   store: gets it.   at: addresses; None writes it in order.
        """
        out = whole_store(store, value.shape) if at is None else Leaf(store, at)
        if isinstance(value, Leaf) and value.store.name == store.name and torch.equal(value.address, out.address):
            return out
        value = broadcast(value, out.shape)
        if not self._loop.takes(out, value):
            _ = self.statements
        self._loop.assignments.append((out, value))
        return out

    def reduce(self, rows: Value, out: Leaf, start: str, term: str, scale: str = "") -> Leaf:
        """Reduce the rows of a value.

        Args:
            rows: (n, count).   out: a store of n elements.   start: the first value.
            term: the next one, from `sum` and {}, the element.   scale: appended to the result.
        """
        n, count = rows.shape
        found = leaves(rows)
        heads, inner = two_loops(n, count, [x.address for x in found], self.memory.tables)
        subscript = dict(zip([id(x.address) for x in found], inner, strict=True))
        value = expression(rows, lambda a: subscript[id(a)])
        code = (
            f"for (int i = 0; i < {n}; i++) for (int v = 0; v < NV; v++) {{ V sum = {start}; {heads}"
            f"sum = {term.format(value)}; {out.store.name}[i * NV + v] = sum{scale}; }}"
        )
        self.statements.append(Statement(code, [out.store], [x.store for x in found]))
        return out
