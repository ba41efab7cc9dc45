"""Phase space of a trained map as arrays: step field, gates, layer spectra, fixed points.

Axes: R replicas, G grid points a side, P points, D observed state, H latent state, L layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ddl_dyn import analysis
from ddl_dyn.analysis.jacobians import layer_spectra
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.engine.rollout import rollout
from ddl_dyn.experiments.setup import Setup, search_box
from ddl_dyn.metrics.arrays import Array, Arrays
from ddl_dyn.runs.stored_result import FixedPoints, MapNumbers

SIDE = 41
# States at which layer spectra are taken, and starts of the search for fixed points.
_POINTS, _STARTS = 64, 128
# Newton doubles its digits once it is near: what has not converged by then wanders, and costs a step of the stack each.
SEARCH_ITERATIONS = 25
# Above this many dimensions a search for fixed points from a box is a lottery: it is not made.
SEARCHED = 3


@dataclass(frozen=True)
class Description:
    """Numbers and arrays of the learned map, named as in `describe_map`."""

    numbers: MapNumbers
    arrays: Arrays


def describe_map(setup: Setup, chosen: int) -> Description:
    """Portrait of the learned map of every replica, beside the true one where the task has one.

    Args:
        setup: its replicas trained.   chosen: replica whose layer spectra are taken.
    Returns:
        arrays `portrait_grid` (P, D) (a plane of the first two components, the others at their training mean; a line
        for D = 1), `portrait_step` (R, P, D) = Φ(x) − x from a fresh lift, `portrait_step_true` (P, D),
        `gate_beta` (R, L, P, r), `eigen_operator` (L, B, d), `eigen_jacobian` (L, B, H), `fixed_points` (K, D) with
        `fixed_points_replica`, `fixed_points_stability`, and the same with suffix `_true`.
    """
    task, replicas, normalizer = setup.task, setup.replicas, setup.normalizer
    arrays: Arrays = {"portrait_replica": np.asarray(chosen)}
    numbers: MapNumbers = {"portrait": {"replica": replicas.seeds[chosen]}}
    if task.input_dim:
        # The map changes with its inputs from step to step: it has no one portrait.
        return Description(numbers, arrays)
    grid = portrait_grid(setup.data.train.states)
    arrays["portrait_grid"] = grid
    z = torch.as_tensor(normalizer.normalize(grid)).to(device=replicas.device, dtype=replicas.dtype)
    moved = normalizer.denormalize(rollout(replicas, z, 1).states[:, :, 1].double().cpu().numpy())
    arrays["portrait_step"] = moved - grid
    arrays |= gate_arrays(replicas, z) | spectra_arrays(setup, chosen)
    if setup.truth is not None:
        with torch.no_grad():
            arrays["portrait_step_true"] = setup.truth.step(torch.as_tensor(grid)).numpy() - grid
    if task.state_dim <= SEARCHED and not setup.obstacle:
        found = fixed_point_arrays(setup)
        arrays |= found
        numbers["fixed_points"] = fixed_point_numbers(replicas, found)
    return Description(numbers, arrays)


def portrait_grid(states: Array, side: int = SIDE) -> Array:
    """(side², D) points on the plane of the first two components, x varying slowest; (8·side, 1) for D = 1."""
    box = search_box(states)
    if len(box) == 1:
        return np.linspace(box[0, 0], box[0, 1], 8 * side)[:, None]
    x, y = np.meshgrid(np.linspace(box[0, 0], box[0, 1], side), np.linspace(box[1, 0], box[1, 1], side), indexing="ij")
    grid = np.tile(states.reshape(-1, len(box)).mean(axis=0), (side * side, 1))
    grid[:, 0], grid[:, 1] = x.ravel(), y.ravel()
    return grid


def gate_arrays(replicas: Replicas, z: torch.Tensor) -> Arrays:
    """`gate_beta` (R, L, P, r) at model-unit states z (P, D), where the model has gates; the stack's first step."""
    with torch.no_grad():
        h = replicas.lift(replicas.each(z))
        trace = replicas.trace(h, 0, h.new_zeros(*h.shape[:-1], 0))
    return {"gate_beta": trace["beta"].float().cpu().numpy()} if "beta" in trace else {}


def spectra_arrays(setup: Setup, chosen: int) -> Arrays:
    """Spectra of each layer at states drawn evenly from the training split: operator (where there is one), Jacobian."""
    model = setup.replicas.model(chosen)
    if model.dynamics in ("flow", "floor", "oracle"):
        return {}
    flat = setup.data_sets[setup.replicas.data_sets[chosen]].train.states.reshape(-1, setup.task.state_dim)
    points = flat[np.linspace(0, len(flat) - 1, _POINTS).astype(int)]
    spectra = layer_spectra(model, setup.normalizer.of_replica(chosen).normalize(points))
    found = {"eigen_jacobian": spectra.eigenvalues}
    if spectra.operator_eigenvalues is not None:
        found["eigen_operator"] = spectra.operator_eigenvalues
    return found


def fixed_point_arrays(setup: Setup) -> Arrays:
    """Isolated fixed points of Φ: R^D → R^D inside the box, of every replica and of the true map.

    A latent free run is another map, of the latent space; it is searched only where the two are one.
    """
    found, task, box = {}, setup.task, setup.box
    if setup.learned.dim == len(box):
        found[""] = analysis.fixed_points(setup.learned, box=box, count=_STARTS, iterations=SEARCH_ITERATIONS)
    if hasattr(task, "vector_field"):
        found["_true"] = analysis.equilibria(task, box=box, count=_STARTS)
    elif hasattr(task, "next_state"):
        found["_true"] = analysis.fixed_points(task, box=box, count=_STARTS)
    arrays: Arrays = {}
    for suffix, every in found.items():
        # A curve of fixed points has no number of them: whichever the search meets are only where it began.
        points = [point for point in every if point.isolated]
        arrays[f"fixed_points_continuum{suffix}"] = np.asarray(len(points) < len(every))
        arrays[f"fixed_points{suffix}"] = np.array([c.points[0] for c in points]).reshape(-1, len(box))
        arrays[f"fixed_points_replica{suffix}"] = np.array([c.replica for c in points], dtype=np.int64)
        arrays[f"fixed_points_stability{suffix}"] = np.array([c.stability for c in points], dtype=str)
        arrays[f"fixed_points_multipliers{suffix}"] = np.array([c.multipliers for c in points]).reshape(-1, len(box))
    return arrays


def fixed_point_numbers(replicas: Replicas, found: Arrays) -> FixedPoints:
    """Numbers of fixed points of each replica and of the true map."""
    numbers: FixedPoints = {}
    if "fixed_points_replica" in found:
        numbers["count"] = np.bincount(found["fixed_points_replica"], minlength=replicas.size).tolist()
    if "fixed_points_true" in found:
        numbers["true"] = len(found["fixed_points_true"])
        numbers["true_continuum"] = bool(found["fixed_points_continuum_true"])
    return numbers
