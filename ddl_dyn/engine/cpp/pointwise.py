"""The pointwise operations that can be written out, as C++ forms of a vector of lanes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from ddl_dyn.engine.cpp.values import literal

aten = torch.ops.aten

FORMS: dict[Any, str] = {
    aten.mul.Tensor: "({0} * {1})",
    aten.mul.Scalar: "({0} * {1})",
    aten.div.Tensor: "({0} / {1})",
    aten.div.Scalar: "({0} / {1})",
    aten.neg.default: "(-{0})",
    aten.reciprocal.default: "(T(1) / {0})",
    aten.sqrt.default: "vsqrt({0})",
    aten.rsqrt.default: "(T(1) / vsqrt({0}))",
    aten.exp.default: "vexp({0})",
    aten.log.default: "vlog({0})",
    aten.sin.default: "vsin({0})",
    aten.cos.default: "vcos({0})",
    aten.erf.default: "verf({0})",
    aten.tanh.default: "vtanh({0})",
    aten.sigmoid.default: "vsigmoid({0})",
    aten.abs.default: "vmax({0}, -({0}))",
    # A comparison with NaN is false: what is not below zero passes, NaN with it.
    aten.relu.default: "({0} < T(0) ? V{{}} : {0})",
    aten.maximum.default: "vmax({0}, {1})",
    aten.minimum.default: "vmin({0}, {1})",
    aten.where.self: "({0} ? {1} : {2})",
    **{
        getattr(aten, name).__getattr__(kind): f"({{0}} {sign} {{1}})"
        for name, sign in (("gt", ">"), ("lt", "<"), ("ge", ">="), ("le", "<="), ("eq", "=="), ("ne", "!="))
        for kind in ("Scalar", "Tensor")
    },
}
# Worth keeping for the backward sweep rather than computing again.
COSTLY = {
    aten.sqrt.default,
    aten.rsqrt.default,
    aten.exp.default,
    aten.log.default,
    aten.sin.default,
    aten.cos.default,
    aten.erf.default,
    aten.tanh.default,
    aten.sigmoid.default,
    aten.div.Tensor,
    aten.reciprocal.default,
    aten.pow.Tensor_Scalar,
}


def _sum(sign: str) -> Callable[[fx.Node], str]:
    def form(node: fx.Node) -> str:
        alpha = node.kwargs.get("alpha", 1)
        return f"({{0}} {sign} {{1}})" if alpha == 1 else f"({{0}} {sign} {literal(float(str(alpha)))} * {{1}})"

    return form


def _power(node: fx.Node) -> str | None:
    p = node.args[1]
    if not isinstance(p, (int, float)):
        return None
    if float(p).is_integer() and 1 <= abs(p) <= 4:
        product = "(" + " * ".join(["{0}"] * int(abs(p))) + ")"
        return product if p > 0 else f"(T(1) / {product})"
    return "vsqrt({0})" if p == 0.5 else f"vpow({{0}}, {literal(float(p))})"


def _clamp(node: fx.Node) -> str | None:
    low, high = (*node.args[1:], None, None)[:2]
    if any(isinstance(x, fx.Node) for x in (low, high)):
        return None
    form = "{0}" if low is None else f"vmax({{0}}, splat({literal(float(low))}))"  # type: ignore[arg-type]
    return form if high is None else f"vmin({form}, splat({literal(float(high))}))"  # type: ignore[arg-type]


MADE: dict[Any, Callable[[fx.Node], str | None]] = {
    aten.add.Tensor: _sum("+"),
    aten.add.Scalar: _sum("+"),
    aten.sub.Tensor: _sum("-"),
    aten.sub.Scalar: _sum("-"),
    aten.pow.Tensor_Scalar: _power,
    aten.clamp.default: _clamp,
}
# How many of a node's arguments are values (the others shape the form).
ARITY = {aten.pow.Tensor_Scalar: 1, aten.clamp.default: 1}


def form_of(node: fx.Node) -> str | None:
    """The form of a pointwise node; None where it is no pointwise operation that is known."""
    if node.target in MADE:
        return MADE[node.target](node)
    return FORMS.get(node.target)


def is_pointwise(node: fx.Node) -> bool:
    """Whether a node computes element by element."""
    return node.op == "call_function" and (node.target in MADE or node.target in FORMS)
