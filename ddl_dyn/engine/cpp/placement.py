"""Buffer placement: operands of `cat` are written straight into the result."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, fx

from ddl_dyn.engine.cpp.layout import RESHAPES, shape_of
from ddl_dyn.engine.cpp.pointwise import is_pointwise
from ddl_dyn.engine.cpp.statements import Memory
from ddl_dyn.engine.cpp.values import Leaf, Store, Value, start_of, whole_store

_aten = torch.ops.aten
PRODUCTS = (_aten.mm.default, _aten.addmm.default)


def dim_of(cat: fx.Node) -> int:
    """Dimension of a `cat`."""
    arguments: Any = cat.args
    return arguments[1] if len(arguments) > 1 else 0


def parts_of(cat: fx.Node, address: Tensor) -> list[tuple[fx.Node, Tensor]]:
    """Operands of a `cat`, and the addresses of each within those of the result."""
    parts: Any = cat.args[0]
    return list(zip(parts, address.split([shape_of(p)[dim_of(cat)] for p in parts], dim_of(cat)), strict=True))


def adjoining(parts: list[Value], dim: int) -> Leaf | None:
    """Result of a `cat` whose operands lie in one piece of a store already; None where they do not."""
    found = [p for p in parts if isinstance(p, Leaf)]
    if len(found) < len(parts) or len({p.store for p in found}) != 1:
        return None
    joined = Leaf(found[0].store, torch.cat([p.address for p in found], dim))
    return joined if start_of(joined) is not None else None


def find_places(
    nodes: list[fx.Node], kinds: dict[fx.Node, str], ends: dict[fx.Node, Store], memory: Memory
) -> dict[fx.Node, Leaf]:
    """Place of every node that is written into a result or into a store of the caller's.

    Args:
        nodes: of a sweep, in order.   kinds: of nodes that have a store of their own.
        ends: nodes whose value is wanted in a store.   memory: gives the results their stores.
    """
    places: dict[fx.Node, Leaf] = {}
    free = {n for n in nodes if n not in kinds and (is_pointwise(n) or n.target in (*PRODUCTS, _aten.cat.default))}

    def behind(node: fx.Node, address: Tensor) -> tuple[fx.Node, Tensor]:
        while node.target in RESHAPES:
            node = node.all_input_nodes[0]
            address = address.reshape(shape_of(node))
        return node, address

    for n, store in ends.items():
        node, address = behind(n, torch.arange(store.size).reshape(shape_of(n)))
        if node in free:
            places[node] = Leaf(store, address)
    # A whole before its parts, which may be joined themselves.
    for n in reversed(nodes):
        if n.target is not _aten.cat.default:
            continue
        index = torch.arange(math.prod(shape_of(n))).reshape(shape_of(n))
        found = [(p, at) for p, at in (behind(*x) for x in parts_of(n, index)) if p in free and p not in places]
        if found and n not in places:
            places[n] = whole_store(memory.new(index.numel(), kinds.get(n, "scratch")), shape_of(n))
        for p, at in found:
            places.setdefault(p, Leaf(places[n].store, places[n].address.flatten()[at]))
    return places
