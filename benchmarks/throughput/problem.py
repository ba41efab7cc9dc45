"""The one problem that all contestants solve: sizes, starting weights, training data and the windows of one update.

Axes: R replicas, B batch, N trajectories, T steps, D state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
# Weights of a fresh model make many gradients vanish; this much noise is added to all of them.
DISTURBANCE = 0.05
# So small that the weights, and with them the work of an adaptive solver, stay the same through the measurement.
LEARNING_RATE = 1e-7
# As `TrainConfig` has them, so that every contestant makes the same update.
CLIP, WEIGHT_DECAY = 1.0, 1e-4
TRAJECTORIES = 256
RTOL, ATOL = 1e-5, 1e-6

# Printed name -> registry key and options beyond those that all share.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddl": ("ddl", {"value_dim": 2}),
    "resnet": ("resnet", {}),
    "highway": ("highway", {}),
    "lstm": ("lstm", {}),
    "neural_ode(rk4)": ("neural_ode", {"solver": "rk4"}),
    "neural_ode(dopri5)": ("neural_ode", {"solver": "dopri5", "rtol": RTOL, "atol": ATOL}),
}

# Affine maps by the names of their equations -> by the names of the suite's state dictionary.
AFFINE: dict[str, dict[str, str]] = {
    "ddl": {
        "encode": "layers.0.encode.0",
        "direction": "layers.0.direction",
        "value": "layers.0.value",
        "gate": "layers.0.gate",
    },
    "resnet": {"hidden": "layers.0.branch.hidden.0", "last": "layers.0.branch.last"},
    "highway": {"hidden": "layers.0.branch.hidden.0", "last": "layers.0.branch.last", "gate": "layers.0.gate"},
    "lstm": {"initial": "initial", "gates": "layers.0.gates", "output": "layers.0.output"},
    "neural_ode": {"hidden": "layers.0.hidden.0", "last": "layers.0.last"},
}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Sizes of one cell of the table.

    Args:
        model: a key of `MODELS`.   replicas: R.   dim: D, which is the latent state too (lift=identity).
        steps: T of a free run.   batch: B.   hidden: units of the hidden layer.
        threads: of every contestant.   device: "cpu" or "cuda".   dtype: "float32" or "float64".
    """

    model: str
    replicas: int
    dim: int = 16
    steps: int = 50
    batch: int = 64
    hidden: int = 64
    threads: int = 1
    device: str = "cpu"
    dtype: str = "float32"
    compile: str = "on"

    @property
    def key(self) -> str:
        """Registry key of the model."""
        return MODELS[self.model][0]

    @property
    def adaptive(self) -> bool:
        """True where the solver chooses its own steps."""
        return MODELS[self.model][1].get("solver") == "dopri5"

    @property
    def options(self) -> dict[str, Any]:
        """Options for `make_model`: one tied layer on the state itself, carried from step to step as it is."""
        options = dict(MODELS[self.model][1])
        if self.key == "ddl":
            options["latent_dim"] = self.dim // options["value_dim"]
        return options | {"lift": "identity", "carry": "latent", "layers": 1, "hidden_dim": self.hidden}

    def plain(self) -> dict[str, Any]:
        """As keyword arguments."""
        return asdict(self)


@dataclass(frozen=True)
class Data:
    """Contents of the problem's file.

    Args:
        weights: "encode.weight" and so on -> (R, …).   states: training trajectories (N, 2T+1, D).
        x0: (R, B, D), target: (R, B, T, D), the windows on which contestants must agree.
    """

    weights: dict[str, Array]
    states: Array
    x0: Array
    target: Array

    @classmethod
    def read(cls, path: Path, dtype: str) -> Data:
        """From the file that `write` made."""
        with np.load(path) as held:
            arrays = {name: held[name].astype(dtype) for name in held.files}
        weights = {name.removeprefix("w:"): a for name, a in arrays.items() if name.startswith("w:")}
        return cls(weights, arrays["states"], arrays["x0"], arrays["target"])

    def one(self, r: int) -> dict[str, Array]:
        """Weights of replica r."""
        return {name: a[r] for name, a in self.weights.items()}


def suite_name(problem: Problem, name: str) -> str:
    """The suite's name of a weight: "encode.weight" -> "layers.0.encode.0.weight"."""
    part, kind = name.rsplit(".", 1)
    return f"{AFFINE[problem.key][part]}.{kind}"


def build(problem: Problem) -> Callable[[], Any]:
    """Builder of one seed's model, for `Replicas`."""
    from ddl_dyn import make_model

    key, options = problem.key, problem.options
    return lambda: make_model(key, state_dim=problem.dim, **options)


def trajectories(problem: Problem, count: int = TRAJECTORIES) -> Array:
    """Smooth bounded series (N, 2T+1, D): sines of random frequency and phase, in model units."""
    rng = np.random.default_rng(0)
    t = np.arange(2 * problem.steps + 1)[None, :, None]
    frequency = rng.uniform(0.05, 0.5, (count, 1, problem.dim))
    phase = rng.uniform(0.0, 2 * np.pi, (count, 1, problem.dim))
    return np.sin(frequency * t + phase)


@dataclass
class Training:
    """Trajectories as `fit` wants them: states (N, T+1, D), inputs (N, T, 0)."""

    states: Array
    inputs: Array

    @classmethod
    def of(cls, states: Array) -> Training:
        """Without inputs."""
        return cls(states, np.zeros((*states.shape[:1], states.shape[1] - 1, 0)))


def write(problem: Problem, path: Path) -> None:
    """Save weights, trajectories and the windows of the suite's first update, all in float64."""
    import torch

    from ddl_dyn import Replicas
    from ddl_dyn.training.schedule import Windows
    from ddl_dyn.training.series import data_sets

    replicas = Replicas(build(problem), range(problem.replicas))
    rng = np.random.default_rng(1)
    held = {name: t.double().numpy() for name, t in replicas.state_dict().items()}
    arrays: dict[str, Array] = {}
    for part in AFFINE[problem.key]:
        for kind in ("weight", "bias"):
            value = held.pop(suite_name(problem, f"{part}.{kind}"))
            arrays[f"w:{part}.{kind}"] = value + DISTURBANCE * rng.standard_normal(value.shape)
    if held:
        raise ValueError(f"{problem.model} has weights that its equations here do not name: {sorted(held)}")
    states = trajectories(problem)
    replicas.to("cpu", torch.float64)
    windows = Windows(data_sets(Training.of(states), replicas, "train"), replicas, problem.batch)
    x0, target, _ = windows.draw(0, problem.steps)
    np.savez(path, states=states, x0=x0.numpy(), target=target.numpy(), **arrays)
