"""One sample's step as a graph of tensor operations, and the graph of its gradients.

The step is captured with a batch of one: its rows are independent samples, so that what happens to one row is the whole
story, and every number in the graph stands for a vector over the batch. What depends on the parameters alone is cut
off into a prologue that runs once a rollout and not once a step.

Axes: D observed state, H latent state, U inputs; all with a leading batch axis of one.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx
from torch._decomp import core_aten_decompositions, get_decompositions
from torch.func import vjp
from torch.fx.experimental.proxy_tensor import make_fx

aten = torch.ops.aten

# These move numbers and compute nothing.
LAYOUT = {
    aten.view.default,
    aten._unsafe_view.default,
    aten.permute.default,
    aten.t.default,
    aten.transpose.int,
    aten.unsqueeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.squeeze.default,
    aten.expand.default,
    aten.slice.Tensor,
    aten.select.int,
    aten.alias.default,
    aten.clone.default,
    aten.detach.default,
}
PARTS = {aten.split.Tensor, aten.split_with_sizes.default}
PASSIVE = LAYOUT | PARTS | {operator.getitem}
# Their decompositions build masks from indices where a scatter says it plainly.
KEPT = (aten.select_backward, aten.slice_backward)


@dataclass(frozen=True)
class Captured:
    """A step s' = f(φ, s, u) with an observed state x', and its gradients.

    Args:
        prologue: parameters and buffers (in order) -> φ, for one replica; None where φ are some of them, unchanged.
        sources: for each φ the index of the parameter or buffer that it is, where there is no prologue.
        phi: example values of φ.   trained: which of them carry a gradient.
        forward: (*φ, s, u) -> (s', x').
        joint: (*φ, s, u, gs, gx) -> (s', x', ds, dφ of the trained ones).
        state, inputs, observed: sizes of s, u and x'.
    """

    prologue: fx.GraphModule | None
    sources: tuple[int, ...]
    phi: tuple[Tensor, ...]
    trained: tuple[bool, ...]
    forward: Callable[..., tuple[Tensor, Tensor]]
    joint: fx.GraphModule
    state: int
    inputs: int
    observed: int


def capture(
    step: Callable[[Sequence[Tensor], Tensor, Tensor], tuple[Tensor, Tensor]],
    lift: Callable[[Sequence[Tensor], Tensor], Tensor],
    tensors: Sequence[Tensor],
    trainable: Sequence[bool],
    x: Tensor,
    u: Tensor,
) -> tuple[Captured, Captured]:
    """Capture a step, and the lift before the first of them.

    Args:
        step: (parameters and buffers, s (1, S), u (1, U)) -> (s' (1, S), x' (1, D)).
        lift: (parameters and buffers, x (1, D)) -> s (1, S).
        tensors: one replica's parameters and buffers.   trainable: which of them carry a gradient.
        x, u: examples.
    Returns:
        The step, and the lift as a step from x that observes s. They have their φ in common.
    Raises:
        RuntimeError: and others, from torch, when the step holds control flow that depends on numbers.
    """
    tensors = [t.detach() for t in tensors]
    with torch.no_grad():
        s = lift(tensors, x).clone()
    whole = make_fx(lambda p, x, s, u: (lift(p, x), *step(p, s, u)), decomposition_table=_decompositions())(
        list(tensors), x, s, u
    )
    prologue, sources, body = _split(whole, len(tensors))
    if prologue is None:
        phi = tuple(tensors[i] for i in sources)
        trained = tuple(trainable[i] for i in sources)
    else:
        with torch.no_grad():
            phi = tuple(t.contiguous() for t in prologue(*tensors))
        trained = tuple(t.is_floating_point() and _reaches(prologue, k, trainable) for k, t in enumerate(phi))

    def after(*given: Tensor) -> tuple[Tensor, Tensor]:
        return body(*given[:-2], x, *given[-2:])[1:]

    def before(*given: Tensor) -> tuple[Tensor, Tensor]:
        return given[-2], body(*given[:-1], s, given[-1])[0]

    common, inputs = (prologue, sources, phi, trained), u.shape[-1]
    steps, starts = (_joint(f, phi, trained, a, u) for f, a in ((after, s), (before, x)))
    return (
        Captured(*common, after, steps[0], s.shape[-1], inputs, steps[1]),
        Captured(*common, before, starts[0], x.shape[-1], inputs, starts[1]),
    )


def choose(captured: Captured, choice: Callable[..., tuple[Tensor, Tensor]], s: Tensor, u: Tensor) -> Captured:
    """The same with other results.

    Args:
        captured: a step.   choice: (s, s', x') -> what stands for s' and x' instead.   s, u: examples.
    """

    def body(*given: Tensor) -> tuple[Tensor, Tensor]:
        return choice(given[-2], *captured.forward(*given))

    joint, observed = _joint(body, captured.phi, captured.trained, s, u)
    return replace(captured, forward=body, joint=joint, observed=observed)


def _joint(
    body: Callable[..., tuple[Tensor, Tensor]], phi: Sequence[Tensor], trained: Sequence[bool], s: Tensor, u: Tensor
) -> tuple[fx.GraphModule, int]:
    """The graph of a step with its gradients, and the size of x'."""

    def joint(phi: list[Tensor], s: Tensor, u: Tensor, gs: Tensor, gx: Tensor) -> tuple[Any, ...]:
        learned = [p for p, t in zip(phi, trained, strict=True) if t]

        def run(learned: list[Tensor], s: Tensor) -> tuple[Tensor, Tensor]:
            given = iter(learned)
            return body(*(next(given) if t else p for p, t in zip(phi, trained, strict=True)), s, u)

        out, pull = vjp(run, learned, s)  # type: ignore[misc]
        dphi, ds = pull((gs, gx))
        return (*out, ds, *dphi)

    with torch.no_grad():
        after, observed = body(*phi, s, u)
    graph = make_fx(joint, decomposition_table=_decompositions())(
        list(phi), s, u, torch.ones_like(after), torch.ones_like(observed)
    )
    return graph, observed.shape[-1]


@functools.cache
def _decompositions() -> dict[Any, Any]:
    """How torch writes its larger operations in smaller ones."""
    composite = ("gelu", "silu", "elu", "leaky_relu", "softplus", "hardtanh", "mish", "hardswish", "hardsigmoid")
    packets = [
        getattr(aten, name + end) for name in composite for end in ("", "_backward") if hasattr(aten, name + end)
    ]
    packets += [aten._softmax, aten._log_softmax]
    own = {aten.native_layer_norm.default: _layer_norm}
    found = dict(core_aten_decompositions().items()) | get_decompositions(packets) | own
    return {k: v for k, v in found.items() if k.overloadpacket not in KEPT}


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    dims = list(range(-len(shape), 0))
    mean = x.mean(dims, keepdim=True)
    scale = torch.rsqrt((x - mean).square().mean(dims, keepdim=True) + eps)
    out = (x - mean) * scale
    out = out if weight is None else out * weight
    return (out if bias is None else out + bias), mean, scale


def _split(whole: fx.GraphModule, count: int) -> tuple[fx.GraphModule | None, tuple[int, ...], fx.GraphModule]:
    """Cut what the parameters alone decide off a step's graph."""
    nodes = list(whole.graph.nodes)
    holders = [n for n in nodes if n.op == "placeholder"]
    given, fed = holders[:count], holders[count:]
    varying: set[fx.Node] = set(fed)
    computed: set[fx.Node] = set()
    for n in nodes:
        if any(a in varying for a in n.all_input_nodes):
            varying.add(n)
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
    copied |= {n: body.placeholder(name) for n, name in zip(fed, ("x", "s", "u"), strict=True)}
    for n in nodes:
        if n in kept and n not in copied:
            copied[n] = body.node_copy(n, lambda a: copied[a])
    body.output(tuple(copied[a] for a in _results(output)))
    sources = tuple(given.index(n) for n in ordered if n in given)
    return _prologue(whole, given, computed, ordered), sources, fx.GraphModule(whole, body)


def _prologue(whole: fx.GraphModule, given: list[fx.Node], computed: set[fx.Node], phi: list[fx.Node]) -> Any:
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
    """What a chain of views looks at."""
    while node.op == "call_function" and node.target in LAYOUT:
        node = node.all_input_nodes[0]
    return node


def _results(output: fx.Node) -> list[fx.Node]:
    results: Any = output.args[0]
    return list(results)


def _reaches(prologue: fx.GraphModule, k: int, trainable: Sequence[bool]) -> bool:
    """Whether φ_k depends on a trained parameter."""
    holders = [n for n in prologue.graph.nodes if n.op == "placeholder"]
    output = next(n for n in prologue.graph.nodes if n.op == "output")
    seen, stack = set(), [_results(output)[k]]
    while stack:
        n = stack.pop()
        if n not in seen:
            seen.add(n)
            stack.extend(n.all_input_nodes)
    return any(h in seen and t for h, t in zip(holders, trainable, strict=True))
