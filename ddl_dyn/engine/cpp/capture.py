"""One sample's step as a graph of tensor operations, and the graph of its gradients.

The step is traced with a batch of one: rows are independent samples (`ddl_dyn.models.check` sees to it), so that what
happens to one row is the whole story, and every number in the graph stands for a vector over the batch.

Axes: S carried state, D observed state, U inputs; all with a leading batch axis of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx
from torch.func import functionalize, vjp
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode

from ddl_dyn.engine.cpp.decompositions import decompositions
from ddl_dyn.engine.cpp.hoisting import hoist, reaches
from ddl_dyn.models.errors import CannotCompileError

Step = Callable[[Sequence[Tensor], Tensor, Tensor], tuple[Tensor, Tensor]]
Lift = Callable[[Sequence[Tensor], Tensor], Tensor]


@dataclass(frozen=True)
class Captured:
    """A step s' = f(φ, s, u) with an observed state x', and its gradients.

    Args:
        prologue: parameters and buffers -> φ, for one replica; None where φ are some of them, unchanged.
        sources: indices of the parameters and buffers that the prologue takes, or, without one, that φ are.
        phi: example values of φ.   trained: for each φ, whether it carries a gradient.
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

    @property
    def gradient(self) -> int:
        """Elements of all dφ."""
        return sum(p.numel() for p, t in zip(self.phi, self.trained, strict=True) if t)


def capture(
    step: Step, lift: Lift, tensors: Sequence[Tensor], trainable: Sequence[bool], x: Tensor, u: Tensor
) -> tuple[Captured, Captured]:
    """Capture a step, and the lift before the first of them.

    Args:
        step: (parameters and buffers, s (1, S), u (1, U)) -> (s' (1, S), x' (1, D)).
        lift: (parameters and buffers, x (1, D)) -> s (1, S).
        tensors: one replica's parameters and buffers; whole numbers become constants of the code.
        trainable: for each of them, whether it carries a gradient.
        x, u: example inputs: only shape and dtype are traced.
    Returns:
        The step, and the lift as a step from x that observes s. They have their φ in common.
    Raises:
        CannotCompileError: when the step stops gradients or changes what it is given.
        RuntimeError: and others, from torch, when the step holds control flow that depends on numbers.
    """
    tensors = [t.detach() for t in tensors]
    varying = [i for i, t in enumerate(tensors) if not is_index(t)]
    given = [tensors[i] for i in varying]

    def complete(some: Sequence[Tensor]) -> list[Tensor]:
        found = dict(zip(varying, some, strict=True))
        return [found.get(i, t) for i, t in enumerate(tensors)]

    def both(*given: Tensor) -> tuple[Tensor, ...]:
        *some, x, s, u = given
        with _Refusals():
            return lift(complete(some), x), *step(complete(some), s, u)

    with torch.no_grad():
        s = lift(tensors, x).clone()
    whole = trace(both, *given, x, s, u)
    if any(n.target is torch.ops.aten.detach.default for n in whole.graph.nodes):
        raise CannotCompileError(STOPPED)
    prologue, chosen, body = hoist(whole, len(given), ("x", "s", "u"))
    trainable = [trainable[i] for i in varying]
    if prologue is None:
        sources = tuple(varying[i] for i in chosen)
        phi = tuple(given[i] for i in chosen)
        trained = tuple(trainable[i] for i in chosen)
    else:
        sources = tuple(varying)
        with torch.no_grad():
            phi = tuple(t.contiguous() for t in prologue(*given))
        trained = tuple(t.is_floating_point() and reaches(prologue, k, trainable) for k, t in enumerate(phi))

    def after(*given: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = body(*given[:-2], x, *given[-2:])[1:]
        return found

    def before(*given: Tensor) -> tuple[Tensor, Tensor]:
        return given[-2], body(*given[:-1], s, given[-1])[0]

    common, inputs = (prologue, sources, phi, trained), u.shape[-1]
    steps, starts = (_joint(f, phi, trained, a, u) for f, a in ((after, s), (before, x)))
    return (
        Captured(*common, after, steps[0], s.shape[-1], inputs, steps[1]),
        Captured(*common, before, starts[0], x.shape[-1], inputs, starts[1]),
    )


def is_index(t: Tensor) -> bool:
    """True for whole numbers, which index other tensors and belong to the code."""
    return not t.is_floating_point() and t.dtype != torch.bool


def with_results(captured: Captured, choice: Callable[..., tuple[Tensor, Tensor]], s: Tensor, u: Tensor) -> Captured:
    """The same step with other results.

    Args:
        captured: a step.   choice: (s, s', x') -> what stands for s' and x' instead.
        s, u: example inputs: only shape and dtype are traced.
    """

    def body(*given: Tensor) -> tuple[Tensor, Tensor]:
        return choice(given[-2], *captured.forward(*given))

    joint, observed = _joint(body, captured.phi, captured.trained, s, u)
    return replace(captured, forward=body, joint=joint, observed=observed)


def trace(function: Callable[..., object], *examples: Tensor) -> fx.GraphModule:
    """Graph of a function in small operations without side effects.

    Args:
        function: of tensors.   examples: only shape and dtype are traced.
    Raises:
        CannotCompileError: when it changes one of its arguments.
    """
    graph = make_fx(function, decomposition_table=decompositions())(*examples)
    if any(map(_mutates, graph.graph.nodes)):
        # What it changes of its own becomes new values; what is left are changes of what it was given.
        graph = make_fx(functionalize(graph, remove="mutations"), decomposition_table=COPY)(*examples)
    for node in graph.graph.nodes:
        if _mutates(node):
            raise CannotCompileError(f"it changes a tensor in place ({node.target})")
    return graph


def _mutates(node: fx.Node) -> bool:
    return node.op == "call_function" and bool(getattr(getattr(node.target, "_schema", None), "is_mutable", False))


# Has no derivative of its own.
COPY = {torch.ops.aten.copy.default: lambda to, value, *_: value.to(to.dtype).expand_as(to)}
STOPS: tuple[Any, ...] = (
    torch.Tensor.detach,
    torch.Tensor.detach_,
    torch.Tensor.data.__get__,  # type: ignore[attr-defined]
    torch._C._set_grad_enabled,
)
STOPPED = "it stops gradients (detach, no_grad)"


class _Refusals(TorchFunctionMode):
    """Refuses what a graph of operations does not show."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in STOPS:
            raise CannotCompileError(STOPPED)
        return func(*args, **(kwargs or {}))


def _joint(
    body: Callable[..., tuple[Tensor, Tensor]], phi: Sequence[Tensor], trained: Sequence[bool], s: Tensor, u: Tensor
) -> tuple[fx.GraphModule, int]:
    """Graph of a step with its gradients, and the size of x'."""

    def joint(*given: Tensor) -> tuple[Any, ...]:
        *phi, s, u, gs, gx = given
        learned = [p for p, t in zip(phi, trained, strict=True) if t]

        def run(learned: list[Tensor], s: Tensor) -> tuple[Tensor, Tensor]:
            given = iter(learned)
            return body(*(next(given) if t else p for p, t in zip(phi, trained, strict=True)), s, u)

        out, pull = vjp(run, learned, s)  # type: ignore[misc]
        dphi, ds = pull((gs, gx))
        return (*out, ds, *dphi)

    with torch.no_grad():
        after, observed = body(*phi, s, u)
    graph = trace(joint, *phi, s, u, torch.ones_like(after), torch.ones_like(observed))
    return graph, observed.shape[-1]
