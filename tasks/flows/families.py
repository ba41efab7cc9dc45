"""Families of tasks: one parameter differs from trajectory to trajectory and enters the model as a constant input.

Axes: N trajectories, T steps, D state components; U = 1, the parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import FlowTask, Split, Task
from ddl_dyn.tasks.flows.chaotic import Lorenz63
from ddl_dyn.tasks.flows.cycles import VanDerPol
from ddl_dyn.tasks.integrators import ATOL, RTOL, integrate
from ddl_dyn.tasks.trajectories import Trajectories


@dataclass(frozen=True, kw_only=True)
class ConditionedTask(Task):
    """A family: one task whose parameter differs from trajectory to trajectory and enters as a constant input.

    Training and validation draw the parameter from `train_range` without `gap`; the test split draws it inside `gap`
    (interpolation), the ood split from `ood_range` (extrapolation). The initial states of all four come from the
    member's training distribution, so that nothing but the parameter is new.
    """

    member: ClassVar[type[Task]]
    conditioned_on: ClassVar[str]

    train_range: tuple[float, float]
    gap: tuple[float, float]
    ood_range: tuple[float, float]

    def __post_init__(self) -> None:
        super().__post_init__()
        (low, high), (left, right), (beyond, end) = self.train_range, self.gap, self.ood_range
        if not (low < left < right < high and beyond < end and (beyond >= high or end <= low)):
            raise ValueError(
                f"{self.key()}: expected train_range[0] < gap[0] < gap[1] < train_range[1] and ood_range beyond "
                f"train_range, got train_range={self.train_range}, gap={self.gap}, ood_range={self.ood_range}"
            )
        for value in (low, high, beyond, end):
            self.at(value)

    def at(self, value: object) -> Any:
        """The member with the parameter set to a number, or to one number per trajectory, (N,)."""
        return self.member(dt=self.dt, **{self.conditioned_on: value})

    def _middle(self) -> Task:
        member: Task = self.at(sum(self.gap) / 2)
        return member

    @property
    def timescale(self) -> float:
        """Time scale of the member in the middle of the gap."""
        return self._middle().timescale

    @property
    def lyapunov_time(self) -> float | None:
        """Lyapunov time of the member in the middle of the gap."""
        return self._middle().lyapunov_time

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:  # noqa: ARG002
        """Draw from the member's training distribution, (n, D)."""
        return self._middle().initial_states(n, rng=rng, split="train")

    def inputs(self, n: int, steps: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Draw the parameter of each trajectory, held constant over its steps, (n, steps, 1)."""
        fraction = rng.random(n)
        if split in ("train", "val"):
            (low, high), (left, right) = self.train_range, self.gap
            value = low + fraction * (high - low - (right - left))
            value = np.where(value >= left, value + (right - left), value)
        else:
            low, high = self.gap if split == "test" else self.ood_range
            value = low + fraction * (high - low)
        return np.broadcast_to(value[:, None, None], (n, steps, 1)).copy()

    def values(self, inputs: Array | None, n: int, steps: int) -> Array:
        """Read the parameter of each trajectory from its inputs.

        Args:
            inputs: (n, steps, 1), constant over the steps.
            n, steps: number of trajectories and of steps expected.
        Returns:
            (n,).
        Raises:
            ValueError: when the inputs have another shape or change over the steps.
        """
        if inputs is None or inputs.shape != (n, steps, 1) or steps < 1 or not (inputs == inputs[:, :1]).all():
            got = None if inputs is None else inputs.shape
            raise ValueError(
                f"{self.key()}: inputs must be {self.conditioned_on}, constant over the steps, with shape "
                f"({n}, {steps}, 1), got {got}; draw them with task.inputs"
            )
        return inputs[:, 0, 0]

    def simulate(self, x0: Array, steps: int, inputs: Array | None = None) -> Trajectories:
        """Simulate the member with each trajectory's own parameter."""
        x = self.check_states(x0, steps)
        member: Task = self.at(self.values(inputs, len(x), steps))
        return member.simulate(x, steps).replace(inputs=inputs)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class ConditionedFlow(ConditionedTask):
    """A family of flows, integrated as one system: the parameter rides along as a component that never changes."""

    def simulate(self, x0: Array, steps: int, inputs: Array | None = None) -> Trajectories:
        """Integrate the members, each with its own parameter, in shared blocks."""
        states = self._solve(x0, steps, inputs, RTOL, ATOL)
        return Trajectories(times=self.times(steps), states=states, inputs=inputs)  # type: ignore[arg-type]

    def second_solution(self, x0: Array, steps: int, inputs: Array | None = None) -> Array:
        """The same flows at a hundredth of the tolerance."""
        return self._solve(x0, steps, inputs, RTOL / 100, ATOL / 100)

    def _solve(self, x0: Array, steps: int, inputs: Array | None, rtol: float, atol: float) -> Array:
        x = self.check_states(x0, steps)
        values = self.values(inputs, len(x), steps)

        member: FlowTask = self.at(values)

        def field(t: float, z: Array) -> Array:
            # The member is private to this call; checking its parameters anew at every evaluation would dominate.
            object.__setattr__(member, self.conditioned_on, z[..., -1])
            out = np.zeros_like(z)
            out[..., :-1] = member.vector_field(t, z[..., :-1])
            return out

        joined = np.concatenate([x, values[:, None]], axis=1)
        return integrate(field, joined, self.times(steps), rtol=rtol, atol=atol)[:, :, :-1]


@dataclass(frozen=True, kw_only=True)
class VanDerPolFamily(ConditionedFlow):
    """Van der Pol oscillators, a μ per trajectory.

    Equations: ẋ = y, ẏ = μ (1 − x²) y − x; input μ. State (x, y) and regime as in `VanDerPol`: a stable limit cycle at
    every μ > 0, from nearly sinusoidal to relaxation, so both period and shape must follow the input.
    Initial states: the training annulus of `VanDerPol`.
    """

    member = VanDerPol
    conditioned_on = "mu"
    state_names = VanDerPol.state_names
    input_names = ("mu",)
    source = VanDerPol.source
    equations = VanDerPol.equations
    family = "oscillator"
    obstruction_reason = "each member is a flow"
    dt: float = 0.05
    train_range: tuple[float, float] = (0.5, 3.0)
    gap: tuple[float, float] = (1.4, 1.8)
    ood_range: tuple[float, float] = (3.5, 5.0)


@dataclass(frozen=True, kw_only=True)
class Lorenz63Family(ConditionedFlow):
    """Lorenz systems, a ρ per trajectory.

    Equations: ẋ = σ(y − x), ẏ = x(ρ − z) − y, ż = xy − βz; input ρ, σ = 10, β = 8/3. State (x, y, z) as in `Lorenz63`.
    The fixed points C± = (±√(β(ρ−1)), ±√(β(ρ−1)), ρ−1) lose stability at ρ_H = 24.74, so that the training range holds
    both steady and chaotic members; the ood range is chaotic throughout.
    Initial states: the training distribution of `Lorenz63` in the middle of the gap.
    """

    member = Lorenz63
    conditioned_on = "rho"
    state_names = Lorenz63.state_names
    input_names = ("rho",)
    source = Lorenz63.source
    equations = Lorenz63.equations
    family = "chaotic flow"
    obstruction_reason = "each member is a flow"
    dt: float = 0.02
    train_range: tuple[float, float] = (18.0, 32.0)
    gap: tuple[float, float] = (26.0, 28.0)
    ood_range: tuple[float, float] = (35.0, 45.0)
