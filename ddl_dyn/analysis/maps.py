"""A discrete dynamical system x⁺ = Φ(x), trained or exact: what every analysis in this package is about.

Axes: R replicas (leading, only where the map has them), B batch, D state components of the map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

StateMap = Callable[[Tensor], Tensor]
JointMap = Callable[[Tensor], tuple[Tensor, Tensor]]
PathMap = Callable[[Tensor, int], Tensor]
# Steps of a map, of half a millisecond each, that repay compiling it: 4 to 7 seconds, once.
CALLS_TO_COMPILE = 10_000


@dataclass(frozen=True, kw_only=True)
class DiscreteMap:
    """A map Φ: R^D → R^D with its derivative, in float64.

    x⁺ = Φ(x),  J(x) = ∂Φ/∂x

    Args:
        step: (..., D) -> (..., D), each row independent of the others; with replicas the leading axis is R.
        dim: D.
        dt: time that one step takes, in the system's unit of time.
        joint: (..., D) -> Φ(x) (..., D) and J(x) (..., D, D) at once; None differentiates
            `step` by autograd.
        path: (..., D), T -> Φ(x), …, Φ^T(x) (T, ..., D) in one call where that is faster than T steps; None iterates.
        replicas: R where `step` is R maps at once, None for a single one.
        name: what to call it in messages and captions.
        device: where `step` expects its states.
        angles: indices of the components that are angles in radians: values 2π apart are one state.
        chart: coordinates on the invariant manifold that all orbits lie on, where it is smaller than R^D.
        compiled: gives the same map as machine code, or None where that cannot be had; seconds, the first time.
    Raises:
        ValueError: when dim, dt or replicas is not positive.
    """

    step: StateMap
    dim: int
    dt: float = 1.0
    joint: JointMap | None = None
    path: PathMap | None = None
    replicas: int | None = None
    name: str = "map"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    angles: tuple[int, ...] = ()
    chart: Chart | None = None
    compiled: Callable[[], DiscreteMap | None] | None = None

    def __post_init__(self) -> None:
        if self.dim < 1 or not self.dt > 0 or (self.replicas is not None and self.replicas < 1):
            raise ValueError(
                f"dim, dt and replicas must be positive, got dim={self.dim}, dt={self.dt}, replicas={self.replicas}"
            )

    def states(self, x: object) -> Tensor:
        """x as float64 states with the leading axes the map needs: (B, D), or (R, B, D) where it has replicas.

        Args:
            x: (D,), (B, D), or (R, B, D) where the map has replicas; array or tensor.
        Raises:
            ValueError: when the shape fits none of these.
        """
        t = torch.as_tensor(x).to(self.device, torch.float64)
        t = t.unsqueeze(0) if t.ndim == 1 else t
        if self.replicas is not None and t.ndim == 2:
            t = t.expand(self.replicas, *t.shape)
        wanted = "(B, D)" if self.replicas is None else "(R, B, D)"
        ndim = 2 if self.replicas is None else 3
        if t.ndim != ndim or t.shape[-1] != self.dim or (self.replicas is not None and t.shape[0] != self.replicas):
            sizes = f"D={self.dim}" + ("" if self.replicas is None else f", R={self.replicas}")
            raise ValueError(f"{self.name}: states must have shape {wanted} with {sizes}, got {tuple(t.shape)}")
        return t

    def difference(self, a: Tensor, b: Tensor) -> Tensor:
        """a − b of states (..., D), each angle wrapped into [−π, π)."""
        gap = a - b
        if self.angles:
            i = list(self.angles)
            gap[..., i] = torch.remainder(gap[..., i] + torch.pi, 2 * torch.pi) - torch.pi
        return gap

    def step_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Φ(x) (..., D) and J(x) (..., D, D)."""
        if self.joint is not None:
            return self.joint(x)
        return row_jacobian(self.step, x)

    def jacobian(self, x: Tensor) -> Tensor:
        """J(x) = ∂Φ/∂x, (..., D) -> (..., D, D)."""
        return self.step_and_jacobian(x)[1]

    def jacobians(self, path: Tensor) -> Tensor:
        """J along orbits in one call, as no state's depends on another: (T, ..., B, D) -> (T, ..., B, D, D)."""
        rows = path.movedim(0, -3)
        j = self.jacobian(rows.flatten(-3, -2))
        along: Tensor = j.unflatten(-3, rows.shape[-3:-1]).movedim(-4, 0)
        return along

    def orbit(self, x: Tensor, steps: int) -> Tensor:
        """x, Φ(x), …, Φ^steps(x), stacked in front: (..., D) -> (steps+1, ..., D)."""
        if self.path is not None and steps:
            return torch.cat([x[None], self.path(x, steps)])
        path = [x]
        for _ in range(steps):
            path.append(self.step(path[-1]))
        return torch.stack(path)

    def for_calls(self, count: int) -> DiscreteMap:
        """The map to call so many times: as machine code where that is worth its compilation, else as it is."""
        made = self.compiled() if self.compiled is not None and count >= CALLS_TO_COMPILE else None
        return self if made is None else made

    def iterate(self, n: int) -> DiscreteMap:
        """The n-th iterate Φⁿ as a map of its own, its Jacobian by the chain rule along the orbit.

        Raises:
            ValueError: when n < 1.
        """
        if n < 1:
            raise ValueError(f"the number of iterations must be at least 1, got {n}")

        if n == 1:
            return self

        def joint(x: Tensor) -> tuple[Tensor, Tensor]:
            path = self.orbit(x, n)
            total, *later = self.jacobians(path[:-1])
            for j in later:
                total = j @ total
            return path[-1], total

        return replace(
            self, step=lambda x: self.orbit(x, n)[-1], joint=joint, path=None, dt=n * self.dt,
            name=f"{self.name}^{n}", chart=None, compiled=None,
        )  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """Coordinates on an invariant manifold: the map in them, the embedding, and its inverse on the manifold."""

    phi: DiscreteMap
    embed: StateMap
    coordinates: StateMap


def row_jacobian(step: StateMap, x: Tensor, *, constant: bool = False) -> tuple[Tensor, Tensor]:
    """Value and Jacobian of a row-wise map by reverse-mode differentiation, one pass per output component.

    Rows do not depend on each other, so one backward pass of Σ_rows y_i gives ∂y_i/∂x for every row at once. (For the
    few components of a state this is two to three times faster than forward mode through a vmap over replicas.)

    Args:
        step: (..., D) -> (..., D').
        x: (..., D).
        constant: the output may be independent of x (its Jacobian is then zero) instead of being an error.
    Returns:
        Φ(x) (..., D') and J (..., D', D), both detached.
    Raises:
        ValueError: when gradients do not flow through `step`.
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        value = step(leaf)
        if not value.requires_grad:
            if not constant:
                raise ValueError("gradients do not flow through step: write it in torch operations, or give `joint`")
            return value, x.new_zeros(*value.shape, x.shape[-1])
        last = value.shape[-1] - 1
        rows = [
            torch.autograd.grad(value[..., i].sum(), leaf, retain_graph=i < last, materialize_grads=True)[0]
            for i in range(last + 1)
        ]
    return value.detach(), torch.stack(rows, dim=-2)
