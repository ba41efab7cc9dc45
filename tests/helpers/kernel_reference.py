"""Free runs of DDL and of residual networks in float64, sample by sample: what the kernels are held against.

Written from the equations with numpy, sharing no code with the models. Axes: T steps, D state, H latent, P hidden.
"""

from __future__ import annotations

import numpy as np


def affine(weights, name, x):
    return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]


def residual_block(h, weights, config):
    return h + config.step_size * affine(weights, "branch.last", np.tanh(affine(weights, "branch.hidden.0", h)))


def delta_block(h, weights, config, rows, values):
    z = np.tanh(affine(weights, "encode.0", h))
    k_all = affine(weights, "direction", z).reshape(config.directions, rows)
    v_all = np.zeros((config.directions, values))
    if config.rewrite != "erase":
        v_all = affine(weights, "value", z).reshape(config.directions, values)
    if config.gate == "fixed":
        gates = np.full(2 * config.directions, config.beta0)
    else:
        gates = config.gate_max / (1.0 + np.exp(-affine(weights, "gate", z)))
    X = h.reshape(rows, values)
    for i, (k, v) in enumerate(zip(k_all, v_all, strict=True)):
        if config.normalize_direction:
            k = k / np.sqrt(k @ k + 1e-12)
        erase, write = gates[i], gates[config.directions + i] if config.rewrite == "untied" else gates[i]
        A = np.eye(rows) if config.rewrite == "write" else np.eye(rows) - erase * np.outer(k, k)
        X = A @ X + write * np.outer(k, v)
    return X.reshape(-1)


def unroll(model, weights, x0, steps):
    """States (B, T, D) of one replica; weights: name -> float64 array."""
    config = model.config
    layers = [
        {name.removeprefix(f"layers.{l}."): w for name, w in weights.items() if name.startswith(f"layers.{l}.")}
        for l in range(config.layers)
    ]
    linear, observed = config.lift == "linear", config.carry == "observed"
    runs = []
    for x in x0:
        h, run = (affine(weights, "lift_map", x) if linear else x), []
        for _ in range(steps):
            for layer in layers:
                if type(model).__name__ == "ResNet":
                    h = residual_block(h, layer, config)
                else:
                    h = delta_block(h, layer, config, model.rows, model.value_dim)
            x = affine(weights, "read_map", h) if linear else h
            run.append(x)
            if observed:
                h = affine(weights, "lift_map", x) if linear else x
        runs.append(run)
    return np.array(runs)


def gradient_along(loss, weights, name, direction, eps=1e-6):
    """Central difference of loss(weights) along `direction` in one parameter; errors of order ε² and 1e-16/ε."""
    ends = [loss(weights | {name: weights[name] + sign * eps * direction}) for sign in (1, -1)]
    return (ends[0] - ends[1]) / (2 * eps)
