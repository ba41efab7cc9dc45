"""Affine normalisation of states with statistics of the training split only. Axes: N, T, D."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Normalizer:
    """Affine map z = (x − mean) / scale between physical and model units.

    Args:
        mean: (D,), in the unit of each component.
        scale: (D,), in the unit of each component, positive.
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

    def normalize(self, states: Any) -> Any:
        """(…, D) in physical units -> (…, D) in model units; numpy in, numpy out; torch in, torch out."""
        mean, scale = self._like(states)
        return (states - mean) / scale

    def denormalize(self, states: Any) -> Any:
        """(…, D) in model units -> (…, D) in physical units; numpy in, numpy out; torch in, torch out."""
        mean, scale = self._like(states)
        return states * scale + mean

    def _like(self, states: Any) -> tuple[Any, Any]:
        if isinstance(states, np.ndarray):
            return self.mean, self.scale
        return states.new_tensor(self.mean), states.new_tensor(self.scale)
