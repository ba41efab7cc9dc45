"""A loaded library as free runs, and as a loss that is differentiable by parameters and start.

Axes: R replicas, B batch, T steps, D observed state, U inputs, P all trained φ of one replica.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ddl_dyn.engine.cpp.toolchain import FAST, load, source_file

if TYPE_CHECKING:
    # Capturing loads torch's compiler, which a run that does not compile never needs.
    from ddl_dyn.engine.cpp.capture import Captured


@dataclass(frozen=True)
class Program:
    """A captured step and the C++ that was written for it."""

    captured: Captured
    code: str


class _Problem(ctypes.Structure):
    """`Problem` in problem.hpp."""

    _fields_ = [
        ("phi", ctypes.c_void_p),
        ("stride", ctypes.c_void_p),
        ("replicas", ctypes.c_long),
        ("batch", ctypes.c_long),
        ("steps", ctypes.c_long),
        ("segment", ctypes.c_long),
        ("start", ctypes.c_void_p),
        ("inputs", ctypes.c_void_p),
        ("target", ctypes.c_void_p),
        ("target_stride", ctypes.c_long),
        ("loss", ctypes.c_long),
        ("counts", ctypes.c_void_p),
        ("share", ctypes.c_void_p),
        ("workers", ctypes.c_long),
        ("work", ctypes.c_void_p),
    ]


LOSSES = {"mse": 0, "cross_entropy": 1}


class FreeRun:
    """Free runs of one architecture, for any number of replicas, samples and steps.

    No number depends on `workers`, the threads that compute side by side.

    Args:
        program: to be compiled.   level: of optimisation.
    Raises:
        NoCompilerError: when there is no C++ compiler, or it fails.
    """

    def __init__(self, program: Program, level: str = FAST) -> None:
        self.captured = program.captured
        self.library = load(program.code, level)
        self.library.free_run.restype = self.library.loss_and_gradient.restype = None
        self.library.workspace.restype = ctypes.c_long
        self._spare: list[Tensor] = []
        # Of the latest call, (R, 2): evaluations by a solver that chose its steps, and intervals that it gave up on.
        self.counts = torch.zeros(0, 2, dtype=torch.int64)

    def states(self, start: Tensor, inputs: Tensor, tensors: Sequence[Tensor], workers: int = 1) -> Tensor:
        """Observed states of a free run, without a gradient.

        Args:
            start: (R, B, D).   inputs: (R, B, T, U).   tensors: parameters and buffers, (R, …) each.
            workers: threads.
        Returns:
            (R, B, T, D).
        """
        with torch.no_grad():
            problem = self._problem(start, inputs, self._phi(tensors, start.dtype), workers)
            out = start.new_empty(*inputs.shape[:3], self.captured.observed)
            self._call(self.library.free_run, problem, start.dtype, out)
        return out

    def loss(
        self,
        kind: str,
        start: Tensor,
        inputs: Tensor,
        target: Tensor,
        tensors: Sequence[Tensor],
        segment: int = 0,
        workers: int = 1,
    ) -> Tensor:
        """Loss of a free run, differentiable by parameters and start; the gradient is made with it, in one sweep.

        Args:
            kind: a key of `LOSSES`.   start: (R, B, D).   inputs: (R, B, T, U).   target: (R, B, T, D).
            tensors: parameters and buffers, (R, …) each.
            segment: steps between states that are kept for the gradient, which computes what lies between them anew;
                0 keeps everything.
            workers: threads.
        Returns:
            (R,).
        """
        loss: Tensor = _Loss.apply(
            self, kind, segment, workers, start, inputs, target, *self._phi(tensors, start.dtype)
        )
        return loss

    def loss_and_gradient(
        self,
        kind: str,
        start: Tensor,
        inputs: Tensor,
        target: Tensor,
        tensors: Sequence[Tensor],
        segment: int = 0,
        workers: int = 1,
    ) -> tuple[Tensor, Tensor]:
        """Loss (R,) and its gradient (R, P) by all trained φ, side by side, without autograd's part in it.

        Args:
            kind, start, inputs, target, tensors, segment, workers: as `loss` takes them.
        """
        with torch.no_grad():
            phi = self._phi(tensors, start.dtype)
            return self._sweep(kind, start, inputs, target, phi, segment, workers)[:2]

    def __deepcopy__(self, _: dict[int, object]) -> FreeRun:
        """Itself: a library holds no parameters, and copied replicas may share it."""
        return self

    def _phi(self, tensors: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
        """φ of each replica, from parameters and buffers."""
        phi = [tensors[i] for i in self.captured.sources]
        if self.captured.prologue is not None:
            phi = list(torch.vmap(self.captured.prologue)(*phi))
        return [p if p.is_floating_point() else p.to(dtype) for p in phi]

    def _sweep(
        self,
        kind: str,
        start: Tensor,
        inputs: Tensor,
        target: Tensor,
        phi: Sequence[Tensor],
        segment: int,
        workers: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss (R,), gradients by φ (R, P) and by the start (R, B, D)."""
        R = start.shape[0]
        problem = self._problem(start, inputs, phi, workers, target)
        problem[0].segment, problem[0].loss = segment, LOSSES[kind]
        loss, dphi = start.new_empty(R), start.new_empty(R, self.captured.gradient)
        dstart = start.new_empty(start.shape)
        self._call(self.library.loss_and_gradient, problem, start.dtype, loss, dphi, dstart)
        return loss, dphi, dstart

    def _problem(
        self, start: Tensor, inputs: Tensor, phi: Sequence[Tensor], workers: int, target: Tensor | None = None
    ) -> tuple[_Problem, list[Any]]:
        """The library's argument, and what must live as long."""
        phi = [p if p[0].is_contiguous() else p.contiguous() for p in phi]
        start, inputs = start.contiguous(), inputs.contiguous()
        pointers = (ctypes.c_void_p * max(len(phi), 1))(*(p.data_ptr() for p in phi))
        strides = (ctypes.c_long * max(len(phi), 1))(*(p.stride(0) for p in phi))
        R, B, T = inputs.shape[:3]
        problem = _Problem(replicas=R, batch=B, steps=T, start=start.data_ptr(), inputs=inputs.data_ptr())
        problem.share, problem.workers = _team(), max(workers, 1)
        self.counts = torch.zeros(R, 2, dtype=torch.int64)
        problem.counts = self.counts.data_ptr()
        problem.phi, problem.stride = ctypes.addressof(pointers), ctypes.addressof(strides)
        if target is not None:
            target = _rows(target)
            problem.target, problem.target_stride = target.data_ptr(), target.stride(1)
        return problem, [pointers, strides, phi, start, inputs, target]

    def _call(
        self, call: Callable[..., None], given: tuple[_Problem, list[object]], dtype: torch.dtype, *results: Tensor
    ) -> None:
        """Call the library for all replicas."""
        problem, alive = given
        work = self._work(self.library.workspace(ctypes.byref(problem)) // dtype.itemsize, dtype)
        problem.work = work.data_ptr()
        call(ctypes.byref(problem), *(ctypes.c_void_p(t.data_ptr()) for t in results))
        self._spare[:] = [work]
        del alive

    def _work(self, size: int, dtype: torch.dtype) -> Tensor:
        """Memory to work in; used again from call to call, for new pages are slow."""
        if self._spare and self._spare[-1].numel() >= size and self._spare[-1].dtype == dtype:
            return self._spare.pop()
        self._spare.clear()
        return torch.empty(size, dtype=dtype)


@functools.cache
def _team() -> int:
    """Address of `share` in workers.cpp; all libraries of a process share one team of threads."""
    address = ctypes.cast(load(source_file("workers.cpp")).share, ctypes.c_void_p).value
    assert address is not None
    return address


def _rows(t: Tensor) -> Tensor:
    """(R, B, T, D) with a sample's numbers side by side and samples evenly apart, copied only where they are not."""
    B, T, D = t.shape[1:]
    even = t.stride() == (B * t.stride(1), t.stride(1), D, 1) and t.stride(1) >= T * D
    return t if even else t.contiguous()


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        run: FreeRun,
        kind: str,
        segment: int,
        workers: int,
        start: Tensor,
        inputs: Tensor,
        target: Tensor,
        *phi: Tensor,
    ) -> Tensor:
        loss, dphi, dstart = run._sweep(kind, start, inputs, target, phi, segment, workers)
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
        by_start = dstart * grad[:, None, None] if ctx.needs_input_grad[4] else None
        return None, None, None, None, by_start, None, None, *gradients
