"""A whole free run of replicas in one launch, and its gradient in another.

Axes: R replicas, B batch, T steps, D what a run carries from step to step, N weights of one replica.

    s_t = leave(layer_L(… layer_1(enter(s_{t−1}))))        t = 1 … T

One program runs one tile of the batch of one replica through all T steps with that replica's weights on the chip; it
reads s_0 and the weights once and writes each s_t once. `enter` and `leave` are the lift and the read-out where a run
carries the observed state, and nothing where it carries the latent one (then torch lifts and reads around the kernel).

The gradient walks time backwards in a program per tile: it loads s_{t−1}, makes the step's intermediates again, adds
∂L/∂s_t that came from outside, and sums the weights' gradients over time on the chip. Each tile writes its sums to a
place of its own and torch adds the tiles, so that equal inputs give equal bits: no atomics.

These kernels have not run on a GPU yet: they are compiled for one and checked in Triton's interpreter.
"""

# In a kernel tuples grow by addition alone, unrolled loop by loop, and a name's type with them.
# ruff: noqa: RUF005
# mypy: disable-error-code="assignment"

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ddl_dyn.engine.kernels.plan import Plan, plan
from ddl_dyn.engine.kernels.tile import carried_columns, edge_places, load_places, matmul, store_sums, zeros
from ddl_dyn.models.base import StepModel

# Samples of a tile: the shortest sum over the batch that a dot takes, so that few samples still fill many programs.
TILE = 16


def launch_unroll(model: StepModel, parameters: Mapping[str, Tensor], x0: Tensor, steps: int) -> Tensor:
    """Free run of all replicas of a model that `why_not` has nothing against.

    Args:
        model: gives the options; its own parameters are not used.
        parameters: name -> (R, …), stacked.
        x0: (R, B, D), float32.   steps: T ≥ 1.
    Returns:
        (R, B, T, D), the observed states after each step; differentiable once, in reverse mode.
    """
    chosen = plan(model)
    packed = torch.cat([parameters[name].flatten(1) for name in chosen.names], dim=1)
    outside = model.config.lift == "linear" and not chosen.options.reenter.value
    s0 = affine(x0, parameters["lift_map.weight"], parameters["lift_map.bias"]) if outside else x0
    states: Tensor = FusedRollout.apply(packed, s0, steps, chosen)
    if outside:
        flat = states.flatten(1, 2)
        states = affine(flat, parameters["read_map.weight"], parameters["read_map.bias"]).unflatten(1, (steps, -1))
    return states.transpose(1, 2)


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Affine map x Wᵀ + b per replica, (R, M, O).

    Args:
        x: (R, M, I).   weight: (R, O, I).   bias: (R, O).
    """
    return torch.baddbmm(bias[:, None, :], x, weight.transpose(1, 2))


class FusedRollout(torch.autograd.Function):
    """s_1 … s_T (R, T, B, D) from packed weights (R, N) and s_0 (R, B, D)."""

    @staticmethod
    def forward(ctx: Any, packed: Tensor, s0: Tensor, steps: int, chosen: Plan) -> Tensor:
        """Launch over all tiles and replicas.

        Args:
            packed: (R, N).   s0: (R, B, D).   steps: T.   chosen: the model's plan.
        """
        packed, s0 = packed.contiguous(), s0.contiguous()
        replicas, batch, carried = s0.shape
        # Time before batch: a tile then writes one contiguous block a step.
        states = s0.new_empty(replicas, steps, batch, carried)
        # Triton launches on the current device, which need not be the one that holds the replicas.
        with torch.cuda.device_of(packed):
            forward_kernel[(triton.cdiv(batch, TILE), replicas)](
                *(packed, s0, states, batch, steps, chosen.places, chosen.layer, chosen.options, TILE),
                num_warps=chosen.warps,
            )
        ctx.save_for_backward(packed, s0, states)
        ctx.chosen = chosen
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Gradients by the packed weights and the initial states."""
        packed, s0, states = ctx.saved_tensors
        replicas, steps, batch, _ = states.shape
        tiles = triton.cdiv(batch, TILE)
        sums, ds0 = packed.new_empty(tiles, *packed.shape), torch.empty_like(s0)
        chosen = ctx.chosen
        with torch.cuda.device_of(packed):
            backward_kernel[(tiles, replicas)](
                *(packed, s0, states, grads[0].contiguous(), sums, ds0, batch, steps),
                *(chosen.places, chosen.layer, chosen.backward, chosen.options, TILE),
                num_warps=chosen.warps,
            )
        return sums.sum(0), ds0, None, None


@triton.jit
def all_places(start: tl.tensor, places: tl.constexpr, O: tl.constexpr) -> tl.tuple:
    """Places of every layer's weights, and last those of the lift and the read-out.

    Args:
        start: of a replica's weights.   places: function of one layer.   O: options.
    """
    found = ()
    for l in tl.static_range(O.layers):
        found = found + (places(start + l * O.layer_size, O),)
    return found + (edge_places(start + O.layers * O.layer_size, O),)


@triton.jit
def load_all(start: tl.tensor, places: tl.constexpr, O: tl.constexpr) -> tl.tuple:
    """A replica's weights, in the order of `all_places`.

    Args:
        start: of a replica's weights.   places: function of one layer.   O: options.
    """
    found = all_places(start, places, O)
    weights = ()
    for l in tl.static_range(O.layers + 1):
        weights = weights + (load_places(found[l]),)
    return weights


@triton.jit
def enter(s: tl.tensor, edge: tl.tuple, O: tl.constexpr) -> tl.tensor:
    """Input of the first layer, (B, H): the lift of the carried state, or that state.

    Args:
        s: (B, D).   edge: weights of lift and read-out.   O: options.
    """
    if O.reenter:
        return matmul(s, tl.trans(edge[0])) + edge[1][None, :]
    else:
        return s


@triton.jit
def leave(h: tl.tensor, edge: tl.tuple, O: tl.constexpr) -> tl.tensor:
    """Carried state, (B, D): the read-out of the last layer's output, or that output.

    Args:
        h: (B, H).   edge: weights of lift and read-out.   O: options.
    """
    if O.reenter:
        return matmul(h, tl.trans(edge[2])) + edge[3][None, :]
    else:
        return h


@triton.jit
def tile_rows(batch: tl.tensor, O: tl.constexpr, TILE: tl.constexpr) -> tl.tuple:
    """Offsets (B, D) of this program's tile in one step's block (batch, D), and a mask of those that exist.

    Args:
        batch: samples in all.   O: options.   TILE: samples of a tile.
    """
    b = tl.program_id(0) * TILE + tl.arange(0, TILE)
    column, there = carried_columns(O)
    return b[:, None] * O.carried + column[None, :], (b < batch)[:, None] & there[None, :]


@triton.jit(do_not_specialize=["batch", "steps"])
def forward_kernel(
    weights: tl.tensor,
    initial: tl.tensor,
    states: tl.tensor,
    batch: tl.tensor,
    steps: tl.tensor,
    places: tl.constexpr,
    layer: tl.constexpr,
    O: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Free run of one tile of one replica.

    Args:
        weights: (R, N).   initial: (R, B, D).   states: (R, T, B, D), written.   batch: B.   steps: T.
        places, layer: functions of one layer.   O: options.   TILE: samples of a tile.
    """
    replica = tl.program_id(1).to(tl.int64)
    w = load_all(weights + replica * O.size, places, O)
    at, there = tile_rows(batch, O, TILE)
    block = batch * O.carried
    s = tl.load(initial + replica * block + at, mask=there, other=0.0)
    for t in range(steps):
        h = enter(s, w[O.layers], O)
        for l in tl.static_range(O.layers):
            h = layer(h, w[l], O)
        s = leave(h, w[O.layers], O)
        tl.store(states + (replica * steps + t) * block + at, s, mask=there)


@triton.jit(do_not_specialize=["batch", "steps"])
def backward_kernel(
    weights: tl.tensor,
    initial: tl.tensor,
    states: tl.tensor,
    incoming: tl.tensor,
    sums: tl.tensor,
    initial_gradient: tl.tensor,
    batch: tl.tensor,
    steps: tl.tensor,
    places: tl.constexpr,
    layer: tl.constexpr,
    backward: tl.constexpr,
    O: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Gradient of the free run of one tile of one replica.

    Args:
        weights: (R, N).   initial: (R, B, D).   states, incoming: (R, T, B, D), s and ∂L/∂s from outside.
        sums: (tiles, R, N), written.   initial_gradient: ∂L/∂s_0 (R, B, D), written.   batch: B.   steps: T.
        places, layer, backward: functions of one layer.   O: options.   TILE: samples of a tile.
    """
    replica = tl.program_id(1).to(tl.int64)
    w = load_all(weights + replica * O.size, places, O)
    mine = all_places(sums + (tl.program_id(0).to(tl.int64) * tl.num_programs(1) + replica) * O.size, places, O)
    g = ()
    for l in tl.static_range(O.layers + 1):
        g = g + (zeros(mine[l]),)
    at, there = tile_rows(batch, O, TILE)
    block = batch * O.carried
    ds = tl.zeros(at.shape, tl.float32)
    for back in range(steps):
        t = steps - 1 - back
        ds += tl.load(incoming + (replica * steps + t) * block + at, mask=there, other=0.0)
        # Rows beyond the batch load as 0 both here and above, so that they add nothing to the sums.
        source = tl.where(t > 0, states + (replica * steps + t - 1) * block, initial + replica * block)
        s = tl.load(source + at, mask=there, other=0.0)
        ds, g = step_backward(s, w, g, ds, layer, backward, O)
    tl.store(initial_gradient + replica * block + at, ds, mask=there)
    for l in tl.static_range(O.layers + 1):
        store_sums(mine[l], g[l])


@triton.jit
def step_backward(
    s: tl.tensor,
    w: tl.tuple,
    g: tl.tuple,
    ds: tl.tensor,
    layer: tl.constexpr,
    backward: tl.constexpr,
    O: tl.constexpr,
) -> tl.tuple:
    """Gradient of one step: ∂L/∂s_{t−1}, and all sums with this step added.

    Args:
        s: s_{t−1} (B, D).   w, g: all weights and their gradients.   ds: ∂L/∂s_t (B, D).
        layer, backward: functions of one layer.   O: options.
    """
    edge = w[O.layers]
    h = enter(s, edge, O)
    seen = (h,)
    for l in tl.static_range(O.layers):
        h = layer(h, w[l], O)
        seen = seen + (h,)
    dh = ds
    edge_sums = g[O.layers]
    if O.reenter:
        dh = matmul(ds, edge[2])
    out = ()
    for m in tl.static_range(O.layers):
        dh, layer_sums = backward(seen[O.layers - 1 - m], w[O.layers - 1 - m], g[O.layers - 1 - m], dh, O)
        out = (layer_sums,) + out
    if O.reenter:
        edge_sums = (
            edge_sums[0] + matmul(tl.trans(dh), s),
            edge_sums[1] + tl.sum(dh, axis=0),
            edge_sums[2] + matmul(tl.trans(ds), seen[O.layers]),
            edge_sums[3] + tl.sum(ds, axis=0),
        )
        dh = matmul(dh, edge[0])
    return dh, out + (edge_sums,)
