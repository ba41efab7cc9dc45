"""Base classes of tasks: a dynamical system with its facts, its initial states and its time step.

Axes: N trajectories, T steps, D state components, U input components.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from ddl_dyn.config.notebook import html_table
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.fields import convert_fields

# For whoever writes a task: docs/adding.md imports everything from here.
from ddl_dyn.tasks.fields import parameter as parameter
from ddl_dyn.tasks.integrators import integrate, iterate
from ddl_dyn.tasks.trajectories import Trajectories

Split = Literal["train", "val", "test", "ood"]
Obstruction = Literal["none", "orientation_reversing", "non_injective", "isolated_cycle", "one_dimensional_nonmonotone"]
SPLITS: tuple[Split, ...] = get_args(Split)


def join(x: Array, *parts: Any) -> Array:
    """Components side by side in an array like x, (..., D); unlike np.stack it keeps the memory order of x."""
    out = np.empty_like(x)
    for i, part in enumerate(parts):
        out[..., i] = part
    return out


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A discrete- or continuous-time dynamical system that a stack is asked to imitate.

    A subclass is a frozen dataclass: its fields are the physical parameters (declared with `parameter`), its docstring
    is the datasheet (equations, component order, units, regime, facts).
    """

    state_names: ClassVar[tuple[str, ...]]
    source: ClassVar[str]
    equations: ClassVar[str]
    family: ClassVar[str]
    obstruction: ClassVar[Obstruction] = "none"
    obstruction_reason: ClassVar[str] = ""
    input_names: ClassVar[tuple[str, ...]] = ()
    # True where the components are coordinates of one space, so that scaling them apart would break the geometry.
    isotropic: ClassVar[bool] = False
    # Indices of the components that are angles in radians: values 2π apart are one state.
    angular: ClassVar[tuple[int, ...]] = ()
    # "categorical": the state is a one-hot code and is scored by its largest component.
    state_kind: ClassVar[Literal["continuous", "categorical"]] = "continuous"
    time_unit: ClassVar[str] = "time"
    # True where the states were recorded, not computed: then the data are the truth at every step.
    recorded: ClassVar[bool] = False
    # Why observation noise cannot be added to this task; empty where it can.
    noise_reason: ClassVar[str] = ""

    dt: float

    def __post_init__(self) -> None:
        convert_fields(self, self.key())

    def _repr_html_(self) -> str:
        title = (inspect.getdoc(type(self)) or "").partition("\n")[0]
        state = ", ".join(self.state_names[:12]) + (", …" if self.state_dim > 12 else "")
        rows = [("state", f"{state} (D = {self.state_dim})"), ("sampling interval", f"{self.dt:g} {self.time_unit}")]
        rows += [("inputs", ", ".join(self.input_names))] if self.input_dim else []
        rows += [(name, f"{value}") for name, value in self.parameters().items() if name != "dt"]
        return html_table(f"{self.key()}: {title}", [*rows, ("source", self.source)])

    @classmethod
    def key(cls) -> str:
        """Registry key: the snake_case form of the class name."""
        return re.sub(r"(?<=[^A-Z])(?=[A-Z])", "_", cls.__name__).lower()

    @property
    def state_dim(self) -> int:
        """Number of state components D."""
        return len(self.state_names)

    @property
    def input_dim(self) -> int:
        """Number of input components U (0 for an autonomous system)."""
        return len(self.input_names)

    def times(self, steps: int) -> Array:
        """Sampling times 0, dt, …, steps·dt, (steps+1,)."""
        return self.dt * np.arange(steps + 1, dtype=np.float64)

    @property
    def accepts_noise(self) -> bool:
        """True where observation noise can be added."""
        return self.state_kind == "continuous" and not self.noise_reason

    @property
    @abstractmethod
    def timescale(self) -> float:
        """Period, relaxation time or Lyapunov time, in the task's unit of time."""

    @property
    def lyapunov_time(self) -> float | None:
        """Time in which an error grows e-fold, in the task's unit of time; None where none grows, or it is unknown."""
        return None

    @abstractmethod
    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Draw initial states.

        Args:
            n: number of states; the first n of 2n are the n.
            rng: source of randomness.
            split: "ood" draws from a support disjoint from that of "train"; "val" and "test" share the latter.
        Returns:
            (n, D).
        """

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array | None:  # noqa: ARG002
        """Draw initial states at a multiple of the training radius, which the datasheet defines under "Radius".

        Args:
            n, rng: as for `initial_states`.
            radius: distance in units of the training radius, above 1.
        Returns:
            (n, D), or None where the task has no radius or no states of bounded orbits that far out.
        """
        return None

    @abstractmethod
    def simulate(self, x0: Array, steps: int, inputs: Array | None = None) -> Trajectories:
        """Compute reference trajectories.

        Args:
            x0: (N, D), finite.
            steps: number of sampling steps T.
            inputs: (N, T, U), as drawn by `inputs`; None for an autonomous system.
        Returns:
            Trajectories whose states[:, 0] is x0.
        Raises:
            ValueError: when a shape is wrong or a value not finite.
        """

    def inputs(self, n: int, steps: int, *, rng: np.random.Generator, split: Split) -> Array:  # noqa: ARG002
        """Draw the inputs that act on the system.

        Args:
            n, steps: number of trajectories and of steps; the first n of 2n are the n.
            rng, split: as for `initial_states`.
        Returns:
            (n, steps, U); U = 0 for an autonomous system.
        """
        return np.zeros((n, steps, 0))

    def exact(self, x0: Array, steps: int) -> Array | None:  # noqa: ARG002
        """Closed-form states (N, steps+1, D), or None where there is none."""
        return None

    def invariants(self, x: Array) -> dict[str, Array]:  # noqa: ARG002
        """Conserved quantities of states x (..., D), each (...); empty where there are none."""
        return {}

    def symmetries(self) -> dict[str, Array]:
        """Linear maps S (D, D) with Φ(Sx) = SΦ(x), by name; empty where none is known."""
        return {}

    def second_solution(self, x0: Array, steps: int, inputs: Array | None = None) -> Array:
        """The states computed a second way; where the two part, neither is truth.

        Here from states one rounding error away; flows tighten the tolerance, maps extend the precision.

        Args:
            x0, steps, inputs: as for `simulate`.
        Returns:
            (N, steps+1, D).
        """
        return self.simulate(np.nextafter(x0, np.inf), steps, inputs).states

    def make_splits(
        self, counts: dict[Split, int], steps: int, *, seed: int
    ) -> tuple[dict[Split, Trajectories | None], list[str]]:
        """Simulate all splits without noise, each from random streams of its own.

        Args:
            counts: number of trajectories of each split.
            steps: number of sampling steps.
            seed: fixes the streams.
        Returns:
            Trajectories by split (None for a count of 0), and notes on how the request was met.
        """
        splits: dict[Split, Trajectories | None] = {}
        for split, stream in zip(SPLITS, np.random.SeedSequence(seed).spawn(len(SPLITS)), strict=True):
            for_states, for_inputs = (np.random.default_rng(child) for child in stream.spawn(2))
            n = counts[split]
            x0 = self.initial_states(n, rng=for_states, split=split)
            acting = self.inputs(n, steps, rng=for_inputs, split=split)
            splits[split] = self.simulate(x0, steps, acting) if n else None
        return splits, []

    def parameters(self) -> dict[str, Any]:
        """The physical parameters by name, dt among them."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}

    def content_key(self) -> str:
        """Digest of what determines the data beside the parameters; empty for an equation."""
        return ""

    def check_states(self, x0: Array, steps: int) -> Array:
        """x0 as a finite float64 array (N, D); ValueError otherwise, or when steps is negative."""
        x = np.asarray(x0, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.state_dim:
            raise ValueError(f"{self.key()}: x0 must have shape (N, {self.state_dim}), got {x.shape}")
        if not np.isfinite(x).all():
            row = int(np.argwhere(~np.isfinite(x).all(axis=1))[0, 0])
            raise ValueError(f"{self.key()}: x0 must be finite, but row {row} is {x[row]}")
        if steps < 0 or int(steps) != steps:
            raise ValueError(f"{self.key()}: steps must be a non-negative integer, got {steps!r}")
        return x


@dataclass(frozen=True, kw_only=True)
class FlowTask(Task):
    """A task given by an ordinary differential equation ẋ = f(t, x)."""

    @abstractmethod
    def vector_field(self, t: float, x: Array) -> Array:
        """Right-hand side f(t, x), (..., D) -> (..., D)."""

    def jacobian(self, t: float, x: Array) -> Array | None:  # noqa: ARG002
        """∂f/∂x, (..., D) -> (..., D, D), or None where no simple form exists."""
        return None

    def simulate(self, x0: Array, steps: int, inputs: Array | None = None) -> Trajectories:
        """Integrate with DOP853 at tight tolerances; see `ddl_dyn.tasks.integrators.integrate`."""
        x = self.check_states(x0, steps)
        times = self.times(steps)
        return Trajectories(times=times, states=integrate(self.vector_field, x, times), inputs=inputs)  # type: ignore[arg-type]

    def second_solution(self, x0: Array, steps: int, inputs: Array | None = None) -> Array:  # noqa: ARG002
        """The same flow at a hundredth of the tolerance."""
        x = self.check_states(x0, steps)
        return integrate(self.vector_field, x, self.times(steps), rtol=1e-12, atol=1e-14)


@dataclass(frozen=True, kw_only=True)
class MapTask(Task):
    """A task given by a map x⁺ = Φ(x)."""

    dt: float = 1.0

    @abstractmethod
    def next_state(self, x: Array) -> Array:
        """Φ(x), (..., D) -> (..., D)."""

    def jacobian(self, x: Array) -> Array | None:  # noqa: ARG002
        """∂Φ/∂x, (..., D) -> (..., D, D), or None where no simple form exists."""
        return None

    def simulate(self, x0: Array, steps: int, inputs: Array | None = None) -> Trajectories:
        """Iterate the map."""
        x = self.check_states(x0, steps)
        times = self.times(steps)
        return Trajectories(times=times, states=iterate(self.next_state, x, steps), inputs=inputs)  # type: ignore[arg-type]

    def second_solution(self, x0: Array, steps: int, inputs: Array | None = None) -> Array:  # noqa: ARG002
        """The same orbit in extended precision where the platform and the map have it, else one rounding error away."""
        x = self.check_states(x0, steps)
        wide: Any = x.astype(np.longdouble)
        if np.finfo(np.longdouble).eps == np.finfo(float).eps or self.next_state(wide).dtype != np.longdouble:
            return iterate(self.next_state, np.nextafter(x, np.inf), steps)
        return iterate(self.next_state, wide, steps).astype(np.float64)
