"""Algorithms that are stacks of rank-one updates: Grover's search, Kaczmarz's solver, overwriting one direction.

Axes: N trajectories, D state components.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import Split
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.maps.frames import PRESERVING, REVERSING, Factor, StackTask, along, frame, numbered, rotated_in_plane
from ddl_dyn.tasks.symmetry import change_of_sign


@dataclass(frozen=True, kw_only=True)
class Grover(StackTask):
    """Grover's search among N items: the amplitudes under oracle and diffusion.

    Equations: x⁺ = (2 s sᵀ − I)(I − 2 t tᵀ) x, s = (1, …, 1)/√N, t the marked item.
    State (a0 … a(N−1)): amplitudes of the items, real, of unit norm. N: items; marked: index of the marked one.
    Regime: rotation by 2ϑ in the plane of s and t, ϑ = arcsin(1/√N) = .125328 at N = 64.
    Facts: from s the marked item is found with probability sin²((2t + 1)ϑ): .9966 at t = 6, then it falls. Within the
    plane, where every state here lies, the map is exactly two factors with β = 2; across it the map is −I, so the whole
    of R^N would need N of them and is orientation preserving for even N only.
    Initial states: unit vectors in the plane, at an angle 0–π from the unmarked states' sum (train) or π–2π (ood).
    """

    source = "Grover (1996), A fast quantum mechanical algorithm for database search, doi:10.1145/237814.237866"
    equations = "x⁺ = (2 s sᵀ − I)(I − 2 t tᵀ) x"
    obstruction_reason = PRESERVING

    N: int = parameter(64, low=2, high=4096, doc="number of items")
    marked: int = parameter(0, low=0, doc="index of the marked item")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.marked >= self.N:
            raise ValueError(f"grover: marked must be below N = {self.N}, got {self.marked}")
        if self.N % 2:
            self.relabel("orientation_reversing", "det = (−1)^N < 0 on R^N; on the plane that holds the states, none")

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """a0 … a(N−1)."""
        return tuple(f"a{i}" for i in range(self.N))

    @property
    def angle(self) -> float:
        """ϑ = arcsin(1/√N), rad."""
        return float(np.arcsin(1.0 / np.sqrt(self.N)))

    @property
    def plane(self) -> tuple[Array, Array]:
        """Orthonormal basis of the plane: the even superposition of the unmarked items, and the marked one."""
        target = np.eye(self.N)[self.marked]
        return (1.0 - target) / np.sqrt(self.N - 1), target

    @property
    def timescale(self) -> float:
        """Period 2π/(2ϑ) of the amplitudes; the probability of success has half of it."""
        return np.pi / self.angle * self.dt

    def start(self) -> Array:
        """The even superposition s, (1, N), from which the search begins."""
        return np.full((1, self.N), 1.0 / np.sqrt(self.N))

    def success(self, x: Array) -> Array:
        """Probability of finding the marked item, (..., N) -> (...)."""
        return x[..., self.marked] ** 2

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Unit vectors in the plane of s and t, (n, N)."""
        angle = np.pi * (rng.random((n, 1)) + (1.0 if split == "ood" else 0.0))
        rest, target = self.plane
        return np.cos(angle) * rest + np.sin(angle) * target

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> None:
        """None: amplitudes have unit norm."""

    def next_state(self, x: Array) -> Array:
        """Flip the marked amplitude, then reflect all of them about their mean."""
        flipped = np.where(np.arange(self.N) == self.marked, -x, x)
        after: Array = 2.0 * flipped.mean(axis=-1, keepdims=True) - flipped
        return after

    def exact(self, x0: Array, steps: int) -> Array:
        """Turned by 2ϑ t in the plane, times (−1)^t across it, (N, steps+1, items)."""
        rest, target = self.plane
        inside = along(x0, rest) * rest + along(x0, target) * target
        t = np.arange(steps + 1)[None, :, None]
        turned = rotated_in_plane(inside[:, None], rest, target, 2.0 * self.angle * t)
        return turned + (1.0 - 2.0 * (t % 2)) * (x0 - inside)[:, None]

    def householder_stack(self) -> list[Factor]:
        """Mirrors across t and across the state orthogonal to s, equal to the map within their plane only."""
        rest, target = self.plane
        across = np.cos(self.angle) * target - np.sin(self.angle) * rest
        return [(target, 2.0, 0.0), (across, 2.0, 0.0)]

    def invariants(self, x: Array) -> dict[str, Array]:
        """Norm."""
        return {"norm": np.linalg.norm(x, axis=-1)}

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim)


@lru_cache(maxsize=64)
def _system(rows: int, d: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((rows, d))
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    solution = rng.standard_normal(d)
    for array in (matrix, solution):
        array.setflags(write=False)
    return matrix, solution


@dataclass(frozen=True, kw_only=True)
class Kaczmarz(StackTask):
    """Kaczmarz's iteration for a linear system: consistent, A x = b with rows of unit norm.

    Equations: x ← x + ω aᵢ (bᵢ − aᵢᵀ x) for i = 1 … m in turn.
    State (x1 … xd): the iterate. rows: number m of equations; d: unknowns; omega: relaxation; seed: fixes A and x*.
    One step is a whole sweep over the rows, so that the map does not depend on time.
    Regime: converges geometrically to x* for 0 < ω < 2 (to the solution nearest x0 where m < d and ω = 1).
    Facts: exactly m factors with k = aᵢ, β = ω, v = bᵢ; det J = (1 − ω)^m, so a sweep loses m dimensions at ω = 1 and
    reverses orientation for ω > 1 and odd m.
    Initial states: radius .5–1.5 (train), 1.6–2.5 (ood) about the origin. Radius: 1.5.
    """

    source = (
        "Kaczmarz (1937), Angenäherte Auflösung von Systemen linearer Gleichungen, Bull. Acad. Polon. Sci. A35, 355"
    )
    equations = "x ← x + ω aᵢ (bᵢ − aᵢᵀ x), i = 1 … m"
    obstruction_reason = "det J = (1 − ω)^m > 0, so no sign of the Jacobian forbids a flow"

    rows: int = parameter(4, low=1, high=1024, doc="number of equations")
    d: int = parameter(4, low=1, high=1024, doc="number of unknowns")
    omega: float = parameter(1.5, low=0.0, high=1.999, open_low=True, doc="relaxation")
    seed: int = parameter(0, low=0, doc="fixes A and the solution")

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """x1 … xd."""
        return numbered(self.d)

    @property
    def system(self) -> tuple[Array, Array, Array]:
        """A (m, d) with rows of unit norm, b (m,), and the solution x* (d,) it was made from."""
        matrix, solution = _system(self.rows, self.d, self.seed)
        return matrix, matrix @ solution, solution

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.omega == 1.0:
            self.relabel("non_injective", "det J = 0: each projection forgets a direction, while a flow is injective")
        elif self.omega > 1.0 and self.rows % 2:
            self.relabel("orientation_reversing", REVERSING)

    @property
    def timescale(self) -> float:
        """Sweeps in which the slowest part of the error shrinks e-fold; at least one."""
        slowest = np.abs(np.linalg.eigvals(self.jacobian(np.zeros(self.d))))
        # Directions that no row sees never move (eigenvalue 1) and set no time.
        moving = slowest[slowest < 1.0 - 1e-9]
        rate = -np.log(max(float(moving.max(initial=0.0)), 1e-300))
        time: float = self.dt * max(1.0, 1.0 / rate)
        return time

    def next_state(self, x: Array) -> Array:
        """One sweep over the rows."""
        matrix, b, _ = self.system
        for row, value in zip(matrix, b, strict=True):
            x = x + self.omega * (value - along(x, row)) * row
        return x

    def householder_stack(self) -> list[Factor]:
        """(aᵢ, ω, bᵢ) for every row."""
        matrix, b, _ = self.system
        return [(row, self.omega, float(value)) for row, value in zip(matrix, b, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Overwrite(StackTask):
    """Overwriting of one direction by a constant.

    Equations: x⁺ = (I − k kᵀ) x + k c.
    State (x1 … xd): coordinates of one space, dimensionless. d: dimension; c: the value written; seed: fixes the unit
    direction k.
    Regime: at rest after one step.
    Facts: a projection: exponent −∞ along k and 0 across it; exactly one factor with β = 1, v = c.
    Initial states: radius .5–1.5 (train), 1.6–2.5 (ood). Radius: 1.5.
    """

    source = "Strang (2016), Introduction to Linear Algebra, 5th ed., §4.2 (projections), ISBN 978-0-9802327-7-6"
    equations = "x⁺ = (I − k kᵀ) x + k c"
    obstruction = "non_injective"
    obstruction_reason = "det J = 0: what stood along k is forgotten, while the time-dt map of a flow is injective"

    d: int = parameter(4, low=2, high=1024, doc="dimension")
    c: float = parameter(1.0, low=-10.0, high=10.0, doc="value written along k")
    seed: int = parameter(0, low=0, doc="fixes the unit direction k")

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """x1 … xd."""
        return numbered(self.d)

    @property
    def direction(self) -> Array:
        """Unit direction k, (d,)."""
        return frame(self.d, 1, self.seed).reshape(self.d)

    @property
    def timescale(self) -> float:
        """One step."""
        return self.dt

    def next_state(self, x: Array) -> Array:
        """The component along k replaced by c."""
        return x - along(x, self.direction) * self.direction + self.c * self.direction

    def exact(self, x0: Array, steps: int) -> Array:
        """x0, then its image for ever, (N, steps+1, d)."""
        k = self.direction
        image = x0 @ (np.eye(self.d) - np.outer(k, k)) + self.c * k
        return np.concatenate([x0[:, None], np.repeat(image[:, None], steps, axis=1)], axis=1)

    def householder_stack(self) -> list[Factor]:
        """(k, 1, c)."""
        return [(self.direction, 1.0, self.c)]

    def invariants(self, x: Array) -> dict[str, Array]:
        """Size of the part across k."""
        return {"across": np.linalg.norm(x - along(x, self.direction) * self.direction, axis=-1)}
