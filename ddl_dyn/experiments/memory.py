"""Memory that a run will need at least, from its configuration alone, beside what the machine has free.

Axes: R replicas, B batch, T steps, D observed state, U inputs.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddl_dyn.config.parsing import ConfigError
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.engine.device import choose_device
from ddl_dyn.models import model_class
from ddl_dyn.models.check import count_numbers
from ddl_dyn.tasks import make_task
from ddl_dyn.training.budget import with_latent

GIGABYTE = 1 << 30
# Samples that a compiled update takes through a free run at once.
_TILE = 64
# Copies of every weight while a model is trained: itself, gradient, two moments, the best and the last ones.
TRAINED_COPIES, SOLVED_COPIES = 6, 2


@dataclass(frozen=True, kw_only=True)
class Need:
    """Memory of one part of a run.

    Args:
        bytes: at least so many.   what: the part.   lower: the options that make it smaller.
        on_device: whether it lies on the device of the training, where that is a GPU.
    """

    bytes: int
    what: str
    lower: str
    on_device: bool = True


def needs(config: RunConfig, task: Any = None) -> list[Need]:
    """Memory of each part of a run: lower bounds, which a run will exceed.

    Args:
        config: resolved.   task: its task, to spare making it again.
    Raises:
        ValueError: when the task cannot be made.
    """
    task = task or make_task(config.task, **config.task_args)
    data, train, cls = config.data, config.train, model_class(config.model)
    steps, counts = data.steps, {name: getattr(data, name) for name in ("n_train", "n_val", "n_test", "n_ood")}
    if task.recorded:
        # Windows of a series: not more of them, and none longer, than it has samples.
        samples = sum(len(part) for parts in task.segments.values() for part in parts)
        steps, counts = min(steps, samples), {name: min(n, samples) for name, n in counts.items()}
    options = with_latent(config.model, config.model_args, config.budget.latent, task.state_dim)
    shape = (task.state_dim, task.input_dim, task.dt)
    numbers = _count(config.model, options, shape)
    width, seeds = (4 if train.dtype == "float32" else 8), config.seeds
    row = task.state_dim + task.input_dim
    learned = (data.seeds or 1) * (counts["n_train"] + counts["n_val"])
    tested = counts["n_test"] + counts["n_ood"]
    validated = min(train.validate_steps or config.eval.long, steps)
    copies = SOLVED_COPIES if cls.closed_form else TRAINED_COPIES
    most = max(counts, key=lambda name: counts[name])
    return [
        # In float64 as simulated, scaled, and in the precision of training.
        Need(
            bytes=row * (steps + 1) * (8 * (learned + tested) + (8 + width) * learned),
            what="the trajectories",
            lower=f"data.{most} or data.steps",
            on_device=False,
        ),
        Need(
            bytes=copies * width * seeds * numbers,
            what=f"the {numbers:,} numbers of a model in {seeds:,} replicas",
            lower="the model's size (such as model_args.hidden_dim) or seeds",
        ),
        Need(
            bytes=2 * width * seeds * train.batch * (min(train.horizon, steps) + 1) * row,
            what="a batch of windows",
            lower="train.batch, train.horizon or seeds",
        ),
        Need(
            bytes=width * _activations(config, options, shape),
            what="what a gradient keeps of the hidden layers",
            lower="model_args.hidden_dim, train.batch or train.horizon, or set train.checkpointing=true",
        ),
        Need(
            bytes=width * seeds * counts["n_val"] * (validated + 1) * task.state_dim,
            what="the free runs of a validation",
            lower="data.n_val, train.validate_steps or seeds",
        ),
        Need(
            bytes=8 * seeds * tested * (steps + 1) * task.state_dim,
            what="the forecasts of the test",
            lower="data.n_test, data.n_ood, data.steps or seeds",
            on_device=False,
        ),
    ]


def _activations(config: RunConfig, options: Mapping[str, Any], shape: tuple[int, int, float]) -> int:
    """Hidden numbers that a gradient keeps at the least: of one tile of one replica where free runs may be compiled."""
    train, hidden = config.train, options.get("hidden_dim", 1)
    if model_class(config.model).closed_form or hidden == 1:
        return 0
    if _count(config.model, options, shape) == _count(config.model, {**options, "hidden_dim": 1}, shape):
        return 0
    samples = train.batch * config.seeds if train.compile == "off" else min(train.batch, _TILE)
    kept = math.isqrt(train.horizon) if train.checkpointing else train.horizon
    layers = 1 if options.get("sharing") == "untied" else options.get("layers", 1)
    return int(samples * kept * layers * hidden)


def _count(model: str, options: Mapping[str, Any], shape: tuple[int, int, float]) -> int:
    return count_numbers(model_class(model), model, json.dumps(options, sort_keys=True), shape)


def check_memory(configs: Iterable[RunConfig]) -> None:
    """Refuse runs that need more memory than the machine has free, before anything is made.

    Args:
        configs: resolved.
    Raises:
        ConfigError: with a line for each kind of run that does not fit.
    """
    free = free_memory()
    if free is None:
        return
    problems = []
    for config, parts in _needs_here(configs):
        total, largest = sum(part.bytes for part in parts), max(parts, key=lambda part: part.bytes)
        if total > free:
            problems.append(
                f"{config.model} on {config.task} needs at least {_gigabytes(total)} of memory, "
                f"{_gigabytes(largest.bytes)} of it for {largest.what}, and {_gigabytes(free)} are free; lower "
                f"{largest.lower}"
            )
    if problems:
        raise ConfigError(problems)


def check_side_by_side(configs: Iterable[RunConfig], jobs: int) -> None:
    """Refuse as many runs at a time as need more memory together than the machine has free.

    Args:
        configs: resolved; any of them may run beside any other.   jobs: how many run at a time.
    Raises:
        ConfigError: when the largest ones together do not fit, with the number of jobs that does.
    """
    free = free_memory()
    if free is None:
        return
    sizes = sorted((sum(part.bytes for part in parts) for _, parts in _needs_here(configs)), reverse=True)[:jobs]
    if sum(sizes) > free:
        fit = sum(total <= free for total in itertools.accumulate(sizes))
        raise ConfigError(
            [
                f"{len(sizes)} runs side by side need at least {_gigabytes(sum(sizes))} of memory, and "
                f"{_gigabytes(free)} are free; lower jobs to {max(fit, 1)}"
            ]
        )


def _needs_here(configs: Iterable[RunConfig]) -> Iterator[tuple[RunConfig, list[Need]]]:
    """Runs, each with its needs of this machine's memory; a GPU's own memory torch speaks for."""
    # A task may be a file that has to be read, and a grid has thousands of cells of it.
    tasks: dict[str, Any] = {}
    for config in configs:
        name = json.dumps([config.task, config.task_args], sort_keys=True, default=str)
        task = tasks[name] = tasks.get(name) or make_task(config.task, **config.task_args)
        on_gpu = choose_device(config.train.device) == "cuda"
        yield config, [part for part in needs(config, task) if not (on_gpu and part.on_device)]


def free_memory() -> int | None:
    """Bytes of memory that this process may still take, the limits of its container and of its shell (`ulimit -v`)
    included; None where nothing tells."""
    found = []
    with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    with contextlib.suppress(OSError, ValueError):
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
        found.append(max(limit - used, 0))
    with contextlib.suppress(OSError, ValueError, IndexError, ImportError):
        found += _within_limits()
    if not found:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def _within_limits() -> Iterator[int]:
    """Bytes that each limit on this process's own memory leaves."""
    import resource

    pages = [int(text) for text in Path("/proc/self/statm").read_text().split()]
    # Its sixth field is data and stack together.
    for kind, used in ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5])):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            yield max(limit - used * resource.getpagesize(), 0)


def _gigabytes(count: int) -> str:
    return f"{count / GIGABYTE:,.1f} GB"
