"""Partition of a step's graph into a forward and a backward sweep, and the values kept between them.

A layout operation is free and a cheap pointwise one nearly so: they are done again on the backward side where that
needs nothing kept beyond what is kept anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from ddl_dyn.engine.cpp.capture import Captured
from ddl_dyn.engine.cpp.layout import LAYOUT, PASSIVE, constants_of, lay_out, shape_of
from ddl_dyn.engine.cpp.pointwise import COSTLY, is_pointwise
from ddl_dyn.models.errors import CannotCompileError

_aten = torch.ops.aten
INPUTS = 4  # s, u, gs, gx
# The gradient of a part: zeros around it.
_PLACES = {_aten.slice_backward.default: _aten.slice.Tensor, _aten.select_backward.default: _aten.select.int}


@dataclass
class Partition:
    """Nodes of both sweeps in order, and the results.

    Args:
        forward, backward: nodes that run there.   kept: forward nodes whose values the backward sweep reads.
        after, observed, ds: the nodes of s', x' and ds.
        outer: (index of φ, node of a product G Xᵀ, address in φ of each of its elements).
        spread: (index of φ, node to be summed over lanes and steps, address in φ of each of its elements).
        constants: nodes of known value.
    """

    phi: list[fx.Node]
    s: fx.Node
    u: fx.Node
    gs: fx.Node
    gx: fx.Node
    after: fx.Node
    observed: fx.Node
    ds: fx.Node
    constants: dict[fx.Node, Tensor]
    forward: list[fx.Node] = field(default_factory=list)
    backward: list[fx.Node] = field(default_factory=list)
    kept: list[fx.Node] = field(default_factory=list)
    outer: list[tuple[int, fx.Node, Tensor]] = field(default_factory=list)
    spread: list[tuple[int, fx.Node, Tensor]] = field(default_factory=list)


def partition(captured: Captured) -> Partition:
    """Divide the joint graph of a step."""
    nodes = list(captured.joint.graph.nodes)
    holders = [n for n in nodes if n.op == "placeholder"]
    phi, (s, u, gs, gx) = holders[:-INPUTS], holders[-INPUTS:]
    output = next(n for n in nodes if n.op == "output")
    after, observed, ds, *gradients = output.args[0]
    found = Partition(phi, s, u, gs, gx, after, observed, ds, constants_of(captured.joint))
    varying = _after(nodes, {s, u, gs, gx})
    trained = [i for i, t in enumerate(captured.trained) if t]
    for i, g in zip(trained, gradients, strict=True):
        address = torch.arange(captured.phi[i].numel()).reshape(captured.phi[i].shape)
        _trace_gradient(found, i, g, address, varying)
    ahead = _before([after, observed])
    wanted = [ds, *(n for _, n, _ in found.spread), *(a for _, n, _ in found.outer for a in n.all_input_nodes)]
    behind = _keep(found, nodes, ahead, wanted)
    found.forward = [n for n in nodes if n in ahead and n.op not in ("placeholder", "output")]
    found.backward = [n for n in nodes if n in behind and n.op not in ("placeholder", "output")]
    return found


def _after(nodes: list[fx.Node], roots: set[fx.Node]) -> set[fx.Node]:
    found = set(roots)
    for n in nodes:
        if any(a in found for a in n.all_input_nodes):
            found.add(n)
    return found


def _before(ends: list[fx.Node]) -> set[fx.Node]:
    found: set[fx.Node] = set()
    stack = list(ends)
    while stack:
        n = stack.pop()
        if n not in found:
            found.add(n)
            stack.extend(n.all_input_nodes)
    return found


def _trace_gradient(plan: Partition, i: int, node: fx.Node, address: Tensor, varying: set[fx.Node]) -> None:
    """Follow a parameter's gradient back through what is linear to the product or value that is summed over time."""
    target = node.target
    if node not in varying:
        # No path from the parameter to the step: a gradient of zeros.
        if node not in plan.constants or bool(plan.constants[node].any()):
            raise CannotCompileError("a gradient that does not depend on the state")
        return None
    if target in LAYOUT and target is not _aten.expand.default:
        source = shape_of(node.all_input_nodes[0])
        index = lay_out(node, torch.arange(source.numel()).reshape(source), plan.constants)
        if index.numel() == source.numel() == index.unique().numel():
            there = torch.empty(source.numel(), dtype=torch.int64)
            there[index.flatten()] = address.flatten()
            return _trace_gradient(plan, i, node.all_input_nodes[0], there.reshape(source), varying)
    terms = node.all_input_nodes
    even = len(terms) == 2 and all(shape_of(a) == shape_of(node) for a in terms)
    if target is _aten.add.Tensor and not node.kwargs and even:
        for a in terms:
            _trace_gradient(plan, i, a, address, varying)
        return None
    if target is _aten.sum.dim_IntList:
        source, dims = shape_of(node.all_input_nodes[0]), reduced(node)
        kept = address.reshape([1 if d in dims else n for d, n in enumerate(source)])
        return _trace_gradient(plan, i, node.all_input_nodes[0], kept.expand(source), varying)
    if target in _PLACES:
        at = _PLACES[target](address, *node.args[2:])
        return _trace_gradient(plan, i, node.all_input_nodes[0], at, varying)
    if target is _aten.mm.default and all(a in varying for a in terms):
        plan.outer.append((i, node, address))
    else:
        plan.spread.append((i, node, address))
    return None


def reduced(node: fx.Node) -> set[int]:
    """Dimensions that a reduction runs over."""
    ndim = len(shape_of(node.all_input_nodes[0]))
    dims: Any = node.args[1] if len(node.args) > 1 and node.args[1] != [] else None
    return {d % ndim for d in (range(ndim) if dims is None else [dims] if isinstance(dims, int) else dims)}


def _keep(plan: Partition, nodes: list[fx.Node], ahead: set[fx.Node], wanted: list[fx.Node]) -> set[fx.Node]:
    """Choose the values that are kept; returns the nodes that run on the backward side."""

    def free(n: fx.Node) -> bool:
        return n.target in PASSIVE or n.op == "placeholder" or n in plan.constants

    def cheap(n: fx.Node) -> bool:
        return free(n) or (is_pointwise(n) and (n.target not in COSTLY or n.meta["val"].dtype == torch.bool))

    kept = {n for n in _needed(wanted, ahead, free) if not cheap(n)}
    for n in nodes:
        if n in _needed(wanted, ahead, free) and cheap(n) and not free(n):
            below = _needed([n], ahead, cheap)
            if any(m not in kept and m.op != "placeholder" for m in below):
                kept.add(n)
    plan.kept = [n for n in nodes if n in kept]
    behind: set[fx.Node] = set()
    stack = list(wanted)
    while stack:
        n = stack.pop()
        if n not in behind and n not in kept:
            behind.add(n)
            stack.extend(n.all_input_nodes)
    return behind


def _needed(wanted: list[fx.Node], ahead: set[fx.Node], through: Callable[[fx.Node], bool]) -> set[fx.Node]:
    """Nodes of the forward side that the backward one reads, seen through nodes that are free to repeat."""
    found: set[fx.Node] = set()
    seen: set[fx.Node] = set()
    stack = list(wanted)
    while stack:
        n = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        if n in ahead and not through(n):
            found.add(n)
        else:
            stack.extend(n.all_input_nodes)
    return found


def readers_of(nodes: list[fx.Node], ends: list[fx.Node]) -> dict[fx.Node, list[fx.Node | None]]:
    """Readers of each node's value, seen through layout operations; None stands for the outside."""
    readers: dict[fx.Node, list[fx.Node | None]] = {n: [] for n in nodes}
    for n in ends:
        readers.setdefault(n, []).append(None)
    for n in reversed(nodes):
        for a in n.all_input_nodes:
            found = readers.setdefault(a, [])
            found.extend(readers[n] if n.target in PASSIVE else [n])
    return readers
