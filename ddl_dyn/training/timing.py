"""Measured cost of a model on this machine: seconds a step and seconds an update.

Axes: R replicas, B batch, D observed state.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch

from ddl_dyn.config.sections import TrainConfig
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.engine.rollout import rollout
from ddl_dyn.training.schedule import horizon_at
from ddl_dyn.training.series import TrajectorySet
from ddl_dyn.training.trainer import Trainer

# Median of this many timings after one that warms up caches, allocators and compilers.
REPEATS = 3
TIMED_STEPS = 5


def milliseconds_per_step(replicas: Replicas, batch: int) -> float:
    """Time of one free-run step of all replicas on a batch, without gradients, as a free run makes it.

    Args:
        replicas: R.   batch: B.
    """
    width = replicas.template.input_dim
    x0 = torch.zeros(replicas.size, batch, replicas.template.state_dim, dtype=replicas.dtype, device=replicas.device)
    inputs = x0.new_zeros(replicas.size, batch, TIMED_STEPS, width)
    steps = min(TIMED_STEPS, replicas.max_steps or TIMED_STEPS)

    def run() -> None:
        rollout(replicas, x0, steps, inputs[..., :steps, :])

    return 1e3 * _median_seconds(run, replicas.device) / steps


def seconds_per_update(
    replicas: Replicas,
    train: TrajectorySet | Sequence[TrajectorySet],
    val: TrajectorySet | Sequence[TrajectorySet],
    config: TrainConfig,
) -> tuple[float, bool]:
    """Mean time of an update over the whole schedule, validations included, compilation left out.

    The horizon grows while training, so an update is timed at each horizon and weighed by its share of the schedule.

    Args:
        replicas: left as they were.   train, val: as for `fit`.   config: its schedule is what is timed.
    Returns:
        seconds, and whether the step runs compiled.
    """
    kept = replicas.state_dict()
    trainer = Trainer(replicas, train, val, config)
    compiled = trainer.compile()
    horizons = [horizon_at(config, update) for update in range(max(config.updates, 1))]
    total = 0.0
    for horizon in dict.fromkeys(horizons):
        trainer.update = horizons.index(horizon)
        total += _median_seconds(trainer.step, replicas.device) * horizons.count(horizon) / len(horizons)
    total += _median_seconds(lambda: trainer.validate(0.0), replicas.device) / config.validate_every
    replicas.load_state_dict(kept)
    return total, compiled


def updates_within(seconds: float, each: float) -> int:
    """Updates of `each` seconds that fit in a budget of `seconds`, at least one."""
    return max(int(seconds / each), 1)


def _median_seconds(work: Callable[[], object], device: torch.device) -> float:
    found = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - began)
    return statistics.median(found[1:])
