"""Checks of a model before a run starts: its options, and what a step of a user's own model may do.

Axes: B batch, D observed state, H latent state, U inputs.
"""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.overrides import TorchFunctionMode

from ddl_dyn.config.user_file import is_file_reference
from ddl_dyn.models import StepModel, make_model

# Samples of the batch that a step is tried on.
_BATCH = 3
# Rounding of products in float64 whose shapes differ, by the largest number.
_ROUNDING = 1e-9
# How torch says that a step cannot do what is asked of it.
FAILURES = (RuntimeError, ValueError, TypeError, IndexError)


@functools.lru_cache(maxsize=10_000)
def complaints(_: type, name: str, options: str, shape: tuple[int, int, float]) -> tuple[str, ...]:
    """Errors of a model, a line each; cached, since a sweep's cells differ mostly in other things.

    Args:
        _: the model's class, as part of the cache's key: a user's file that has changed gives another one.
        name: as `make_model` takes it.   options: as JSON.   shape: state_dim, input_dim, dt.
    """
    state_dim, input_dim, dt = shape
    sizes: dict[str, Any] = {"state_dim": state_dim, "input_dim": input_dim, "dt": dt}
    try:
        _outline(name, options, sizes)
        if not is_file_reference(name):
            return ()
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # Operations that torch maps over replicas one by one are slow, and right.
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            fault = step_fault(make_model(name, **sizes, **json.loads(options)))
    except ValueError as error:
        return tuple(str(error).splitlines())
    return () if fault is None else (f"model={name}: {fault}",)


@functools.lru_cache(maxsize=10_000)
def count_numbers(_: type, name: str, options: str, shape: tuple[int, int, float]) -> int:
    """Number of parameters and fixed numbers of a model, counted without making them.

    Args:
        _, name, options, shape: as for `complaints`.
    """
    state_dim, input_dim, dt = shape
    model = _outline(name, options, {"state_dim": state_dim, "input_dim": input_dim, "dt": dt})
    return sum(part.numel() for part in (*model.parameters(), *model.buffers()))


def _outline(name: str, options: str, sizes: Mapping[str, Any]) -> StepModel:
    """A model on "meta": built without its numbers, so that even a very large one costs nothing."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"), Unfilled():
        return make_model(name, **sizes, **json.loads(options))


@torch.no_grad()
def step_fault(model: StepModel) -> str | None:
    """Reason why a model's step is no function of one sample's state and inputs and of its parameters; None if it is.

    Args:
        model: moved off its start and into float64.
    """
    model = model.double()
    for p in model.parameters():
        # A last layer that starts at zero hides what lies before it.
        p.add_(0.1 * torch.randn_like(p))
    x, u = (torch.randn(_BATCH, n, dtype=torch.float64) for n in (model.state_dim, model.input_dim))
    try:
        h = model.lift(x)
        fault = _alone(model, h, u)
        if fault is not None or model.joint:
            return fault
    except FAILURES as error:
        return f"a step of a batch of {_BATCH} or of 1 fails: {_line(error)}"
    try:
        if _same(_mapped(model, h, u), model.step(h, 0, u), _ROUNDING):
            return None
        return "a step gives other numbers when it is mapped over replicas by torch.vmap"
    except FAILURES as error:
        return f"a step cannot be mapped over replicas by torch.vmap: {_line(error)}"


def _alone(model: StepModel, h: Tensor, u: Tensor) -> str | None:
    """Fault of a step of one model from h (B, H) under u (B, U)."""
    before = {name: t.clone() for name, t in model.state_dict().items()}
    drawn, given = torch.get_rng_state(), (h.clone(), u.clone())
    after = model.step(h, 0, u)
    if not all(map(torch.equal, given, (h, u))):
        return "a step changes its argument in place; write h = h + …, not h += …"
    if (after.shape, after.dtype) != (h.shape, h.dtype):
        return f"a step must map {tuple(h.shape)} in {h.dtype} to the same, got {tuple(after.shape)} in {after.dtype}"
    if model.read(after).shape != (_BATCH, model.state_dim):
        return f"the read-out must be {(_BATCH, model.state_dim)}, got {tuple(model.read(after).shape)}"
    if changed := [name for name, t in model.state_dict().items() if not _same(t, before[name], 0.0)]:
        return f"a step changes its parameters or buffers ({', '.join(changed[:3])}), which it may only read"
    if not torch.equal(torch.get_rng_state(), drawn) or not _same(model.step(h, 0, u), after, 0.0):
        return "a step draws random numbers (dropout, noise): the same state leads to several next states"
    alone = torch.cat([model.step(h[i : i + 1], 0, u[i : i + 1]) for i in range(_BATCH)])
    if not _same(alone, after, _ROUNDING):
        return "a step mixes samples: a row of a batch leads elsewhere alone (batch statistics, a sum over all rows)"
    return None


def _mapped(model: StepModel, h: Tensor, u: Tensor) -> Tensor:
    """Step of one replica, as replicas make it."""

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, h: Tensor) -> Tensor:
            return self.model.step(h, 0, u)

    step = Step()
    state = {name: t for part in stack_module_state([step]) for name, t in part.items()}
    mapped: Tensor = torch.vmap(lambda one, h: functional_call(step, one, (h,)))(state, h[None])
    return mapped[0]


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _same(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """True where numbers agree to a share of the largest one, NaN with NaN."""
    largest = float(b.nan_to_num(0.0, 0.0, 0.0).abs().max()) if b.numel() and b.is_floating_point() else 0.0
    return torch.allclose(a, b, rtol=0.0, atol=tolerance * largest, equal_nan=True)


class Unfilled(TorchFunctionMode):
    """Within it the functions of `torch.nn.init` leave a tensor as it is.

    Filling one on "meta" would load torch's compiler, which takes longer than all the rest of a start.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == nn.init.__name__ and func.__name__.endswith("_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))
