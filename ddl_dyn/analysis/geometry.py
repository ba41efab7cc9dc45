"""Orientation, conserved quantities, symmetries and basins of a map.

Axes: R replicas, B states, T steps, D state components, M attractors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ddl_dyn.analysis.spectra import finite_rows
from ddl_dyn.analysis.systems import System, as_map
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.metrics.structure import invariant_drift, jacobian_error, symmetry_defect

UNDECIDED, ESCAPED = -1, -2
# Steps of a grid's orbits that are kept at once.
_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """Sign of a map's Jacobian determinant at given states.

    Args:
        determinants: (R?, B), det J; NaN where it is not finite.
        signs: (R?, B), of det J: −1, 0 (|det J| below round-off of ‖J‖^D) or 1; NaN likewise.
        reversed_share: (R?), share of the states with det J < 0.
    """

    determinants: Array
    signs: Array
    reversed_share: Array


def orientation(system: System, x: ArrayLike, **options: object) -> Orientation:
    """Sign of det J at given states, such as a grid over a box or an orbit laid out as (B, D).

    Args:
        system: DiscreteMap, task, model or replicas.
        x: (B, D) or (R, B, D).
        options: for `as_map`.
    """
    phi = as_map(system, **options)
    with torch.no_grad():
        j = phi.jacobian(phi.states(x))
    good = finite_rows(j, 2)
    j = torch.where(good[..., None, None], j, torch.zeros_like(j))
    determinant = torch.linalg.det(j)
    # Hadamard: |det J| is at most the product of the row lengths, so round-off is a multiple of ε times that.
    rounding = 8 * phi.dim * torch.finfo(j.dtype).eps * j.norm(dim=-1).prod(dim=-1)
    sign = torch.where(determinant.abs() <= rounding, torch.zeros_like(determinant), determinant.sign())
    nan = torch.full_like(determinant, torch.nan)
    signs = torch.where(good, sign, nan).cpu().numpy()
    return Orientation(
        determinants=torch.where(good, determinant, nan).cpu().numpy(),
        signs=signs,
        reversed_share=np.asarray((signs < 0).mean(axis=-1)),
    )


def map_orientation_agreement(system: System, truth: System, x: ArrayLike, **options: object) -> Array:
    """Share of states (R?) at which the sign of det J is the true one; a non-finite model counts as wrong.

    Args:
        system: what is judged; options go to its `as_map`.
        truth: the exact map.
        x: (B, D), in the units of both.
    """
    ours, exact = orientation(system, x, **options).signs, orientation(truth, x).signs
    return np.asarray((ours == exact).mean(axis=-1))


def map_jacobian_error(system: System, truth: System, x: ArrayLike, **options: object) -> Array:
    """`jacobian_error` of a map against the exact one over states, (R?).

    Args: as for `map_orientation_agreement`.
    """
    phi, exact = as_map(system, **options), as_map(truth)
    with torch.no_grad():
        ours = phi.jacobian(phi.states(x)).cpu().numpy()
        theirs = exact.jacobian(exact.states(x)).cpu().numpy()
    return jacobian_error(ours, theirs)


def orbit_invariant_drift(states: ArrayLike, invariant: Callable[[Array], Array]) -> Array:
    """Change of a quantity that the truth conserves, along orbits.

    max_t |I(x_t) − I(x_0)| / s,  s the standard deviation of I(x_0) over initial states, or |mean| where they agree

    Args:
        states: (..., B, T+1, D).
        invariant: (..., D) -> (...), such as a task's energy.
    Returns:
        (..., B), in units of s; inf where an orbit is not finite.
    """
    x = np.asarray(states, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        values = np.asarray(invariant(x))
        start = values[..., :1]
        spread, level = float(np.nanstd(start)), float(np.abs(np.nanmean(start)))
        scale = spread if spread > 1e-9 * max(level, 1e-300) else (level or 1.0)
    return invariant_drift(values, scale)


def map_symmetry_defect(
    system: System, symmetry: ArrayLike, x: ArrayLike, sigma: ArrayLike, **options: object
) -> Array:
    """`symmetry_defect` of a map from commuting with a linear symmetry S of the truth, in units of σ.

    Args:
        system: what is judged; options go to `as_map`.
        symmetry: (D, D), S, acting on states in the units of the map.
        x: (B, D) or (R, B, D).
        sigma: (D,) or (R, D), as for the metric.
    Returns:
        (R?); 0 for an equivariant map, inf where an image is not finite.
    Raises:
        ValueError: when S is not (D, D).
    """
    phi = as_map(system, **options)
    S = torch.as_tensor(np.asarray(symmetry, dtype=np.float64), device=phi.device)
    if S.shape != (phi.dim, phi.dim):
        raise ValueError(f"the symmetry must be a matrix of shape ({phi.dim}, {phi.dim}), got {tuple(S.shape)}")
    with torch.no_grad():
        states = phi.states(x)
        mapped, transformed = phi.step(states @ S.T), phi.step(states) @ S.T
    return symmetry_defect(mapped.cpu().numpy(), transformed.cpu().numpy(), sigma)


def basin_labels(
    system: System, x: ArrayLike, attractors: Sequence[Array], *, steps: int, tolerance: float, **options: object
) -> NDArray[np.int64]:
    """Index of the attractor that each state ends on.

    Args:
        system: DiscreteMap, task, model or replicas.
        x: (B, D) or (R, B, D), such as a grid.
        attractors: M arrays (n, D): the points of sinks and stable cycles, or a sample of a strange attractor.
        steps: how long to run.
        tolerance: largest distance to an attractor's nearest point.
        options: for `as_map`.
    Returns:
        (R?, B), index of the attractor; −1 where the orbit is near none, −2 where it left the finite numbers.
    Raises:
        ValueError: when there is no attractor.
    """
    if not attractors:
        raise ValueError("basins need at least one attractor, got none")
    phi = as_map(system, **options)
    with torch.no_grad():
        end = phi.states(x)
        # Whole orbits of a grid would fill the memory.
        for done in range(0, steps, _AT_ONCE):
            end = phi.orbit(end, min(_AT_ONCE, steps - done))[-1]
        good = torch.isfinite(end).all(-1)
        end = torch.where(good[..., None], end, torch.zeros_like(end))
        nearest = torch.stack(
            [torch.cdist(end, torch.as_tensor(a).to(end).reshape(-1, phi.dim)).amin(-1) for a in attractors], dim=-1
        )
        distance, label = nearest.min(dim=-1)
        label = torch.where(distance <= tolerance, label, torch.full_like(label, UNDECIDED))
        return torch.where(good, label, torch.full_like(label, ESCAPED)).cpu().numpy()


def basin_overlap(labels: ArrayLike, truth: ArrayLike, attractors: int) -> Array:
    """Intersection over union of each attractor's basin with the true one.

    IoU_m = |{labels = m} ∩ {truth = m}| / |{labels = m} ∪ {truth = m}|

    Args:
        labels: (..., B), from `basin_labels`.
        truth: (B,), the exact map's labels at the same states.
        attractors: M.
    Returns:
        (..., M), in [0, 1]; NaN where neither has a state in the basin.
    Raises:
        ValueError: when the numbers of states differ.
    """
    ours, exact = np.asarray(labels), np.asarray(truth)
    if ours.shape[-1:] != exact.shape[-1:]:
        raise ValueError(f"labels and truth must be at the same states, got {ours.shape[-1:]} and {exact.shape[-1:]}")
    index = np.arange(attractors)[:, None]
    a, b = ours[..., None, :] == index, exact[..., None, :] == index
    union = (a | b).sum(axis=-1)
    return np.where(union > 0, (a & b).sum(axis=-1) / np.maximum(union, 1), np.nan)
