"""Free runs fused into one launch: Triton kernels for tied stacks of DDL and ResNet layers, forward and backward.

    why_not(model, device, dtype) -> None, or why the ordinary code runs instead
    supported(model, device, dtype) -> bool
    unroll(model, parameters, x0, steps) -> (R, B, T, D)

`support` says what is covered, `rollout` holds the kernels over time, `ddl` and `resnet` one layer each, `tile` what
they share. Triton is imported with the first run, never before.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ddl_dyn.kernels.support import supported, why_not
from ddl_dyn.models.base import StepModel

__all__ = ["supported", "unroll", "why_not"]


def unroll(model: StepModel, parameters: Mapping[str, Tensor], x0: Tensor, steps: int) -> Tensor:
    """Free run of all replicas of a supported model, differentiable once and in reverse mode.

    Args:
        model: gives the options; its own parameters are not used.
        parameters: name -> (R, …), stacked.
        x0: (R, B, D), float32.   steps: T ≥ 1.
    Returns:
        (R, B, T, D), the observed states after each step.
    """
    from ddl_dyn.kernels import rollout

    return rollout.unroll(model, parameters, x0, steps)
