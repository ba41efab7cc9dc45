"""Before a model's first run on a card: its kernels beside the ordinary code in float64, on a few numbers.

A compiler, a driver or a card that the tests have never met must cost speed at worst, never a result. The two kernels
are compiled here, which the run would do next anyway.
"""

from __future__ import annotations

import copy
import warnings
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ddl_dyn.engine.kernels import rollout
from ddl_dyn.models.base import StepModel

_BATCH, _STEPS = 3, 2
# Of the largest entry: rounding gives 1e-6, products in TF32 1e-3, and a fault anything.
AGREEMENT = 1e-4

_verdicts: WeakKeyDictionary[StepModel, dict[torch.device, str | None]] = WeakKeyDictionary()


def kernel_fault(model: StepModel, device: torch.device) -> str | None:
    """Fault of a supported model's kernels on a device, or None; tried, and warned of, once."""
    found = _verdicts.setdefault(model, {})
    if device not in found:
        fault = found[device] = _try(model, device)
        if fault is not None:
            name = type(model).__name__
            warnings.warn(f"{name} runs without fused kernels on {device}: {fault}", RuntimeWarning, stacklevel=4)
    return found[device]


# Also where the run that asks wants no gradient.
@torch.inference_mode(False)
@torch.enable_grad()
def _try(model: StepModel, device: torch.device) -> str | None:
    chance = torch.Generator().manual_seed(0)
    one = copy.deepcopy(model).cpu()
    with torch.no_grad():
        for p in one.parameters():
            # Off the start, where some gradients vanish whatever the kernel does.
            p.add_(0.1 * torch.randn(p.shape, generator=chance, dtype=p.dtype))
    one = one.to(device)
    x0 = torch.randn(_BATCH, model.state_dim, generator=chance).to(device)
    weight = torch.randn(_BATCH, _STEPS, model.state_dim, generator=chance).to(device)
    stacked = {name: p.detach().float()[None].requires_grad_() for name, p in one.named_parameters()}
    try:
        fused = _outcome(rollout.launch_unroll(one, stacked, x0[None], _STEPS)[0], weight, list(stacked.values()))
    # Whatever a compiler, a driver or a launch may raise: the ordinary code does not need them.
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    one = one.double()
    states = one.unroll(x0.double(), x0.new_zeros(_BATCH, _STEPS, 0).double())
    truth = _outcome(states, weight, list(one.parameters()))
    names = ["the states", *(f"the gradient of {name}" for name in stacked)]
    # A gradient that is 0 by nature (of a direction with one row) has no size of its own to be off by.
    least = 1e-3 * max(float(wanted.abs().max()) for wanted in truth)
    for name, got, wanted in zip(names, fused, truth, strict=True):
        off = float((got.double().reshape(wanted.shape) - wanted).abs().max()) / max(float(wanted.abs().max()), least)
        if not off <= AGREEMENT:
            return f"{name} came out {off:.1e} of its size away from the ordinary code's"
    return None


def _outcome(states: Tensor, weight: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    """The states, and the gradients of a weighted sum of them."""
    return [states.detach(), *torch.autograd.grad((states * weight).sum(), parameters)]
