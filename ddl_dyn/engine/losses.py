"""Loss functions. Axes: R replicas, B batch, T steps, D observed state (or classes)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

Loss = Literal["mse", "cross_entropy"]


def choose_loss(wanted: Literal["auto", "mse", "cross_entropy"], states: object) -> Loss:
    """The loss in force: "auto" takes the cross-entropy where every training state is a one-hot code of a class.

    Args:
        wanted: as configured.   states: training states (…, D), in model units.
    Raises:
        ValueError: when the cross-entropy is asked for and the states are not one-hot codes.
    """
    if wanted == "mse":
        return "mse"
    x = np.asarray(states)
    one_hot = x.shape[-1] > 1 and bool(((x == 0.0) | (x == 1.0)).all()) and bool((x.sum(-1) == 1.0).all())
    if wanted == "cross_entropy" and not one_hot:
        raise ValueError(
            "train.loss=cross_entropy needs states that are one-hot codes of at least two classes; use train.loss=mse "
            "for a continuous state, or data.normalize=none if the codes were scaled"
        )
    return "cross_entropy" if one_hot else "mse"


def mean_loss(loss: Loss, predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error, or cross-entropy −Σ_d x_d log softmax(x̂)_d in nats, of each replica.

    Args:
        loss: which.   predicted: (R, B, T, D), read-outs (logits).   target: (…, B, T, D), broadcast over R.
    Returns:
        (R,); non-finite input gives a non-finite number.
    """
    if loss == "mse":
        mean: Tensor = _MeanSquare.apply(predicted, target)
        return mean
    return -(target * torch.log_softmax(predicted, dim=-1)).sum(-1).mean(dim=(1, 2))


class _MeanSquare(torch.autograd.Function):
    """Mean of (x̂ − x)² over all but the first axis, in three passes through memory where autograd takes eight."""

    @staticmethod
    def forward(ctx: Any, predicted: Tensor, target: Tensor) -> Tensor:
        difference = (predicted - target).flatten(1)
        ctx.save_for_backward(difference)
        ctx.shape = predicted.shape
        mean: Tensor = torch.linalg.vector_norm(difference, dim=1).square() / difference.shape[1]
        return mean

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (difference,) = ctx.saved_tensors
        return (difference * (grad * (2.0 / difference.shape[1]))[:, None]).view(ctx.shape), None


def free_run_error(loss: Loss, predicted: Tensor, target: Tensor) -> Tensor:
    """Validation error, lower is better: the root of the mean squared error, or the cross-entropy.

    Args:
        As `mean_loss`.
    Returns:
        (R,); infinite where a prediction is not finite.
    """
    error = mean_loss(loss, predicted, target)
    if loss == "mse":
        error = error.sqrt()
    return torch.where(torch.isfinite(error), error, torch.inf)
