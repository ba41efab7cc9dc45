"""A discrete dynamical system x⁺ = Φ(x), trained or exact: what every analysis in this package is about.

Axes: R replicas (leading, only where the map has them), B batch, D state components of the map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

StateMap = Callable[[Tensor], Tensor]
JointMap = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class DiscreteMap:
    """A map Φ: R^D → R^D with its derivative, in float64.

    x⁺ = Φ(x),  J(x) = ∂Φ/∂x

    Args:
        step: (..., D) -> (..., D), each row independent of the others; with replicas the leading axis is R.
        dim: D.
        dt: time that one step takes, in the system's unit of time.
        joint: (..., D) -> Φ(x) (..., D) and J(x) (..., D, D) at once; None differentiates `step` in
            forward mode.
        replicas: R where `step` is R maps at once, None for a single one.
        name: what to call it in messages and captions.
    Raises:
        ValueError: when dim, dt or replicas is not positive.
    """

    step: StateMap
    dim: int
    dt: float = 1.0
    joint: JointMap | None = None
    replicas: int | None = None
    name: str = "map"

    def __post_init__(self) -> None:
        if self.dim < 1 or not self.dt > 0 or (self.replicas is not None and self.replicas < 1):
            raise ValueError(
                f"dim, dt and replicas must be positive, got dim={self.dim}, dt={self.dt}, replicas={self.replicas}"
            )

    def states(self, x: Any) -> Tensor:
        """x as float64 states with the leading axes the map needs: (B, D), or (R, B, D) where it has replicas.

        Args:
            x: (D,), (B, D), or (R, B, D) where the map has replicas; array or tensor.
        Raises:
            ValueError: when the shape fits none of these.
        """
        t = torch.as_tensor(x).to(torch.float64)
        t = t.unsqueeze(0) if t.ndim == 1 else t
        if self.replicas is not None and t.ndim == 2:
            t = t.expand(self.replicas, *t.shape)
        wanted = "(B, D)" if self.replicas is None else "(R, B, D)"
        ndim = 2 if self.replicas is None else 3
        if t.ndim != ndim or t.shape[-1] != self.dim or (self.replicas is not None and t.shape[0] != self.replicas):
            sizes = f"D={self.dim}" + ("" if self.replicas is None else f", R={self.replicas}")
            raise ValueError(f"{self.name}: states must have shape {wanted} with {sizes}, got {tuple(t.shape)}")
        return t

    def step_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Φ(x) (..., D) and J(x) (..., D, D)."""
        if self.joint is not None:
            return self.joint(x)
        return forward_jacobian(self.step, x, keep_first=self.replicas is not None)

    def jacobian(self, x: Tensor) -> Tensor:
        """J(x) = ∂Φ/∂x, (..., D) -> (..., D, D)."""
        return self.step_and_jacobian(x)[1]

    def orbit(self, x: Tensor, steps: int) -> Tensor:
        """x, Φ(x), …, Φ^steps(x), stacked in front: (..., D) -> (steps+1, ..., D)."""
        path = [x]
        for _ in range(steps):
            path.append(self.step(path[-1]))
        return torch.stack(path)

    def iterate(self, n: int) -> DiscreteMap:
        """The n-th iterate Φⁿ as a map of its own, its Jacobian by the chain rule along the orbit.

        Raises:
            ValueError: when n < 1.
        """
        if n < 1:
            raise ValueError(f"the number of iterations must be at least 1, got {n}")

        def step(x: Tensor) -> Tensor:
            for _ in range(n):
                x = self.step(x)
            return x

        def joint(x: Tensor) -> tuple[Tensor, Tensor]:
            x, total = self.step_and_jacobian(x)
            for _ in range(n - 1):
                x, j = self.step_and_jacobian(x)
                total = j @ total
            return x, total

        return replace(self, step=step, joint=joint, dt=n * self.dt, name=f"{self.name}^{n}")


def forward_jacobian(step: StateMap, x: Tensor, *, keep_first: bool) -> tuple[Tensor, Tensor]:
    """Value and Jacobian of a row-wise map by forward-mode differentiation.

    The D tangents ride as D copies of the batch, so that `step` may itself be a vmap over replicas.

    Args:
        step: (..., D) -> (..., D').
        x: (..., D).
        keep_first: the first axis of x is R and must stay as it is; otherwise all leading axes are batch.
    Returns:
        Φ(x) (..., D') and J (..., D', D).
    """
    dim = x.shape[-1]
    lead = x.shape[:-1]
    rows = x.reshape(lead[0] if keep_first else 1, -1, dim)
    r, b = rows.shape[:2]
    copies = rows.unsqueeze(1).expand(r, dim, b, dim)
    basis = torch.eye(dim, dtype=x.dtype, device=x.device)
    tangents = basis[None, :, None, :].expand(r, dim, b, dim)

    def flat(t: Tensor) -> Tensor:
        # Forward mode refuses an expanded view, which reshape may return.
        return t.reshape(r, dim * b, dim).contiguous() if keep_first else t.reshape(dim * b, dim).contiguous()

    value, columns = torch.func.jvp(step, (flat(copies),), (flat(tangents),))  # type: ignore[misc]
    out = value.shape[-1]
    value = value.reshape(r, dim, b, out)[:, 0]
    jacobian = columns.reshape(r, dim, b, out).permute(0, 2, 3, 1)
    return value.reshape(*lead, out), jacobian.reshape(*lead, out, dim)


def as_map(system: Any, **options: Any) -> DiscreteMap:
    """Any system as a DiscreteMap: a DiscreteMap, a task (map, flow or impacts), a trained model or its replicas.

    Args:
        system: what to look at.
        options: passed to `from_task` or `from_replicas`.
    Raises:
        ValueError: when the system is none of these.
    """
    from ddl_dyn.analysis.exact import from_task
    from ddl_dyn.analysis.learned import from_replicas

    if isinstance(system, DiscreteMap):
        if options:
            raise ValueError(f"a DiscreteMap takes no further options, got {sorted(options)}")
        return system
    if all(hasattr(system, a) for a in ("lift", "step", "read")):
        return from_replicas(system, **options)
    if any(hasattr(system, a) for a in ("next_state", "vector_field", "simulate")):
        return from_task(system, **options)
    raise ValueError(
        "a system must be a DiscreteMap, a task (next_state, vector_field or simulate) or a model or Replicas "
        f"(lift, step, read), got {type(system).__name__}"
    )
