"""Continuous baselines, integrated with torchdiffeq. Axes: R replicas, B batch, H latent state, U inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torchdiffeq import odeint, odeint_adjoint

from ddl_dyn.models.base import ReplicaCall, ResidualConfig, StepModel
from ddl_dyn.models.branch import Branch, join
from ddl_dyn.models.errors import CannotCompileError
from ddl_dyn.models.runge_kutta import FIXED, STAGES, Rhs, Solver

ADAPTIVE = ("dopri5", "bosh3")
# A step that needs more attempts than this within one sampling interval has blown up.
MAX_ATTEMPTS = 1000
# A vector field along a solve: (time, state) -> its rate of change.


class NeuralODEConfig(ResidualConfig):
    """Options of the neural ODE.

    layers: successive vector fields, each acting for an equal share of the interval (1: an autonomous flow).
    solver: fixed-step "euler", "midpoint", "rk4" with `substeps` a layer; adaptive "bosh3", "dopri5". What torchdiffeq
        interpolates between the steps of "bosh3" misses its tolerances (by 9e-6 for ẏ = −y at 1e-8): prefer "dopri5".
    rtol, atol: tolerances of the adaptive solvers, in model units.
    adjoint: gradients by the continuous adjoint instead of through the solver.
    augment: zeros appended to the lifted state.
    second_order: the state is (q, p) with q̇ = p.
    time_dependent: the field also sees the time index.
    """

    layers: int = Field(default=1, ge=1, le=10_000)
    solver: Literal["euler", "midpoint", "rk4", "bosh3", "dopri5"] = "rk4"
    substeps: int = Field(default=1, ge=1, le=10_000)
    rtol: float = Field(default=1e-5, gt=0.0)
    atol: float = Field(default=1e-6, gt=0.0)
    adjoint: bool = False
    augment: int = Field(default=0, ge=0, le=4096)
    second_order: bool = False
    time_dependent: bool = False

    @model_validator(mode="after")
    def _substeps(self) -> NeuralODEConfig:
        if self.solver in ADAPTIVE and self.substeps != 1:
            raise ValueError(f"substeps belongs to fixed-step solvers; {self.solver} chooses its own (set rtol, atol)")
        return self


class NeuralODE(StepModel):
    """Neural ordinary differential equation: the step is the flow of a learned vector field over one interval.

    Fixed steps are written out here, adaptive ones and the adjoint are torchdiffeq's. Time inside a step runs from 0 to
    1, one sampling interval. `nfe` counts evaluations of the field since it was last set to zero; `failures` counts
    steps that the solver gave up on (their states are NaN).

    A compiled free run makes the adaptive solve that torchdiffeq would make for one replica: each replica chooses its
    own steps, where eager ones share a solve whose error is the largest of theirs, and is lost from the interval on in
    which it gives up. Its gradient holds the size of all steps as it is, the first one's too.
    """

    Config = NeuralODEConfig
    config: NeuralODEConfig
    dynamics = "flow"
    equation = "ḣ = F(h),  h⁺ = h + ∫₀¹ F(h(s)) ds"
    source = (
        "Chen et al. (2018), Neural ODEs, arXiv 1806.07366; augmented: Dupont et al. (2019), arXiv 1904.01681; "
        "second order: Norcliffe et al. (2020), arXiv 2006.07220"
    )

    def __init__(self, state_dim: int, config: NeuralODEConfig, *, input_dim: int = 0, dt: float = 1.0) -> None:
        super().__init__(state_dim, config, input_dim=input_dim, dt=dt)
        self.nfe = 0
        self.failures = 0
        # torchdiffeq fills tensors in place, which cannot be mapped, and its error norm must see all replicas.
        self.joint = self.adaptive or config.adjoint

    @property
    def carried_dim(self) -> int:
        """H and the zeros appended to it."""
        return self.latent_dim + self.config.augment

    def make_layer(self) -> nn.Module:
        """One vector field."""
        size = self.carried_dim
        if self.config.second_order and size % 2:
            raise ValueError(f"second_order needs an even number of latent components, got {size}; set augment=1")
        out = size // 2 if self.config.second_order else size
        inputs = size + self.input_dim + int(self.config.time_dependent)
        return Branch(inputs, self.config.hidden_dim, out)

    def lift(self, x: Tensor) -> Tensor:
        """Observed state to augmented latent state, (B, D) -> (B, H + augment)."""
        h: Tensor = self.lift_map(x)
        if self.config.augment:
            h = torch.cat((h, h.new_zeros(*h.shape[:-1], self.config.augment)), dim=-1)
        return h

    def read(self, h: Tensor) -> Tensor:
        """Augmented latent state to observed state, (B, H + augment) -> (B, D)."""
        x: Tensor = self.read_map(h[..., : self.latent_dim])
        return x

    def field(self, h: Tensor, u: Tensor, layer: int, time: Tensor | float) -> Tensor:
        """Vector field F of one layer, per sampling interval.

        Args:
            h: (B, H).   u: (B, U).   layer: index.   time: scalar, seen by a field that is `time_dependent`.
        Returns:
            (B, H).
        """
        context = join(h, u)
        if self.config.time_dependent:
            # A number of the host's is filled in, not copied: a copy would make an update wait.
            time = time.to(context) if isinstance(time, Tensor) else context.new_full((), time)
            context = torch.cat((context, time.expand(*context.shape[:-1], 1)), dim=-1)
        out = self.layers[layer](context)
        return torch.cat((h[..., h.shape[-1] // 2 :], out), dim=-1) if self.config.second_order else out

    def step(self, h: Tensor, l: int, u: Tensor) -> Tensor:
        """Flow over one sampling interval; a solver that fails gives NaN.

        Args:
            h: (B, H).   l: time index.   u: (B, U).
        Returns:
            (B, H).
        """
        return self._flow(self.field, tuple(self.parameters()), h, l, u)

    def step_replicas(self, call: ReplicaCall, h: Tensor, l: int, u: Tensor) -> Tensor:
        """Flow of all replicas in one solve; replicas that break the common solve are solved alone.

        Args:
            call: maps a method over the replicas.   h: (R, B, H).   l: time index.   u: (R, B, U).
        Returns:
            (R, B, H).
        """
        out = self._flow(lambda *a: call("field", *a), call.parameters, h, l, u)
        if not self.adaptive or bool(torch.isfinite(out).all()) or h.shape[0] == 1:
            return out
        rows = []
        for r in range(h.shape[0]):
            one = call.only(r)
            rows.append(self._flow(lambda *a, one=one: one("field", *a), one.parameters, h[r : r + 1], l, u[r : r + 1]))
        return torch.cat(rows)

    def follow(self, call: ReplicaCall, h: Tensor, inputs: Tensor) -> Tensor | None:
        """Free run as one solve, where one smooth field acts from its start to its end.

        Args:
            call: maps a method over the replicas.   h: (R, B, H), at the start.   inputs: (R, B, T, U).
        Returns:
            (R, B, T, H); None where the solve fails, so that each step's own can tell the replica and the step.
        """
        one = self.config.sharing == "tied" and len(self.layers) == 1 and not (self.input_dim or self.config.reencode)
        if not self.adaptive or not one:
            return None
        u, steps = inputs[..., 0, :], inputs.shape[-2]
        times = torch.arange(steps + 1, dtype=h.dtype, device=h.device)
        params = call.parameters
        try:
            run = self._integrate(lambda t, y: call("field", y, u, 0, t), params, h, times)
        except AssertionError:
            return None
        return run[1:].movedim(0, -2) if bool(torch.isfinite(run).all()) else None

    def solver(self) -> Solver:
        """The adaptive solver of a whole free run, under the conditions of `follow`."""
        config = self.config
        if config.adjoint:
            raise CannotCompileError("the continuous adjoint is integrated by torchdiffeq")
        one = config.sharing == "tied" and len(self.layers) == 1 and not (self.input_dim or config.reencode)
        if config.carry != "latent" or not one:
            why = "its solver starts anew at each step, with control flow that depends on numbers"
            needs = "carry=latent without reencode, one tied layer and no inputs"
            raise CannotCompileError(f"{why}; {needs} make a free run one solve")
        return Solver(config.solver, config.rtol, config.atol, MAX_ATTEMPTS)

    def slope(self, h: Tensor, time: Tensor) -> Tensor:
        """The one field of such a free run."""
        return self.field(h, h[..., :0], 0, time[0, 0])

    def count(self, steps: int, solves: Tensor) -> None:
        """Add the evaluations of steps that ran compiled: fixed steps have a fixed number; of replicas that choose
        their own, which run side by side, the one that needed most counts.
        """
        if self.adaptive:
            self.nfe += int(solves[:, 0].max())
            self.failures += int(solves[:, 1].sum())
            return
        self.nfe += steps * len(self.layers) * self.config.substeps * STAGES[self.config.solver]

    @property
    def adaptive(self) -> bool:
        """True where the solver chooses its own steps."""
        return self.config.solver in ADAPTIVE

    def _flow(self, field: Callable[..., Tensor], params: tuple[Tensor, ...], h: Tensor, l: int, u: Tensor) -> Tensor:
        """Integrate h over one sampling interval, layer after layer."""
        indices = range(len(self.layers)) if self.config.sharing == "tied" else [self._index(l)]
        for i in indices:
            h = self._solve(lambda t, y, i=i: field(y, u, i, self._time(l, t)), params, h, 1.0 / len(indices))
        return h

    def _time(self, l: int, t: Any) -> Any:
        """Time since the free run began, where the field sees it."""
        return l + t if self.config.time_dependent else t

    def _index(self, l: int) -> int:
        self.layers_at(l)  # raises where the stack has no such layer
        return l

    def _solve(self, rhs: Callable[..., Tensor], params: tuple[Tensor, ...], h: Tensor, span: float) -> Tensor:
        if not self.joint:
            size = span / self.config.substeps
            for i in range(self.config.substeps):
                h = FIXED[self.config.solver](self._counted(rhs), i * size, h, size)
            return h
        points = 2 if self.adaptive else self.config.substeps + 1
        times = torch.linspace(0.0, span, points, dtype=h.dtype, device=h.device)
        try:
            return self._integrate(rhs, params, h, times)[-1]
        except AssertionError:
            # torchdiffeq asserts when the step size underflows or the attempts run out: data, not a crash.
            self.failures += 1
            return h * torch.nan

    def _integrate(self, rhs: Rhs, params: tuple[Tensor, ...], h: Tensor, times: Tensor) -> Tensor:
        """torchdiffeq's states at the given times, the first of which is the start: (len(times), …, H)."""
        kwargs: dict[str, object] = {"method": self.config.solver}
        attempts = {"max_num_steps": MAX_ATTEMPTS * (len(times) - 1)}
        if self.adaptive:
            kwargs |= {"rtol": self.config.rtol, "atol": self.config.atol}
            kwargs["options"] = {"norm": replica_norm, **attempts}
        solved: Tensor
        if not self.config.adjoint:
            solved = odeint(self._counted(rhs), h, times, **kwargs)
            return solved
        if self.adaptive:
            kwargs["adjoint_options"] = {"norm": adjoint_norm, **attempts}
        solved = odeint_adjoint(_Field(self._counted(rhs)), h, times, adjoint_params=params, **kwargs)
        return solved

    def _counted(self, rhs: Rhs) -> Rhs:
        def counted(t: object, y: Tensor) -> Tensor:
            self.nfe += 1
            return rhs(t, y)

        return counted


def replica_norm(error: Tensor) -> Tensor:
    """Largest root mean square over replicas, (R, B, H) -> scalar; over the whole of one model's (B, H)."""
    return error.square().mean(dim=(-2, -1)).sqrt().max()


def adjoint_norm(parts: tuple[Tensor, ...]) -> Tensor:
    """The same of the state and its adjoint; the gradients need no control (Kidger et al. 2021, 2009.09457)."""
    return torch.maximum(replica_norm(parts[1]), replica_norm(parts[2]))


class _Field(nn.Module):
    """The adjoint wants a module; its parameters are given apart."""

    def __init__(self, rhs: Callable[..., Tensor]) -> None:
        super().__init__()
        self.rhs = rhs

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.rhs(t, y)
