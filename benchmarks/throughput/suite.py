"""Contestant (a): this suite, trained by `fit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.throughput.problem import CLIP, LEARNING_RATE, WEIGHT_DECAY, Data, Problem, Training, build, suite_name
from ddl_dyn import Replicas, fit
from ddl_dyn.config.sections import LARGEST_INTEGER, TrainConfig
from ddl_dyn.training.trainer import Trainer

Array = np.ndarray


class Suite:
    """Replicas trained as one.

    Args:
        problem: sizes.   data: weights and trajectories.
    """

    def __init__(self, problem: Problem, data: Data) -> None:
        self.problem, self.data = problem, data
        self.per_update = problem.replicas
        self.replicas = Replicas(build(problem), range(problem.replicas)).to(
            device=problem.device, dtype=getattr(torch, problem.dtype)
        )
        self.replicas.load_state_dict(
            {suite_name(problem, name): torch.as_tensor(a) for name, a in data.weights.items()}
        )
        self.series = Training.of(data.states)

    def config(self) -> TrainConfig:
        """As users train, without the curriculum, which would shorten the windows."""
        return TrainConfig(
            updates=LARGEST_INTEGER,
            validate_every=LARGEST_INTEGER,
            validate_steps=self.problem.steps,
            batch=self.problem.batch,
            horizon=self.problem.steps,
            curriculum=False,
            schedule="constant",
            lr=LEARNING_RATE,
            clip=CLIP,
            weight_decay=WEIGHT_DECAY,
            compile=self.problem.compile,  # type: ignore[arg-type]
            threads=self.problem.threads,
        )

    def gradients(self) -> tuple[Array, dict[str, Array]]:
        """Loss (R,) and gradients of the first update's windows, through the code that `train` runs."""
        torch.set_num_threads(self.problem.threads)
        if self.problem.compile == "on":
            self.replicas.compile()
        trainer = Trainer(self.replicas, self.series, self.series, self.config())
        loss, flat = self.replicas.loss_and_gradient("mse", *self._first(trainer))
        held = self.replicas.parameters
        parts = flat.split([p[0].numel() for p in held.values()], dim=1)
        found = {name: part.view(p.shape) for (name, p), part in zip(held.items(), parts, strict=True)}
        return loss.cpu().numpy(), {
            name: found[suite_name(self.problem, name)].detach().cpu().numpy() for name in self.data.weights
        }

    def _first(self, trainer: Trainer) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Start, inputs and target of the first update."""
        x0, target, inputs = trainer.windows.draw(0, self.problem.steps)
        return x0, inputs, target

    def train(self, after_update: Callable[[], None]) -> None:
        """Train until `after_update` raises."""

        def on_update(_: Any) -> None:
            after_update()

        fit(self.replicas, self.series, self.series, self.config(), on_update=on_update)

    def wait(self) -> None:
        """Until the device has finished."""
        if self.problem.device == "cuda":
            torch.cuda.synchronize()
