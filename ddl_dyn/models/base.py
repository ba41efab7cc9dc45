"""Base class of step models: lift, step, read, trace, and the free run of a stack as a dynamical system.

Axes: B batch, D observed state, U inputs, H latent state, L layers. A model is one replica and knows nothing of R.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from pydantic import Field
from torch import Tensor, nn

from ddl_dyn.config.sections import ModelConfig
from ddl_dyn.models.errors import CannotCompileError
from ddl_dyn.models.runge_kutta import Solver


class ReplicaCall(Protocol):
    """A model's method called for all replicas at once: call("field", h, u) maps over the leading axis R."""

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """Stacked parameters (R, …), for gradients that a solver must be told about."""

    def only(self, r: int) -> ReplicaCall:
        """The call for replica r alone, its leading axis kept, of length 1."""

    def __call__(self, name: str, *args: object) -> Tensor:
        """Result of the method, (R, …)."""


@runtime_checkable
class Traced(Protocol):
    """Layer with a record of its internal quantities."""

    def trace(self, h: Tensor, u: Tensor) -> dict[str, Tensor]:
        """Name -> (B, …)."""


class ResidualConfig(ModelConfig):
    """Options of models whose latent state is a vector of `latent_dim` (None: the state's own, or 8 under a lift)."""

    latent_dim: int | None = Field(default=None, ge=1, le=65_536)


class StepModel(nn.Module, ABC):
    """A learned step of a discrete dynamical system: x_{t+1} from x_t, one sampling interval dt later.

    A subclass states its `Config`, `equation` and `source`, says in `latent_size` how large its latent state is, and
    builds one layer in `make_layer`: a module that maps (h, u) to h. Everything else is common to all models.

    Args:
        state_dim: D, number of observed components.
        config: the model's options.
        input_dim: U, number of input components; 0 for an autonomous system.
        dt: sampling interval, in the task's unit of time.
    Raises:
        ValueError: when the options contradict each other.
    """

    Config: ClassVar[type[ModelConfig]]
    equation: ClassVar[str]
    source: ClassVar[str]
    # Class of maps that theory may assume: see ddl_dyn.analysis.theory.
    dynamics: ClassVar[Literal["map", "flow", "invertible", "recurrent", "floor", "oracle"]] = "map"
    # True where the step follows from the training data in closed form, by `solve`, and nothing is optimised.
    closed_form: ClassVar[bool] = False
    # False where an untrained step is not (nearly) the identity map.
    identity_start: ClassVar[bool] = True
    # True where the replicas must be stepped as one tensor: a solver with adaptive steps, or code outside torch.
    joint: bool = False

    def __init__(self, state_dim: int, config: ModelConfig, *, input_dim: int = 0, dt: float = 1.0) -> None:
        super().__init__()
        if state_dim < 1:
            raise ValueError(f"state_dim must be a positive integer, got {state_dim}")
        self.state_dim, self.input_dim, self.dt, self.config = state_dim, input_dim, dt, config
        self.latent_dim = self.latent_size()
        if config.lift == "identity":
            if self.latent_dim != state_dim:
                raise ValueError(
                    f"lift=identity needs a latent state of the task's own {state_dim} components, but the options "
                    f"give {self.latent_dim}; drop latent_dim and value_dim or use lift=linear"
                )
            self.lift_map: nn.Module = nn.Identity()
            self.read_map: nn.Module = nn.Identity()
        else:
            self.lift_map, self.read_map = linear_lift(state_dim, self.latent_dim)
        self.layers = nn.ModuleList(self.make_layer() for _ in range(config.layers))
        if config.reencode and config.lift == "identity" and self.carried_dim == state_dim:
            raise ValueError(
                f"reencode = {config.reencode} changes nothing where lift=identity makes every latent state its own "
                "lift; drop reencode or use lift=linear"
            )
        if config.decay:
            logit = math.log(config.reencode / (1.0 - config.reencode))
            self.decay_logit = nn.Parameter(torch.full((1,), logit))

    def latent_size(self) -> int:
        """Number of latent components H; called before the layers are made."""
        chosen: int | None = getattr(self.config, "latent_dim", None)
        if chosen is not None:
            return chosen
        return self.state_dim if self.config.lift == "identity" else 8

    @property
    def claim(self) -> str:
        """Class of maps for which theory makes its claims: one of those of `dynamics`."""
        return self.dynamics

    @property
    def carried_dim(self) -> int:
        """Number of components of a lifted state: H, and what `lift` adds to it."""
        return self.latent_dim

    @abstractmethod
    def make_layer(self) -> nn.Module:
        """One layer: a module mapping (h (B, H), u (B, U)) to h (B, H)."""

    def lift(self, x: Tensor) -> Tensor:
        """Observed state to latent state, (B, D) -> (B, H)."""
        h: Tensor = self.lift_map(x)
        return h

    def read(self, h: Tensor) -> Tensor:
        """Latent state to observed state, (B, H) -> (B, D)."""
        x: Tensor = self.read_map(h)
        return x

    def step(self, h: Tensor, l: int, u: Tensor) -> Tensor:
        """One sampling interval.

        Args:
            h: (B, H).   l: time index.   u: (B, U).
        Returns:
            (B, H).
        """
        for layer in self.layers_at(l):
            h = layer(h, u)
        return h

    def reencode(self, h: Tensor) -> Tensor:
        """Latent state moved by the share μ towards the lift of its read-out, (B, H) -> (B, H)."""
        share = torch.sigmoid(self.decay_logit) if self.config.decay else self.config.reencode
        return h + share * (self.lift(self.read(h)) - h)

    def assimilate(self, h: Tensor, x: Tensor) -> Tensor:
        """Latent state with its observed part replaced by x and the rest kept, (B, H) and (B, D) -> (B, H)."""
        return h + self.lift(x) - self.lift(self.read(h))

    def transition(self, s: Tensor, l: int, u: Tensor) -> tuple[Tensor, Tensor]:
        """One step of a free run.

        Args:
            s: carried state, x (B, D) with carry="observed", h (B, H) with carry="latent".
            l: time index.   u: (B, U).
        Returns:
            The state carried on, and the one whose read-out is observed: they differ by re-encoding.
        """
        if self.config.carry == "observed":
            x = self.read(self.step(self.lift(s), l, u))
            return x, x
        h = self.step(s, l, u)
        return (self.reencode(h) if self.config.reencode else h), h

    def advance(self, s: Tensor, l: int, u: Tensor) -> Tensor:
        """One step of the carried state.

        Args:
            s: x (B, D) with carry="observed", h (B, H) with carry="latent".   l: time index.   u: (B, U).
        Returns:
            Of the shape of s.
        """
        return self.transition(s, l, u)[0]

    def unroll(self, x0: Tensor, inputs: Tensor) -> Tensor:
        """Free run from x0 (B, D) under inputs (B, T, U): the observed states (B, T, D) after each step."""
        latent = self.config.carry == "latent"
        s, out = (self.lift(x0) if latent else x0), []
        for l in range(inputs.shape[-2]):
            s, seen = self.transition(s, l, inputs[:, l])
            out.append(seen)
        states = torch.stack(out, dim=1)
        # One read-out for all steps; `read` maps (B, H), so its batch holds them.
        return self.read(states.flatten(0, 1)).unflatten(0, states.shape[:2]) if latent else states

    def trace(self, h: Tensor, l: int, u: Tensor) -> dict[str, Tensor]:
        """Internal quantities of one step, layer by layer.

        Args:
            h: (B, H).   l: time index.   u: (B, U).
        Returns:
            name -> (layers, B, …); empty where a layer is not `Traced`.
        """
        rows: list[dict[str, Tensor]] = []
        for layer in self.layers_at(l):
            if not isinstance(layer, Traced):
                return {}
            rows.append(layer.trace(h, u))
            h = layer(h, u)
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def layers_at(self, l: int) -> Sequence[nn.Module]:
        """The layers that act at time index l: all of them when tied, layer l alone when untied."""
        if self.config.sharing == "tied":
            return list(self.layers)
        if not 0 <= l < len(self.layers):
            raise ValueError(
                f"an untied stack of {len(self.layers)} layers has steps 0 to {len(self.layers) - 1}, but step {l} was "
                f"asked for; use at most {len(self.layers)} steps, more layers, or sharing=tied"
            )
        return [self.layers[l]]

    def step_replicas(self, call: ReplicaCall, h: Tensor, l: int, u: Tensor) -> Tensor:
        """Step of all replicas at once; overridden by `joint` models.

        Args:
            call: maps a method over the replicas.   h: (R, B, H).   l: time index.   u: (R, B, U).
        Returns:
            (R, B, H).
        """
        return call("step", h, l, u)

    def transition_replicas(self, call: ReplicaCall, s: Tensor, l: int, u: Tensor) -> tuple[Tensor, Tensor]:
        """`transition` of all replicas of a `joint` model.

        Args:
            call: maps a method over the replicas.   s: (R, B, D) or (R, B, H).   l: time index.   u: (R, B, U).
        Returns:
            Two tensors of the shape of s.
        """
        if self.config.carry == "observed":
            x = call("read", self.step_replicas(call, call("lift", s), l, u))
            return x, x
        h = self.step_replicas(call, s, l, u)
        return (call("reencode", h) if self.config.reencode else h), h

    def follow(self, call: ReplicaCall, h: Tensor, inputs: Tensor) -> Tensor | None:  # noqa: ARG002
        """Latent states of a whole free run of a `joint` model in one piece.

        Args:
            call: maps a method over the replicas.   h: (R, B, H), at the start.   inputs: (R, B, T, U).
        Returns:
            (R, B, T, H); None where the run has to be made step by step.
        """
        return None

    def solver(self) -> Solver:
        """Adaptive solver of the compiled free runs of a `joint` model, along the flow of its `slope`.

        Raises:
            CannotCompileError: when a free run is not one solve.
        """
        raise CannotCompileError("its step holds control flow that depends on numbers")

    def slope(self, h: Tensor, time: Tensor) -> Tensor:
        """Vector field dh/dt of a model that has a `solver`, at h (B, H) and times (B, 1) in steps since the start."""
        raise NotImplementedError

    def count(self, steps: int, solves: Tensor) -> None:
        """Hook after a compiled free run, which the model's own counters cannot see.

        Args:
            steps: T.   solves: (R, 2), of a `solver`: evaluations, and steps that it gave up on.
        """

    @property
    def max_steps(self) -> int | None:
        """Longest free run the stack can make (None: no limit)."""
        return len(self.layers) if self.config.sharing == "untied" else None


def linear_lift(state_dim: int, latent_dim: int) -> tuple[nn.Linear, nn.Linear]:
    """Lift and read-out that undo each other at the start, so that a stack starting as the identity stays one."""
    lift, read = nn.Linear(state_dim, latent_dim), nn.Linear(latent_dim, state_dim)
    with torch.no_grad():
        nn.init.orthogonal_(lift.weight)
        # Of an orthogonal matrix, or a part of its rows or columns, the pseudo-inverse is the transpose.
        read.weight.copy_(lift.weight.T)
        lift.bias.zero_()
        read.bias.zero_()
    return lift, read
