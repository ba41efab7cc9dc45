"""R independently seeded copies of a model, stacked and run as one computation.

Axes: R replicas, B batch, D observed state, U inputs, H latent state.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.func import stack_module_state
from torch.utils.checkpoint import checkpoint

from ddl_dyn.engine import kernels
from ddl_dyn.engine.compile import compile_free_run
from ddl_dyn.engine.cpp import CannotCompileError, FreeRun, NoCompilerError
from ddl_dyn.engine.losses import Loss, mean_loss
from ddl_dyn.engine.replica_map import Method, ReplicaMap
from ddl_dyn.models.base import StepModel

Result = TypeVar("Result")


class Replicas:
    """R copies of a model that differ in their seed, advanced together; each as if it were alone.

    Args:
        build: makes one model from the global torch generator, which is set to each seed in turn and restored.
        seeds: R distinct non-negative integers.
        data_sets: (R,), number of the data set that each replica is trained on; None for one that all share.
    Raises:
        ValueError: when there is no seed, or a seed is repeated or negative, or data sets are not one a seed.
    Example:
        >>> Replicas(lambda: make_model("ddl", state_dim=2), seeds=range(3)).size
        3
    """

    def __init__(
        self, build: Callable[[], StepModel], seeds: Sequence[int], data_sets: Sequence[int] | None = None
    ) -> None:
        self.seeds = tuple(int(s) for s in seeds)
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds must be at least one distinct non-negative integer, got {list(seeds)}")
        self.data_sets = (0,) * self.size if data_sets is None else tuple(int(g) for g in data_sets)
        if len(self.data_sets) != self.size or min(self.data_sets) < 0:
            raise ValueError(f"data_sets must be {self.size} numbers from 0 on, one a seed, got {list(self.data_sets)}")
        models = []
        with torch.random.fork_rng(devices=[]):
            for seed in self.seeds:
                torch.manual_seed(seed)
                models.append(build())
        parameters, buffers = stack_module_state(models)
        self._trainable = tuple(parameters)
        self._state = {f"model.{name}": t for name, t in (parameters | buffers).items()}
        self._pack()
        # The template only lends its methods: on "meta" it can hold no numbers that could be used by mistake.
        self.template = models[0]
        self._method = Method(copy.deepcopy(models[0]).to("meta"))
        for p in self._method.parameters():
            p.requires_grad_(False)
        self._slots = self._method.slots()
        self._compiled: FreeRun | None = None
        # Whether a free run keeps only the states at √T times for its gradient and makes the steps between them again.
        self.checkpointing = False
        self.why_eager = ""

    @property
    def size(self) -> int:
        """Number of replicas R."""
        return len(self.seeds)

    @property
    def model_on_call(self) -> StepModel:
        """The module whose methods run (it keeps counters such as a solver's function evaluations)."""
        return self._method.model

    @property
    def call(self) -> ReplicaMap:
        """Maps a method of the model over the replicas."""
        return ReplicaMap(self._method, self._state, self._slots)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Trainable tensors by name, each (R, …)."""
        return {name: self._state[f"model.{name}"] for name in self._trainable}

    def _pack(self) -> None:
        """Lay all parameters of a replica side by side in one piece of memory, which an optimiser updates at once."""
        names = [f"model.{name}" for name in self._trainable]
        rows = [self._state[name].detach().flatten(1) for name in names]
        self.flat = torch.cat(rows, dim=1) if rows else torch.zeros(self.size, 0)
        for name, part in zip(names, self.flat.split([row.shape[1] for row in rows], dim=1), strict=True):
            self._state[name] = part.view(self._state[name].shape).requires_grad_()

    @property
    def device(self) -> torch.device:
        """Where the replicas live."""
        return next(iter(self._state.values())).device if self._state else torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the parameters."""
        floating = (t.dtype for t in self._state.values() if t.is_floating_point())
        return next(floating, torch.get_default_dtype())

    @property
    def carry(self) -> str:
        """What a free run carries from step to step: "observed" or "latent"."""
        return self.template.config.carry

    @property
    def max_steps(self) -> int | None:
        """Longest free run (None: no limit)."""
        return self.template.max_steps

    def count_parameters(self) -> int:
        """Trainable numbers in one replica."""
        return sum(p.numel() for p in self.parameters.values()) // self.size

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Replicas:
        """Move all replicas in place; returns self."""
        for name, t in self._state.items():
            moved = t.detach().to(device=device, dtype=dtype if t.is_floating_point() else None)
            self._state[name] = moved.requires_grad_(t.requires_grad)
        self._compiled = None
        self._pack()
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """Name -> (R, …), detached copies of all parameters and buffers."""
        return {name.removeprefix("model."): t.detach().clone() for name, t in self._state.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Copy values in place.

        Raises:
            ValueError: when names or shapes differ.
        """
        expected = {name.removeprefix("model."): t for name, t in self._state.items()}
        if state.keys() != expected.keys():
            raise ValueError(f"checkpoint does not fit: names differ in {sorted(state.keys() ^ expected.keys())}")
        for name, t in expected.items():
            if state[name].shape != t.shape:
                raise ValueError(f"{name} must have shape {tuple(t.shape)}, got {tuple(state[name].shape)}")
        with torch.no_grad():
            for name, t in expected.items():
                t.copy_(state[name])

    def select(self, rows: Sequence[int]) -> Replicas:
        """New replicas with copies of the parameters of these ones; a row may be taken more than once."""
        part = copy.copy(self)
        index = torch.as_tensor(list(rows), device=self.device)
        part.seeds = tuple(self.seeds[r] for r in rows)
        part.data_sets = tuple(self.data_sets[r] for r in rows)
        part._state = {n: t.detach()[index].requires_grad_(t.requires_grad) for n, t in self._state.items()}
        part._pack()
        return part

    def model(self, r: int) -> StepModel:
        """Replica r as an ordinary module with a copy of its weights."""
        one = copy.deepcopy(self.template).to(device=self.device, dtype=self.dtype)
        one.load_state_dict({name: t[r] for name, t in self.state_dict().items()})
        return one

    def each(self, x: Tensor) -> Tensor:
        """(B, D), the same for every replica, or (R, B, D) -> (R, B, D)."""
        return x.expand(self.size, *x.shape) if x.ndim == 2 else x

    def lift(self, x: Tensor) -> Tensor:
        """(R, B, D) -> (R, B, H)."""
        return self.call("lift", x)

    def read(self, h: Tensor) -> Tensor:
        """(R, B, H) -> (R, B, D)."""
        return self.call("read", h)

    def step(self, h: Tensor, l: int, u: Tensor) -> Tensor:
        """(R, B, H), time index l, (R, B, U) -> (R, B, H)."""
        if self._method.model.joint:
            return self._method.model.step_replicas(self.call, h, l, u)
        return self.call("step", h, l, u)

    def trace(self, h: Tensor, l: int, u: Tensor) -> dict[str, Tensor]:
        """Name -> (R, layers, B, …), what happened inside one step."""
        return self.call("trace", h, l, u)

    def unroll(self, x0: Tensor, inputs: Tensor) -> Tensor:
        """Free run from x0 (R, B, D) under inputs (R, B, T, U): the observed states (R, B, T, D) after each step."""
        if kernels.usable(self.template, self.device, self.dtype):
            return kernels.unroll(self.template, self.parameters, x0, inputs.shape[-2])
        if self._compiled is not None and not torch.is_grad_enabled():
            return self._counted(self._compiled.states(x0, inputs, list(self._state.values())), inputs)
        if self.checkpointing and torch.is_grad_enabled():
            return self._unroll_in_segments(x0, inputs)
        if not self._method.model.joint:
            # Mapped as a whole: the parameters are put in place once a run, not once a step.
            return self.call("unroll", x0, inputs)
        latent = self.carry == "latent"
        s, out = self._start(x0), []
        states = self._method.model.follow(self.call, s, inputs) if latent else None
        if states is None:
            for l in range(inputs.shape[-2]):
                s, seen = self.transition(s, l, inputs[..., l, :])
                out.append(seen)
            states = torch.stack(out, dim=-2)
        return self.read(states.flatten(1, 2)).unflatten(1, states.shape[1:3]) if latent else states

    def loss(self, kind: Loss, x0: Tensor, inputs: Tensor, target: Tensor) -> Tensor:
        """Loss (R,) of the free run from x0 (R, B, D) under inputs (R, B, T, U) against target (R, B, T, D).

        Where free runs are compiled, loss and gradient come out of one sweep over time and back.
        """
        if self._compiled is None or not torch.is_grad_enabled():
            return mean_loss(kind, self.unroll(x0, inputs), target)
        loss = self._compiled.loss(kind, x0, inputs, target, *self._compiled_step(inputs))
        return self._counted(loss, inputs)

    def loss_and_gradient(self, kind: Loss, x0: Tensor, inputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """`loss`, and the gradient (R, P) of each replica's loss by its parameters, in the order of `flat`."""
        run = self._compiled
        acts = run is not None and run.captured.prologue is None and run.source.gradient == self.flat.shape[1]
        if run is not None and acts:
            # Every parameter acts, and as it is: nothing is left for autograd to do.
            return self._counted(run.loss_and_gradient(kind, x0, inputs, target, *self._compiled_step(inputs)), inputs)
        loss = self.loss(kind, x0, inputs, target)
        params = list(self.parameters.values())
        # Replicas share no parameter, so the gradient of the sum is each one's own.
        grads = torch.autograd.grad(loss.sum(), params, allow_unused=True)
        rows = [torch.zeros_like(p) if g is None else g for p, g in zip(params, grads, strict=True)]
        return loss.detach(), torch.cat([g.flatten(1) for g in rows], dim=1)

    def _compiled_step(self, inputs: Tensor) -> tuple[list[Tensor], int]:
        """Parameters and buffers, and the steps between kept states, for a compiled free run."""
        steps = inputs.shape[-2]
        return list(self._state.values()), math.isqrt(steps - 1) + 1 if self.checkpointing and steps else 0

    def _counted(self, result: Result, inputs: Tensor) -> Result:
        """What a compiled free run gave, once the model has been told of it."""
        assert self._compiled is not None
        self._method.model.count(inputs.shape[-2], self._compiled.counts)
        return result

    def _start(self, x0: Tensor) -> Tensor:
        """What a free run carries at its start."""
        return self.lift(x0) if self.carry == "latent" else x0

    def _unroll_in_segments(self, x0: Tensor, inputs: Tensor) -> Tensor:
        """The free run as √T pieces, each of which is run again when its gradient is asked for."""
        T = inputs.shape[-2]
        length = math.isqrt(T - 1) + 1 if T else 1
        latent = self.carry == "latent"

        def piece(s: Tensor, first: int) -> tuple[Tensor, Tensor]:
            out = []
            for l in range(first, min(first + length, T)):
                s, seen = self.transition(s, l, inputs[..., l, :])
                out.append(seen)
            states = torch.stack(out, dim=-2)
            return s, self.read(states.flatten(1, 2)).unflatten(1, states.shape[1:3]) if latent else states

        s, parts = self._start(x0), []
        for first in range(0, T, length):
            s, states = checkpoint(piece, s, first, use_reentrant=False)
            parts.append(states)
        return torch.cat(parts, dim=-2)

    def transition(self, s: Tensor, l: int, u: Tensor) -> tuple[Tensor, Tensor]:
        """One step of a free run: the state carried on, and the one whose read-out is observed.

        Args:
            s: (R, B, D) or (R, B, H), as `carry` says.   l: time index.   u: (R, B, U).
        """
        if self._method.model.joint:
            return self._method.model.transition_replicas(self.call, s, l, u)
        return self.call("transition", s, l, u)

    def advance(self, s: Tensor, l: int, u: Tensor) -> Tensor:
        """One step of what a free run carries: (R, B, D) or (R, B, H) -> the same."""
        return self.transition(s, l, u)[0]

    def compile(self) -> bool:
        """Compile free runs; where that cannot be done they run eagerly, and `why_eager` says why.

        Returns:
            Whether they run compiled. A missing compiler is worth a warning, a step that cannot be compiled is not.
        """
        if self._compiled is None:
            try:
                self._compiled = compile_free_run(self.template, self._state)
            except CannotCompileError as error:
                self.why_eager = str(error)
            except NoCompilerError as error:
                self.why_eager = str(error)
                warnings.warn(f"free runs are not compiled: {error}", RuntimeWarning, stacklevel=2)
        return self._compiled is not None
