"""One replica's step map with its normaliser as graphs of tensor operations: physical units in and out, float64.

Axes: B batch, D observed state, H carried state, U inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._decomp import get_decompositions
from torch.export import Dim, ExportedProgram, export

from ddl_dyn.analysis.learned import is_latent
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.models.base import StepModel

# States on which a graph must give what the model gives.
EXAMPLES_CHECKED = 64
# Relative to the largest value: float64 in another order, stretched by steep maps.
GRAPH_TOLERANCE = 1e-9
_aten = torch.ops.aten
_COMPOSITE = (
    "gelu",
    "silu",
    "elu",
    "leaky_relu",
    "softplus",
    "hardtanh",
    "mish",
    "hardswish",
    "hardsigmoid",
    "_softmax",
    "native_layer_norm",
)


@dataclass(frozen=True, kw_only=True)
class StepMap:
    """Graphs of one replica, and what their numbers mean.

    Args:
        step: of an observed carry x (B, D) -> x⁺ (B, D), in physical units; of a latent one s (B, H) -> s⁺ (B, H) and
            x⁺ (B, D), the latter in physical units. A task with inputs (B, U) gives them as second argument.
        start: x (B, D) -> s (B, H) of a latent carry; None where the observed state is carried.
        facts: names of the components, sampling interval, where the map comes from; in JSON's types.
        state, inputs: (B, H or D) and (B, U), examples.
    """

    step: ExportedProgram
    start: ExportedProgram | None
    facts: dict[str, Any]
    state: Tensor
    inputs: Tensor


class _Step(nn.Module):
    """The step between physical units.

    Args:
        model: one replica, float64.   mean, scale: (D,).   latent: whether its latent state is carried.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, model: StepModel, mean: Tensor, scale: Tensor, latent: bool) -> None:
        super().__init__()
        self.model, self.latent = model, latent
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def start(self, x: Tensor) -> Tensor:
        """Carried state of a free run at its start."""
        return self.model.lift((x - self.mean) / self.scale) if self.latent else x

    def at(self, l: int, s: Tensor, u: Tensor) -> tuple[Tensor, ...]:
        """The step at time index l."""
        if self.latent:
            after, seen = self.model.transition(s, l, u)
            return after, self.model.read(seen) * self.scale + self.mean
        z = self.model.lift((s - self.mean) / self.scale)
        return (self.model.read(self.model.step(z, l, u)) * self.scale + self.mean,)

    def forward(self, state: Tensor, inputs: Tensor | None = None) -> Any:
        """The first step, which stands for all."""
        u = state.new_zeros(state.shape[0], 0) if inputs is None else inputs
        found = self.at(0, state, u)
        return found if self.latent else found[0]


class _Start(nn.Module):
    def __init__(self, step: _Step) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        return self.step.start(x)


def make_step_map(setup: Setup, seed: int | None = None) -> StepMap:
    """The step map of one replica of a finished run.

    Args:
        setup: restored from the run.   seed: of the replica; None takes the one with the median validation error.
    Raises:
        ValueError: when there is no such seed, or the step is no fixed graph of tensor operations.
    """
    r = _row(setup, seed)
    template, name = setup.replicas.template, setup.config.model
    if setup.replicas.max_steps is not None:
        raise ValueError(f"{name}: an untied stack is another map at every step; only sharing=tied can be exported")
    if template.joint:
        raise ValueError(
            f"{name}: its step is no fixed graph of tensor operations, but a solver of its own or code outside torch; "
            "a neural ODE can be exported with fixed steps, model_args.solver=rk4 and no adjoint"
        )
    normalizer = setup.normalizer.of_replica(r)
    model = setup.replicas.model(r).to("cpu", torch.float64).eval().requires_grad_(False)
    carried = model.lift(torch.zeros(1, model.state_dim, dtype=torch.float64)).shape[-1]
    latent = is_latent(template, carried)
    whole = _Step(model, torch.as_tensor(normalizer.mean), torch.as_tensor(normalizer.scale), latent)
    x, u = _examples(setup)
    with torch.no_grad():
        s = whole.start(x).clone()
        if not all(torch.equal(a, b) for a, b in zip(whole.at(0, s, u), whole.at(1, s, u), strict=True)):
            raise ValueError(f"{name}: its step depends on the time since the free run began, so there is no one map")
    given = (s, u) if u.shape[1] else (s,)
    step = _graph(whole, given, name)
    start = _graph(_Start(whole), (x,), name) if latent else None
    return StepMap(step=step, start=start, facts=_facts(setup, r, latent), state=s, inputs=u)


def _row(setup: Setup, seed: int | None) -> int:
    if seed is None:
        return setup.chosen
    if seed not in setup.replicas.seeds:
        raise ValueError(f"seed must be one of the run's, {', '.join(map(str, setup.replicas.seeds))}; got {seed!r}")
    return setup.replicas.seeds.index(seed)


def _examples(setup: Setup) -> tuple[Tensor, Tensor]:
    """(B, D) states along the test trajectories, and the inputs (B, U) that act on them."""
    test = setup.data.test
    states = test.states[:, :-1].reshape(-1, setup.task.state_dim)
    inputs = test.inputs.reshape(len(states), setup.task.input_dim)
    # Not a batch of one, which torch takes for a case of its own.
    rows = np.linspace(0, len(states) - 1, EXAMPLES_CHECKED).round().astype(int)
    return torch.as_tensor(states[rows]), torch.as_tensor(inputs[rows])


def _facts(setup: Setup, r: int, latent: bool) -> dict[str, Any]:
    task, config = setup.task, setup.config
    return {
        "task": config.task,
        "model": config.model,
        "run": setup.run.id,
        "seed": setup.replicas.seeds[r],
        "carry": "latent" if latent else "observed",
        "state_names": list(task.state_names),
        "input_names": list(task.input_names) if task.input_dim else [],
        "dt": float(task.dt),
        "time_unit": task.time_unit,
    }


def _graph(module: nn.Module, given: tuple[Tensor, ...], name: str) -> ExportedProgram:
    """The graph for any batch, once it has given what the module gives for another batch.

    Raises:
        ValueError: when there is none, or it gives something else.
    """
    batch = Dim("batch")
    try:
        with torch.no_grad():
            found: ExportedProgram = export(
                module.eval(), given, dynamic_shapes=tuple({0: batch} for _ in given), strict=False
            )
            found = found.run_decompositions(_decompositions())
    except Exception as error:  # torch's own, of many types
        first = " ".join(str(error).split())[:200]
        raise ValueError(f"{name}: its step is no fixed graph of tensor operations ({first})") from error
    part = tuple(tensor[: EXAMPLES_CHECKED // 2] for tensor in given)
    with torch.no_grad():
        wanted, got = module(*part), found.module()(*part)
    for a, b in zip(*((each if isinstance(each, tuple) else (each,)) for each in (wanted, got)), strict=True):
        size = float(torch.nan_to_num(a, posinf=0.0, neginf=0.0).abs().max()) + 1.0
        if not torch.allclose(a, b, rtol=GRAPH_TOLERANCE, atol=GRAPH_TOLERANCE * size, equal_nan=True):
            raise ValueError(f"{name}: the graph of its step gives other numbers than the step itself")
    return found


@cache
def _decompositions() -> dict[Any, Callable[..., Any]]:
    table = torch.export.default_decompositions()
    packets = [getattr(_aten, name) for name in _COMPOSITE]
    return dict(table.items()) | get_decompositions(packets) | {_aten._cdist_forward.default: _distances}


def _distances(a: Tensor, b: Tensor, p: float, mode: int | None) -> Any:  # noqa: ARG001
    if p != 2.0:
        return NotImplemented
    return (a[..., :, None, :] - b[..., None, :, :]).square().sum(-1).sqrt()
