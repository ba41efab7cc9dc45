"""Lyapunov exponents of flows by tangent QR, and the base of the flows whose time scale they set. Axes: N, D."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import FlowTask
from ddl_dyn.tasks.initial import box_surface


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """Lyapunov exponents.

    Args:
        exponents: (D,), in descending order, natural logarithm per unit time.
        standard_error: (D,), over the trajectories of the ensemble.
    """

    exponents: Array
    standard_error: Array


def ensemble_exponents(
    task: FlowTask, *, time: float, transient: float, step: float, trajectories: int = 16, seed: int = 0
) -> Spectrum:
    """Exponents λᵢ = lim (1/T) Σ ln |R_ii| of the QR-factored tangent flow, averaged over an ensemble.

    State and tangent vectors are advanced together by classical Runge–Kutta steps (order 4) with the analytic
    Jacobian and re-orthogonalised after each.

    Args:
        task: a flow with a Jacobian.
        time: averaging time T, in the task's unit.
        transient: time dropped first, over which the tangent frame settles too.
        step: Runge–Kutta step.
        trajectories: ensemble size, initial states from the training distribution.
        seed: fixes the initial states.
    Returns:
        The Spectrum; NaN where a trajectory left the finite numbers.
    Raises:
        ValueError: when the task has no Jacobian.
    Source: Benettin, Galgani, Giorgilli, Strelcyn (1980), Lyapunov characteristic exponents, doi:10.1007/BF02128236.
    """
    x = task.initial_states(trajectories, rng=np.random.default_rng(seed), split="train")
    if task.jacobian(0.0, x) is None:
        raise ValueError(f"{task.key()}: the exponents need a Jacobian, and the task has none")
    d = task.state_dim
    frame = np.broadcast_to(np.eye(d), (trajectories, d, d)).copy()
    total = np.zeros((trajectories, d))
    drop, keep = round(transient / step), round(time / step)
    for i in range(drop + keep):
        x, frame = _tangent_step(task, x, frame, i * step, step)
        frame, triangle = np.linalg.qr(frame)
        if i >= drop:
            total += np.log(np.maximum(np.abs(np.diagonal(triangle, axis1=1, axis2=2)), 1e-300))
    each = total / (keep * step)
    order = np.argsort(-each.mean(axis=0))
    spread = each.std(axis=0, ddof=1) / np.sqrt(trajectories) if trajectories > 1 else np.full(d, np.nan)
    return Spectrum(exponents=each.mean(axis=0)[order], standard_error=spread[order])


def _tangent_step(task: FlowTask, x: Array, frame: Array, t: float, h: float) -> tuple[Array, Array]:
    """One Runge–Kutta step of ẋ = f and Ẇ = J(x) W."""

    def slope(s: float, y: Array, w: Array) -> tuple[Array, Array]:
        return task.vector_field(s, y), task.jacobian(s, y) @ w  # type: ignore[operator]

    # An orbit that runs away has no exponents: NaN says so.
    with np.errstate(over="ignore", invalid="ignore"):
        k1, w1 = slope(t, x, frame)
        k2, w2 = slope(t + h / 2, x + h / 2 * k1, frame + h / 2 * w1)
        k3, w3 = slope(t + h / 2, x + h / 2 * k2, frame + h / 2 * w2)
        k4, w4 = slope(t + h, x + h * k3, frame + h * w3)
        return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), frame + h / 6 * (w1 + 2 * w2 + 2 * w3 + w4)


# Steps of the short ensemble run by which the largest exponent is estimated.
SPAN = 2000


@functools.lru_cache(maxsize=256)
def _estimated_exponent(task: FlowTask) -> float:
    """λ₁ from a short ensemble run; 0 where it left the finite numbers."""
    span = SPAN * task.dt
    largest = ensemble_exponents(task, time=span, transient=span / 10, step=task.dt / 2).exponents[0]
    return float(np.nan_to_num(largest, nan=0.0, posinf=0.0, neginf=0.0))


@dataclass(frozen=True, kw_only=True)
class ChaoticFlow(FlowTask):
    """A flow whose time scale is its Lyapunov time."""

    # Largest exponent at the default parameters; other parameters are estimated when the time scale is asked for.
    largest_exponent: ClassVar[float]
    # Components that a larger radius stretches; None where orbits from far away escape.
    stretched: ClassVar[slice | None] = None

    @property
    def _known(self) -> bool:
        return all(getattr(self, f.name) == f.default for f in dataclasses.fields(self) if f.name != "dt")

    @property
    def _exponent(self) -> float:
        return self.largest_exponent if self._known else _estimated_exponent(self)

    @property
    def timescale(self) -> float:
        """Lyapunov time 1/|λ₁|, known at the default parameters, else by a short run (at most that run's length)."""
        return 1 / self._exponent if self._known else 1 / max(abs(self._exponent), 1 / (SPAN * self.dt))

    @property
    def lyapunov_time(self) -> float | None:
        """1/λ₁ where λ₁ is positive (an estimate: beyond what a short run may err by), else None."""
        least = 0.0 if self._known else 10 / (SPAN * self.dt)
        return 1 / self._exponent if self._exponent > least else None

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array | None:
        """On the faces of the attractor's bounding box, enlarged about its centre, (n, D); None where orbits escape."""
        if self.stretched is None:
            return None
        low, high = _bounding_box(self)
        middle, half = (low + high) / 2, (high - low) / 2
        # Two streams: with one, what the second draw gives would depend on n.
        others, faces = rng.spawn(2)
        states = self.initial_states(n, rng=others, split="train")
        states[:, self.stretched] = box_surface(n, faces, middle - radius * half, middle + radius * half)
        return states


@functools.lru_cache(maxsize=64)
def _bounding_box(task: ChaoticFlow) -> tuple[Array, Array]:
    """Least and largest of the stretched components over training states, each (D')."""
    states = task.initial_states(1024, rng=np.random.default_rng(0), split="train")[:, task.stretched]
    return states.min(axis=0), states.max(axis=0)
