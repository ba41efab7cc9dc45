"""C++ of a whole rollout: a forward sweep that may keep what the backward sweep reads, and the backward sweep.

Memory of one tile of the batch: the tape has a slot for each time, the scratch is used over and over.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, fx

from ddl_dyn.engine.cpp.capture import Captured
from ddl_dyn.engine.cpp.lowering import Lowering
from ddl_dyn.engine.cpp.partition import Partition, partition
from ddl_dyn.engine.cpp.statements import Memory, Statement, offsets, reuse
from ddl_dyn.engine.cpp.toolchain import source_file
from ddl_dyn.engine.cpp.values import (
    Leaf,
    Loop,
    Store,
    Value,
    broadcast,
    expression,
    leaves,
    literal,
    move,
    start_of,
    whole_store,
)
from ddl_dyn.models.errors import CannotCompileError

# Bytes of a value of a tile: with 64 samples in float32 enough independent sums to fill the arithmetic units.
TILE_BYTES = 256
# Numbers in the widest vector of the narrowest type.
LANES = 16


def emit(captured: Captured, lift: Captured, dtype: torch.dtype) -> str:
    """Write out the free run of a captured step and lift.

    Args:
        captured: the step.   lift: see `capture`.   dtype: computed in.
    Raises:
        CannotCompileError: when the step does something that cannot be written out.
    """
    code = [prelude(dtype), functions(lift, "lift"), functions(captured)]
    return "".join([*code, source_file("problem.hpp"), source_file("sweeps.hpp")])


def prelude(dtype: torch.dtype) -> str:
    """C++ prelude: types and elementary functions."""
    number = "float" if dtype == torch.float32 else "double"
    return f"typedef {number} T;\nconstexpr int TILE = {TILE_BYTES} / sizeof(T);\n" + source_file("prelude.hpp")


def functions(captured: Captured, namespace: str = "") -> str:
    """A captured step as functions `ahead` (s, u -> s', x'), `back` (its gradients) and `finish` (sums over
    lanes that were put off), in a namespace.

    Raises:
        CannotCompileError: when the step does something that cannot be written out.
    """
    plan, memory = partition(captured), Memory()
    phi = [whole_store(Store(f"phi{i}", p.numel(), "uniform"), p.shape) for i, p in enumerate(captured.phi)]
    s, u = (memory.new(size, "tape") for size in (captured.state, captured.inputs))
    given: dict[fx.Node, Value] = dict(zip(plan.phi, phi, strict=True))
    given |= {plan.s: whole_store(s, (1, s.size)), plan.u: whole_store(u, (1, u.size))}

    kinds = dict.fromkeys(plan.kept, "tape")
    # What is made lies where it is wanted from the first: the caller keeps s' apart from s, ds from gs.
    after = Store("after", captured.state, "outside")
    ahead = Lowering(
        memory, dict(given), plan, plan.forward, [plan.after, plan.observed, *plan.kept], kinds, {plan.after: after}
    )
    observed = ahead.leaf(ahead.values[plan.observed])
    ahead.put(ahead.values[plan.after], after)

    gs, gx, ds = (Store(n, size, "outside") for n, size in (("gs", s.size), ("gx", captured.observed), ("ds", s.size)))
    given |= {n: ahead.values[n] for n in plan.kept}
    given |= {plan.gs: whole_store(gs, (1, gs.size)), plan.gx: whole_store(gx, (1, gx.size))}
    operands = [a for _, n, _ in plan.outer for a in n.all_input_nodes]
    ends = [plan.ds, *(n for _, n, _ in plan.spread), *operands]
    back = Lowering(memory, dict(given), plan, plan.backward, ends, {}, {plan.ds: ds})
    begins = _begins(captured)
    _add_outer(back, memory, plan, begins)
    sums = [i for i in range(len(phi)) if any(i == j for j, _, _ in plan.spread)]
    starts = dict(zip(sums, itertools.accumulate([0, *(captured.phi[i].numel() for i in sums)]), strict=False))
    for i, node, address in plan.spread:
        back.statements.append(_spread(back, memory, starts[i], address, node))
    back.put(back.values[plan.ds], ds)
    finish = []
    for i in sums:
        n = captured.phi[i].numel()
        finish.append(f"for (int e = 0; e < {n}; e++) dphi[{begins[i]} + e] += total(sums[{starts[i]} + e]);")
    code = assemble(captured, memory, ahead, back, observed, finish, sum(captured.phi[i].numel() for i in sums))
    return f"namespace {namespace} {{\n{code}}}\n" if namespace else code


def _begins(captured: Captured) -> list[int]:
    """Offset of each φ's gradient among all of them."""
    sizes = [p.numel() if t else 0 for p, t in zip(captured.phi, captured.trained, strict=True)]
    return [sum(sizes[:i]) for i in range(len(sizes))]


def _add_outer(back: Lowering, memory: Memory, plan: Partition, begins: list[int]) -> None:
    """Products G X, added to the weights' gradients; operands that several of them read are turned into rows once."""
    rows: dict[tuple[str, object, int], Store] = {}
    for i, node, address in plan.outer:
        left, right = (back.values[a] for a in node.args)  # type: ignore[index]
        g, x = back.leaf(move(left, lambda a: a.mT)), back.leaf(right)
        M, N = address.shape
        if M * math.ceil(N / LANES) > N * math.ceil(M / LANES):
            g, x, address, N = x, g, address.T, M
        for k in range(g.shape[0]):
            one, other = (Leaf(t.store, t.address[k]) for t in (g, x))
            key = (other.store.name, start_of(other), N)
            if key not in rows:
                rows[key] = memory.new(math.ceil(N / LANES) * LANES, "scratch")
                code = f"flip<{N}>({rows[key].name}, {other.store.name} + {start_of(other)} * NV);"
                back.statements.append(Statement(code, [rows[key]], [other.store]))
            back.statements.append(_outer(begins[i], address, one, rows[key]))


def _outer(offset: int, address: Tensor, g: Leaf, x: Store) -> Statement:
    """Product g xᵀ, added to a weight's gradient; x with samples as rows."""
    M, N = address.shape
    first = int(address.flatten()[0])
    so = int(address[1, 0]) - first if M > 1 else 0
    si = int(address[0, 1]) - first if N > 1 else 0
    if not torch.equal(first + torch.arange(M)[:, None] * so + torch.arange(N) * si, address):
        raise CannotCompileError("a weight's gradient that is not laid out evenly")
    where = f"{g.store.name} + {start_of(g)} * NV, {x.name}"
    code = f"outer<{M}, {N}, {so}, {si}>(dphi + {offset + first}, {where}, soon);"
    return Statement(code, [Store("dphi", 0, "outside")], [g.store, x])


def _spread(back: Lowering, memory: Memory, base: int, address: Tensor, node: fx.Node) -> Statement:
    """A value added to a parameter's gradient, lane by lane."""
    value = broadcast(back.values[node], address.shape)
    found = leaves(value)
    loop = Loop(address.shape, [address, *(x.address for x in found)], memory.tables)
    body = f"V sum{{}}; for (int v = 0; v < NV; v++) sum += {expression(value, loop.at)};"
    code = f"{loop.heads}{{ {body} sums[{base} + {loop.at(address)}] += sum; }}"
    return Statement(code, [Store("sums", 0, "outside")], [x.store for x in found])


def assemble(
    captured: Captured,
    memory: Memory,
    ahead: Lowering,
    back: Lowering,
    observed: Leaf,
    finish: list[str],
    sums: int,
) -> str:
    """C++ of the functions.

    Args:
        captured: the step.   memory: of both sweeps.   ahead, back: the sweeps.   observed: x'.
        finish: lines of `finish`.   sums: vectors whose lanes are summed at the end.
    """
    tape, tape_size = offsets(memory.stores["tape"])
    ahead_places, ahead_size = reuse(ahead.statements, {observed.store.name})
    back_places, back_size = reuse(back.statements, set())

    def pointers(places: dict[str, int], base: str) -> str:
        return "".join(f"  V* const {name} = {base} + {at} * NV; (void){name};\n" for name, at in places.items())

    given = "".join(f"  const T* const phi{i} = phi[{i}]; (void)phi{i};\n" for i in range(len(captured.phi)))
    kept = pointers(tape, "slot")
    row = lambda texts: f"{{{', '.join(texts)}}};\n"  # noqa: E731
    tables = "".join(f"static const int table{i}[] = {row(map(str, t.tolist()))}" for i, t in enumerate(memory.tables))
    tables += "".join(
        f"static const T constant{i}[] = {row(map(literal, t.tolist()))}" for i, t in enumerate(memory.constants)
    )
    lines = lambda section: "".join(f"  {s.code}\n" for s in section.statements)  # noqa: E731
    sizes = {
        "STATE": captured.state, "INPUTS": captured.inputs, "OBSERVED": captured.observed, "TAPE": tape_size,
        "SCRATCH": max(ahead_size, back_size, 1), "SUMS": max(sums, 1), "PHI": len(captured.phi),
        "GRADIENT": captured.gradient,
    }  # fmt: skip
    code = [
        "".join(f"constexpr int {name} = {n};\n" for name, n in sizes.items()),
        tables,
        "static void ahead(const T* const* phi, V* slot, V* after, V* scratch, V* seen) {\n",
        "  (void)phi; (void)scratch;\n  Soon<true> soon{slot + TAPE * NV, slot + 2 * TAPE * NV};\n"
        + given
        + kept
        + pointers(ahead_places, "scratch")
        + lines(ahead),
        f"  const V* const x = {observed.store.name} + {start_of(observed)} * NV;\n",
        "  if (seen) std::memcpy(seen, x, OBSERVED * NV * sizeof(V));\n}\n",
        "static void back(const T* const* phi, V* slot, V* scratch, V* gs, V* gx, V* ds, V* sums, T* dphi) {\n",
        "  (void)phi; (void)scratch; (void)gs; (void)gx; (void)sums; (void)dphi;\n",
        "  Soon<false> soon{slot - TAPE * NV, slot};\n",
        given + kept + pointers(back_places, "scratch") + lines(back) + "}\n",
        "static void finish(T* dphi, V* sums) {\n  (void)dphi; (void)sums;\n",
        "".join(f"  {line}\n" for line in finish) + "}\n",
    ]
    return "".join(code)
