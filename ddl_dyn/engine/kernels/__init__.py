"""Free runs fused into one launch: Triton kernels for tied stacks of DDL and ResNet layers, forward and backward.

    why_not(model, device, dtype) -> None, or why the ordinary code runs instead
    supported(model, device, dtype) -> bool
    usable(model, device, dtype) -> bool: supported, and found right on this device
    fused_unroll(model, parameters, x0, steps) -> (R, B, T, D)

`support` says what is covered, `self_check` tries a model's kernels before their first run, `plan` says what they are
made of, `rollout` holds the kernels over time, `ddl` and `resnet` one layer each, `tile` what they share. Triton is
imported with the self-check, never before.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ddl_dyn.engine.kernels.support import supported, why_not
from ddl_dyn.models.base import StepModel

__all__ = ["fused_unroll", "supported", "usable", "why_not"]


def usable(model: StepModel, device: torch.device, dtype: torch.dtype) -> bool:
    """True where the kernels run this model's free runs: supported, and found right when they were first tried.

    Args:
        model: one replica.   device, dtype: where and in what its replicas are kept.
    Returns:
        False, with one warning, where the kernels gave an error or other numbers than the ordinary code.
    """
    if why_not(model, device, dtype) is not None:
        return False
    from ddl_dyn.engine.kernels import self_check

    return self_check.kernel_fault(model, device) is None


def fused_unroll(model: StepModel, parameters: Mapping[str, Tensor], x0: Tensor, steps: int) -> Tensor:
    """Free run of all replicas of a supported model, differentiable once and in reverse mode.

    Args:
        model: gives the options; its own parameters are not used.
        parameters: name -> (R, …), stacked.
        x0: (R, B, D), float32.   steps: T ≥ 1.
    Returns:
        (R, B, T, D), the observed states after each step.
    """
    from ddl_dyn.engine.kernels import rollout

    return rollout.launch_unroll(model, parameters, x0, steps)
