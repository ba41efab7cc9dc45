"""Free runs of a model as compiled code. Axes: R replicas, D observed state."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from ddl_dyn.engine.cpp import CannotCompileError, Program, write_program
from ddl_dyn.engine.replica_map import Method
from ddl_dyn.models.base import StepModel


def program_of(model: StepModel, state: Mapping[str, Tensor], *, as_map: bool = False) -> Program:
    """Write the free run of a model in C++.

    Args:
        model: gives the step; its own parameters are not used.
        state: name in `Method` -> (R, …), the replicas' parameters and buffers.
        as_map: start from the carried state and show it, instead of lifting and reading out.
    Raises:
        CannotCompileError: when a free run is not one loop over a step, or one adaptive solve, that can be written out.
    """
    tensors = [t[0].detach() for t in state.values()]
    device = tensors[0].device if tensors else torch.device("cpu")
    dtype = next((t.dtype for t in tensors if t.is_floating_point()), torch.get_default_dtype())
    if device.type != "cpu":
        raise CannotCompileError(f"only processors are compiled for, not {device.type}")
    for name, t in state.items():
        if not (t.is_floating_point() or t.dtype == torch.bool) and bool((t != t[:1]).any()):
            raise CannotCompileError(f"replicas differ in the whole numbers of {name.removeprefix('model.')}")
    model = copy.deepcopy(model).to(device="cpu", dtype=dtype)
    solver = model.solver() if model.joint else None
    if model.config.sharing == "untied":
        raise CannotCompileError("every step of an untied stack is another one")
    if solver is not None and as_map:
        raise CannotCompileError("a solver that chooses its own steps is no step of a map")
    method, names = Method(model), list(state)
    latent = model.config.carry == "latent" and not as_map

    def step(tensors: Sequence[Tensor], s: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        state = dict(zip(names, tensors, strict=True))
        if solver is not None:
            return functional_call(method, state, ("slope", s, u)), functional_call(method, state, ("read", s))
        after, seen = functional_call(method, state, ("transition", s, AnyTime(), u))
        if as_map:
            return after, after
        return after, functional_call(method, state, ("read", seen)) if latent else seen

    def lift(tensors: Sequence[Tensor], x: Tensor) -> Tensor:
        return functional_call(method, dict(zip(names, tensors, strict=True)), ("lift", x)) if latent else x

    # Example inputs: only shape and dtype are traced.
    carried = model.carried_dim if as_map and model.config.carry == "latent" else model.state_dim
    x = torch.zeros(1, carried, dtype=dtype)
    u = x.new_zeros(1, model.input_dim if solver is None else 1)
    return write_program(step, lift, tensors, [t.requires_grad for t in state.values()], x, u, solver)


class AnyTime:
    """Time index of a step that must not depend on it: no number, so that using it as one fails."""
