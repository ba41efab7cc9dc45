"""R independently seeded copies of a model, stacked and run as one computation.

Axes: R replicas, B batch, D observed state, U inputs, H latent state.
"""

from __future__ import annotations

import copy
import shutil
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from ddl_dyn.models.base import StepModel


class _Method(nn.Module):
    """Lets `functional_call` reach any method of a model, not only `forward`."""

    def __init__(self, model: StepModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, name: str, *args: Any) -> Any:
        return getattr(self.model, name)(*args)

    def slots(self) -> dict[str, tuple[dict[str, Any], str]]:
        """Where each parameter and buffer is kept: name -> (a module's own table, the name in it)."""
        found: dict[str, tuple[dict[str, Any], str]] = {}
        for prefix, module in self.named_modules():
            for table in (module._parameters, module._buffers):
                found |= {f"{prefix}.{name}": (table, name) for name in table}
        return found


class ReplicaMap:
    """Calls a method of one model for stacked parameters: tensors with axes are mapped over the first, scalars shared.

    Args:
        template: the module whose methods are called; its own parameters are not used.
        state: name -> (R, …), stacked parameters and buffers.
    """

    def __init__(
        self, template: _Method, state: dict[str, Tensor], slots: dict[str, tuple[dict[str, Any], str]]
    ) -> None:
        self._template, self._state, self._slots = template, state, slots

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """Stacked parameters, for gradients that a solver must be told about."""
        return tuple(t for t in self._state.values() if t.requires_grad)

    def only(self, r: int) -> ReplicaMap:
        """The same for replica r alone (its leading axis kept, of length 1)."""
        return ReplicaMap(self._template, {name: t[r : r + 1] for name, t in self._state.items()}, self._slots)

    def __call__(self, name: str, *args: Any) -> Any:
        mapped = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.ndim > 0]

        def one(state: dict[str, Tensor], *tensors: Tensor) -> Any:
            full = list(args)
            for i, tensor in zip(mapped, tensors, strict=True):
                full[i] = tensor
            if torch.compiler.is_compiling():
                return functional_call(self._template, state, (name, *full))
            return self._eagerly(state, name, full)

        return torch.vmap(one)(self._state, *(args[i] for i in mapped))

    def _eagerly(self, state: dict[str, Tensor], name: str, args: list[Any]) -> Any:
        # What functional_call does, without walking the modules again at every call: for small models that walk
        # costs as much as the arithmetic. The template is nobody else's, so no thread sees it half filled.
        kept = [(table, key, table[key]) for table, key in self._slots.values()]
        try:
            for full, tensor in state.items():
                table, key = self._slots[full]
                table[key] = tensor
            return getattr(self._template.model, name)(*args)
        finally:
            for table, key, tensor in kept:
                table[key] = tensor


class Replicas:
    """R copies of a model that differ in their seed, advanced together; each as if it were alone.

    Args:
        build: makes one model from the global torch generator, which is set to each seed in turn and restored.
        seeds: R distinct non-negative integers.
    Raises:
        ValueError: when there is no seed, or a seed is repeated or negative.
    """

    def __init__(self, build: Callable[[], StepModel], seeds: Sequence[int]) -> None:
        self.seeds = tuple(int(s) for s in seeds)
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds must be at least one distinct non-negative integer, got {list(seeds)}")
        models = []
        with torch.random.fork_rng(devices=[]):
            for seed in self.seeds:
                torch.manual_seed(seed)
                models.append(build())
        parameters, buffers = stack_module_state(models)
        self._trainable = tuple(parameters)
        self._state = {f"model.{name}": t for name, t in (parameters | buffers).items()}
        # The template only lends its methods: on "meta" it can hold no numbers that could be used by mistake.
        self.template = models[0]
        self._method = _Method(copy.deepcopy(models[0]).to("meta"))
        for p in self._method.parameters():
            p.requires_grad_(False)
        self._slots = self._method.slots()
        self._compiled: Callable[..., Tensor] | None = None

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
        part._state = {n: t.detach()[index].requires_grad_(t.requires_grad) for n, t in self._state.items()}
        part._compiled = None
        return part

    def model(self, r: int) -> StepModel:
        """Replica r as an ordinary module with a copy of its weights."""
        one = copy.deepcopy(self.template).to(device=self.device, dtype=self.dtype)
        one.load_state_dict({name: t[r] for name, t in self.state_dict().items()})
        return one

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
        if self._compiled is None and not self._method.model.joint:
            # Mapped as a whole: the parameters are put in place once a run, not once a step.
            return self.call("unroll", x0, inputs)
        latent = self.carry == "latent"
        s, out = (self.lift(x0) if latent else x0), []
        for l in range(inputs.shape[-2]):
            s = self.advance(s, l, inputs[..., l, :])
            out.append(s)
        states = torch.stack(out, dim=-2)
        return self.read(states.flatten(1, 2)).unflatten(1, states.shape[1:3]) if latent else states

    def advance(self, s: Tensor, l: int, u: Tensor) -> Tensor:
        """One step of what a free run carries: (R, B, D) or (R, B, H) -> the same."""
        if self._compiled is not None:
            return self._compiled(self._state, s, u)
        return self._advance(self._state, s, u, l)

    def compile(self) -> bool:
        """Compile `advance`; False (with one warning where a compiler is missing) where it will run eagerly."""
        if not self.template.compilable or self.template.joint or self.template.config.sharing == "untied":
            return False
        if self.device.type == "cpu" and not (shutil.which("g++") or shutil.which("clang++")):
            warnings.warn("no C++ compiler was found: the replicas' step runs eagerly", RuntimeWarning, stacklevel=2)
            return False
        if self._compiled is None:
            self._compiled = torch.compile(self._advance, dynamic=False)
        return True

    def _advance(self, state: dict[str, Tensor], s: Tensor, u: Tensor, l: int = 0) -> Tensor:
        call, model = ReplicaMap(self._method, state, self._slots), self._method.model
        if not model.joint:
            return call("advance", s, l, u)
        if self.carry == "latent":
            return model.step_replicas(call, s, l, u)
        return call("read", model.step_replicas(call, call("lift", s), l, u))
