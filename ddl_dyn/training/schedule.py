"""Schedules by the number of the update: learning rate, horizon, windows.

Axes: R replicas, B batch, N trajectories, T steps, D observed state, U inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from ddl_dyn.config.sections import TrainConfig
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.training.series import DataSets

# An update's random windows are drawn in blocks: one seeding and one transfer for many updates.
UPDATES_PER_BLOCK = 64
# Milliseconds of an eager step with its gradient, at all and for each replica (default models, batch 64), and seconds
# of training below which compiling, which takes 4 to 7 of them, cannot pay.
EAGER_STEP, EAGER_REPLICA, COMPILE_ABOVE = 0.25, 0.1, 7.0


def worth_compiling(config: TrainConfig, stages: Iterable[tuple[int, float]]) -> bool:
    """True for a training that is to run compiled where it can: by configuration, or by the time it takes eagerly.

    Args:
        config: of the training.
        stages: replicas trained at once, and updates, of each part of it.
    """
    milliseconds = sum(updates * config.horizon * (EAGER_STEP + EAGER_REPLICA * size) for size, updates in stages)
    return config.compile == "on" or (config.compile == "auto" and milliseconds > 1e3 * COMPILE_ABOVE)


def rate_shape(config: TrainConfig, update: int) -> float:
    """Learning rate of an update as a multiple of the highest: one-cycle, cosine to 0, or constant.

    Source: Smith & Topin (2019), Super-convergence, arXiv 1708.07120.
    """
    if config.schedule == "constant" or config.updates <= 1:
        return 1.0
    progress = update / (config.updates - 1)
    warm, start, end = (0.3, 1 / 25, 1e-4) if config.schedule == "one_cycle" else (0.0, 1.0, 0.0)
    if progress < warm:
        low, high, x = start, 1.0, progress / warm
    else:
        low, high, x = 1.0, end, (progress - warm) / (1.0 - warm)
    return high + (low - high) * (1.0 + math.cos(math.pi * x)) / 2.0


def horizon_at(config: TrainConfig, update: int) -> int:
    """Free-run steps in an update's windows: doubling from 5 to the full horizon during the first half."""
    stages = [config.horizon]
    while config.curriculum and stages[0] > 5:
        stages.insert(0, max(5, (stages[0] + 1) // 2))
    stage = min(int(2 * len(stages) * update / max(config.updates, 1)), len(stages) - 1)
    return stages[stage]


def forcing_at(config: TrainConfig, update: int) -> float:
    """Share α of teacher forcing in an update: constant, or falling linearly to 0 at the last one."""
    if config.forcing_schedule == "constant":
        return config.forcing
    return config.forcing * (1.0 - update / max(config.updates - 1, 1))


class Windows:
    """Random training windows; each replica draws its own from its seed, the same for every model.

    Args:
        train: the data sets.   replicas: R; their seeds, data sets, device and precision.   batch: B.
    """

    def __init__(self, train: DataSets, replicas: Replicas, batch: int) -> None:
        self.states = torch.as_tensor(train.states, dtype=replicas.dtype).to(replicas.device)
        self.inputs = torch.as_tensor(train.inputs, dtype=replicas.dtype).to(replicas.device)
        self.seeds, self.batch = replicas.seeds, batch
        # The number of the first trajectory of each replica's data set.
        self.first = torch.tensor(replicas.data_sets, device=replicas.device)[:, None] * self.states.shape[1]
        self._block: tuple[int, Tensor] | None = None

    def draw(self, update: int, horizon: int) -> tuple[Tensor, Tensor, Tensor]:
        """x0 (R, B, D), targets (R, B, horizon, D) and inputs (R, B, horizon, U) of an update."""
        return self.cut(self.uniform(update), horizon)

    def uniform(self, update: int) -> Tensor:
        """The random numbers (R, 2, B) in [0, 1) that an update's windows follow from."""
        index, offset = divmod(update, UPDATES_PER_BLOCK)
        if self._block is None or self._block[0] != index:
            # Seeded by (replica's seed, block): any update can be drawn again without replaying those before it.
            uniform = [
                np.random.default_rng(np.random.SeedSequence([seed, index])).random((UPDATES_PER_BLOCK, 2, self.batch))
                for seed in self.seeds
            ]
            block = torch.as_tensor(np.stack(uniform))
            if self.states.is_cuda:
                # From pinned memory the copy runs beside the host, which goes on.
                block = block.pin_memory()
            self._block = index, block.to(self.states.device, non_blocking=True)
        return self._block[1][:, offset]

    def cut(self, u: Tensor, horizon: int) -> tuple[Tensor, Tensor, Tensor]:
        """Windows as `draw` gives them, from their random numbers (R, 2, B)."""
        n, length = self.states.shape[1:3]
        which = self.first + (u[:, 0] * n).long()
        start = (u[:, 1] * (length - horizon)).long()
        times = torch.arange(horizon + 1, device=start.device)
        window = _rows(self.states, (which * length + start)[..., None] + times)
        inputs = _rows(self.inputs, (which * (length - 1) + start)[..., None] + times[:-1])
        return window[..., 0, :], window[..., 1:, :], inputs


def _rows(series: Tensor, which: Tensor) -> Tensor:
    """Rows (…, D) of series (G, N, T, D) by their place in all of them: whole rows are copied faster than indexed."""
    rows: Tensor = series.flatten(0, 2).index_select(0, which.flatten()).unflatten(0, which.shape)
    return rows
