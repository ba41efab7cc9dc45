"""Equilibria of a flow: where its vector field vanishes.

Axes: B batch, D observed state.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ddl_dyn.analysis.cycles import Cycle, cycles, stability_of
from ddl_dyn.analysis.exact import central_difference
from ddl_dyn.analysis.maps import DiscreteMap
from ddl_dyn.tasks.base import FlowTask, Task


def equilibria(task: Task, *, box: ArrayLike, **search: Any) -> list[Cycle]:
    """Equilibria of an autonomous flow task in a box, with the multipliers of its map over dt.

    f(x) = 0, multipliers exp(dt · eig ∂f/∂x): the fixed points of the flow map, without integrating the flow.

    Args:
        task: without inputs.
        box: (D, 2), lower and upper ends per component.
        search: further options of `cycles`.
    Returns:
        Fixed points (cycles of period 1) sorted by position; their residual is |f|.
    Raises:
        ValueError: when the task has inputs or no vector field.
    """
    if not hasattr(task, "vector_field") or task.input_dim > 0:
        raise ValueError("equilibria needs an autonomous flow task (one with a vector_field and no inputs)")
    flow = cast(FlowTask, task)

    def field(x: Tensor) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(flow.vector_field(0.0, x.numpy()))

    def derivative(x: Tensor) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            exact = flow.jacobian(0.0, x.numpy())
            return central_difference(lambda y: flow.vector_field(0.0, y), x.numpy()) if exact is None else exact

    def joint(x: Tensor) -> tuple[Tensor, Tensor]:
        eye = torch.eye(task.state_dim, dtype=x.dtype)
        return x + torch.as_tensor(field(x)), eye + torch.as_tensor(np.array(derivative(x)))

    # Newton on this map is Newton on f, and it shares the search, the merging and the order of all other cycles.
    shifted = DiscreteMap(step=lambda x: x + torch.as_tensor(field(x)), joint=joint, dim=task.state_dim)
    found = []
    for point in cycles(shifted, 1, box=box, **search):
        rates = np.linalg.eigvals(derivative(torch.as_tensor(point.points))[0])
        multipliers = np.exp(task.dt * rates.astype(np.complex128))
        multipliers = multipliers[np.argsort(-np.abs(multipliers))]
        found.append(
            Cycle(
                points=point.points,
                multipliers=multipliers,
                stability=stability_of(multipliers),
                isolated=point.isolated,
                residual=point.residual,
            )
        )
    return found
