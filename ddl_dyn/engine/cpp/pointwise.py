"""Pointwise operations as C++ forms of a vector of lanes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from ddl_dyn.engine.cpp.values import literal

_aten = torch.ops.aten


def _lanewise(name: str) -> str:
    return f"lanewise({{0}}, [](T a) {{{{ return std::{name}(a); }}}})"


def _pairwise(expression: str) -> str:
    return f"lanewise({{0}}, {{1}}, [](T a, T b) {{{{ return {expression}; }}}})"


# With the sign of the divisor, as Python's %.
REMAINDER = "(std::fmod(a, b) != 0 && (std::fmod(a, b) < 0) != (b < 0) ? std::fmod(a, b) + b : std::fmod(a, b))"
# Worth keeping for the backward sweep rather than computing again.
COSTLY_FORMS: dict[Any, str] = {
    _aten.sqrt.default: "vsqrt({0})",
    _aten.rsqrt.default: "(T(1) / vsqrt({0}))",
    _aten.exp.default: "vexp({0})",
    _aten.log.default: "vlog({0})",
    _aten.sin.default: "vsin({0})",
    _aten.cos.default: "vcos({0})",
    _aten.erf.default: "verf({0})",
    _aten.tanh.default: "vtanh({0})",
    _aten.sigmoid.default: "vsigmoid({0})",
    _aten.div.Tensor: "({0} / {1})",
    _aten.reciprocal.default: "(T(1) / {0})",
    _aten.pow.Tensor_Tensor: _pairwise("std::pow(a, b)"),
    _aten.pow.Scalar: _pairwise("std::pow(a, b)"),
    _aten.atan2.default: _pairwise("std::atan2(a, b)"),
    **{
        getattr(_aten, name).default: _lanewise(name)
        for name in (
            "expm1", "log1p", "log2", "log10", "exp2", "erfc", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh",
            "acosh", "atanh",
        )
    },
}  # fmt: skip
FORMS: dict[Any, str] = COSTLY_FORMS | {
    _aten.mul.Tensor: "({0} * {1})",
    _aten.mul.Scalar: "({0} * {1})",
    _aten.div.Scalar: "({0} / {1})",
    _aten.neg.default: "(-{0})",
    _aten.abs.default: "vmax({0}, -({0}))",
    _aten.sign.default: "(({0} > T(0) ? splat(T(1)) : V{{}}) - ({0} < T(0) ? splat(T(1)) : V{{}}))",
    # A comparison with NaN is false: what is not below zero passes, NaN with it.
    _aten.relu.default: "({0} < T(0) ? V{{}} : {0})",
    _aten.maximum.default: "vmax({0}, {1})",
    _aten.minimum.default: "vmin({0}, {1})",
    _aten.fmod.Tensor: _pairwise("std::fmod(a, b)"),
    _aten.fmod.Scalar: _pairwise("std::fmod(a, b)"),
    _aten.remainder.Tensor: _pairwise(REMAINDER),
    _aten.remainder.Scalar: _pairwise(REMAINDER),
    _aten.where.self: "({0} ? {1} : {2})",
    _aten.isnan.default: "({0} != {0})",
    # Masks are stored as 0 and 1.
    _aten.logical_not.default: "({0} == T(0))",
    _aten.bitwise_not.default: "({0} == T(0))",
    **dict.fromkeys((_aten.logical_and.default, _aten.bitwise_and.Tensor), "(({0} != T(0)) & ({1} != T(0)))"),
    **dict.fromkeys((_aten.logical_or.default, _aten.bitwise_or.Tensor), "(({0} != T(0)) | ({1} != T(0)))"),
    **dict.fromkeys((_aten.logical_xor.default, _aten.bitwise_xor.Tensor), "(({0} != T(0)) ^ ({1} != T(0)))"),
    **{getattr(_aten, name).default: _lanewise(name) for name in ("floor", "ceil", "trunc")},
    _aten.round.default: _lanewise("nearbyint"),
    **{
        getattr(getattr(_aten, name), kind): f"({{0}} {sign} {{1}})"
        for name, sign in (("gt", ">"), ("lt", "<"), ("ge", ">="), ("le", "<="), ("eq", "=="), ("ne", "!="))
        for kind in ("Scalar", "Tensor")
    },
}
COSTLY = {*COSTLY_FORMS, _aten.pow.Tensor_Scalar}


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


def _converted(node: fx.Node) -> str | None:
    """Between masks and numbers of the type that all is computed in."""
    dtype = node.meta["val"].dtype
    return "{0}" if dtype.is_floating_point else "({0} != T(0))" if dtype == torch.bool else None


def _divided(node: fx.Node) -> str | None:
    mode = node.kwargs.get("rounding_mode")
    return None if mode is None else _pairwise(f"std::{mode}(a / b)")


MADE: dict[Any, Callable[[fx.Node], str | None]] = {
    _aten.add.Tensor: _sum("+"),
    _aten.add.Scalar: _sum("+"),
    _aten.sub.Tensor: _sum("-"),
    _aten.sub.Scalar: _sum("-"),
    _aten.pow.Tensor_Scalar: _power,
    _aten.clamp.default: _clamp,
    _aten._to_copy.default: _converted,
    _aten.div.Tensor_mode: _divided,
}
# How many of a node's arguments are values (the others shape the form).
ARITY = {_aten.pow.Tensor_Scalar: 1, _aten.clamp.default: 1, _aten._to_copy.default: 1}


def form_of(node: fx.Node) -> str | None:
    """Form of a pointwise node; None where it is no pointwise operation that is known."""
    if node.target in MADE:
        return MADE[node.target](node)
    return FORMS.get(node.target)


def is_pointwise(node: fx.Node) -> bool:
    """True for a node that computes element by element."""
    return node.op == "call_function" and (node.target in MADE or node.target in FORMS)
