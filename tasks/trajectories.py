"""Trajectories: a batch of sampled solutions with what drove them. Axes: N trajectories, T steps, D state, U inputs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ddl_dyn.metrics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Trajectories:
    """A batch of trajectories sampled at common times.

    Args:
        times: (T+1,), strictly increasing, in the task's unit of time.
        states: (N, T+1, D), float64; states[:, 0] is the initial state.
        inputs: (N, T, U), what acts during step t: tokens (one-hot) or parameters held constant. None means U = 0.
    Raises:
        ValueError: when the shapes disagree.
    """

    times: Array
    states: Array
    inputs: Array = None  # type: ignore[assignment]  # replaced by a zero-width array below

    def __post_init__(self) -> None:
        if self.states.ndim != 3:
            raise ValueError(f"states must have shape (N, T+1, D), got {self.states.shape}")
        n, length, _ = self.states.shape
        if self.times.shape != (length,):
            raise ValueError(f"times must have shape ({length},) to match states, got {self.times.shape}")
        if self.inputs is None:
            object.__setattr__(self, "inputs", np.zeros((n, length - 1, 0)))
        if self.inputs.ndim != 3 or self.inputs.shape[:2] != (n, length - 1):
            raise ValueError(f"inputs must have shape ({n}, {length - 1}, U), got {self.inputs.shape}")

    def __repr__(self) -> str:
        n, length, d = self.states.shape
        return f"Trajectories(N = {n}, T = {length - 1}, D = {d}, U = {self.inputs.shape[2]})"

    @property
    def steps(self) -> int:
        """Number of steps T (one less than the number of samples)."""
        steps: int = self.states.shape[1] - 1
        return steps

    def __len__(self) -> int:
        count: int = self.states.shape[0]
        return count

    def replace(self, **changes: Array) -> Trajectories:
        """A copy with some arrays replaced."""
        return dataclasses.replace(self, **changes)
