"""Loop-invariant code motion: the subgraph that depends on parameters alone runs once a rollout, not once a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx

from ddl_dyn.engine.cpp.layout import LAYOUT


def hoist(
    whole: fx.GraphModule, count: int, varying: Sequence[str]
) -> tuple[fx.GraphModule | None, tuple[int, ...], fx.GraphModule]:
    """Hoist the parameter-only subgraph of a step.

    Args:
        whole: graph of (parameters and buffers, further inputs).   count: parameters and buffers.
        varying: names of the further inputs.
    Returns:
        The prologue, from parameters and buffers to φ (None where φ are some of them); the indices of these; and the
        body, from φ and the further inputs to the results.
    """
    nodes = list(whole.graph.nodes)
    holders = [n for n in nodes if n.op == "placeholder"]
    given, fed = holders[:count], holders[count:]
    changing: set[fx.Node] = set(fed)
    computed: set[fx.Node] = set()
    for n in nodes:
        if any(a in changing for a in n.all_input_nodes):
            changing.add(n)
        elif n.target not in LAYOUT and any(_root(a) in given or _root(a) in computed for a in n.all_input_nodes):
            computed.add(n)
    output = next(n for n in nodes if n.op == "output")
    # Views of parameters are left to the body, where they cost nothing; what is computed comes out of the prologue.
    kept: set[fx.Node] = set()
    stack, phi = list(output.all_input_nodes), set()
    while stack:
        n = stack.pop()
        if n in computed or n in given:
            phi.add(n)
        elif n not in kept:
            kept.add(n)
            stack.extend(n.all_input_nodes)
    ordered = [n for n in nodes if n in phi]
    body = fx.Graph()
    copied: dict[fx.Node, fx.Node] = {n: body.placeholder(f"phi{i}") for i, n in enumerate(ordered)}
    copied |= {n: body.placeholder(name) for n, name in zip(fed, varying, strict=True)}
    for n in nodes:
        if n in kept and n not in copied:
            copied[n] = body.node_copy(n, lambda a: copied[a])
    body.output(tuple(copied[a] for a in _results(output)))
    sources = tuple(given.index(n) for n in ordered if n in given)
    return _prologue(whole, given, computed, ordered), sources, fx.GraphModule(whole, body)


def _prologue(
    whole: fx.GraphModule, given: list[fx.Node], computed: set[fx.Node], phi: list[fx.Node]
) -> fx.GraphModule | None:
    if not any(n in computed for n in phi):
        return None
    graph = fx.Graph()
    copied = {n: graph.placeholder(f"p{i}") for i, n in enumerate(given)}
    for n in whole.graph.nodes:
        views = n.op == "call_function" and bool(n.all_input_nodes) and all(a in copied for a in n.all_input_nodes)
        if n in computed or views or n.op == "get_attr" or (n.op == "call_function" and not n.all_input_nodes):
            copied[n] = graph.node_copy(n, lambda a: copied[a])
    graph.output(tuple(copied[n] for n in phi))
    graph.eliminate_dead_code()
    return fx.GraphModule(whole, graph)


def _root(node: fx.Node) -> fx.Node:
    """Source of a chain of views."""
    while node.op == "call_function" and node.target in LAYOUT:
        node = node.all_input_nodes[0]
    return node


def _results(output: fx.Node) -> list[fx.Node]:
    results: Any = output.args[0]
    return list(results)


def reaches(prologue: fx.GraphModule, k: int, trainable: Sequence[bool]) -> bool:
    """True where φ_k depends on a trained parameter.

    Args:
        prologue: see `hoist`.   k: index of φ.   trainable: for each input, whether it carries a gradient.
    """
    holders = [n for n in prologue.graph.nodes if n.op == "placeholder"]
    output = next(n for n in prologue.graph.nodes if n.op == "output")
    seen, stack = set(), [_results(output)[k]]
    while stack:
        n = stack.pop()
        if n not in seen:
            seen.add(n)
            stack.extend(n.all_input_nodes)
    return any(h in seen and t for h, t in zip(holders, trainable, strict=True))
