"""Datasets: independent splits of one task, observation noise, the horizon of trust, a content hash.

Axes: N trajectories, T steps, D state components, U input components.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ddl_dyn.config.notebook import html_table
from ddl_dyn.tasks.base import SPLITS, Split, Task
from ddl_dyn.tasks.integrators import ATOL, RTOL
from ddl_dyn.tasks.radii import STARTS, check_radii, draw_at_radii
from ddl_dyn.tasks.trajectories import Trajectories
from ddl_dyn.tasks.trust import trust_horizon

# Part of every content hash; raised whenever a change makes the same request yield other numbers.
VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Trajectories of one task, split by initial state.

    Args:
        task: the system.
        train, val: with observation noise, where noise was asked for.
        test, ood: clean; ood is None where none was asked for or the task has none.
        content_hash: hexadecimal SHA-256 of everything that determines the numbers of the four splits.
        trust_steps: steps up to which two computations of the test and ood trajectories agree.
        notes: statements on how the request was met, e.g. a shortened horizon of an observed series.
        radii: clean trajectories from starts at multiples of the training radius, by that multiple, ascending.
    """

    task: Task
    train: Trajectories
    val: Trajectories
    test: Trajectories
    ood: Trajectories | None
    content_hash: str
    trust_steps: int
    notes: tuple[str, ...] = ()
    radii: Mapping[float, Trajectories] = field(default_factory=dict)

    def __repr__(self) -> str:
        parts = {name: getattr(self, name) for name in SPLITS}
        sizes = ", ".join(f"{name} {len(part)} × {part.steps}" for name, part in parts.items() if part is not None)
        return f"Dataset({self.task.key()}: {sizes} steps)"

    def _repr_html_(self) -> str:
        parts: dict[str, Trajectories | None] = {name: getattr(self, name) for name in SPLITS}
        parts |= {f"{radius:g} × the training radius": part for radius, part in self.radii.items()}
        rows = [(name, len(part), part.steps) for name, part in parts.items() if part is not None]
        notes = [(note, "", "") for note in self.notes]
        return html_table(f"data of {self.task.key()}", [*rows, *notes], ("split", "trajectories", "steps"))


def make_dataset(
    task: Task,
    *,
    n_train: int,
    n_val: int,
    n_test: int,
    n_ood: int = 0,
    steps: int,
    noise: float = 0.0,
    seed: int = 0,
    test_seed: int | None = None,
    radii: Sequence[float] = (),
) -> Dataset:
    """Simulate (or, for an observed series, cut out) the four splits of a task.

    Args:
        task: from `make_task`.   n_train, n_val, n_test: trajectories of each split, at least 1.
        n_ood: trajectories from initial states disjoint from training; 0 for none.
        steps: sampling steps of each trajectory, at least 1.
        noise: standard deviation of Gaussian observation noise on train and val, in units of each component's
            training standard deviation.
        seed: fixes initial states, inputs and noise; the splits use independent streams, and the first n of 2n
            trajectories of a split are the n.
        test_seed: fixes test, ood and radii instead, so that several data sets share them; None takes `seed`.
        radii: multiples of the training radius, above 1, at each of which n_ood trajectories start, at most 16; no
            other split depends on them.
    Returns:
        A Dataset.
    Raises:
        ValueError: when a number is out of range, when noise is asked of a task that cannot carry it, or when the
            simulation leaves the finite numbers.
    Example:
        >>> from ddl_dyn import make_dataset, make_task
        >>> data = make_dataset(make_task("henon"), n_train=16, n_val=4, n_test=4, steps=50)
        >>> data.train.states.shape, data.ood
        ((16, 51, 2), None)
    """
    counts: dict[Split, int] = {"train": n_train, "val": n_val, "test": n_test, "ood": n_ood}
    _check_request(task, counts, steps=steps, noise=noise, seed=seed)
    check_radii(radii)
    seeds = {"seed": seed}
    if test_seed is not None and test_seed != seed and not task.recorded:
        seeds["test_seed"] = test_seed
    splits, notes = _clean_splits(task, counts, steps, **seeds)
    _check_finite(task, splits)
    train, val, test, ood = (splits[split] for split in SPLITS)
    if not (train and val and test):
        raise ValueError(f"{task.key()}: the task made no train, val or test split")
    far, said = draw_at_radii(task, radii, n=min(n_ood, STARTS), steps=steps, seed=seeds.get("test_seed", seed))
    return Dataset(
        task=task,
        train=_with_noise(train, noise, train, np.random.SeedSequence([seed, 1])),
        val=_with_noise(val, noise, train, np.random.SeedSequence([seed, 2])),
        test=test,
        ood=ood,
        content_hash=_content_hash(task, splits, counts, steps=steps, noise=noise, **seeds),
        trust_steps=min(_trust(task, part) for part in (test, ood) if part is not None),
        notes=(*notes, *said),
        radii=far,
    )


def _check_request(task: Task, counts: dict[Split, int], *, steps: int, noise: float, seed: int) -> None:
    for split, n in counts.items():
        _check_count(f"n_{split}", n, 0 if split == "ood" else 1)
    _check_count("steps", steps, 1)
    _check_count("seed", seed, 0)
    _check_noise(task, noise)


def _check_noise(task: Task, noise: float) -> None:
    if not (np.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise must be a non-negative number, got {noise!r}")
    if noise > 0 and not task.accepts_noise:
        reason = task.noise_reason or "its states are categories"
        raise ValueError(f"{task.key()}: noise must be 0 for this task ({reason}), got {noise}")


def _clean_splits(
    task: Task, counts: dict[Split, int], steps: int, *, seed: int, test_seed: int | None = None
) -> tuple[dict[Split, Trajectories | None], list[str]]:
    """The splits without noise, test and ood from a seed of their own where one is given."""
    if test_seed is None:
        return task.make_splits(counts, steps, seed=seed)
    _check_count("test_seed", test_seed, 0)
    splits, notes = task.make_splits(counts | {"test": 0, "ood": 0}, steps, seed=seed)
    tested, _ = task.make_splits(counts | {"train": 0, "val": 0}, steps, seed=test_seed)
    return splits | {"test": tested["test"], "ood": tested["ood"]}, notes


def _check_count(name: str, value: int, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise ValueError(f"{name} must be an integer of at least {low}, got {value!r}")


def _check_finite(task: Task, splits: dict[Split, Trajectories | None]) -> None:
    for split, part in splits.items():
        if part is None:
            continue
        bad = np.any(~np.isfinite(part.states), axis=2)
        if bad.any():
            row, step = (int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"{task.key()}: {split} trajectory {row} leaves the finite numbers at step {step} (it starts from "
                f"{part.states[row, 0]}); {np.count_nonzero(bad.any(axis=1))} of {len(part)} do. Choose parameters "
                "whose attractor holds the initial states, or fewer steps"
            )


def _trust(task: Task, part: Trajectories) -> int:
    if task.recorded:
        return part.steps
    return trust_horizon(task, part.states[:, 0], part.steps, inputs=part.inputs, states=part.states)


def _with_noise(part: Trajectories, noise: float, train: Trajectories, stream: np.random.SeedSequence) -> Trajectories:
    if noise == 0:
        return part
    sigma = train.states.reshape(-1, train.states.shape[2]).std(axis=0)
    draws = np.random.default_rng(stream).standard_normal(part.states.shape)
    return part.replace(states=part.states + noise * sigma * draws)


def _content_hash(task: Task, splits: dict[Split, Trajectories | None], counts: dict[Split, int], **how: object) -> str:
    """SHA-256 over canonical JSON; floats by their shortest exact form, initial states to ten digits.

    Ten digits, not all: the last bits of a settled initial state may differ between platforms' sine functions.
    """
    starts = {
        split: hashlib.sha256("".join(f"{v:.9e}," for v in part.states[:, 0].ravel()).encode()).hexdigest()
        for split, part in splits.items()
        if part is not None
    }
    record = {
        "version": VERSION,
        "task": task.key(),
        "parameters": {name: _plain(value) for name, value in task.parameters().items()},
        "content": task.content_key(),
        "initial_states": {"generator": "PCG64, SeedSequence.spawn", "values": starts},
        "solver": {"name": "DOP853", "rtol": RTOL, "atol": ATOL},
        "dtype": "float64",
        "counts": counts,
        **how,
    }
    return hashlib.sha256(json.dumps(record, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _plain(value: object) -> Any:
    """A parameter as JSON can hold it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return list(value) if isinstance(value, tuple) else value
