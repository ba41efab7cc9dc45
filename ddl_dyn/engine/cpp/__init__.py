"""Free runs as machine code: a step's graph is captured, differentiated and written out as one C++ loop over time.

capture: step -> graphs of tensor operations for one sample.   decompositions: large operations -> small ones.
hoisting: what depends on parameters alone.   partition: forward and backward sweep, and what is kept in between.
layout, values, pointwise, placement, fusion, statements: the parts of the code.
sweep, products, lowering: nodes -> statements.   emit: statements -> C++.
adaptive: the same along a vector field, where an adaptive solver takes the place of the loop.
toolchain: C++ -> a loaded library, kept on disk.   free_run: the library as a differentiable function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from ddl_dyn.engine.cpp.free_run import FreeRun, Program
from ddl_dyn.models.errors import CannotCompileError, NoCompilerError
from ddl_dyn.models.runge_kutta import Solver


def write_program(
    step: Callable[[Sequence[Tensor], Tensor, Tensor], tuple[Tensor, Tensor]],
    lift: Callable[[Sequence[Tensor], Tensor], Tensor],
    tensors: Sequence[Tensor],
    trainable: Sequence[bool],
    x: Tensor,
    u: Tensor,
    solver: Solver | None = None,
) -> Program:
    """Write the free run of a step, or of a flow, in C++.

    Args:
        step: (parameters and buffers, s (1, S), u (1, U)) -> (s' (1, S), x' (1, D)): carried and observed state.
            Of a flow: (parameters and buffers, s, time (1, 1)) -> (ds/dt (1, S), x (1, D)), time in steps.
        lift: (parameters and buffers, x (1, D)) -> s (1, S), the state that a free run from x carries first.
        tensors: one replica's parameters and buffers.   trainable: for each, whether it carries a gradient.
        x, u: example inputs: only shape and dtype are traced.   solver: integrates a flow.
    Raises:
        CannotCompileError: when the step does something that cannot be written out.
    """
    from ddl_dyn.engine.cpp.adaptive import emit_solve
    from ddl_dyn.engine.cpp.capture import capture
    from ddl_dyn.engine.cpp.emit import emit

    try:
        captured, first = capture(step, lift, tensors, trainable, x, u)
        code = emit(captured, first, x.dtype) if solver is None else emit_solve(captured, first, solver, u)
    except CannotCompileError:
        raise
    except Exception as error:
        # A step that looks at its numbers, or at the time, to decide what to do ends in many ways.
        raise CannotCompileError(f"its step cannot be captured ({str(error).partition(chr(10))[0]})") from error
    return Program(captured, code)


__all__ = ["CannotCompileError", "FreeRun", "NoCompilerError", "Program", "Solver", "write_program"]
