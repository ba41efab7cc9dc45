"""Small systems with known answers for the tests of ddl_dyn.analysis, written here independently of `tasks`.

Axes: B batch, D state components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddl_dyn.analysis import DiscreteMap


def line_map(f, *, dt: float = 1.0) -> DiscreteMap:
    """A map of the line from an elementwise torch function."""
    return DiscreteMap(step=f, dim=1, dt=dt, name="line")


def logistic(r: float) -> DiscreteMap:
    return line_map(lambda x: r * x * (1 - x))


def henon(a: float = 1.4, b: float = 0.3) -> DiscreteMap:
    def step(x: Tensor) -> Tensor:
        return torch.stack([1 - a * x[..., 0] ** 2 + x[..., 1], b * x[..., 0]], dim=-1)

    return DiscreteMap(step=step, dim=2, name="henon")


def linear_map(matrix, *, dt: float = 1.0) -> DiscreteMap:
    A = torch.as_tensor(matrix, dtype=torch.float64)
    return DiscreteMap(step=lambda x: x @ A.T, dim=A.shape[0], dt=dt, name="linear")


@dataclass(frozen=True)
class Flow:
    """A flow task by duck typing: what `from_task` may assume, and no more."""

    state_dim: int
    dt: float
    field: object
    derivative: object = None

    def vector_field(self, t, x):  # noqa: ARG002
        return self.field(x)

    def jacobian(self, t, x):  # noqa: ARG002
        return None if self.derivative is None else self.derivative(x)


def lorenz_field(x):
    a, b, c = x[..., 0], x[..., 1], x[..., 2]
    return np.stack([10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c], axis=-1)


def lorenz_jacobian(x):
    a, b, c = x[..., 0], x[..., 1], x[..., 2]
    one, zero = np.ones_like(a), np.zeros_like(a)
    rows = [[-10 * one, 10 * one, zero], [28 - c, -one, -a], [b, a, -8 / 3 * one]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def lorenz(dt: float = 0.02) -> Flow:
    return Flow(3, dt, lorenz_field, lorenz_jacobian)


def van_der_pol(mu: float = 1.0, dt: float = 0.05) -> Flow:
    def field(x):
        return np.stack([x[..., 1], mu * (1 - x[..., 0] ** 2) * x[..., 1] - x[..., 0]], axis=-1)

    def jacobian(x):
        a, b = x[..., 0], x[..., 1]
        rows = [[0 * a, 0 * a + 1], [-2 * mu * a * b - 1, mu * (1 - a * a)]]
        return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)

    return Flow(2, dt, field, jacobian)


def stuart_landau(mu: float = 1.0, omega: float = 0.4 * np.pi, dt: float = 0.1) -> Flow:
    def field(z):
        x, y = z[..., 0], z[..., 1]
        r2 = x * x + y * y
        return np.stack([mu * x - omega * y - r2 * x, omega * x + mu * y - r2 * y], axis=-1)

    return Flow(2, dt, field)
