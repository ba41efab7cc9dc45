"""What a task is: a dynamical system with its facts, its initial states and its time step.

Axes: N trajectories, T steps, D state components, U input components.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Split = Literal["train", "val", "test", "ood"]
Obstruction = Literal["none", "orientation_reversing", "non_injective", "isolated_cycle", "one_dimensional_nonmonotone"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True, kw_only=True)
class Trajectories:
    """A batch of trajectories sampled at common times.

    Args:
        times: (T+1,), strictly increasing, in the task's unit of time.
        states: (N, T+1, D), float64; states[:, 0] is the initial state.
        inputs: (N, T, U), what acts during step t: tokens (one-hot) or parameters held constant. None means U = 0.
    Raises:
        ValueError: when the shapes disagree.
    """

    times: Array
    states: Array
    inputs: Array = None  # type: ignore[assignment]  # replaced by a zero-width array below

    def __post_init__(self) -> None:
        if self.states.ndim != 3:
            raise ValueError(f"states must have shape (N, T+1, D), got {self.states.shape}")
        n, length, _ = self.states.shape
        if self.times.shape != (length,):
            raise ValueError(f"times must have shape ({length},) to match states, got {self.times.shape}")
        if self.inputs is None:
            object.__setattr__(self, "inputs", np.zeros((n, length - 1, 0)))
        if self.inputs.ndim != 3 or self.inputs.shape[:2] != (n, length - 1):
            raise ValueError(f"inputs must have shape ({n}, {length - 1}, U), got {self.inputs.shape}")

    @property
    def steps(self) -> int:
        """Number of steps T (one less than the number of samples)."""
        return self.states.shape[1] - 1

    def __len__(self) -> int:
        return self.states.shape[0]

    def replace(self, **changes: Any) -> Trajectories:
        """A copy with some arrays replaced."""
        return dataclasses.replace(self, **changes)


def join(x: Array, *parts: Any) -> Array:
    """Components side by side in an array like x, (..., D); unlike np.stack it keeps the memory order of x."""
    out = np.empty_like(x)
    for i, part in enumerate(parts):
        out[..., i] = part
    return out


def parameter(
    default: Any, *, low: float | None = None, high: float | None = None, open_low: bool = False, doc: str = ""
) -> Any:
    """A dataclass field for a physical parameter with its admissible range [low, high] (or (low, high])."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "open_low": open_low, "doc": doc})


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
    # "categorical": the state is a one-hot code and is scored by its largest component.
    state_kind: ClassVar[Literal["continuous", "categorical"]] = "continuous"
    time_unit: ClassVar[str] = "time"
    # True where the states were recorded, not computed: then the data are the truth at every step.
    recorded: ClassVar[bool] = False
    # Why observation noise cannot be added to this task; empty where it can.
    noise_reason: ClassVar[str] = ""

    dt: float

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            self._check(field)

    def _check(self, field: dataclasses.Field[Any]) -> None:
        value, low, high = getattr(self, field.name), field.metadata.get("low"), field.metadata.get("high")
        if field.name == "dt":
            low, field_open = 0.0, True
        else:
            field_open = bool(field.metadata.get("open_low"))
        kind = str(field.type)
        for plain, word in ((str, "str"), (type(None), "None"), (tuple, "tuple")):
            if isinstance(value, plain) and word in kind:
                return
        # Arrays are allowed: a parameter may differ from trajectory to trajectory.
        if isinstance(value, bool) or not np.issubdtype(np.asarray(value).dtype, np.number):
            if isinstance(value, bool) and "bool" in kind:
                return
            raise ValueError(f"{self.key()}: {field.name} must be a number, got {value!r}")
        if "int" in kind and "float" not in kind and not isinstance(value, (int, np.integer)):
            raise ValueError(f"{self.key()}: {field.name} must be an integer, got {value!r}")
        numbers = np.asarray(value, dtype=float)
        bad = ~np.isfinite(numbers)
        if low is not None:
            bad |= (numbers <= low) if field_open else (numbers < low)
        if high is not None:
            bad |= numbers > high
        if bad.any():
            left = "(" if field_open or low is None else "["
            lower = -math.inf if low is None else low
            upper = math.inf if high is None else high
            raise ValueError(
                f"{self.key()}: {field.name} must lie in {left}{lower:g}, {upper:g}{']' if high is not None else ')'}, "
                f"got {value!r}"
            )

    @classmethod
    def key(cls) -> str:
        """Registry key: the snake_case form of the class name."""
        out = []
        for i, c in enumerate(cls.__name__):
            if c.isupper() and i and not (cls.__name__[i - 1].isupper()):
                out.append("_")
            out.append(c.lower())
        return "".join(out)

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
        """Whether observation noise means anything here."""
        return self.state_kind == "continuous" and not self.noise_reason

    @property
    @abstractmethod
    def timescale(self) -> float:
        """Period, relaxation time or Lyapunov time, in the task's unit of time."""

    @abstractmethod
    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Draw n initial states, (n, D); the first n of 2n are the n, and train and ood supports are disjoint."""

    @abstractmethod
    def simulate(self, x0: Array, steps: int, inputs: Array | None = None) -> Trajectories:
        """Reference trajectories from x0 (N, D) over `steps` sampling steps."""

    def inputs(self, n: int, steps: int, *, rng: np.random.Generator, split: Split) -> Array:  # noqa: ARG002
        """Draw what acts on the system, (n, steps, U); zero width for an autonomous system."""
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
        """The states computed a second way, (N, steps+1, D); where the two part, neither is truth.

        Here: the same simulation from states one rounding error away; flows and maps have something better.
        """
        return self.simulate(np.nextafter(x0, np.inf), steps, inputs).states

    def make_splits(
        self, counts: dict[Split, int], steps: int, *, seed: int
    ) -> tuple[dict[Split, Trajectories | None], list[str]]:
        """Clean trajectories of every split (None for a count of 0), each from streams of its own, and notes."""
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
        """What else than the parameters determines the data, as a short string; empty for an equation."""
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
        from ddl_dyn.tasks.integrators import integrate

        x = self.check_states(x0, steps)
        times = self.times(steps)
        return Trajectories(times=times, states=integrate(self.vector_field, x, times), inputs=inputs)  # type: ignore[arg-type]

    def second_solution(self, x0: Array, steps: int, inputs: Array | None = None) -> Array:  # noqa: ARG002
        """The same flow at a hundredth of the tolerance."""
        from ddl_dyn.tasks.integrators import integrate

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
        from ddl_dyn.tasks.integrators import iterate

        x = self.check_states(x0, steps)
        times = self.times(steps)
        return Trajectories(times=times, states=iterate(self.next_state, x, steps), inputs=inputs)  # type: ignore[arg-type]

    def second_solution(self, x0: Array, steps: int, inputs: Array | None = None) -> Array:  # noqa: ARG002
        """The same orbit in extended precision where the platform and the map have it, else one rounding error away."""
        from ddl_dyn.tasks.integrators import iterate

        x = self.check_states(x0, steps)
        wide: Any = x.astype(np.longdouble)
        if np.finfo(np.longdouble).eps == np.finfo(float).eps or self.next_state(wide).dtype != np.longdouble:
            return iterate(self.next_state, np.nextafter(x, np.inf), steps)
        return iterate(self.next_state, wide, steps).astype(np.float64)
