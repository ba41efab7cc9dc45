"""Training and validation trajectories, one set for all replicas or several data sets side by side.

Axes: R replicas, G data sets, N trajectories, T steps, D observed state, U inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ddl_dyn.config.sections import TrainConfig
from ddl_dyn.engine.replicas import Replicas


class TrajectorySet(Protocol):
    """Trajectories in model units: states (N, T+1, D) and inputs (N, T, U)."""

    @property
    def states(self) -> ArrayLike:
        """(N, T+1, D)."""

    @property
    def inputs(self) -> ArrayLike:
        """(N, T, U)."""


@dataclass(frozen=True, kw_only=True)
class DataSets:
    """Trajectories of G data sets in model units.

    Args:
        states: (G, N, T+1, D).   inputs: (G, N, T, U).
    """

    states: NDArray[np.float64]
    inputs: NDArray[np.float64]

    @property
    def steps(self) -> int:
        """Steps T of each trajectory."""
        return int(self.states.shape[2]) - 1

    def of_replicas(self, replicas: Replicas, steps: int | None) -> tuple[Tensor, Tensor]:
        """States and inputs, cut to so many steps: (N, T+1, D) where all replicas share them, else (R, N, T+1, D)."""
        index = 0 if len(self.states) == 1 else list(replicas.data_sets)
        states = torch.as_tensor(self.states[index], dtype=replicas.dtype).to(replicas.device)
        inputs = torch.as_tensor(self.inputs[index], dtype=replicas.dtype).to(replicas.device)
        return (states, inputs) if steps is None else (states[..., : steps + 1, :], inputs[..., :steps, :])


def data_sets(series: TrajectorySet | Sequence[TrajectorySet], replicas: Replicas, name: str) -> DataSets:
    """One series, or one a data set, as `DataSets`.

    Args:
        series: of one split.   replicas: each with the number of its data set.   name: of the split, for messages.
    Raises:
        ValueError: when a data set is missing, shapes differ or do not fit the model, or a state is not finite.
    """
    parts = list(series) if isinstance(series, Sequence) else [series]
    wanted, dim = max(replicas.data_sets) + 1, replicas.template.state_dim
    shapes = [np.shape(part.states) for part in parts]
    if len(parts) < wanted:
        raise ValueError(f"{name}: the replicas are trained on {wanted} data sets, got {len(parts)} series")
    for shape in shapes:
        if len(shape) != 3 or shape[-1] != dim or shape != shapes[0]:
            raise ValueError(f"{name}.states must have shape (N, T+1, {dim}), the same for all data sets, got {shape}")
    states = np.stack([np.asarray(part.states, dtype=np.float64) for part in parts])
    if not np.isfinite(states).all():
        raise ValueError(f"{name}.states holds numbers that are not finite; clean the data first")
    return DataSets(states=states, inputs=np.stack([np.asarray(part.inputs, dtype=np.float64) for part in parts]))


def check_horizon(replicas: Replicas, steps: int, config: TrainConfig) -> None:
    """Meet a horizon that fits neither the training trajectories (of so many steps) nor the stack.

    Args:
        replicas: to be trained.   steps: T of the training trajectories.   config: of the training.
    Raises:
        ValueError: when the horizon is too long.
    """
    if config.horizon > steps:
        raise ValueError(
            f"train.horizon = {config.horizon} needs training trajectories of at least that many steps, got {steps}; "
            "lower train.horizon or raise data.steps"
        )
    if replicas.max_steps is not None and config.horizon > replicas.max_steps:
        raise ValueError(
            f"train.horizon = {config.horizon} exceeds the untied stack's {replicas.max_steps} layers; "
            "lower train.horizon or add layers"
        )
