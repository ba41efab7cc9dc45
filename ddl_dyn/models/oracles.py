"""Oracles: models that are given the true map, as an upper bound of skill.

Axes: R replicas, B batch, D observed state, U inputs, L factors.
They are told the truth by whoever builds them (`truth_of`); nothing here knows the tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ddl_dyn.config.sections import ModelConfig
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.models.base import ReplicaCall
from ddl_dyn.models.baselines import Keep
from ddl_dyn.models.closed_form import ClosedForm, ClosedFormConfig
from ddl_dyn.models.delta import delta_update


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The true map in model units, for an oracle.

    Args:
        next_state: the true map of one step, (B, D) and (B, U) -> (B, D), float64.
        factors: constant factors (k (D,), β, v) of x⁺ = x + β k (v − kᵀx) in order of application; None where the task
            has none.
        reason: why `factors` is None.
    """

    next_state: Callable[[Array, Array], Array]
    factors: Sequence[tuple[Array, float, float]] | None = None
    reason: str = "the task is not made of constant reflections and projections; take model=exact_map"


def truth_of(task: Any, normalizer: Any = None) -> Truth:
    """The truth about a task, in the model units of a normaliser.

    Args:
        task: anything with `simulate(x0, steps, inputs)` and perhaps `householder_stack()`, in physical units.
        normalizer: anything with `normalize`, `denormalize`, `mean` and `scale`; None where model units are physical.
    """

    def next_state(z: Array, u: Array) -> Array:
        x = z if normalizer is None else normalizer.denormalize(z)
        after: Array = task.simulate(x, 1, u[:, None, :]).states[:, 1]
        return after if normalizer is None else normalizer.normalize(after)

    if not hasattr(task, "householder_stack"):
        return Truth(next_state=next_state)
    factors = task.householder_stack()
    if normalizer is None:
        return Truth(next_state=next_state, factors=factors)
    scale = float(normalizer.scale[0])
    if not np.allclose(normalizer.scale, scale, rtol=1e-12, atol=0.0):
        reason = "components scaled apart turn reflections into oblique ones; use data.normalize=isotropic or none"
        return Truth(next_state=next_state, reason=reason)
    # With x = m + s z the factor along k has the target (v − kᵀm)/s.
    shifted = [(k, beta, (v - float(k @ normalizer.mean)) / scale) for k, beta, v in factors]
    return Truth(next_state=next_state, factors=shifted)


class Oracle(ClosedForm):
    """A step that is given, not learned.

    Args:
        truth: see `truth_of`; None builds an oracle that can be sized and described but not run.
        Others: as `StepModel`.
    Raises:
        ValueError: when the truth does not offer what the oracle needs.
    """

    Config = ClosedFormConfig
    dynamics = "oracle"

    def __init__(
        self,
        state_dim: int,
        config: ModelConfig,
        *,
        truth: Truth | None = None,
        input_dim: int = 0,
        dt: float = 1.0,
    ) -> None:
        self._truth = truth
        super().__init__(state_dim, config, input_dim=input_dim, dt=dt)

    @property
    def truth(self) -> Truth:
        """The true map that the oracle was given.

        Raises:
            ValueError: when it was told nothing.
        """
        if self._truth is None:
            name = type(self).__name__
            raise ValueError(f"{name} is an oracle and has to be told the truth: make_model(…, truth=truth_of(task))")
        return self._truth

    def _solve(self, states: Tensor, inputs: Tensor) -> None:  # noqa: ARG002
        """There is nothing to find but whether the truth is there."""
        _ = self.truth


class ExactMap(Oracle):
    """The true map, rounded to the model's dtype at each step: the best that any model of this precision can do."""

    joint = True
    equation = "x⁺ = Φ(x)"
    source = (
        "the task's own reference solution; rounding as a floor of error: Higham (2002), doi:10.1137/1.9780898718027"
    )

    def make_layer(self) -> nn.Module:
        """Nothing: the truth acts in `step`."""
        return Keep()

    def step(self, h: Tensor, l: int, u: Tensor) -> Tensor:  # noqa: ARG002
        """True step; of a state that is not finite, or outside the system's domain, it is NaN.

        Args:
            h: (B, D).   l: time index.   u: (B, U).
        Returns:
            (B, D).
        """
        flat, acting = (t.detach().double().cpu().flatten(0, -2).numpy() for t in (h, u))
        good = np.isfinite(flat).all(axis=1)
        after = np.full_like(flat, np.nan)
        if good.any():
            after[good] = self._within_domain(flat[good], acting[good])
        return torch.as_tensor(after).to(h).reshape(h.shape)

    def _within_domain(self, x: Array, u: Array) -> Array:
        try:
            return self.truth.next_state(x, u)
        except ValueError:
            if len(x) == 1:
                return np.full_like(x, np.nan)
        # Some state is none of the system's, such as one inside a wall: the others have their step.
        half = len(x) // 2
        return np.concatenate([self._within_domain(x[:half], u[:half]), self._within_domain(x[half:], u[half:])])

    def step_replicas(self, call: ReplicaCall, h: Tensor, l: int, u: Tensor) -> Tensor:  # noqa: ARG002
        """True step of all replicas at once: the truth is numpy and cannot be mapped over tensors.

        Args:
            call: unused.   h: (R, B, D).   l: time index.   u: (R, B, U).
        Returns:
            (R, B, D).
        """
        return self.step(h, l, u)


class HouseholderStack(Oracle):
    """The stack of constant Delta updates that is the task's map."""

    equation = "x⁺ = x + β_l k_l (v_l − k_lᵀ x),  l = 1 … L in turn"
    source = (
        "Householder (1958), Unitary triangularization of a nonsymmetric matrix, doi:10.1145/320941.320947; as Delta "
        "updates: arXiv 2601.00417"
    )

    def make_layer(self) -> nn.Module:
        """The stack."""
        if self._truth is None:
            return Factors(self.state_dim, [])
        if self._truth.factors is None:
            raise ValueError(f"householder_stack: {self._truth.reason}")
        return Factors(self.state_dim, self._truth.factors)

    def _solve(self, states: Tensor, inputs: Tensor) -> None:  # noqa: ARG002
        # Once more, in the dtype that the model has by now.
        self.rule.fill(self.truth.factors)


class Factors(nn.Module):
    """Constant Delta updates in turn.

    Args:
        dim: D.   factors: (k (D,), β, v) in order of application.
    """

    k: Tensor
    beta: Tensor
    v: Tensor

    def __init__(self, dim: int, factors: Sequence[tuple[Array, float, float]]) -> None:
        super().__init__()
        L = len(factors)
        self.register_buffer("k", torch.empty(L, dim))
        self.register_buffer("beta", torch.empty(L))
        self.register_buffer("v", torch.empty(L))
        if factors:
            self.fill(factors)

    def fill(self, factors: Sequence[tuple[Array, float, float]]) -> None:
        """Take over the numbers of the factors."""
        directions, gates, targets = zip(*factors, strict=True)
        for buffer, values in ((self.k, np.stack(directions)), (self.beta, gates), (self.v, targets)):
            buffer.copy_(torch.as_tensor(np.asarray(values, dtype=np.float64)))

    def forward(self, h: Tensor, u: Tensor) -> Tensor:  # noqa: ARG002
        """(B, D), (B, U) -> (B, D)."""
        X = h[..., None]
        for k, beta, v in zip(self.k, self.beta, self.v, strict=True):
            X = delta_update(X, k, v[None], beta)
        return X[..., 0]
