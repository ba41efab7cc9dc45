"""A trained map and its Jacobian as machine code, by the generator that trainings use.

Axes: R replicas, B batch, D state components of the map, U inputs.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ddl_dyn.analysis.maps import DiscreteMap, JointMap, StateMap
from ddl_dyn.engine.compile import program_of
from ddl_dyn.engine.cpp import CannotCompileError, FreeRun, NoCompilerError
from ddl_dyn.engine.normalizer import Normalizer
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.models.base import StepModel

# Of the largest entry: two ways to sum in float64 differ by 1e-14, a wrong derivative by anything.
_AGREEMENT = 1e-10


def compiled_map(
    double: StepModel | Replicas, phi: DiscreteMap, held: Tensor, *, normalizer: Normalizer | None
) -> DiscreteMap | None:
    """A trained map as machine code, found to agree with it on random states.

    Args:
        double: in float64.   phi: the map, as torch computes it.   held: (U,), its inputs.
        normalizer: of the states that phi takes; None where they are in model units.
    Returns:
        None where there is no compiler, or the step cannot be written out.
    """
    try:
        inner = _Machine(double, held)
    except (CannotCompileError, NoCompilerError):
        return None
    step, joint = (inner.step, inner.joint) if normalizer is None else _in_units(inner, normalizer)
    made = replace(phi, step=step, joint=joint, path=None, compiled=None)
    z = torch.randn(3, phi.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = phi.states(z if normalizer is None else normalizer.denormalize(z))
    for found, expected in zip(made.step_and_jacobian(x), phi.step_and_jacobian(x), strict=True):
        if not float((found - expected).abs().max()) <= _AGREEMENT * max(float(expected.abs().max()), 1.0):
            warnings.warn(
                f"{phi.name}: machine code disagrees with the map and is not used", RuntimeWarning, stacklevel=2
            )
            return None
    return made


class _Machine:
    """The library of a map in model units."""

    def __init__(self, double: StepModel | Replicas, held: Tensor) -> None:
        template, state = _parts(double)
        self._run, self._tensors = FreeRun(program_of(template, state, as_map=True)), list(state.values())
        self._held, self._replicas = held, self._tensors[0].shape[0] if self._tensors else 1
        if isinstance(double, Replicas):
            self._replicas = double.size

    def step(self, x: Tensor) -> Tensor:
        """Φ(x), (..., D) -> (..., D)."""
        start = x.detach().reshape(self._replicas, -1, x.shape[-1])
        return self._run.states(start, self._inputs(start.shape[1]), self._tensors, 1).reshape(x.shape)

    def joint(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Φ(x) (..., D) and J(x) (..., D, D).

        The library takes the gradient of a loss. One that is the mean of (Φ(x) − target)² has ∂L/∂Φ = e_i where the
        target lies so far below in component i alone; the D rows of J are D copies of the batch.
        """
        value = self.step(x).reshape(self._replicas, -1, x.shape[-1])
        start, (R, B, D) = x.detach().reshape(value.shape), value.shape
        far = 0.5 * B * D * D
        target = value[:, None] - far * torch.eye(D, dtype=x.dtype)[:, None]
        _, _, rows = self._run._sweep(
            "mse",
            start.repeat(1, D, 1),
            self._inputs(B * D),
            target.reshape(R, D * B, 1, D),
            self._run._phi(self._tensors, x.dtype),
            0,
            1,
        )
        return value.reshape(x.shape), rows.view(R, D, B, D).transpose(1, 2).reshape(*x.shape, D)

    def _inputs(self, batch: int) -> Tensor:
        return self._held.expand(self._replicas, batch, 1, len(self._held))


def _parts(double: StepModel | Replicas) -> tuple[StepModel, Mapping[str, Tensor]]:
    """The module that gives the step, and its parameters and buffers (R, …)."""
    if isinstance(double, Replicas):
        return double.template, {f"model.{name}": t for name, t in double.state_dict().items()}
    return double, {f"model.{name}": t.detach()[None] for name, t in double.state_dict().items()}


def _in_units(inner: _Machine, normalizer: Normalizer) -> tuple[StateMap, JointMap]:
    """The same map of states in physical units: J = s J_z / s."""

    def step(x: Tensor) -> Tensor:
        return normalizer.denormalize(inner.step(normalizer.normalize(x)))

    def joint(x: Tensor) -> tuple[Tensor, Tensor]:
        z, j = inner.joint(normalizer.normalize(x))
        scale = torch.as_tensor(normalizer.scale)
        if scale.ndim == 2:
            scale = scale[:, None]
        return normalizer.denormalize(z), j * scale[..., :, None] / scale[..., None, :]

    return step, joint
