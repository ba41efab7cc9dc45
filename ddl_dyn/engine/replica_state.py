"""Stacked parameters and buffers of R independently seeded copies of a model. Axis R: replicas."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor
from torch.func import stack_module_state

from ddl_dyn.config.notebook import html_table
from ddl_dyn.engine.cpp import FreeRun
from ddl_dyn.engine.replica_map import Method, ReplicaMap
from ddl_dyn.engine.threads import available_threads
from ddl_dyn.models.base import StepModel


class ReplicaState:
    """Parameters and buffers of R copies of a model that differ in their seed.

    Args:
        build: makes one model from the global torch generator, which is set to each seed in turn and restored.
        seeds: R distinct non-negative integers.
        data_sets: (R,), number of the data set that each replica is trained on; None for one that all share.
    Raises:
        ValueError: when there is no seed, or a seed is repeated or negative, or data sets are not one a seed.
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
        # True keeps only the states at √T times of a free run for its gradient and makes the steps between them again.
        self.checkpointing = False
        # Threads of compiled free runs.
        self.threads = available_threads()
        self.why_eager = ""

    def __repr__(self) -> str:
        shown = ", ".join(map(str, self.seeds[:6])) + (", …" if self.size > 6 else "")
        number = f"{self.count_parameters():,} parameters each"
        return f"Replicas({type(self.template).__name__}, {self.size} seeds: {shown}; {number})"

    def _repr_html_(self) -> str:
        config = self.template.config
        rows = [("seeds", ", ".join(map(str, self.seeds))), ("parameters each", f"{self.count_parameters():,}")]
        rows += [("device, precision", f"{self.device}, {str(self.dtype).removeprefix('torch.')}")]
        rows += [(name, str(value)) for name, value in config.model_dump().items()]
        return html_table(f"{type(self.template).__name__}: {self.template.equation}", rows)

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
        """Device of the parameters."""
        return next(iter(self._state.values())).device if self._state else torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the parameters."""
        floating = (t.dtype for t in self._state.values() if t.is_floating_point())
        return next(floating, torch.get_default_dtype())

    @property
    def carry(self) -> str:
        """Carried state of a free run: "observed" or "latent"."""
        return self.template.config.carry

    @property
    def max_steps(self) -> int | None:
        """Longest free run (None: no limit)."""
        return self.template.max_steps

    def count_parameters(self) -> int:
        """Trainable numbers in one replica."""
        return sum(p.numel() for p in self.parameters.values()) // self.size

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
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
        if any(not t.is_floating_point() and bool((t != state[name].to(t)).any()) for name, t in expected.items()):
            # Whole numbers are constants of compiled code.
            self._compiled = None
        with torch.no_grad():
            for name, t in expected.items():
                t.copy_(state[name])

    def select(self, rows: Sequence[int]) -> Self:
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
