"""Affine normalisation of states with statistics of the training split only. Axes: R replicas, N, T, D."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ddl_dyn.metrics.arrays import Array

States = TypeVar("States", Array, Tensor)


@dataclass(frozen=True)
class Normalizer:
    """Affine map z = (x − mean) / scale between physical and model units.

    Args:
        mean: (D,), in the unit of each component; (R, D) where each replica has a data set, and units, of its own.
        scale: (D,) or (R, D), in the unit of each component, positive.
    Example:
        >>> Normalizer.fit(np.array([[[1.0, 0.0], [3.0, 8.0]]]), "component")
        Normalizer(mean=array([2., 4.]), scale=array([1., 4.]))
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, states: NDArray[np.float64], mode: Literal["component", "isotropic", "none"]) -> Normalizer:
        """Statistics of the training states (N, T+1, D).

        "component" scales each component by its own standard deviation; "isotropic" scales all by their root mean
        square, which keeps angles, reflections and projections what they are; "none" is the identity.

        Raises:
            ValueError: for an unknown mode.
        """
        dim = states.shape[-1]
        flat = states.reshape(-1, dim)
        if mode == "none":
            return cls(np.zeros(dim), np.ones(dim))
        mean, std = flat.mean(axis=0), flat.std(axis=0)
        if mode == "isotropic":
            std = np.full(dim, np.sqrt(np.mean(std**2)))
        elif mode != "component":
            raise ValueError(f"normalize must be component, isotropic or none, got {mode!r}")
        # A constant component carries no information to scale: leave its unit alone.
        return cls(mean, np.where(std > 1e-12 * np.maximum(1.0, np.abs(mean)), std, 1.0))

    @classmethod
    def of_replicas(cls, each: Sequence[Normalizer]) -> Normalizer:
        """One normaliser a replica, with statistics (R, D)."""
        return cls(np.stack([one.mean for one in each]), np.stack([one.scale for one in each]))

    def of_replica(self, r: int) -> Normalizer:
        """The normaliser of one replica, with statistics (D,)."""
        return self if self.mean.ndim == 1 else Normalizer(self.mean[r], self.scale[r])

    def normalize(self, states: States) -> States:
        """States in model units; numpy in, numpy out; torch in, torch out.

        Args:
            states: (…, D), in physical units; with statistics (R, D) either (R, …, D), or (B, D), for all replicas.
        Returns:
            (…, D), or (R, B, D) where (B, D) were given to replicas with units of their own.
        Raises:
            ValueError: when the first of three axes or more is not that of the replicas.
        """
        mean, scale = self._like(states)
        return (states - mean) / scale

    def denormalize(self, states: States) -> States:
        """States in physical units, the inverse of `normalize`."""
        mean, scale = self._like(states)
        return states * scale + mean

    def _like(self, states: States) -> tuple[States, States]:
        mean, scale = self.mean, self.scale
        if mean.ndim == 2:
            if states.ndim > 2 and states.shape[0] != len(mean):
                raise ValueError(f"states must have shape ({len(mean)}, …, D) or (B, D), got {tuple(states.shape)}")
            shape = (len(mean), *[1] * (max(states.ndim, 3) - 2), mean.shape[1])
            mean, scale = mean.reshape(shape), scale.reshape(shape)
        if isinstance(states, np.ndarray):
            return mean, scale
        return states.new_tensor(mean), states.new_tensor(scale)
