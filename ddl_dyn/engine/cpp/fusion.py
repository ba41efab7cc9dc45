"""Loop fusion: assignments of one shape run in one loop, so that a number is written and read once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ddl_dyn.engine.cpp.statements import Line, Statement
from ddl_dyn.engine.cpp.values import Leaf, Loop, Value, expression, leaves


def _apart(a: Leaf, b: Leaf) -> bool:
    """True where two leaves of one shape touch a number in common in the same turn of a loop only, or none."""
    if a.store.name != b.store.name or torch.equal(a.address, b.address):
        return True
    return not bool(torch.isin(a.address.flatten(), b.address.flatten()).any())


@dataclass
class FusedLoop:
    """Assignments `out = value`, in order; every value is broadcast to the shape of its `out`."""

    assignments: list[tuple[Leaf, Value]] = field(default_factory=list)

    def takes(self, out: Leaf, value: Value) -> bool:
        """True where an assignment may run in the same loop: no turn of it needs a result of another turn."""
        if not self.assignments:
            return True
        if self.assignments[0][0].shape != out.shape:
            return False
        written = [o for o, _ in self.assignments]
        touched = [*written, *(x for _, v in self.assignments for x in leaves(v))]
        return all(_apart(x, o) for x in leaves(value) for o in written) and all(_apart(out, x) for x in touched)

    def statement(self, tables: list[Tensor]) -> Statement:
        """The loop."""
        shape = self.assignments[0][0].shape
        found = [x for out, value in self.assignments for x in (out, *leaves(value))]
        loop = Loop(shape, [x.address for x in found], tables)
        local: dict[tuple[str, str], str] = {}
        lines: list[Line] = []
        reads = []

        def load(leaf: Leaf) -> str:
            key = (leaf.store.name, loop.at(leaf.address))
            if key not in local:
                local[key] = f"x{len(local)}"
                reads.append(leaf.store)
                lines.append(Line(f"const V {local[key]} = {expression(leaf, loop.at)};"))
            return local[key]

        stores, writes = [], {}
        for out, value in self.assignments:
            code = expression(value, loop.at, load)
            key = (out.store.name, loop.at(out.address))
            name = f"y{len(lines)}"
            lines.append(Line(f"const V {name} = {code};"))
            local[key] = name
            writes[key] = Line(f"{expression(out, loop.at)} = {name};", out.store)
            stores.append(out.store)
        lines += writes.values()
        head = f"{loop.heads}for (int v = 0; v < NV; v++)"
        return Statement(head, stores, reads, lines)
