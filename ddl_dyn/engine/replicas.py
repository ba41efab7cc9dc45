"""R independently seeded copies of a model, stacked and run as one computation.

Axes: R replicas, B batch, D observed state, U inputs, H latent state.
"""

from __future__ import annotations

import copy
import math
import warnings
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ddl_dyn.engine import kernels, proof
from ddl_dyn.engine.compile import program_of
from ddl_dyn.engine.cpp import CannotCompileError, FreeRun, NoCompilerError, Program
from ddl_dyn.engine.cpp.toolchain import FAST, QUICK, compile_libraries, remembered
from ddl_dyn.engine.losses import Loss, mean_loss
from ddl_dyn.engine.replica_state import ReplicaState
from ddl_dyn.models.errors import WrongResultError

Result = TypeVar("Result")


class Replicas(ReplicaState):
    """R copies of a model that differ in their seed, advanced together; each as if it were alone.

    Compiled, that holds bit for bit. Eagerly it holds to within rounding, for a step up to 6e-8 of the largest value in
    float32: torch's products of several matrices depend in their last bit on how many there are.

    Args:
        build: makes one model from the global torch generator, which is set to each seed in turn and restored.
        seeds: R distinct non-negative integers.
        data_sets: (R,), number of the data set that each replica is trained on; None for one that all share.
    Raises:
        ValueError: when there is no seed, or a seed is repeated or negative, or data sets are not one a seed.
    Example:
        >>> Replicas(lambda: make_model("ddl", state_dim=2), seeds=range(3)).size
        3
    """

    def each(self, x: Tensor) -> Tensor:
        """(B, D), the same for every replica, or (R, B, D) -> (R, B, D)."""
        return x.expand(self.size, *x.shape) if x.ndim == 2 else x

    def lift(self, x: Tensor) -> Tensor:
        """(R, B, D) -> (R, B, H)."""
        h: Tensor = self.call("lift", x)
        return h

    def read(self, h: Tensor) -> Tensor:
        """(R, B, H) -> (R, B, D)."""
        x: Tensor = self.call("read", h)
        return x

    def step(self, h: Tensor, l: int, u: Tensor) -> Tensor:
        """One step.

        Args:
            h: (R, B, H).   l: time index.   u: (R, B, U).
        Returns:
            (R, B, H).
        """
        if self._method.model.joint:
            return self._method.model.step_replicas(self.call, h, l, u)
        after: Tensor = self.call("step", h, l, u)
        return after

    def trace(self, h: Tensor, l: int, u: Tensor) -> dict[str, Tensor]:
        """Internal quantities of one step.

        Args:
            h: (R, B, H).   l: time index.   u: (R, B, U).
        Returns:
            name -> (R, layers, B, …).
        """
        trace: dict[str, Tensor] = self.call("trace", h, l, u)
        return trace

    def unroll(self, x0: Tensor, inputs: Tensor) -> Tensor:
        """Free run from x0 (R, B, D) under inputs (R, B, T, U): the observed states (R, B, T, D) after each step."""
        if kernels.usable(self.template, self.device, self.dtype):
            return kernels.fused_unroll(self.template, self.parameters, x0, inputs.shape[-2])
        if self._compiled is not None and not torch.is_grad_enabled():
            return self._counted(self._compiled.states(x0, inputs, list(self._state.values()), self.threads), inputs)
        if self.checkpointing and torch.is_grad_enabled():
            return self._unroll_in_segments(x0, inputs)
        if not self._method.model.joint:
            # Mapped as a whole: the parameters are put in place once a run, not once a step.
            whole: Tensor = self.call("unroll", x0, inputs)
            return whole
        latent = self.carry == "latent"
        s, out = self._start(x0), []
        states = self._method.model.follow(self.call, s, inputs) if latent else None
        if states is None:
            for l in range(inputs.shape[-2]):
                s, seen = self.transition(s, l, inputs[..., l, :])
                out.append(seen)
            states = torch.stack(out, dim=-2)
        return self.read(states.flatten(1, 2)).unflatten(1, states.shape[1:3]) if latent else states

    def loss(self, kind: Loss, x0: Tensor, inputs: Tensor, target: Tensor) -> Tensor:
        """Loss of a free run, differentiable; compiled, loss and gradient come out of one sweep over time and back.

        Args:
            kind: of loss.   x0: (R, B, D).   inputs: (R, B, T, U).   target: (R, B, T, D).
        Returns:
            (R,).
        """
        if self._compiled is None or not torch.is_grad_enabled():
            return mean_loss(kind, self.unroll(x0, inputs), target)
        loss = self._compiled.loss(kind, x0, inputs, target, *self._compiled_step(inputs))
        return self._counted(loss, inputs)

    def loss_and_gradient(self, kind: Loss, x0: Tensor, inputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Loss (R,) of a free run, and its gradient (R, P) by each replica's parameters, in the order of `flat`.

        Args:
            kind: of loss.   x0: (R, B, D).   inputs: (R, B, T, U).   target: (R, B, T, D).
        """
        run = self._compiled
        acts = run is not None and run.captured.prologue is None and run.captured.gradient == self.flat.shape[1]
        if run is not None and acts:
            # Every parameter acts, and as it is: nothing is left for autograd to do.
            return self._counted(run.loss_and_gradient(kind, x0, inputs, target, *self._compiled_step(inputs)), inputs)
        loss = self.loss(kind, x0, inputs, target)
        params = list(self.parameters.values())
        # Replicas share no parameter, so the gradient of the sum is each one's own.
        grads = torch.autograd.grad(loss.sum(), params, allow_unused=True)
        rows = [torch.zeros_like(p) if g is None else g for p, g in zip(params, grads, strict=True)]
        return loss.detach(), torch.cat([g.flatten(1) for g in rows], dim=1)

    def _compiled_step(self, inputs: Tensor) -> tuple[list[Tensor], int, int]:
        """Parameters and buffers, steps between kept states, and threads, for a compiled free run."""
        steps = inputs.shape[-2]
        segment = math.isqrt(steps - 1) + 1 if self.checkpointing and steps else 0
        return list(self._state.values()), segment, self.threads

    def _counted(self, result: Result, inputs: Tensor) -> Result:
        """Result of a compiled free run, once the model has counted it."""
        assert self._compiled is not None
        self._method.model.count(inputs.shape[-2], self._compiled.counts)
        return result

    def _start(self, x0: Tensor) -> Tensor:
        """Carried state of a free run at its start."""
        return self.lift(x0) if self.carry == "latent" else x0

    def _unroll_in_segments(self, x0: Tensor, inputs: Tensor) -> Tensor:
        """The free run as √T pieces, each of which is run again when its gradient is asked for."""
        T = inputs.shape[-2]
        length = math.isqrt(T - 1) + 1 if T else 1
        latent = self.carry == "latent"

        def piece(s: Tensor, first: int) -> tuple[Tensor, Tensor]:
            out = []
            for l in range(first, min(first + length, T)):
                s, seen = self.transition(s, l, inputs[..., l, :])
                out.append(seen)
            states = torch.stack(out, dim=-2)
            return s, self.read(states.flatten(1, 2)).unflatten(1, states.shape[1:3]) if latent else states

        s, parts = self._start(x0), []
        for first in range(0, T, length):
            # No step draws random numbers, and their state cannot be read while a CUDA graph is recorded.
            s, states = checkpoint(piece, s, first, use_reentrant=False, preserve_rng_state=False)
            parts.append(states)
        return torch.cat(parts, dim=-2)

    def transition(self, s: Tensor, l: int, u: Tensor) -> tuple[Tensor, Tensor]:
        """One step of a free run: the state carried on, and the one whose read-out is observed.

        Args:
            s: (R, B, D) or (R, B, H), as `carry` says.   l: time index.   u: (R, B, U).
        """
        if self._method.model.joint:
            return self._method.model.transition_replicas(self.call, s, l, u)
        after: tuple[Tensor, Tensor] = self.call("transition", s, l, u)
        return after

    def advance(self, s: Tensor, l: int, u: Tensor) -> Tensor:
        """One step of the carried state.

        Args:
            s: (R, B, D) or (R, B, H), as `carry` says.   l: time index.   u: (R, B, U).
        """
        return self.transition(s, l, u)[0]

    @property
    def compiled(self) -> bool:
        """True where free runs, and their gradients, run compiled."""
        return self._compiled is not None

    def compile(self) -> bool:
        """Compile free runs; where that cannot be done they run eagerly, and `why_eager` says why.

        Returns:
            True where they run compiled. A missing compiler and code that is found wrong are worth a warning, a step
            that cannot be compiled is not.
        """
        if self._compiled is None:
            try:
                self._compiled = self._proved()
            except CannotCompileError as error:
                self.why_eager = str(error)
            except (NoCompilerError, WrongResultError) as error:
                self.why_eager = str(error)
                warnings.warn(f"free runs are not compiled: {error}", RuntimeWarning, stacklevel=2)
        return self.compiled

    def _proved(self) -> FreeRun:
        """Compiled free runs that agree with the ordinary ones."""
        program, identity = program_of(self.template, self._state), proof.identity_of(self.template)
        fault = (
            self._fault(program)
            if identity is None
            else remembered((program.code, identity), lambda: self._fault(program))
        )
        if fault:
            raise WrongResultError(fault)
        return FreeRun(program)

    def _fault(self, program: Program) -> str:
        """Disagreement of code with the ordinary path; empty where there is none."""
        eager = self.select([0] * proof.REPLICAS)
        # Counters of its own.
        eager._method = copy.deepcopy(self._method)
        eager._slots, eager._compiled = eager._method.slots(), None
        eager.to("cpu", torch.float64)
        twin = program_of(eager.template, eager._state)
        level = FAST if twin.code == program.code else QUICK
        compile_libraries([(program.code, FAST), (twin.code, level)])
        compiled = copy.copy(eager)
        compiled._compiled = FreeRun(twin, level)
        return proof.fault(eager, compiled, eager._state) or ""
