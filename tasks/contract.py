"""The contract of a task, checked on a few states within a second: what training and evaluation rely on.

Axes: N states, D state components, U input components.
"""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import SPLITS, FlowTask, MapTask, Split, Task
from ddl_dyn.tasks.exponents import ChaoticFlow

_FEW, MANY, DRAWS = 4, 8, 128
# Steps that must stay finite, and the longest run in which the integrator must not get stuck.
_STEPS, _LONGEST = 20, 300
# Dimension above which that run is shortened, to stay within a second.
_WIDE = 16
# Share of states whose nearest neighbour is of their own split: ½ for equal supports, near 1 for disjoint ones.
TOLD_APART = 0.7


def check_task(task: Task) -> None:
    """Hold a task to its contract: shapes, types, purity, determinism, autonomy, prefix rule, supports, finite steps.

    Args:
        task: of the registry, or a user's own.
    Raises:
        ValueError: with the first rule that the task breaks, in one line.
    """
    try:
        hash(task)
    except TypeError as error:
        bad = [
            f"{name} = {reprlib.repr(value)}" for name, value in task.parameters().items() if not _is_hashable(value)
        ]
        got = f", got {', '.join(bad)}" if bad else f" ({error})"
        raise ValueError(f"{task.key()}: parameters must be numbers, texts or tuples of them{got}") from error
    with np.errstate(all="ignore"):
        _checked(task)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


@functools.lru_cache(maxsize=256)
def _checked(task: Task) -> None:
    names = task.state_names
    if not isinstance(names, tuple) or not names or len(set(names)) != len(names):
        raise ValueError(f"{task.key()}: state_names must be a tuple of different names, got {names!r}")
    # That of a chaotic flow is known or estimated in a way that cannot fail, but may take a minute.
    estimated = isinstance(task, ChaoticFlow)
    timescale = _LONGEST * task.dt if estimated else _called(task, "timescale", lambda: task.timescale)
    if not (isinstance(timescale, (int, float, np.floating)) and np.isfinite(timescale) and timescale > 0):
        raise ValueError(f"{task.key()}: timescale must be a positive number, got {timescale!r}")
    if task.recorded:
        return
    drawn = {split: _check_draws(task, split) for split in SPLITS}
    _check_supports(task, drawn["train"], drawn["ood"])
    train, ood = drawn["train"][0][:MANY], drawn["ood"][0][:MANY]
    x = np.concatenate([train, ood])
    if isinstance(task, FlowTask):
        _check_field(task, x)
    elif isinstance(task, MapTask):
        _check_function(task, "next_state", task.next_state, x)
    longest = _LONGEST * _WIDE // max(_WIDE, task.state_dim)
    _check_simulation(task, train, "train", max(_STEPS, min(longest, int(3 * timescale / task.dt))))
    _check_simulation(task, ood, "ood", _STEPS)


def _called(task: Task, what: str, function: Callable[[], object]) -> Any:
    """The result of a task's own code; any failure of it as one line."""
    try:
        return function()
    except Exception as error:
        said = str(error).partition("\n")[0].removeprefix(f"{task.key()}: ")
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"{task.key()}: {what} fails: {kind}{said}") from error


def _check_array(task: Task, what: str, value: object, shape: tuple[int, ...], *, finite: bool = False) -> Array:
    if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype != np.float64:
        got = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise ValueError(f"{task.key()}: {what} must return a float64 array of shape {shape}, got {got}")
    if finite and not np.isfinite(value).all():
        raise ValueError(f"{task.key()}: {what} must return finite numbers, got {value[~np.isfinite(value)][0]}")
    return value


def _check_draws(task: Task, split: Split) -> tuple[Array, Array]:
    """Shapes, determinism and prefix rule; initial states (DRAWS, D) and their first inputs (DRAWS, U)."""

    def states(n: int) -> Array:
        value = task.initial_states(n, rng=np.random.default_rng(SPLITS.index(split)), split=split)
        return _check_array(task, "initial_states", value, (n, task.state_dim), finite=True)

    def inputs(n: int) -> Array:
        value = task.inputs(n, 2, rng=np.random.default_rng(SPLITS.index(split)), split=split)
        return _check_array(task, "inputs", value, (n, 2, task.input_dim), finite=True)

    drawn = []
    for what, draw in (("initial_states", states), ("inputs", inputs)):
        many, few = (_called(task, what, functools.partial(draw, n)) for n in (DRAWS, _FEW))
        # The last bit may be rounded differently at the end of an array.
        if not np.allclose(many[:_FEW], few, rtol=1e-9, atol=1e-12):
            if not np.allclose(_called(task, what, functools.partial(draw, _FEW)), few, rtol=1e-9, atol=1e-12):
                raise ValueError(f"{task.key()}: {what} must depend on rng alone, but two calls with one seed differ")
            raise ValueError(
                f"{task.key()}: the first n of 2n {what} must be the n, but the first {_FEW} of {DRAWS} differ from "
                f"those drawn for n={_FEW} ({split}); draw row by row, e.g. rng.uniform(low, high, size=(n, D))"
            )
        drawn.append(many)
    return drawn[0], drawn[1][:, 0]


def _check_supports(task: Task, train: tuple[Array, Array], ood: tuple[Array, Array]) -> None:
    """Train and ood must differ in their initial states or in their inputs; word problems differ in length alone."""
    if task.state_kind == "categorical":
        return
    first, second = task.invariants(train[0]), task.invariants(ood[0])
    by_invariant = any(separated(first[name][:, None], second[name][:, None]) for name in first)
    a, b = np.concatenate(train, axis=1), np.concatenate(ood, axis=1)
    if not by_invariant and not separated(a, b) and told_apart(a, b) < TOLD_APART:
        raise ValueError(
            f"{task.key()}: the supports of train and ood must be disjoint, but their initial states cannot be told "
            'apart; draw split="ood" from elsewhere'
        )


def separated(a: Array, b: Array) -> bool:
    """True where some component, its modulus, or a distance from the origin or the centre of `a` parts two samples.

    Args:
        a, b: (N, D).
    """
    centre, half = (a.min(axis=0) + a.max(axis=0)) / 2, np.ptp(a, axis=0) / 2

    def views(x: Array) -> Array:
        y = x - centre
        boxes = np.abs(x).max(axis=1), np.abs(y / np.maximum(half, 1e-300)).max(axis=1)
        return np.column_stack([x, np.abs(x), np.abs(y), np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1), *boxes])

    first, second = views(a), views(b)
    return bool(((second.min(axis=0) > first.max(axis=0)) | (second.max(axis=0) < first.min(axis=0))).any())


def told_apart(a: Array, b: Array) -> float:
    """Share of states whose nearest other state is of their own sample: ½ for one support, near 1 for disjoint ones.

    What is missing to 1 comes from neighbours across a shared border.

    Args:
        a, b: (N, D).
    """
    both = np.concatenate([a, b]) / np.maximum(a.std(axis=0), 1e-12)
    label = np.repeat((0, 1), (len(a), len(b)))
    nearest = scipy.spatial.cKDTree(both).query(both, k=2)[1][:, 1]
    return float((label[nearest] == label).mean())


def _check_function(task: Task, name: str, function: Callable[[Array], Array], x: Array) -> None:
    """Shape, purity, determinism and independence of rows."""
    given = x.copy()
    value = _check_array(task, name, _called(task, name, lambda: function(given)), x.shape)
    if not np.array_equal(given, x):
        raise ValueError(f"{task.key()}: {name} must leave its argument unchanged; work on a copy of x")
    kept = value.copy()
    if not np.array_equal(_called(task, name, lambda: function(x.copy())), kept, equal_nan=True):
        raise ValueError(f"{task.key()}: {name} must give the same for the same state, but two calls differ")
    alone = _called(task, name, lambda: np.concatenate([function(row[None].copy()) for row in x]))
    if not np.allclose(alone, kept, rtol=1e-9, atol=1e-9 * np.nanmax(np.abs(kept)), equal_nan=True):
        raise ValueError(f"{task.key()}: {name} must treat each row by itself, but a state alone gives something else")


def _check_field(task: FlowTask, x: Array) -> None:
    _check_function(task, "vector_field", lambda y: task.vector_field(0.0, y), x)
    at_zero = task.vector_field(0.0, x.copy())
    for t in (0.37 * task.dt, 5.3 * task.dt, 71.9 * task.dt):
        if not np.array_equal(task.vector_field(t, x.copy()), at_zero, equal_nan=True):
            raise ValueError(
                f"{task.key()}: vector_field depends on time, so that windows from different times are different "
                "systems; carry the phase as two state components (cos ωt, sin ωt), as task ueda does"
            )


def _check_simulation(task: Task, x: Array, split: Split, steps: int) -> None:
    inputs = task.inputs(len(x), steps, rng=np.random.default_rng(1), split=split)
    given = x.copy()
    found = _called(task, f"simulate ({split})", lambda: task.simulate(given, steps, inputs).states)
    states = _check_array(task, "simulate", found, (len(x), steps + 1, task.state_dim))
    if not np.array_equal(given, x) or not np.array_equal(states[:, 0], x):
        raise ValueError(f"{task.key()}: simulate must leave x0 unchanged and return it as states[:, 0]")
    again = task.simulate(x, 2, inputs[:, :2]).states
    if not np.allclose(again, states[:, :3], rtol=1e-6, atol=1e-9, equal_nan=True):
        raise ValueError(f"{task.key()}: simulate must give the same for the same x0, but two calls differ")
    bad = np.argwhere(~np.isfinite(states[:, : _STEPS + 1]).all(axis=2))
    if len(bad):
        row, step = bad[0]
        raise ValueError(
            f"{task.key()}: states must stay finite for {_STEPS} steps, but a {split} trajectory leaves the finite "
            f"numbers at step {step} (it starts from {states[row, 0]}); choose other parameters, a smaller dt or other "
            "initial states"
        )
