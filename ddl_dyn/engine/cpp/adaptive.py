"""C++ of a free run that is one adaptive solve: a vector field, a read-out, and the solver around them."""

from __future__ import annotations

from torch import Tensor

from ddl_dyn.engine.cpp.capture import Captured, with_results
from ddl_dyn.engine.cpp.emit import functions, prelude
from ddl_dyn.engine.cpp.toolchain import source_file
from ddl_dyn.models.runge_kutta import PAIRS, Solver


def emit_solve(captured: Captured, lift: Captured, solver: Solver, u: Tensor) -> str:
    """Write out the free run along a captured vector field.

    Args:
        captured: (s (1, S), time (1, 1)) -> (slope (1, S), observed state (1, D)).   lift: see `capture`.
        solver: how to integrate.
        u: example input, a time: only its dtype is used.
    Raises:
        CannotCompileError: when the field does something that cannot be written out.
    """
    s = u.new_zeros(1, captured.state)
    field = with_results(captured, lambda _, slope, __: (slope, slope), s, u)
    readout = with_results(captured, lambda s, _, observed: (s, observed), s, u)
    sizes = {
        "STATE": captured.state,
        "OBSERVED": captured.observed,
        "PHI": len(captured.phi),
        "GRADIENT": captured.gradient,
    }
    code = [
        prelude(s.dtype),
        functions(lift, "lift") + functions(field, "field") + functions(readout, "readout"),
        "".join(f"constexpr int {name} = {n};\n" for name, n in sizes.items()),
        _constants(solver),
        source_file("problem.hpp"),
        source_file("runge_kutta.hpp"),
        source_file("adaptive.hpp"),
    ]
    return "".join(code)


def _constants(solver: Solver) -> str:
    pair = PAIRS[solver.pair]
    stages = len(pair.nodes)
    row = lambda numbers: "{" + ", ".join(repr(float(x)) for x in numbers) + "}"  # noqa: E731
    return (
        f"constexpr int STAGES = {stages}, ORDER = {pair.order};\n"
        f"constexpr long ATTEMPTS = {solver.attempts};\n"
        f"constexpr double RTOL = {solver.rtol!r}, ATOL = {solver.atol!r};\n"
        f"constexpr double A[STAGES][STAGES] = {{{', '.join(map(row, pair.rows))}}};\n"
        f"constexpr double NODES[] = {row(pair.nodes)}, ERROR[] = {row(pair.error)}, MIDDLE[] = {row(pair.middle)};\n"
    )
