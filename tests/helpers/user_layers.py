"""Layers of the kind that users write, by name: what each does to h (B, 8) under u (B, 1)."""

# A layer need not use all that it is given; a table has one row a layer.
# ruff: noqa: ARG001, ARG004, ARG005, N812

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddl_dyn.config.sections import ModelConfig
from ddl_dyn.models.base import StepModel

H, U, S = 8, 1, 12
Forward = Callable[["UserLayer", Tensor, Tensor], Tensor]


class UserLayer(nn.Module):
    """A layer with the modules that its forward function uses.

    Args:
        forward: (layer, h, u) -> h⁺.   modules: made for it, besides the branch's `first` and `last`.
    """

    def __init__(self, forward: Forward, modules: dict[str, Callable[[], nn.Module]]) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(H + U, S), nn.Linear(S, H)
        for name, make in modules.items():
            setattr(self, name, make())
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, H))
        self.register_buffer("order", torch.tensor([3, 1, 0, 2, 7, 6, 5, 4]))
        self.register_buffer("mask", torch.arange(H) % 2 == 0)
        self._forward = forward

    def forward(self, h: Tensor, u: Tensor) -> Tensor:
        return self._forward(self, h, u)

    def hidden(self, h: Tensor, u: Tensor) -> Tensor:
        """W [h, u] + b, (B, 12)."""
        return self.first(torch.cat((h, u), -1))


class UserModel(StepModel):
    """One of `LAYERS` as a model; a subclass names it."""

    Config = ModelConfig
    equation, source = "h⁺ = f(h, u)", "a user"
    layer: str

    def make_layer(self) -> nn.Module:
        return UserLayer(*LAYERS[self.layer])


def model_of(name: str) -> type[StepModel]:
    """The class of a layer's model."""
    return type(name, (UserModel,), {"layer": name})


def branch(f: Callable[[Tensor], Tensor]) -> tuple[Forward, dict[str, Callable[[], nn.Module]]]:
    """h⁺ = h + W₂ f(W₁ [h, u] + b₁) + b₂."""
    return (lambda m, h, u: h + m.last(f(m.hidden(h, u)))), {}


def state(
    f: Callable[[UserLayer, Tensor], Tensor], **modules: Callable[[], nn.Module]
) -> tuple[Forward, dict[str, Callable[[], nn.Module]]]:
    """h⁺ = f(h) + a tanh branch, so that inputs act too."""
    return (lambda m, h, u: f(m, h) + m.last(torch.tanh(m.hidden(h, u)))), modules


def attention(m: UserLayer, h: Tensor) -> Tensor:
    """Four tokens of two components that attend to one another."""
    tokens = h.unflatten(-1, (4, 2))
    q, k, v = m.qkv(tokens).chunk(3, -1)
    weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(2), dim=-1)
    return h + (weights @ v).flatten(-2)


def in_place(m: UserLayer, h: Tensor) -> Tensor:
    """Adds to a value of its own in place."""
    y = 1.0 * h
    y += torch.sin(h)
    return y.mul_(0.9)


class StraightThrough(torch.autograd.Function):
    """Rounds forward, lets gradients through."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def setup_context(ctx: object, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        return grad


def without_gradient(m: UserLayer, h: Tensor) -> Tensor:
    with torch.no_grad():
        gate = torch.sigmoid(h)
    return gate * h


CONV = {"conv": lambda: nn.Conv1d(1, 4, 3, padding=1), "back": lambda: nn.Conv1d(4, 1, 1)}
LAYERS: dict[str, tuple[Forward, dict[str, Callable[[], nn.Module]]]] = {
    # activations
    **{
        name: branch(f)
        for name, f in {
            "relu": torch.relu,
            "leaky_relu": F.leaky_relu,
            "elu": F.elu,
            "selu": F.selu,
            "celu": F.celu,
            "gelu": F.gelu,
            "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
            "silu": F.silu,
            "mish": F.mish,
            "softplus": F.softplus,
            "softsign": F.softsign,
            "hardtanh": F.hardtanh,
            "hardsigmoid": F.hardsigmoid,
            "hardswish": F.hardswish,
            "logsigmoid": F.logsigmoid,
            "tanhshrink": F.tanhshrink,
            "relu6": F.relu6,
            "sin": torch.sin,
            "snake": lambda x: x + torch.sin(x) ** 2,
            "gaussian": lambda x: torch.exp(-x * x),
            "arctan": torch.atan,
            "expm1": lambda x: torch.expm1(-x.abs()),
            "log1p": lambda x: torch.sign(x) * torch.log1p(x.abs()),
            "square_root": lambda x: torch.sqrt(1.0 + x * x),
            "cube": lambda x: x**3 - x.pow(2),
            "cosh": lambda x: 1 / torch.cosh(x),
            "glu": lambda x: torch.cat((F.glu(x), F.glu(x.flip(-1))), -1),
        }.items()
    },
    "prelu": state(lambda m, h: m.prelu(h), prelu=lambda: nn.PReLU(H)),
    # norms
    "layer_norm": state(lambda m, h: m.norm(h), norm=lambda: nn.LayerNorm(H)),
    "rms_norm": state(lambda m, h: m.norm(h), norm=lambda: nn.RMSNorm(H)),
    "group_norm": state(lambda m, h: m.norm(h), norm=lambda: nn.GroupNorm(2, H)),
    "normalize": state(lambda m, h: F.normalize(h, dim=-1)),
    "vector_norm": state(lambda m, h: h / (1.0 + torch.linalg.vector_norm(h, dim=-1, keepdim=True))),
    "one_norm": state(lambda m, h: h / (1.0 + h.norm(p=1, dim=-1, keepdim=True))),
    "standardize": state(lambda m, h: (h - h.mean(-1, keepdim=True)) / (h.std(-1, keepdim=True) + 1e-3)),
    "variance": state(lambda m, h: h * torch.rsqrt(1.0 + h.var(-1, keepdim=True, unbiased=False))),
    # products
    "attention": state(attention, qkv=lambda: nn.Linear(2, 6)),
    "sdpa": state(
        lambda m, h: F.scaled_dot_product_attention(*m.qkv(h.unflatten(-1, (4, 2))).chunk(3, -1)).flatten(-2),
        qkv=lambda: nn.Linear(2, 6),
    ),
    "multihead": state(
        lambda m, h: m.heads(*[h.unflatten(-1, (4, 2))] * 3, need_weights=False)[0].flatten(-2),
        heads=lambda: nn.MultiheadAttention(2, 2, batch_first=True),
    ),
    "einsum_matrix": state(
        lambda m, h: torch.einsum("bij,jk->bik", h.unflatten(-1, (4, 2)), m.mix.weight).flatten(-2),
        mix=lambda: nn.Linear(2, 2),
    ),
    "einsum_outer": state(
        lambda m, h: h + m.fold(torch.einsum("bi,bj->bij", h, torch.tanh(h)).flatten(-2)),
        fold=lambda: nn.Linear(H * H, H),
    ),
    "bilinear": state(lambda m, h: h + m.pair(h, torch.tanh(h)), pair=lambda: nn.Bilinear(H, H, H)),
    "batched_product": state(
        lambda m, h: torch.bmm(h.unflatten(-1, (4, 2)), torch.tanh(h).unflatten(-1, (2, 4))).flatten(-2)[..., :H] * 0.1
    ),
    "rotation": state(
        lambda m, h: (torch.matrix_exp(m.mix.weight - m.mix.weight.T) @ h.unsqueeze(-1)).squeeze(-1),
        mix=lambda: nn.Linear(H, H),
    ),
    "cross": state(lambda m, h: torch.cat((torch.linalg.cross(h[:, :3], h[:, 3:6]), h[:, 3:]), -1)),
    "gru_cell": state(lambda m, h: m.cell(torch.tanh(h), h), cell=lambda: nn.GRUCell(H, H)),
    # convolutions and neighbourhoods
    "conv": state(lambda m, h: h + m.back(torch.tanh(m.conv(h.unsqueeze(1)))).squeeze(1), **CONV),
    "conv_circular": state(
        lambda m, h: h + m.back(torch.tanh(m.conv(h.unsqueeze(1)))).squeeze(1),
        **(CONV | {"conv": lambda: nn.Conv1d(1, 4, 3, padding=1, padding_mode="circular")}),
    ),
    "conv_reflect": state(
        lambda m, h: h + m.back(torch.tanh(m.conv(h.unsqueeze(1)))).squeeze(1),
        **(CONV | {"conv": lambda: nn.Conv1d(1, 4, 3, padding=1, padding_mode="reflect")}),
    ),
    "conv_grouped": state(
        lambda m, h: h + torch.tanh(m.conv(h.unflatten(-1, (2, 4)))).flatten(-2),
        conv=lambda: nn.Conv1d(2, 2, 3, padding=2, dilation=2, groups=2),
    ),
    "conv_plane": state(
        lambda m, h: h + torch.tanh(m.conv(h.unflatten(-1, (1, 2, 4)))).flatten(-3),
        conv=lambda: nn.Conv2d(1, 1, 3, padding=1),
    ),
    "average_pool": state(lambda m, h: h - F.avg_pool1d(h.unsqueeze(1), 3, 1, 1).squeeze(1)),
    "max_pool": state(lambda m, h: F.max_pool1d(h.unsqueeze(1), 3, 1, 1).squeeze(1)),
    "roll": state(lambda m, h: h + torch.roll(h, 1, -1) - torch.roll(h, -2, -1)),
    "lorenz96": state(lambda m, h: h + 0.1 * ((h.roll(-1, -1) - h.roll(2, -1)) * h.roll(1, -1) - h)),
    "flip": state(lambda m, h: h.flip(-1)),
    "pad": state(lambda m, h: F.pad(h, (1, 2))[..., :H] - h),
    "laplacian": state(lambda m, h: h + 0.1 * torch.diff(F.pad(h, (1, 1)), n=2, dim=-1)),
    "cumsum": state(lambda m, h: 0.3 * h.cumsum(-1)),
    "cumprod": state(lambda m, h: torch.tanh(h).cumprod(-1)),
    "prod": state(lambda m, h: h * torch.tanh(h).prod(-1, keepdim=True)),
    "tril": state(lambda m, h: h @ m.mix.weight.tril(), mix=lambda: nn.Linear(H, H)),
    # selection
    "where": state(lambda m, h: torch.where(h > 0.3, h, 0.5 * h)),
    "masked": state(lambda m, h: h.masked_fill(m.mask, 0.5)),
    "mask_product": state(lambda m, h: h * m.mask),
    "clamp": state(lambda m, h: h.clamp(-0.7, 0.9)),
    "clamp_learned": state(lambda m, h: torch.minimum(torch.maximum(h, -m.scale), m.scale)),
    "largest": state(lambda m, h: h - h.max(-1, keepdim=True).values),
    "smallest": state(lambda m, h: h - h.amin(-1, keepdim=True)),
    "log_sum_exp": state(lambda m, h: h - torch.logsumexp(h, -1, keepdim=True)),
    "topk": state(lambda m, h: h + h.topk(2, -1).values.sum(-1, keepdim=True)),
    "sorted": state(lambda m, h: h.sort(-1).values),
    "gather_buffer": state(lambda m, h: h[:, m.order] * m.scale),
    "gather_list": state(lambda m, h: h[:, [0, 0, 3, 3, 1, 2, 7, 5]]),
    "index_select": state(lambda m, h: torch.index_select(h, -1, m.order)),
    "nearest": state(lambda m, h: h + m.scale[(h * 0).long()]),
    "remainder": state(lambda m, h: torch.remainder(h + 0.3, 2 * math.pi)),
    "angle": state(lambda m, h: torch.atan2(h, 1.5 + h.roll(1, -1).cos())),
    "constant": state(lambda m, h: h * torch.tensor([1.0, 0.5, 2.0, 1.0, 0.1, 0.2, 0.3, 0.4], dtype=h.dtype)),
    "arange": state(lambda m, h: h * torch.arange(1, H + 1, dtype=h.dtype, device=h.device) / H),
    # what only the ordinary path can do
    "fft": state(lambda m, h: torch.fft.irfft(torch.fft.rfft(h) * 0.5, n=H)),
    "straight_through": state(lambda m, h: StraightThrough.apply(h)),
    "without_gradient": state(without_gradient),
    "detached": state(lambda m, h: h.detach() * torch.sigmoid(h)),
    "in_place": state(in_place),
    # what no layer may do
    "batch_mean": state(lambda m, h: h - 0.1 * h.mean(0, keepdim=True)),
    "batch_size": state(lambda m, h: h / h.shape[0]),
    "batch_sum": state(lambda m, h: h - 0.01 * h.sum()),
    "batch_norm": state(lambda m, h: m.norm(h), norm=lambda: nn.BatchNorm1d(H)),
    "dropout": state(lambda m, h: F.dropout(h, 0.1)),
    "noise": state(lambda m, h: h + 0.01 * torch.randn_like(h)),
    "argument": state(lambda m, h: h.mul_(0.9)),
    "counter": state(lambda m, h: h * (1 + m.order.add_(1)[0])),
}

# What runs eagerly, and why; what is refused, and why; all else compiles.
EAGER = {
    "sorted": "aten.sort",
    "nearest": "aten._to_copy",
    "fft": "aten._fft_r2c",
    "straight_through": "compiled, its gradient by",
    "without_gradient": "stops gradients",
    "detached": "stops gradients",
}
REFUSED = {
    "batch_mean": "mixes samples",
    "batch_size": "mixes samples",
    "batch_sum": "mixes samples",
    "batch_norm": "changes its parameters or buffers (layers.0.norm.running_mean",
    "dropout": "draws random numbers",
    "noise": "draws random numbers",
    "argument": "changes its argument in place",
    "counter": "changes its parameters or buffers (layers.0.order)",
}
