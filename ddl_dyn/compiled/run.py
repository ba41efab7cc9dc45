"""A loaded library as a differentiable function of parameters and states.

Axes: R replicas, B batch, T steps, S what a free run carries, D observed state, U inputs.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from ddl_dyn.compiled.build import load
from ddl_dyn.compiled.capture import Captured
from ddl_dyn.compiled.emit import Source


class _Problem(ctypes.Structure):
    """What both sweeps are told; `Problem` in sweeps.hpp."""

    _fields_ = [
        ("phi", ctypes.c_void_p),
        ("stride", ctypes.c_void_p),
        ("first", ctypes.c_long),
        ("last", ctypes.c_long),
        ("batch", ctypes.c_long),
        ("steps", ctypes.c_long),
        ("segment", ctypes.c_long),
        ("start", ctypes.c_void_p),
        ("inputs", ctypes.c_void_p),
        ("tape", ctypes.c_void_p),
    ]


class FreeRun:
    """The free run of one architecture, for any number of replicas, samples and steps.

    Args:
        captured: the step.   source: what was written for it.
    Raises:
        NoCompilerError: when there is no C++ compiler, or it fails.
    """

    def __init__(self, captured: Captured, source: Source) -> None:
        self.captured, self.source = captured, source
        library = load(source.code)
        self.ahead, self.back = library.rollout_forward, library.rollout_backward
        self.ahead.restype = self.back.restype = None
        self._spare: list[Tensor] = []

    def __call__(self, start: Tensor, inputs: Tensor, tensors: Sequence[Tensor], segment: int = 0) -> Tensor:
        """Free run.

        Args:
            start: (R, B, S).   inputs: (R, B, T, U).   tensors: parameters and buffers, (R, …) each.
            segment: steps between states that are kept for the gradient, which computes what lies between them anew;
                0 keeps everything.
        Returns:
            (R, B, T, D).
        """
        if self.captured.prologue is None:
            phi = [tensors[i] for i in self.captured.sources]
        else:
            phi = torch.vmap(self.captured.prologue)(*tensors)
        phi = [p if p.is_floating_point() else p.to(start.dtype) for p in phi]
        return _Rollout.apply(self, segment, start, inputs, *phi)

    def __deepcopy__(self, _: dict[int, Any]) -> FreeRun:
        """Itself: a library holds no parameters, and copied replicas may share it."""
        return self

    def problem(self, start: Tensor, inputs: Tensor, phi: Sequence[Tensor], segment: int) -> tuple[_Problem, list[Any]]:
        """What the library is told, and what must live as long."""
        pointers = (ctypes.c_void_p * max(len(phi), 1))(*(p.data_ptr() for p in phi))
        strides = (ctypes.c_long * max(len(phi), 1))(*(p.stride(0) for p in phi))
        R, B, T = inputs.shape[:3]
        problem = _Problem(
            ctypes.addressof(pointers),
            ctypes.addressof(strides),
            0,
            R,
            B,
            T,
            segment,
            start.data_ptr(),
            inputs.data_ptr(),
            None,
        )
        return problem, [pointers, strides]

    def tape(self, R: int, B: int, T: int, segment: int, dtype: torch.dtype) -> Tensor:
        """Memory for what the forward sweep keeps; used again from update to update, for new pages are slow."""
        tiles = -(-B // self.source.tile)
        slots = -(-T // segment) * self.captured.state if segment else (T + 1) * self.source.tape
        size = R * tiles * slots * self.source.tile
        if self._spare and self._spare[-1].numel() >= size and self._spare[-1].dtype == dtype:
            return self._spare.pop()
        self._spare.clear()
        return torch.empty(size, dtype=dtype)

    def give_back(self, tape: Tensor) -> None:
        """The tape has been read."""
        self._spare[:] = [tape]


def _each(call: Callable[..., None], problem: _Problem, *args: int) -> None:
    """Call the library for all replicas, shared out among torch's threads."""
    R = problem.last
    workers = min(torch.get_num_threads(), R)
    if workers == 1:
        call(ctypes.byref(problem), *(ctypes.c_void_p(a) for a in args))
        return
    parts = []
    for w in range(workers):
        part = _Problem.from_buffer_copy(problem)
        part.first, part.last = R * w // workers, R * (w + 1) // workers
        parts.append(part)
    futures = [_pool(workers - 1).submit(call, ctypes.byref(part), *map(ctypes.c_void_p, args)) for part in parts[1:]]
    call(ctypes.byref(parts[0]), *map(ctypes.c_void_p, args))
    for future in futures:
        future.result()


@functools.cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="rollout")


class _Rollout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernel: FreeRun, segment: int, start: Tensor, inputs: Tensor, *phi: Tensor) -> Tensor:
        start, inputs = start.contiguous(), inputs.contiguous()
        phi = tuple(p if p[0].is_contiguous() else p.contiguous() for p in phi)
        R, B, T = inputs.shape[:3]
        problem, alive = kernel.problem(start, inputs, phi, segment)
        out = start.new_empty(R, B, T, kernel.captured.observed)
        if any(ctx.needs_input_grad):
            ctx.tape = kernel.tape(R, B, T, segment, start.dtype)
            problem.tape = ctx.tape.data_ptr()
            ctx.save_for_backward(start, inputs, *phi)
            ctx.kernel, ctx.segment = kernel, segment
        _each(kernel.ahead, problem, out.data_ptr())
        del alive
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        start, inputs, *phi = ctx.saved_tensors
        kernel: FreeRun = ctx.kernel
        problem, alive = kernel.problem(start, inputs, phi, ctx.segment)
        problem.tape = ctx.tape.data_ptr()
        grad = grad.contiguous()
        dphi = start.new_empty(start.shape[0], kernel.source.gradient)
        dstart = torch.empty_like(start)
        _each(kernel.back, problem, grad.data_ptr(), dphi.data_ptr(), dstart.data_ptr())
        del alive
        kernel.give_back(ctx.tape)
        gradients: list[Tensor | None] = []
        offset = 0
        for p, trained in zip(phi, kernel.captured.trained, strict=True):
            n = p[0].numel() if trained else 0
            gradients.append(dphi[:, offset : offset + n].view(p.shape) if trained else None)
            offset += n
        return None, None, dstart, None, *gradients
