"""Equal budgets: the width at which a model has as many parameters (or costs as many FLOPs a step) as another.

Axes: D observed state, U inputs.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ddl_dyn.config.sections import RunConfig
from ddl_dyn.models import StepModel, make_model, model_class, model_config

# A budget counts as met within this share of its target.
TOLERANCE = 0.05
# Widths beyond this are not searched: the models of this suite are small.
WIDEST_SEARCHED = 16_384


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A model's options after its width was chosen.

    Args:
        options: to give to `make_model`.
        parameters: trainable numbers of one replica.
        target: what was asked for (None without a budget).   met: whether the count is within 5 % of it.
    """

    options: dict[str, Any]
    parameters: int
    target: int | None
    met: bool


def count_parameters(model: StepModel) -> int:
    """Trainable numbers."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_flops(model: StepModel) -> int:
    """Floating-point operations in the matrix products of one carried step of one trajectory.

    A product of (m, k) and (k, n) counts 2·m·k·n; pointwise work is not counted (torch.utils.flop_counter). What is
    counted is what a free run repeats: lift, step and read-out with carry="observed" (or re-encoding), the step alone
    with "latent".
    """
    # The counter hangs a hook on every output that wants gradients, and a view of a parameter has none to hang it on.
    model = copy.deepcopy(model).cpu().requires_grad_(False)
    # A model that is solved holds its numbers in buffers.
    weight = next(itertools.chain(model.parameters(), model.buffers()), torch.zeros(()))
    if model.dynamics == "oracle":
        # It looks its answer up: there is nothing to count.
        return 0
    x = torch.zeros(1, model.state_dim, dtype=weight.dtype)
    u = torch.zeros(1, model.input_dim, dtype=weight.dtype)
    with torch.no_grad():
        s = model.lift(x) if model.config.carry == "latent" else x
        with FlopCounterMode(display=False) as counter:
            model.transition(s, 0, u)
    return int(counter.get_total_flops())


def resolve(config: RunConfig, *, state_dim: int, input_dim: int, dt: float) -> Budget:
    """The options of a run's model under its budget: `hidden_dim` is solved for, everything else is as given.

    Args:
        config: of the run; its `budget.target`, where None, is the count of DDL with the default width and the run's
            lift, carry and sharing (and layers, where they are the time steps).
        state_dim: D.   input_dim: U.   dt: sampling interval.
    Returns:
        `Budget`; a target that no width reaches gives the nearest, with `met` False. With kind "wall_clock" options are
        as given: what is solved for is the number of updates, by the clock (`timing.updates_within`).
    """
    shape = {"state_dim": state_dim, "input_dim": input_dim, "dt": dt}
    kind, options = config.budget.kind, with_latent(config.model, config.model_args, config.budget.latent, state_dim)
    count = count_flops if kind == "flops" else count_parameters
    if kind in ("none", "wall_clock"):
        return _describe(config.model, options, shape, None, True)
    target = config.budget.target or count(_build("ddl", reference_options(config, state_dim), shape))

    def measure(width: int) -> int:
        return count(_build(config.model, options | {"hidden_dim": width}, shape))

    if model_class(config.model).closed_form or measure(1) == measure(2):
        # A model without a width (a baseline, an oracle): its size is what it is.
        return _describe(config.model, options, shape, target, False)
    high = 1
    while measure(high) < target and high < WIDEST_SEARCHED:
        high *= 2
    low = max(high // 2, 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if measure(middle) <= target else (low, middle)
    width = min((low, high), key=lambda w: abs(measure(w) - target))
    met = abs(measure(width) - target) <= TOLERANCE * target
    return _describe(config.model, options | {"hidden_dim": width}, shape, target, met)


def with_latent(model: str, options: Mapping[str, object], latent: int | None, state_dim: int) -> dict[str, Any]:
    """A model's options with the latent size that a budget gives to all models.

    Args:
        model: its registry key.   options: as given.   latent: H, None for the model's own.   state_dim: D.
    Returns:
        options with `latent_dim` set (H / value_dim rows for a DDL stack), or as they are for a model without one.
    Raises:
        ValueError: when the options ask for another latent size, or H does not fit the lift or the value channels.
    """
    full = model_config(model, **options)
    if latent is None or not hasattr(full, "latent_dim"):
        return dict(options)
    channels = getattr(full, "value_dim", 1)
    if full.lift == "identity" and latent != state_dim:
        raise ValueError(
            f"budget.latent = {latent}, but lift=identity makes the latent state the task's own {state_dim} "
            "components; leave budget.latent out, or use lift=linear"
        )
    rows, rest = divmod(latent, channels)
    if rest:
        raise ValueError(f"budget.latent = {latent} is no multiple of {model}'s model_args.value_dim = {channels}")
    if full.latent_dim not in (None, rows):
        raise ValueError(
            f"budget.latent = {latent} makes {model}'s model_args.latent_dim {rows}, but {full.latent_dim} is "
            "given; leave one of them out"
        )
    return dict(options) | {"latent_dim": rows}


def reference_options(config: RunConfig, state_dim: int) -> dict[str, Any]:
    """Options of the DDL stack whose size or speed is the target for every model of a comparison under one protocol.

    Tied stacks may differ in depth; untied ones have one layer a step.

    Args:
        config: of the run.   state_dim: D.
    """
    options = config.model_args
    kept = ("lift", "carry", "sharing") + (("layers",) if options.get("sharing") == "untied" else ())
    found = {key: value for key, value in options.items() if key in kept}
    latent = None if found.get("lift") == "identity" else config.budget.latent
    return with_latent("ddl", found, latent, state_dim)


def _describe(name: str, options: dict[str, Any], shape: dict[str, Any], target: int | None, met: bool) -> Budget:
    model = _build(name, options, shape)
    resolved = model_config(name, **options).model_dump()
    return Budget(options=resolved, parameters=count_parameters(model), target=target, met=met)


def _build(name: str, options: dict[str, Any], shape: dict[str, Any]) -> StepModel:
    with torch.random.fork_rng(devices=[]):
        return make_model(name, **shape, **options)
