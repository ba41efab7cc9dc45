"""A loaded library as free runs, and as a loss that is differentiable by parameters and start.

Axes: R replicas, B batch, T steps, D observed state, U inputs.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ddl_dyn.engine.cpp.toolchain import load

if TYPE_CHECKING:
    # Capturing loads torch's compiler, and models ask of this package only what a solver is.
    from ddl_dyn.engine.cpp.capture import Captured
    from ddl_dyn.engine.cpp.emit import Source


class _Problem(ctypes.Structure):
    """What the library is told; `Problem` in problem.hpp."""

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
        ("target", ctypes.c_void_p),
        ("target_stride", ctypes.c_long),
        ("loss", ctypes.c_long),
        ("counts", ctypes.c_void_p),
        ("work", ctypes.c_void_p),
    ]


LOSSES = {"mse": 0, "cross_entropy": 1}


class FreeRun:
    """The free run of one architecture, for any number of replicas, samples and steps.

    Args:
        captured: the step.   source: what was written for it.
    Raises:
        NoCompilerError: when there is no C++ compiler, or it fails.
    """

    def __init__(self, captured: Captured, source: Source) -> None:
        self.captured, self.source = captured, source
        self.library = load(source.code)
        self.library.free_run.restype = self.library.loss_and_gradient.restype = None
        self.library.workspace.restype = ctypes.c_long
        self._spare: list[Tensor] = []
        # Of the latest call, (R, 2): evaluations by a solver that chose its steps, and intervals that it gave up on.
        self.counts = torch.zeros(0, 2, dtype=torch.int64)

    def states(self, start: Tensor, inputs: Tensor, tensors: Sequence[Tensor]) -> Tensor:
        """Observed states of a free run, without a gradient.

        Args:
            start: (R, B, D).   inputs: (R, B, T, U).   tensors: parameters and buffers, (R, …) each.
        Returns:
            (R, B, T, D).
        """
        with torch.no_grad():
            problem = self._problem(start, inputs, self._phi(tensors, start.dtype))
            out = start.new_empty(*inputs.shape[:3], self.captured.observed)
            self._call(self.library.free_run, problem, start.dtype, out)
        return out

    def loss(
        self, kind: str, start: Tensor, inputs: Tensor, target: Tensor, tensors: Sequence[Tensor], segment: int = 0
    ) -> Tensor:
        """Loss of a free run, differentiable by parameters and start; the gradient is made with it, in one sweep.

        Args:
            kind: a key of `LOSSES`.   start: (R, B, D).   inputs: (R, B, T, U).   target: (R, B, T, D).
            tensors: parameters and buffers, (R, …) each.
            segment: steps between states that are kept for the gradient, which computes what lies between them anew;
                0 keeps everything.
        Returns:
            (R,).
        """
        return _Loss.apply(self, kind, segment, start, inputs, target, *self._phi(tensors, start.dtype))

    def loss_and_gradient(
        self, kind: str, start: Tensor, inputs: Tensor, target: Tensor, tensors: Sequence[Tensor], segment: int = 0
    ) -> tuple[Tensor, Tensor]:
        """`loss` and its gradient by all trained φ, side by side, (R,) and (R, P), without autograd's part in it."""
        with torch.no_grad():
            return self._sweep(kind, start, inputs, target, self._phi(tensors, start.dtype), segment)[:2]

    def __deepcopy__(self, _: dict[int, Any]) -> FreeRun:
        """Itself: a library holds no parameters, and copied replicas may share it."""
        return self

    def _phi(self, tensors: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
        """φ of each replica, from parameters and buffers."""
        phi = [tensors[i] for i in self.captured.sources]
        if self.captured.prologue is not None:
            phi = list(torch.vmap(self.captured.prologue)(*phi))
        return [p if p.is_floating_point() else p.to(dtype) for p in phi]

    def _sweep(
        self, kind: str, start: Tensor, inputs: Tensor, target: Tensor, phi: Sequence[Tensor], segment: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss (R,), gradients by φ (R, P) and by the start (R, B, D)."""
        R = start.shape[0]
        problem = self._problem(start, inputs, phi, target)
        problem[0].segment, problem[0].loss = segment, LOSSES[kind]
        loss, dphi = start.new_empty(R), start.new_empty(R, self.source.gradient)
        dstart = start.new_empty(start.shape)
        self._call(self.library.loss_and_gradient, problem, start.dtype, loss, dphi, dstart)
        return loss, dphi, dstart

    def _problem(
        self, start: Tensor, inputs: Tensor, phi: Sequence[Tensor], target: Tensor | None = None
    ) -> tuple[_Problem, list[Any]]:
        """What the library is told, and what must live as long."""
        phi = [p if p[0].is_contiguous() else p.contiguous() for p in phi]
        start, inputs = start.contiguous(), inputs.contiguous()
        pointers = (ctypes.c_void_p * max(len(phi), 1))(*(p.data_ptr() for p in phi))
        strides = (ctypes.c_long * max(len(phi), 1))(*(p.stride(0) for p in phi))
        R, B, T = inputs.shape[:3]
        problem = _Problem(first=0, last=R, batch=B, steps=T, start=start.data_ptr(), inputs=inputs.data_ptr())
        self.counts = torch.zeros(R, 2, dtype=torch.int64)
        problem.counts = self.counts.data_ptr()
        problem.phi, problem.stride = ctypes.addressof(pointers), ctypes.addressof(strides)
        if target is not None:
            target = _rows(target)
            problem.target, problem.target_stride = target.data_ptr(), target.stride(1)
        return problem, [pointers, strides, phi, start, inputs, target]

    def _call(
        self, call: Callable[..., None], given: tuple[_Problem, list[Any]], dtype: torch.dtype, *results: Tensor
    ) -> None:
        """Call the library for all replicas, shared out among torch's threads."""
        problem, alive = given
        R = problem.last
        workers = max(min(torch.get_num_threads(), R), 1)
        size = self.library.workspace(ctypes.byref(problem)) // dtype.itemsize
        work = self._work(workers * size, dtype)
        addresses = [ctypes.c_void_p(t.data_ptr()) for t in results]
        parts = []
        for w in range(workers):
            part = _Problem.from_buffer_copy(problem)
            part.first, part.last = R * w // workers, R * (w + 1) // workers
            part.work = work.data_ptr() + w * size * dtype.itemsize
            parts.append(part)
        futures = [_pool(workers - 1).submit(call, ctypes.byref(part), *addresses) for part in parts[1:]]
        call(ctypes.byref(parts[0]), *addresses)
        for future in futures:
            future.result()
        self._spare[:] = [work]
        del alive

    def _work(self, size: int, dtype: torch.dtype) -> Tensor:
        """Memory to work in; used again from call to call, for new pages are slow."""
        if self._spare and self._spare[-1].numel() >= size and self._spare[-1].dtype == dtype:
            return self._spare.pop()
        self._spare.clear()
        return torch.empty(size, dtype=dtype)


def _rows(t: Tensor) -> Tensor:
    """(R, B, T, D) with a sample's numbers side by side and samples evenly apart, copied only where they are not."""
    B, T, D = t.shape[1:]
    even = t.stride() == (B * t.stride(1), t.stride(1), D, 1) and t.stride(1) >= T * D
    return t if even else t.contiguous()


@functools.cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="rollout")


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, run: FreeRun, kind: str, segment: int, start: Tensor, inputs: Tensor, target: Tensor, *phi: Tensor
    ) -> Tensor:
        loss, dphi, dstart = run._sweep(kind, start, inputs, target, phi, segment)
        ctx.save_for_backward(dphi, dstart)
        ctx.shapes = [p.shape if trained else None for p, trained in zip(phi, run.captured.trained, strict=True)]
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        dphi, dstart = ctx.saved_tensors
        dphi = dphi * grad[:, None]
        gradients: list[Tensor | None] = []
        offset = 0
        for shape in ctx.shapes:
            n = shape[1:].numel() if shape is not None else 0
            gradients.append(None if shape is None else dphi[:, offset : offset + n].view(shape))
            offset += n
        by_start = dstart * grad[:, None, None] if ctx.needs_input_grad[3] else None
        return None, None, None, by_start, None, None, *gradients
