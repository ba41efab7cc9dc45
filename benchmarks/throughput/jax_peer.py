"""Contestant (c): the same equations in JAX. equinox modules, `lax.scan` over steps, `vmap` over batch and replicas,
one jitted update with optax; diffrax where the solver adapts.

Axes: R replicas, B batch, T steps, D state, S hidden state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.throughput.problem import ATOL, CLIP, LEARNING_RATE, RTOL, WEIGHT_DECAY, Data, Problem

Array = np.ndarray
Linear = eqx.nn.Linear
# Steps that the adaptive solver may take over a free run, a multiple of what the problem needs.
MAX_STEPS = 1024


class Free(eqx.Module):
    """A free run of the batch's step from x0 (B, D): (T, B, D)."""

    def unroll(self, x0: jax.Array, steps: int) -> jax.Array:
        def advance(x: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            x = jax.vmap(self)(x)
            return x, x

        return jax.lax.scan(advance, x0, None, length=steps)[1]


class Delta(Free):
    """X⁺ = X + β k (vᵀ − kᵀX)."""

    encode: Linear
    direction: Linear
    value: Linear
    gate: Linear

    def __call__(self, x: jax.Array) -> jax.Array:
        context = jnp.tanh(self.encode(x))
        k = self.direction(context)
        k = k * jax.lax.rsqrt((k * k).sum() + 1e-12)
        X = x.reshape(k.shape[0], -1)
        beta = 2 * jax.nn.sigmoid(self.gate(context))
        return (X + (beta * k)[:, None] * (self.value(context) - k @ X)).reshape(-1)


class Residual(Free):
    """h⁺ = h + W₂ tanh(W₁ h)."""

    hidden: Linear
    last: Linear

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.last(jnp.tanh(self.hidden(x)))


class Gated(Free):
    """h⁺ = (1 − T) h + T F(h)."""

    hidden: Linear
    last: Linear
    gate: Linear

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + jax.nn.sigmoid(self.gate(x)) * (self.last(jnp.tanh(self.hidden(x))) - x)


class Memory(eqx.Module):
    """c⁺ = f c + i tanh(a), s⁺ = o tanh(c⁺), h⁺ = h + W s⁺."""

    initial: Linear
    gates: Linear
    output: Linear

    def __call__(self, x: jax.Array, s: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        i, f, o, a = jnp.split(self.gates(jnp.concatenate((x, s))), 4)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(a)
        s = jax.nn.sigmoid(o) * jnp.tanh(c)
        return x + self.output(s), s, c

    def unroll(self, x0: jax.Array, steps: int) -> jax.Array:
        def advance(carry: tuple[jax.Array, ...], _: None) -> tuple[tuple[jax.Array, ...], jax.Array]:
            carry = jax.vmap(self)(*carry)
            return carry, carry[0]

        s, c = jnp.split(jnp.tanh(jax.vmap(self.initial)(x0)), 2, axis=-1)
        return jax.lax.scan(advance, (x0, s, c), None, length=steps)[1]


class Flow(eqx.Module):
    """ḣ = W₂ tanh(W₁ h): the 3/8 rule that torchdiffeq calls rk4, one step a sampling interval, under `lax.scan`."""

    hidden: Linear
    last: Linear

    def __call__(self, x: jax.Array) -> jax.Array:
        return jax.vmap(lambda row: self.last(jnp.tanh(self.hidden(row))))(x)

    def unroll(self, x0: jax.Array, steps: int) -> jax.Array:
        def advance(x: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            k1 = self(x)
            k2 = self(x + k1 / 3)
            k3 = self(x + k2 - k1 / 3)
            k4 = self(x + k1 - k2 + k3)
            x = x + (k1 + 3 * (k2 + k3) + k4) / 8
            return x, x

        return jax.lax.scan(advance, x0, None, length=steps)[1]


class AdaptiveFlow(Flow):
    """The same field by diffrax, one solve of the batch for the whole free run, each replica with steps of its own."""

    def unroll(self, x0: jax.Array, steps: int) -> jax.Array:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, x, _: self(x)),  # noqa: ARG005
            diffrax.Dopri5(),
            t0=0.0,
            t1=float(steps),
            dt0=None,
            y0=x0,
            saveat=diffrax.SaveAt(ts=jnp.arange(1, steps + 1, dtype=x0.dtype)),
            stepsize_controller=diffrax.PIDController(rtol=RTOL, atol=ATOL),
            max_steps=MAX_STEPS,
        )
        return solution.ys


MODULES: dict[str, type[Any]] = {
    "ddl": Delta,
    "resnet": Residual,
    "highway": Gated,
    "lstm": Memory,
    "neural_ode(rk4)": Flow,
    "neural_ode(dopri5)": AdaptiveFlow,
}


def linear(weight: Array, bias: Array) -> Linear:
    """An affine map with given weights, (R, O, I) and (R, O), whose replicas `vmap` takes apart."""
    empty = Linear(weight.shape[-1], weight.shape[-2], key=jax.random.key(0))
    return eqx.tree_at(lambda m: (m.weight, m.bias), empty, (jnp.asarray(weight), jnp.asarray(bias)))


class Jax:
    """Replicas mapped through one jitted update.

    Args:
        problem: sizes.   data: weights and trajectories.
    """

    def __init__(self, problem: Problem, data: Data) -> None:
        self.problem, self.data = problem, data
        self.per_update = problem.replicas
        parts = sorted({name.rsplit(".", 1)[0] for name in data.weights})
        self.parts = parts
        self.model = MODULES[problem.model](
            **{part: linear(data.weights[f"{part}.weight"], data.weights[f"{part}.bias"]) for part in parts}
        )
        self.optimiser = optax.chain(
            optax.clip_by_global_norm(CLIP), optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        )
        self.last: Any = None

    def loss(self, model: Any, x0: jax.Array, target: jax.Array) -> jax.Array:
        """Mean squared error of one replica.

        Args:
            model: one replica's.   x0: (B, D).   target: (T, B, D).
        """
        return jnp.square(model.unroll(x0, self.problem.steps) - target).mean()

    def gradients(self) -> tuple[Array, dict[str, Array]]:
        """Loss (R,) and gradients on the windows that all share."""
        both = jax.jit(jax.vmap(jax.value_and_grad(self.loss)))
        loss, grads = both(self.model, jnp.asarray(self.data.x0), jnp.asarray(self.data.target).swapaxes(1, 2))
        found = {}
        for part in self.parts:
            found[f"{part}.weight"] = np.asarray(getattr(grads, part).weight)
            found[f"{part}.bias"] = np.asarray(getattr(grads, part).bias)
        return np.asarray(loss), found

    def train(self, after_update: Callable[[], None]) -> None:
        """Train until `after_update` raises."""
        problem, optimiser = self.problem, self.optimiser
        states = jnp.asarray(self.data.states)
        offsets = jnp.arange(problem.steps + 1)

        def one(model: Any, state: Any, key: jax.Array) -> tuple[Any, Any, jax.Array, jax.Array]:
            key, first, second = jax.random.split(key, 3)
            which = jax.random.randint(first, (problem.batch,), 0, states.shape[0])
            start = jax.random.randint(second, (problem.batch,), 0, states.shape[1] - problem.steps)
            window = states[which, start + offsets[:, None]]
            loss, grads = jax.value_and_grad(self.loss)(model, window[0], window[1:])
            updates, state = optimiser.update(grads, state, model)
            return optax.apply_updates(model, updates), state, key, loss

        update = jax.jit(jax.vmap(one), donate_argnums=(0, 1, 2))
        # A copy, because what is donated is gone.
        model = jax.tree.map(jnp.array, self.model)
        state = jax.vmap(optimiser.init)(model)
        keys = jax.random.split(jax.random.key(0), problem.replicas)
        while True:
            model, state, keys, self.last = update(model, state, keys)
            after_update()

    def wait(self) -> None:
        """Until the device has finished."""
        jax.block_until_ready(self.last)
