"""Cases that the kernels cover, and reasons why the others are not. Imports no Triton."""

from __future__ import annotations

import functools
import importlib.util
import os

import torch

from ddl_dyn.models.base import StepModel
from ddl_dyn.models.ddl import DDL
from ddl_dyn.models.resnet import ResNet

# Padded weights of one replica that a program holds. Their gradients' sums take as much again, and above this the
# compiler has to move much of both off the chip.
WEIGHTS_ON_CHIP = 5120
# Padded hidden units or latent components: a thread sums a product over all of them, and the compiler writes that out.
WIDEST = 128
# Layers and directions are unrolled by the compiler, whose time grows with their product.
UNROLLED = 4
# Oldest generation of GPU for which the tests compile the kernels.
CAPABILITY = (8, 0)


def supported(model: StepModel, device: torch.device, dtype: torch.dtype) -> bool:
    """True where the kernels run this model's free runs.

    Args:
        model: one replica.   device, dtype: of its replicas.
    """
    return why_not(model, device, dtype) is None


def why_not(model: StepModel, device: torch.device, dtype: torch.dtype) -> str | None:
    """Reason why a model's free runs take the ordinary path, or None where the kernels run them.

    Args:
        model: one replica.   device, dtype: of its replicas.
    """
    return _machine(device, dtype) or _stack(model) or _options(model) or _size(model)


def _machine(device: torch.device, dtype: torch.dtype) -> str | None:
    # On a CPU only Triton's own interpreter can run a kernel: a check of its arithmetic, thousands of times slower.
    interpreted = device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1"
    if device.type != "cuda" and not interpreted:
        return f"the kernels are written for CUDA devices, not for {device.type}"
    if dtype != torch.float32:
        return f"the kernels compute in float32, not in {str(dtype).removeprefix('torch.')}"
    if not _installed():
        return "Triton is not installed"
    return None if interpreted else _card(device)


@functools.cache
def _installed() -> bool:
    return importlib.util.find_spec("triton") is not None


@functools.cache
def _card(device: torch.device) -> str | None:
    if torch.version.hip is not None:
        return "the kernels are compiled for NVIDIA's cards only"
    found = torch.cuda.get_device_capability(device)
    if found < CAPABILITY:
        return f"the kernels need compute capability {CAPABILITY[0]}.{CAPABILITY[1]}, not {found[0]}.{found[1]}"
    return None


def _stack(model: StepModel) -> str | None:
    # A subclass may compute anything.
    if type(model) not in (DDL, ResNet):
        return f"there are kernels for DDL and ResNet, not for {type(model).__name__}"
    if model.config.sharing != "tied":
        return "the kernels hold one block of weights for all steps: sharing=tied"
    if model.input_dim:
        return "the kernels run autonomous systems; this task has inputs"
    if model.config.reencode:
        return "the kernels carry the latent state as it is: reencode=0"
    return None


def _options(model: StepModel) -> str | None:
    if isinstance(model, ResNet):
        return _residual_options(model)
    assert isinstance(model, DDL)
    config = model.config
    if config.generator != "shared":
        return f"the kernels generate k, v and β from one hidden layer: generator=shared, not {config.generator}"
    if config.value != "state":
        return f"the kernels take v from the state: value=state, not {config.value}"
    if config.gate not in ("linear", "fixed"):
        return f"the kernels have gate=linear and gate=fixed, not {config.gate}"
    if config.norm:
        return "the kernels do not normalise: norm=false"
    for name in ("channels", "order", "value_bound", "direction_eps"):
        if getattr(config, name) != (covered := type(config).model_fields[name].default):
            return f"the kernels have {name}={covered} alone, not {getattr(config, name)}"
    return None


def _residual_options(model: ResNet) -> str | None:
    config = model.config
    if config.norm != "none":
        return "the kernels do not normalise: norm=none"
    for name, covered in (("branch", "mlp"), ("activation", "tanh"), ("shortcut", "identity")):
        if getattr(config, name) != covered:
            return f"the kernels have {name}={covered} alone, not {getattr(config, name)}"
    return None


def _size(model: StepModel) -> str | None:
    unrolled = model.config.layers * getattr(model.config, "directions", 1)
    if unrolled > UNROLLED:
        return f"the kernels unroll at most {UNROLLED} rewrites (layers × directions), not {unrolled}"
    hidden, latent = padded(model.config.hidden_dim), padded_latent(model)
    if max(hidden, latent) > WIDEST:
        return (
            f"the kernels hold at most {WIDEST} hidden units or latent components, not {max(hidden, latent)} (padded)"
        )
    weights = weights_on_chip(model)
    if weights > WEIGHTS_ON_CHIP:
        return f"the kernels hold at most {WEIGHTS_ON_CHIP} padded weights on the chip, not {weights}"
    return None


def weights_on_chip(model: StepModel) -> int:
    """Weight-matrix entries of one replica of a DDL or ResNet as a program holds them, padded to powers of two."""
    hidden, latent = padded(model.config.hidden_dim), padded_latent(model)
    if isinstance(model, DDL):
        layer = hidden * (latent + model.config.directions * (padded(model.rows) + padded(model.value_dim) + 2))
    else:
        layer = hidden * 2 * latent
    reenter = model.config.carry == "observed" and model.config.lift == "linear"
    edges = 2 * latent * padded(model.state_dim) if reenter else 0
    return model.config.layers * layer + edges


def padded_latent(model: StepModel) -> int:
    """Components of the latent state as a program holds it."""
    rows, values = (model.rows, model.value_dim) if isinstance(model, DDL) else (model.latent_dim, 1)
    return padded(rows) * padded(values)


def padded(n: int) -> int:
    """Next power of two."""
    return 1 << (n - 1).bit_length()
