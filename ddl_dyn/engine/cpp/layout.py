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

_aten = torch.ops.aten
# The order of the elements stays.
RESHAPES = {
    _aten.view.default,
    _aten._unsafe_view.default,
    _aten.unsqueeze.default,
    _aten.squeeze.dim,
    _aten.squeeze.dims,
    _aten.squeeze.default,
    _aten.alias.default,
    _aten.clone.default,
    _aten.detach.default,
    _aten.lift_fresh_copy.default,
}
# These take indices, which must be constants.
GATHERS = {_aten.index.Tensor, _aten._unsafe_index.Tensor, _aten.index_select.default, _aten.gather.default}
LAYOUT = (
    RESHAPES
    | GATHERS
    | {
        _aten.permute.default,
        _aten.t.default,
        _aten.transpose.int,
        _aten.expand.default,
        _aten.repeat.default,
        _aten.slice.Tensor,
        _aten.select.int,
        _aten.diagonal.default,
        _aten.flip.default,
        _aten.roll.default,
    }
)
PARTS = {_aten.split.Tensor, _aten.split_with_sizes.default}
PASSIVE = LAYOUT | PARTS | {operator.getitem}
EMPTY = {_aten.empty.memory_format, _aten.empty_strided.default}
# Of their first argument these take the shape alone.
FILLS: dict[Any, Callable[[fx.Node], Any]] = {
    _aten.full_like.default: lambda n: n.args[1],
    _aten.fill.Scalar: lambda n: n.args[1],
    _aten.new_full.default: lambda n: n.args[2],
    **dict.fromkeys((_aten.ones_like.default, _aten.new_ones.default), lambda _: 1.0),
    **dict.fromkeys((_aten.zeros_like.default, _aten.new_zeros.default), lambda _: 0.0),
    # Filled before it is read.
    **dict.fromkeys((_aten.empty_like.default, _aten.new_empty.default), lambda _: 0.0),
}
Constants = Mapping[fx.Node, Tensor]


def shape_of(node: fx.Node) -> torch.Size:
    """Shape of a node's value."""
    shape: torch.Size = node.meta["val"].shape
    return shape


def lay_out(node: fx.Node, address: Tensor, constants: Constants) -> Tensor:
    """Apply a layout node.

    Args:
        node: of a target in `LAYOUT`.   address: of the elements of its source.   constants: known values.
    Raises:
        CannotCompileError: when it takes an index that is no constant.
    """
    if node.target in (_aten.clone.default, _aten.alias.default, _aten.detach.default, _aten.lift_fresh_copy.default):
        return address
    if node.target in (_aten.view.default, _aten._unsafe_view.default):
        return address.reshape(node.args[1])  # type: ignore[arg-type]
    apply: Callable[..., Tensor] = node.target  # type: ignore[assignment]
    return apply(address, *with_constants(node.args[1:], constants))


def with_constants(arguments: Any, constants: Constants) -> Any:
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
    known: dict[fx.Node, object] = {}
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
