"""Teacher forcing: free runs that are pulled towards observed states before each step.

Axes: R replicas, B batch, T steps, D observed state, U inputs, H latent state.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ddl_dyn.config.sections import ForcingKind
from ddl_dyn.engine.replica_map import Method
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.models.base import ReplicaCall, StepModel


class Forced(StepModel):
    """A model whose carried state is moved by the share α towards the observed state x before each step.

    Of a latent state, generalised forcing moves all of it, h ← h + α(lift(x) − h), and identity forcing its observed
    part alone, h ← h + α(assimilate(h, x) − h). The inputs of a step are (u, x, α), of size U + D + 1.

    Args:
        model: whose parameters are used; none is added.   kind: of forcing.
    Source: generalised: Hess et al. (2023), arXiv 2306.04406; identity, at intervals: Brenner et al. (2022), Tractable
        Dendritic RNNs for Reconstructing Nonlinear Dynamical Systems, arXiv 2207.02542.
    """

    def __init__(self, model: StepModel, kind: ForcingKind) -> None:
        # The layers, lift and read-out are the model's: there is nothing to build.
        nn.Module.__init__(self)
        self.inner, self.kind, self.config = model, kind, model.config
        self.state_dim, self.input_dim, self.dt = model.state_dim, model.input_dim + model.state_dim + 1, model.dt
        self.joint = model.joint

    def make_layer(self) -> nn.Module:
        """A layer of the model."""
        return self.inner.make_layer()

    def lift(self, x: Tensor) -> Tensor:
        """The model's lift, (B, D) -> (B, H)."""
        return self.inner.lift(x)

    def read(self, h: Tensor) -> Tensor:
        """The model's read-out, (B, H) -> (B, D)."""
        return self.inner.read(h)

    @property
    def max_steps(self) -> int | None:
        """Longest free run of the model."""
        return self.inner.max_steps

    def force(self, s: Tensor, u: Tensor) -> Tensor:
        """Carried state after forcing by inputs (u, x, α), of the shape of s."""
        x, share = u[..., self.inner.input_dim : -1], u[..., -1:]
        if self.config.carry == "latent":
            x = self.inner.lift(x) if self.kind == "generalised" else self.inner.assimilate(s, x)
        return s + share * (x - s)

    def transition(self, s: Tensor, l: int, u: Tensor) -> tuple[Tensor, Tensor]:
        """Forcing, and one step of the model.

        Args:
            s: carried state.   l: time index.   u: (B, U + D + 1).
        """
        return self.inner.transition(self.force(s, u), l, u[..., : self.inner.input_dim])

    def transition_replicas(self, call: ReplicaCall, s: Tensor, l: int, u: Tensor) -> tuple[Tensor, Tensor]:
        """`transition` of all replicas of a `joint` model.

        Args:
            call: maps a method over the replicas.   s: (R, B, …).   l: time index.   u: (R, B, U + D + 1).
        """
        s = call("force", s, u)
        return self.inner.transition_replicas(_InnerCall(call), s, l, u[..., : self.inner.input_dim])

    def of_inner(self, name: str, *args: object) -> Any:
        """A method of the model."""
        return getattr(self.inner, name)(*args)

    def count(self, steps: int, solves: Tensor) -> None:
        """Let the model count."""
        self.inner.count(steps, solves)


class _InnerCall:
    """A replica call that reaches the model within a forced one."""

    def __init__(self, call: ReplicaCall) -> None:
        self._call = call

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        return self._call.parameters

    def only(self, r: int) -> _InnerCall:
        return _InnerCall(self._call.only(r))

    def __call__(self, name: str, *args: object) -> Any:
        return self._call("of_inner", name, *args)


def forced(replicas: Replicas, kind: ForcingKind) -> Replicas:
    """Forced runs of replicas on the same parameters: training one trains the other, until `Replicas.to` parts them."""
    view = copy.copy(replicas)
    view.template = Forced(replicas.template, kind)
    view._method = Method(Forced(copy.deepcopy(replicas._method.model), kind))
    view._slots = view._method.slots()
    view._trainable = tuple(f"inner.{name}" for name in replicas._trainable)
    view._state = {name.replace("model.", "model.inner.", 1): t for name, t in replicas._state.items()}
    view._compiled = None
    return view


def forced_inputs(inputs: Tensor, x0: Tensor, target: Tensor, share: Tensor, interval: int) -> Tensor:
    """Inputs (u, x, α) of a forced run along a window.

    Args:
        inputs: (R, B, T, U).   x0: (R, B, D).   target: (R, B, T, D), the observed states after each step.
        share: scalar α.   interval: α acts on every so many steps, and is 0 between them; never on the first state,
            which is observed already.
    Returns:
        (R, B, T, U + D + 1).
    """
    observed = torch.cat((x0[..., None, :], target[..., :-1, :]), dim=-2)
    times = torch.arange(target.shape[-2], device=target.device)
    acting = share * ((times > 0) & (times % interval == 0)).to(target.dtype)
    return torch.cat((inputs, observed, acting[:, None].expand(*observed.shape[:-1], 1)), dim=-1)
