"""One model's methods, called for the stacked parameters of many replicas. Axis R: replicas."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ddl_dyn.models.base import StepModel


class Method(nn.Module):
    """Lets `functional_call` reach any method of a model, not only `forward`."""

    def __init__(self, model: StepModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, name: str, *args: object) -> Any:
        """Result of a method of the model."""
        return getattr(self.model, name)(*args)

    def slots(self) -> dict[str, tuple[dict[str, Any], str]]:
        """Home of each parameter and buffer: name -> (a module's own table, the name in it)."""
        found: dict[str, tuple[dict[str, object], str]] = {}
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
        self, template: Method, state: dict[str, Tensor], slots: dict[str, tuple[dict[str, Any], str]]
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
