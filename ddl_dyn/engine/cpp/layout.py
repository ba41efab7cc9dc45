"""Operations that move numbers and compute nothing, and nodes of a graph whose numbers are known.

A layout operation (view, permute, slice, expand, roll, a gather by constant indices, …) is applied to addresses.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx

from ddl_dyn.models.errors import CannotCompileError

aten = torch.ops.aten
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
    aten.lift_fresh_copy.default,
}
# These take indices, which must be constants.
GATHERS = {aten.index.Tensor, aten._unsafe_index.Tensor, aten.index_select.default, aten.gather.default}
LAYOUT = (
    RESHAPES
    | GATHERS
    | {
        aten.permute.default,
        aten.t.default,
        aten.transpose.int,
        aten.expand.default,
        aten.repeat.default,
        aten.slice.Tensor,
        aten.select.int,
        aten.diagonal.default,
        aten.flip.default,
        aten.roll.default,
    }
)
PARTS = {aten.split.Tensor, aten.split_with_sizes.default}
PASSIVE = LAYOUT | PARTS | {operator.getitem}
EMPTY = {aten.empty.memory_format, aten.empty_strided.default}
# Of their first argument these take the shape alone.
FILLS: dict[Any, Callable[[fx.Node], Any]] = {
    aten.full_like.default: lambda n: n.args[1],
    aten.fill.Scalar: lambda n: n.args[1],
    aten.new_full.default: lambda n: n.args[2],
    **dict.fromkeys((aten.ones_like.default, aten.new_ones.default), lambda _: 1.0),
    **dict.fromkeys((aten.zeros_like.default, aten.new_zeros.default), lambda _: 0.0),
    # Filled before it is read.
    **dict.fromkeys((aten.empty_like.default, aten.new_empty.default), lambda _: 0.0),
}
Constants = Mapping[fx.Node, Tensor]


def shape_of(node: fx.Node) -> torch.Size:
    """Shape of a node's value."""
    return node.meta["val"].shape


def lay_out(node: fx.Node, address: Tensor, constants: Constants) -> Tensor:
    """Apply a layout node.

    Args:
        node: of a target in `LAYOUT`.   address: of the elements of its source.   constants: known values.
    Raises:
        CannotCompileError: when it takes an index that is no constant.
    """
    if node.target in (aten.clone.default, aten.alias.default, aten.detach.default, aten.lift_fresh_copy.default):
        return address
    if node.target in (aten.view.default, aten._unsafe_view.default):
        return address.reshape(node.args[1])  # type: ignore[arg-type]
    return node.target(address, *known(node.args[1:], constants))  # type: ignore[operator]


def known(arguments: Any, constants: Constants) -> Any:
    """Arguments of a node, with constants in the place of their nodes.

    Raises:
        CannotCompileError: when one of them is no constant.
    """

    def value(a: fx.Node) -> Tensor:
        if a not in constants:
            raise CannotCompileError("an index that depends on the state or on parameters")
        return constants[a]

    return fx.node.map_arg(arguments, value)


def constants_of(graph: fx.GraphModule) -> dict[fx.Node, Tensor]:
    """Values of the nodes that depend on no input of a graph.

    Raises:
        CannotCompileError: when one of them has no value of its own.
    """
    known: dict[fx.Node, Any] = {}
    for n in graph.graph.nodes:
        if n.op == "get_attr":
            known[n] = getattr(graph, n.target)
        elif n.target in FILLS:
            dtype = n.meta["val"].dtype
            known[n] = torch.full(
                shape_of(n), FILLS[n.target](n), dtype=torch.float64 if dtype.is_floating_point else dtype
            )
        elif n.op == "call_function" and all(a in known for a in n.all_input_nodes):
            known[n] = _evaluated(n, known)
    return {n: value for n, value in known.items() if isinstance(value, Tensor)}


def _evaluated(node: fx.Node, known: Mapping[fx.Node, Any]) -> Any:
    args: Any = fx.node.map_arg(node.args, known.__getitem__)
    kwargs: Any = fx.node.map_arg({k: v for k, v in node.kwargs.items() if k != "pin_memory"}, known.__getitem__)
    value = node.target(*args, **kwargs)  # type: ignore[operator]
    if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
        raise CannotCompileError(f"it draws random numbers ({node.target})")
    if node.target in EMPTY:
        # Whole numbers stand for indices that nobody computes.
        return torch.zeros_like(value) if value.is_floating_point() else None
    return value
