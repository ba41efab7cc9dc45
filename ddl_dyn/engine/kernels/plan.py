"""Plan of a model's kernels: its sizes, the order of its weights, the device functions of its layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from ddl_dyn.engine.kernels import ddl, resnet
from ddl_dyn.engine.kernels.support import weights_on_chip
from ddl_dyn.engine.kernels.tile import Options
from ddl_dyn.models.base import StepModel
from ddl_dyn.models.ddl import DDL
from ddl_dyn.models.resnet import ResNet


@dataclass(frozen=True)
class Plan:
    """Plan of one model on the chip.

    Args:
        options: its sizes and switches.   names: its parameters in the order in which they are packed.
        places, layer, backward: the device functions of one layer.   warps: of a program.
    """

    options: Options
    names: tuple[str, ...]
    places: Callable[..., Any]
    layer: Callable[..., Any]
    backward: Callable[..., Any]
    warps: int


_plans: WeakKeyDictionary[StepModel, Plan] = WeakKeyDictionary()


def plan(model: StepModel) -> Plan:
    """The plan of a model that `why_not` has nothing against.

    Raises:
        TypeError: for any other model.
    """
    # Options never change, and a launch should cost little beside the microseconds of a small run.
    if model not in _plans:
        _plans[model] = _plan(model)
    return _plans[model]


def _plan(model: StepModel) -> Plan:
    reenter = model.config.carry == "observed" and model.config.lift == "linear"
    carried = model.state_dim if reenter else model.latent_dim
    edges = ("lift_map.weight", "lift_map.bias", "read_map.weight", "read_map.bias") if reenter else ()
    device: tuple[Callable[..., object], Callable[..., object], Callable[..., object]]
    if isinstance(model, DDL):
        options: Options = ddl.delta_options(model, carried=carried, reenter=reenter)
        layer_names, device = ddl.delta_names(model), (ddl.delta_places, ddl.delta_layer, ddl.delta_layer_backward)
    elif isinstance(model, ResNet):
        options = resnet.residual_options(model, carried=carried, reenter=reenter)
        layer_names = resnet.residual_names(model)
        device = (resnet.residual_places, resnet.residual_layer, resnet.residual_layer_backward)
    else:
        raise TypeError(f"no kernel runs a {type(model).__name__}; ask ddl_dyn.engine.kernels.why_not first")
    names = [f"layers.{l}.{name}" for l in range(model.config.layers) for name in layer_names]
    # More weights want more registers, and a program has them by the warp.
    return Plan(options, (*names, *edges), *device, warps=4 if weights_on_chip(model) <= 1024 else 8)
