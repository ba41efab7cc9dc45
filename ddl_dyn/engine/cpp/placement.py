"""Where a value is written at once because it is a part of another one: joining the parts then moves nothing."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, fx

from ddl_dyn.engine.cpp.plan import shape_of
from ddl_dyn.engine.cpp.pointwise import is_pointwise
from ddl_dyn.engine.cpp.statements import Memory
from ddl_dyn.engine.cpp.values import Leaf, Store, Value, start_of, whole

aten = torch.ops.aten
PRODUCTS = (aten.mm.default, aten.addmm.default)
# The order of the elements stays.
RESHAPES = {
    aten.view.default,
    aten._unsafe_view.default,
    aten.unsqueeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.squeeze.default,
    aten.alias.default,
    aten.clone.default,
    aten.detach.default,
}


def dim_of(cat: fx.Node) -> int:
    """The dimension that parts are joined in."""
    arguments: Any = cat.args
    return arguments[1] if len(arguments) > 1 else 0


def parts_of(cat: fx.Node, address: Tensor) -> list[tuple[fx.Node, Tensor]]:
    """What is joined, and the addresses of each part within those of the whole."""
    parts: Any = cat.args[0]
    return list(zip(parts, address.split([shape_of(p)[dim_of(cat)] for p in parts], dim_of(cat)), strict=True))


def side_by_side(parts: list[Value], dim: int) -> Leaf | None:
    """The whole, where its parts lie in one piece of a store already."""
    found = [p for p in parts if isinstance(p, Leaf)]
    if len(found) < len(parts) or len({p.store for p in found}) != 1:
        return None
    joined = Leaf(found[0].store, torch.cat([p.address for p in found], dim))
    return joined if start_of(joined) is not None else None


def find_homes(
    nodes: list[fx.Node], kinds: dict[fx.Node, str], ends: dict[fx.Node, Store], memory: Memory
) -> dict[fx.Node, Leaf]:
    """The home of every node that has one.

    Args:
        nodes: of a sweep, in order.   kinds: of nodes that have a place of their own elsewhere.
        ends: nodes whose value is wanted in a store.
    """
    homes: dict[fx.Node, Leaf] = {}
    free = {n for n in nodes if n not in kinds and (is_pointwise(n) or n.target in (*PRODUCTS, aten.cat.default))}

    def behind(node: fx.Node, address: Tensor) -> tuple[fx.Node, Tensor]:
        while node.target in RESHAPES:
            node = node.all_input_nodes[0]
            address = address.reshape(shape_of(node))
        return node, address

    for n, store in ends.items():
        node, address = behind(n, torch.arange(store.size).reshape(shape_of(n)))
        if node in free:
            homes[node] = Leaf(store, address)
    # A whole before its parts, which may be joined themselves.
    for n in reversed(nodes):
        if n.target is not aten.cat.default:
            continue
        index = torch.arange(math.prod(shape_of(n))).reshape(shape_of(n))
        found = [(p, at) for p, at in (behind(*x) for x in parts_of(n, index)) if p in free and p not in homes]
        if found and n not in homes:
            homes[n] = whole(memory.new(index.numel(), kinds.get(n, "scratch")), shape_of(n))
        for p, at in found:
            homes.setdefault(p, Leaf(homes[n].store, homes[n].address.flatten()[at]))
    return homes
