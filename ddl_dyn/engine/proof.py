"""Proof of compiled free runs: losses and gradients on random states against the ordinary path, before their first use.

A code generator that is handed any module must cost speed at worst, never a result. The proof is made in float64, of
the code that is compiled for it by the same steps, once for each program and model, and kept with the library.

Axes: R replicas, B batch, T steps, D observed state, U inputs.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ddl_dyn.engine.losses import Loss
from ddl_dyn.models.base import StepModel

# A batch that fills no tile, and steps enough for an error to act on the next one.
REPLICAS, _BATCH, _STEPS = 3, 70, 3
# Largest difference by the largest number: rounding in float64 along the steps. Torch's own constants in float32 (a
# sixth, in the gradient of a hard sigmoid) differ by 1e-8.
_ROUNDING = 1e-6
# Of solvers that choose their steps, in units of their tolerance: torchdiffeq's gradient goes through the first step's
# size, too.
SOLVER = 10.0
GRADIENT = "gradient by"


class Runs(Protocol):
    """Replicas of a model, eager or compiled."""

    template: StepModel

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Trainable tensors by name, each (R, …)."""

    def select(self, rows: Sequence[int]) -> Runs:
        """Copies of some replicas."""

    def unroll(self, x0: Tensor, inputs: Tensor) -> Tensor:
        """Observed states (R, B, T, D)."""

    def loss(self, kind: Loss, x0: Tensor, inputs: Tensor, target: Tensor) -> Tensor:
        """Loss (R,), differentiable.

        Args:
            kind: of loss.   x0: (R, B, D).   inputs: (R, B, T, U).   target: (R, B, T, D).
        """


def identity_of(model: StepModel) -> str | None:
    """Text that tells a model from others: source and options of its classes; None where a class has no source file."""
    parts = [torch.__version__, model.config.model_dump_json(), str((model.state_dim, model.input_dim, model.dt))]
    for cls in sorted({cls for module in model.modules() for cls in type(module).__mro__}, key=repr):
        if not cls.__module__.startswith(("torch.", "builtins", "abc")):
            try:
                parts.append(Path(inspect.getfile(cls)).read_text(encoding="utf-8"))
            except (OSError, TypeError):
                return None
    return "\0".join(parts)


def fault(eager: Runs, compiled: Runs, state: Mapping[str, Tensor]) -> str | None:
    """Disagreement of compiled free runs with the ordinary ones, in words; None where there is none.

    Args:
        eager, compiled: the same R = 3 replicas in float64.
        state: name -> (R, …), parameters and buffers that both use; changed in place.
    """
    # Kinks lie at states of zeros and ones, which parameters at their start lead on to zeros and ones. At a kink any of
    # its slopes will do, but there must be one.
    found = _compare(eager, compiled, scale=1.0, kinks=True)
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for t in state.values():
            if t.is_floating_point():
                # Off the start, where some gradients vanish whatever the code does; wide sums stay of order one.
                drawn = torch.randn(t.shape, generator=chance, dtype=t.dtype)
                wide = t.shape[-1] if t.ndim > 2 else 1
                t.copy_(t + 0.3 * drawn / wide**0.5 if t.requires_grad else torch.where(t.isnan(), drawn, t))
    # A step that grows fast stays finite near zero.
    for scale in (1.0, 0.1):
        nothing = "on random states its loss is not finite, so that compiled code cannot be proved"
        problem = _compare(eager, compiled, scale=scale, kinks=False, nothing=nothing)
        if problem != nothing:
            break
    return found or problem


def _compare(eager: Runs, compiled: Runs, *, scale: float, kinks: bool, nothing: str | None = None) -> str | None:
    """Disagreement on one batch; `nothing` where there is no finite loss to compare."""
    model, chance = eager.template, torch.Generator().manual_seed(1)
    D, U = model.state_dim, model.input_dim
    shapes = ((REPLICAS, _BATCH, D), (REPLICAS, _BATCH, _STEPS, U), (REPLICAS, _BATCH, _STEPS, D))
    x0, inputs, target = (scale * torch.randn(shape, generator=chance, dtype=torch.float64) for shape in shapes)
    if kinks:
        for row, value in enumerate((0.0, 1.0, -1.0)):
            x0[:, row], inputs[:, row] = value, 0.0
    solver = model.solver() if model.joint else None
    try:
        expected, found = (_outcome(runs, x0, inputs, target, apart=solver is not None) for runs in (eager, compiled))
    except RuntimeError as error:
        return f"the ordinary path fails ({str(error).partition(chr(10))[0]})"
    if not torch.isfinite(expected["loss"]).any():
        return nothing
    tolerance = _ROUNDING if solver is None else max(_ROUNDING, SOLVER * solver.rtol)
    largest = {name: float(t[torch.isfinite(t)].abs().max()) for name, t in expected.items() if t.isfinite().any()}
    for name, size in largest.items():
        there = torch.isfinite(expected[name])
        # A gradient that is zero by nature has no size of its own to be off by.
        least = 1e-3 * max(largest.values())
        off = float((found[name] - expected[name])[there].abs().max()) / max(size, least)
        where = " at states of zeros and ones" if kinks else ""
        if kinks and name.startswith(GRADIENT):
            if not math.isfinite(off):
                return f"compiled, its {name}{where} is not finite, but the ordinary path's is"
        elif not off <= tolerance:
            return f"compiled, its {name}{where} is {off:.1e} of its size away from the ordinary path's"
    return None


def _outcome(runs: Runs, x0: Tensor, inputs: Tensor, target: Tensor, *, apart: bool) -> dict[str, Tensor]:
    """States, loss and gradients, (R, …) each; of one replica at a time where eager ones would share a solve."""
    if apart:
        rows = [
            _outcome(runs.select([r]), *(t[r : r + 1] for t in (x0, inputs, target)), apart=False)
            for r in range(REPLICAS)
        ]
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
    with torch.no_grad():
        states = runs.unroll(x0, inputs)
    x0, parameters = x0.clone().requires_grad_(), runs.parameters
    loss = runs.loss("mse", x0, inputs, target)
    gradients = torch.autograd.grad(loss.sum(), [x0, *parameters.values()], materialize_grads=True)
    names = [f"{GRADIENT} the initial state", *(f"{GRADIENT} {name}" for name in parameters)]
    return {"loss": loss.detach(), "free run": states} | dict(zip(names, gradients, strict=True))
