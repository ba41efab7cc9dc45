"""A graph of tensor operations as a module of plain numpy, its constants in an .npz file beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from ddl_dyn.metrics.arrays import Array

Write = Callable[..., str]

_UNARY = {
    "tanh": "np.tanh({})",
    "sigmoid": "0.5 * (1.0 + np.tanh(0.5 * {}))",
    "relu": "np.maximum({}, 0.0)",
    "rsqrt": "1.0 / np.sqrt({})",
    "reciprocal": "1.0 / {}",
    "erf": "_erf({})",
    "neg": "-{}",
    "abs": "np.abs({})",
    "logical_not": "np.logical_not({})",
    "bitwise_not": "~{}",
    "alias": "{}",
    "detach": "{}",
    "isnan": "np.isnan({})",
    "isinf": "np.isinf({})",
    "acos": "np.arccos({})",
    "asin": "np.arcsin({})",
    "atan": "np.arctan({})",
} | {
    name: f"np.{name}({{}})"
    for name in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "sinh", "cosh", "sign", "floor")
}
_BINARY = {
    "mul": "{} * {}",
    "div": "{} / {}",
    "pow": "{} ** {}",
    "mm": "{} @ {}",
    "bmm": "{} @ {}",
    "maximum": "np.maximum({}, {})",
    "minimum": "np.minimum({}, {})",
    "atan2": "np.arctan2({}, {})",
    "fmod": "np.fmod({}, {})",
    "remainder": "np.remainder({}, {})",
    "eq": "{} == {}",
    "ne": "{} != {}",
    "gt": "{} > {}",
    "ge": "{} >= {}",
    "lt": "{} < {}",
    "le": "{} <= {}",
    "logical_and": "np.logical_and({}, {})",
    "logical_or": "np.logical_or({}, {})",
}


def _scaled(sign: str) -> Write:
    def write(a: str, b: str, *, alpha: str = "1") -> str:
        return f"{a} {sign} {b}" if alpha == "1" else f"{a} {sign} {alpha} * {b}"

    return write


def _reduced(name: str) -> Write:
    def write(x: str, dims: str = "None", keepdim: str = "False") -> str:
        return f"np.{name}({x}, axis={_axes(dims)}, keepdims={keepdim})"

    return write


def _axes(dims: str) -> str:
    # numpy wants tuples where torch gives lists, and None for an empty one.
    return "None" if dims in ("None", "[]") else f"({dims[1:-1]},)" if dims.startswith("[") else dims


def _var(x: str, dims: str = "None", *, correction: str = "1", keepdim: str = "False") -> str:
    return f"np.var({x}, axis={_axes(dims)}, ddof={correction}, keepdims={keepdim})"


def _var_mean(x: str, dims: str = "None", *, correction: str = "1", keepdim: str = "False") -> str:
    mean = _reduced("mean")(x, dims, keepdim)
    return f"({_var(x, dims, correction=correction, keepdim=keepdim)}, {mean})"


def _clamp(x: str, low: str = "None", high: str = "None") -> str:
    return f"np.clip({x}, {low}, {high})"


def _slice(x: str, dim: str = "0", start: str = "None", end: str = "None", step: str = "1") -> str:
    return f"_along({x}, {dim}, slice({start}, {end}, {step}))"


def _index(x: str, places: str) -> str:
    return f"{x}[_places({places})]"


def _topk(x: str, k: str, dim: str = "-1", largest: str = "True", ordered: str = "True") -> str:  # noqa: ARG001
    return f"_topk({x}, {k}, {dim}, {largest})"


def _filled(x: str, value: str = "0", *, dtype: str = "None", **_place: str) -> str:
    return f"np.full_like({x}, {value}, dtype={_type(dtype)})"


def _full(size: str, value: str, *, dtype: str = "None", **_place: str) -> str:
    return f"np.full({size}, {value}, dtype={_type(dtype)})"


def _cast(x: str, *, dtype: str = "None", **_place: str) -> str:
    return x if dtype == "None" else f"{x}.astype({_type(dtype)})"


def _type(dtype: str) -> str:
    return dtype.replace("torch.", "np.").removesuffix("bool") + ("bool_" if dtype.endswith("bool") else "")


def _fixed(text: str) -> Write:
    def write(*operands: str) -> str:
        if len(operands) != text.count("{}"):
            raise TypeError(f"{len(operands)} operands")
        return text.format(*operands)

    return write


_WRITERS: dict[str, Write] = {
    "add": _scaled("+"),
    "sub": _scaled("-"),
    "rsub": lambda a, b: f"{b} - {a}",
    "addmm": lambda c, a, b: f"{c} + {a} @ {b}",
    "sum": _reduced("sum"),
    "mean": _reduced("mean"),
    "amax": _reduced("max"),
    "amin": _reduced("min"),
    "var": _var,
    "var_mean": _var_mean,
    "clamp": _clamp,
    "clamp_min": lambda x, low: f"np.maximum({x}, {low})",
    "where": lambda test, a, b: f"np.where({test}, {a}, {b})",
    "cat": lambda parts, dim="0": f"np.concatenate({parts}, axis={dim})",
    "permute": lambda x, dims: f"np.transpose({x}, {dims})",
    "view": lambda x, shape: f"np.reshape({x}, {shape})",
    "_unsafe_view": lambda x, shape: f"np.reshape({x}, {shape})",
    "reshape": lambda x, shape: f"np.reshape({x}, {shape})",
    "unsqueeze": lambda x, dim: f"np.expand_dims({x}, {dim})",
    "squeeze": lambda x, dims: f"np.squeeze({x}, axis={_axes(dims)})",
    "expand": lambda x, shape: f"_expand({x}, {shape})",
    "select": lambda x, dim, place: f"_along({x}, {dim}, {place})",
    "slice": _slice,
    "index": _index,
    "index_select": lambda x, dim, places: f"np.take({x}, {places}, axis={dim})",
    "flip": lambda x, dims: f"np.flip({x}, {_axes(dims)})",
    "cumsum": lambda x, dim: f"np.cumsum({x}, axis={dim})",
    "topk": _topk,
    "split_with_sizes": lambda x, sizes, dim="0": f"np.split({x}, np.cumsum({sizes})[:-1], axis={dim})",
    "full_like": _filled,
    "zeros_like": _filled,
    "ones_like": lambda x, **place: _filled(x, "1", **place),
    "full": _full,
    "_to_copy": _cast,
    "clone": _cast,
    "sym_size": lambda x, dim: f"{x}.shape[{dim}]",
}
_WRITERS |= {name: _fixed(text) for name, text in (_UNARY | _BINARY).items()}
_SYMBOLIC = {"getitem": "{}[{}]", "mul": "{} * {}", "add": "{} + {}", "sub": "{} - {}", "floordiv": "{} // {}"}
HELPERS = '''\
def _along(x, dim, place):
    """The part of x at a place along one axis."""
    return x[(slice(None),) * (dim % x.ndim) + (place,)]


def _places(items):
    return tuple(slice(None) if item is None else item for item in items)


def _topk(x, k, dim, largest):
    order = np.argsort(-x if largest else x, axis=dim, kind="stable")
    places = np.take(order, np.arange(k), axis=dim)
    return np.take_along_axis(x, places, axis=dim), places


def _expand(x, shape):
    """x repeated to a shape, in which -1 keeps the size that there is."""
    before = (1,) * (len(shape) - x.ndim) + x.shape
    return np.broadcast_to(x, [old if new == -1 else new for old, new in zip(before, shape)])


_erf = np.vectorize(math.erf, otypes=[float])
'''


def numpy_function(name: str, program: ExportedProgram, arguments: Sequence[str]) -> tuple[str, dict[str, Array]]:
    """A graph as the source of a function.

    Args:
        name: of the function.   program: the graph.   arguments: names of its inputs.
    Returns:
        The source, which takes its constants from a mapping `NUMBERS`, and these, by name.
    Raises:
        ValueError: when the graph holds an operation that is not known here.
    """
    known, live = _constants(program), list(arguments)
    names: dict[fx.Node, str] = {}
    kept: dict[str, Array] = {}
    lines: list[str] = []

    def text(item: Any) -> str:
        if isinstance(item, fx.Node):
            return names[item] if item in names else constant(item)
        if isinstance(item, (list, tuple)):
            return f"[{', '.join(map(text, item))}]"
        return f"float({str(item)!r})" if isinstance(item, float) and not np.isfinite(item) else repr(item)

    def constant(node: fx.Node) -> str:
        key = f"{name}.{node.name}"
        kept[key] = known[node].detach().cpu().numpy()
        return f"NUMBERS[{key!r}]"

    for node in program.graph.nodes:
        # Without users are torch's own checks of shapes and types.
        if node in known or (node.op == "call_function" and not node.users):
            continue
        if node.op == "placeholder":
            names[node] = live.pop(0)
        elif node.op == "output":
            found = [text(item) for item in node.args[0]]
            lines.append(f"return {', '.join(found)}")
        else:
            names[node] = node.name
            lines.append(f"{node.name} = {_written(node, text)}")
    head = f"def {name}({', '.join(arguments)}):\n"
    casts = [f"{each} = np.asarray({each}, dtype=np.float64)" for each in arguments]
    return head + "\n".join(f"    {line}" for line in [*casts, *lines]) + "\n", kept


def _written(node: fx.Node, text: Callable[[Any], str]) -> str:
    kwargs = {key: text(value) for key, value in node.kwargs.items()}
    if isinstance(node.target, torch._ops.OpOverload):
        name = node.target.overloadpacket.__name__
        write = _WRITERS.get(name)
    else:
        name = getattr(node.target, "__name__", str(node.target))
        write = _fixed(_SYMBOLIC[name]) if name in _SYMBOLIC else None
    if write is None:
        raise ValueError(f"the operation {name!r} is not written in numpy; export to onnx or torch.export instead")
    try:
        return write(*(_operand(arg, text) for arg in node.args), **kwargs)
    except TypeError as error:
        raise ValueError(f"the operation {name!r} is not written in numpy with these options ({error})") from error


def _operand(arg: Any, text: Callable[[Any], str]) -> str:
    # A negative number before ** would be read as −(a ** b).
    return f"({arg!r})" if isinstance(arg, float) and arg < 0 and np.isfinite(arg) else text(arg)


def _constants(program: ExportedProgram) -> dict[fx.Node, Tensor]:
    """The nodes that depend on no input, with their values."""
    stored = dict(program.state_dict) | dict(program.constants)
    held = {
        **program.graph_signature.inputs_to_parameters,
        **program.graph_signature.inputs_to_buffers,
        **program.graph_signature.inputs_to_lifted_tensor_constants,
    }
    known: dict[fx.Node, Any] = {}
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in held:
            known[node] = stored[held[node.name]]
        elif node.op == "call_function" and all(parent in known for parent in node.all_input_nodes):
            with torch.no_grad():
                known[node] = node.target(
                    *fx.node.map_arg(node.args, known.__getitem__), **fx.node.map_arg(node.kwargs, known.__getitem__)
                )
    return known
