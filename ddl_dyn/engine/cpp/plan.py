"""Which nodes of a step's graph run in the forward sweep, which in the backward one, and what is kept in between.

A layout operation is free and a cheap pointwise one nearly so: they are done again on the backward side where that
needs nothing kept beyond what is kept anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx

from ddl_dyn.engine.cpp.capture import LAYOUT, PASSIVE, Captured
from ddl_dyn.engine.cpp.pointwise import COSTLY, is_pointwise
from ddl_dyn.models.errors import CannotCompileError

aten = torch.ops.aten
INPUTS = 4  # s, u, gs, gx


@dataclass
class Plan:
    """Nodes in order, and the results.

    Args:
        forward, backward: nodes that run there.   kept: forward nodes whose values the backward sweep reads.
        after, observed, ds: the nodes of s', x' and ds.
        outer: (index of φ, node of a product g xᵀ, address in φ of each of its elements).
        spread: (index of φ, node to be summed over lanes and steps, address in φ of each of its elements).
    """

    phi: list[fx.Node]
    s: fx.Node
    u: fx.Node
    gs: fx.Node
    gx: fx.Node
    after: fx.Node
    observed: fx.Node
    ds: fx.Node
    forward: list[fx.Node] = field(default_factory=list)
    backward: list[fx.Node] = field(default_factory=list)
    kept: list[fx.Node] = field(default_factory=list)
    outer: list[tuple[int, fx.Node, Tensor]] = field(default_factory=list)
    spread: list[tuple[int, fx.Node, Tensor]] = field(default_factory=list)


def make_plan(captured: Captured) -> Plan:
    """Divide the joint graph."""
    nodes = list(captured.joint.graph.nodes)
    holders = [n for n in nodes if n.op == "placeholder"]
    phi, (s, u, gs, gx) = holders[:-INPUTS], holders[-INPUTS:]
    output = next(n for n in nodes if n.op == "output")
    after, observed, ds, *gradients = output.args[0]
    plan = Plan(phi, s, u, gs, gx, after, observed, ds)
    varying = _after(nodes, {s, u, gs, gx})
    trained = [i for i, t in enumerate(captured.trained) if t]
    for i, g in zip(trained, gradients, strict=True):
        address = torch.arange(captured.phi[i].numel()).reshape(captured.phi[i].shape)
        _trace_gradient(plan, i, g, address, varying)
    ahead = _before([after, observed])
    wanted = [ds, *(n for _, n, _ in plan.spread), *(a for _, n, _ in plan.outer for a in n.all_input_nodes)]
    behind = _keep(plan, nodes, ahead, wanted)
    plan.forward = [n for n in nodes if n in ahead and n.op not in ("placeholder", "output")]
    plan.backward = [n for n in nodes if n in behind and n.op not in ("placeholder", "output")]
    return plan


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


def shape_of(node: fx.Node) -> torch.Size:
    """Shape of a node's value."""
    return node.meta["val"].shape


def _trace_gradient(plan: Plan, i: int, node: fx.Node, address: Tensor, varying: set[fx.Node]) -> None:
    """Follow a parameter's gradient back through what is linear to the product or value that is summed over time."""
    target = node.target
    if node not in varying:
        # No path from the parameter to the step: a gradient of zeros.
        if node.target not in (aten.full.default, aten.full_like.default) or node.args[1] != 0:
            raise CannotCompileError("a gradient that does not depend on the state")
        return None
    if target in LAYOUT and target is not aten.expand.default:
        source = shape_of(node.all_input_nodes[0])
        index = lay_out(node, torch.arange(source.numel()).reshape(source))
        if index.numel() == source.numel():
            there = torch.empty(source.numel(), dtype=torch.int64)
            there[index.flatten()] = address.flatten()
            return _trace_gradient(plan, i, node.all_input_nodes[0], there.reshape(source), varying)
    terms = node.all_input_nodes
    even = len(terms) == 2 and all(shape_of(a) == shape_of(node) for a in terms)
    if target is aten.add.Tensor and not node.kwargs and even:
        for a in terms:
            _trace_gradient(plan, i, a, address, varying)
        return None
    if target is aten.sum.dim_IntList:
        source, dims = shape_of(node.all_input_nodes[0]), reduced(node)
        kept = address.reshape([1 if d in dims else n for d, n in enumerate(source)])
        return _trace_gradient(plan, i, node.all_input_nodes[0], kept.expand(source), varying)
    if target is aten.mm.default and all(a in varying for a in terms) and shape_of(terms[0])[1] == 1:
        plan.outer.append((i, node, address))
    else:
        plan.spread.append((i, node, address))
    return None


def reduced(node: fx.Node) -> set[int]:
    """Dimensions that a sum or mean runs over."""
    ndim = len(shape_of(node.all_input_nodes[0]))
    dims = node.args[1] if len(node.args) > 1 and node.args[1] else range(ndim)
    return {int(d) % ndim for d in dims}  # type: ignore[union-attr, arg-type]


def lay_out(node: fx.Node, address: Tensor) -> Tensor:
    """A layout node, applied to addresses."""
    if node.target in (aten.clone.default, aten.alias.default, aten.detach.default):
        return address
    if node.target in (aten.view.default, aten._unsafe_view.default):
        return address.reshape(node.args[1])  # type: ignore[arg-type]
    return node.target(address, *node.args[1:])  # type: ignore[operator]


def _keep(plan: Plan, nodes: list[fx.Node], ahead: set[fx.Node], wanted: list[fx.Node]) -> set[fx.Node]:
    """Choose what is kept; returns the nodes that run on the backward side."""

    def free(n: fx.Node) -> bool:
        return n.target in PASSIVE or n.op in ("placeholder", "get_attr") or not n.all_input_nodes

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
    """Who reads each node's value, seen through layout operations; None stands for the outside."""
    readers: dict[fx.Node, list[fx.Node | None]] = {n: [] for n in nodes}
    for n in ends:
        readers.setdefault(n, []).append(None)
    for n in reversed(nodes):
        for a in n.all_input_nodes:
            found = readers.setdefault(a, [])
            found.extend(readers[n] if n.target in PASSIVE else [n])
    return readers
