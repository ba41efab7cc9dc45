"""Any system of the package dysts as a task, integrated here. Axes: N, D components, K states of one orbit."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass

import numpy as np
import scipy

from ddl_dyn.metrics.arrays import Array, Mask
from ddl_dyn.tasks.base import FlowTask, Split
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.flows.dysts_systems import DystsSystem, dysts_version, find_system
from ddl_dyn.tasks.flows.oscillators import FLOW

# Samples a period, as many as the package's own trajectories have unless told otherwise.
_SAMPLES = 100
# The orbit that starts are taken from, and what of it is dropped, in periods.
_LENGTH, _DROPPED = 40, 5
# How far a start is moved from the orbit, towards another state of it.
_MOVED = 0.02
# Half widths of the attractor's box at which starts of ood are tried, and how many are; those from which the orbit is
# found within so many after some periods are kept.
_OUTSIDE, _TRIED, _BACK, _PERIODS = (1.05, 1.5), 64, 2.0, 3
# How far a start of ood is moved from a tried one.
_ASIDE = 0.01
# Where a tried orbit is stopped, in half widths.
_FAR = 10.0


@dataclass(frozen=True, kw_only=True)
class Dysts(FlowTask):
    """A system of the package dysts, by its name there.

    Equations: those of the package at the parameters it stores; `ddl-dyn tasks --dysts` lists the systems,
    `ddl-dyn tasks --dysts Chen` prints parameters, time scale, stored exponents and source of one.
    State: the package's components. An angle or phase that grows without bound is carried as its cosine and sine, so
    that a forced system is an autonomous flow of bounded states. Delay equations, systems whose right-hand side jumps
    or depends on time itself, and those without a bounded state are refused.
    Regime: chaos, for all but a few; the stored exponents are estimates and not always near (docs/tasks.md).
    Time scale: the stored period of the dominant oscillation; dt is a hundredth of it unless given.
    Facts: c² + s² of a carried angle is conserved.
    Initial states: a state of one long orbit on the attractor, moved by up to a fiftieth of the way to another (train);
    1.05 to 1.5 half widths of the attractor's box from its centre, where the orbit comes back from there (ood).
    """

    source = "Gilpin (2021), Chaos as an interpretable benchmark for forecasting and modelling, arXiv:2110.05266"
    equations = "those of the package dysts"
    family = "chaotic flow"
    obstruction_reason = FLOW

    dt: float = None  # type: ignore[assignment]  # a share of the stored period
    system: str = parameter(dataclasses.MISSING, doc="name of the system in dysts, such as Chen")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dt is None:
            object.__setattr__(self, "dt", self.found.period / _SAMPLES)
        else:
            find_system(self.system)

    @property
    def found(self) -> DystsSystem:
        """The system with what the package stores of it."""
        return find_system(self.system)

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The package's names; cos and sin of an angle in its place."""
        angles = dict(self.found.periods)
        each = [(f"cos {n}", f"sin {n}") if i in angles else (n,) for i, n in enumerate(self.found.state_names)]
        return tuple(name for names in each for name in names)

    @property
    def timescale(self) -> float:
        """Period of the dominant oscillation, as dysts stores it."""
        return self.found.period

    @property
    def lyapunov_time(self) -> float | None:
        """1/λ₁ of the exponent that dysts stores, None where that is not positive."""
        return 1 / self.found.exponent if self.found.exponent > 0 else None

    @property
    def circles(self) -> tuple[int, ...]:
        """Indices of the cosines of the carried angles; the sine follows each."""
        return tuple(i + place for place, (i, _) in enumerate(self.found.periods))

    @property
    def plain(self) -> Mask:
        """(D,), True for the components that are none of an angle."""
        mask = np.ones(self.state_dim, dtype=bool)
        for i in self.circles:
            mask[i : i + 2] = False
        return mask

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """The package's right-hand side; ċ = −ωs, ṡ = ωc of a carried angle that turns at the rate ω."""
        found, rows = self.found, x.reshape(-1, x.shape[-1])
        if not found.periods:
            return found.field(rows).reshape(x.shape)
        raw = np.delete(rows, [i + 1 for i in self.circles], axis=1)
        for (i, period), at in zip(found.periods, self.circles, strict=True):
            raw[:, i] = period / (2 * np.pi) * np.arctan2(rows[:, at + 1], rows[:, at])
        slope, out = found.field(raw), np.empty_like(rows)
        out[:, self.plain] = np.delete(slope, [i for i, _ in found.periods], axis=1)
        for (i, period), at in zip(found.periods, self.circles, strict=True):
            rate = 2 * np.pi / period * slope[:, i]
            out[:, at], out[:, at + 1] = -rate * rows[:, at + 1], rate * rows[:, at]
        return out.reshape(x.shape)

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """On the attractor, or outside its box where the orbit returns from there, (n, D)."""
        draws = rng.random((n, 3))
        if split == "ood":
            starts, centre = _returning(self)
            aside = np.where(self.plain, 1 + _ASIDE * (2 * draws[:, 1:2] - 1), 1.0)
            return np.asarray(centre + aside * (starts[(draws[:, 0] * len(starts)).astype(int)] - centre))
        orbit = _orbit(self)
        here, there = (orbit[(draws[:, i] * len(orbit)).astype(int)] for i in (0, 1))
        # Angles stay on their circle.
        return np.asarray(here + np.where(self.plain, _MOVED * draws[:, 2:], 0.0) * (there - here))

    def invariants(self, x: Array) -> dict[str, Array]:
        """c² + s² of every carried angle."""
        names = (self.found.state_names[i] for i, _ in self.found.periods)
        return {name: x[..., i] ** 2 + x[..., i + 1] ** 2 for name, i in zip(names, self.circles, strict=True)}

    def content_key(self) -> str:
        """The package's version, which fixes equations and parameters."""
        return f"dysts {dysts_version()}"


@functools.lru_cache(maxsize=64)
def _orbit(task: Dysts) -> Array:
    """One long orbit on the attractor, (K, D).

    Raises:
        ValueError: when it leaves the finite numbers.
    """
    found = task.found
    start = np.zeros((1, task.state_dim))
    start[:, task.plain] = np.delete(found.start, [i for i, _ in found.periods])
    for (i, period), at in zip(found.periods, task.circles, strict=True):
        angle = 2 * np.pi / period * found.start[i]
        start[0, at], start[0, at + 1] = np.cos(angle), np.sin(angle)
    times = found.period / _SAMPLES * np.arange(_SAMPLES * (_DROPPED + _LENGTH) + 1)
    scale = float(np.abs(start).max())
    # One trajectory, which may be stiff, for starts that are moved from it: an implicit method of low accuracy is fast.
    with np.errstate(all="ignore"):
        solved = scipy.integrate.solve_ivp(
            lambda t, x: task.vector_field(t, x[None])[0], times[[0, -1]], start[0], "LSODA", times,
            rtol=1e-6, atol=1e-9 * (scale or 1.0),
        )  # fmt: skip
    orbit: Array = solved.y.T[_SAMPLES * _DROPPED :]
    if not solved.success or not np.isfinite(orbit).all():
        raise ValueError(f"system={found.name} of dysts leaves the finite numbers from the state that it stores")
    for at in task.circles:
        # At this accuracy the circle drifts; the angle is all that matters.
        orbit[:, at : at + 2] /= np.hypot(orbit[:, at], orbit[:, at + 1])[:, None]
    return orbit


@functools.lru_cache(maxsize=64)
def _returning(task: Dysts) -> tuple[Array, Array]:
    """States outside the attractor's box from which the orbit returns, (K, D), and the box's centre, (D,).

    Raises:
        ValueError: when there are none.
    """
    orbit, plain = _orbit(task), task.plain
    low, high = orbit.min(axis=0), orbit.max(axis=0)
    centre, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-12)

    def distance(x: Array) -> Array:
        out: Array = np.abs((x - centre) / half)[:, plain].max(axis=1, initial=0.0)
        return out

    rng = np.random.default_rng(0)
    tried = orbit[rng.integers(len(orbit), size=_TRIED)]
    reach = rng.uniform(*_OUTSIDE, size=_TRIED) / np.maximum(distance(tried), 1e-12)
    tried[:, plain] = (centre + reach[:, None] * (tried - centre))[:, plain]

    def stopped(t: float, y: Array) -> Array:
        x = y.reshape(tried.shape)
        # A run away is slowed to rest, so that it does not spoil the step that all share.
        slower = np.clip(1 - (distance(x) / _FAR) ** 8, 0.0, 1.0)[:, None]
        return np.nan_to_num(task.vector_field(t, x) * slower).ravel()

    with np.errstate(all="ignore"):
        ended = scipy.integrate.solve_ivp(
            stopped, (0.0, _PERIODS * task.found.period), tried.ravel(), "RK45", rtol=1e-4, atol=1e-6 * half.max()
        ).y[:, -1]
        good = distance(ended.reshape(tried.shape)) <= _BACK
    if not (plain.any() and good.any()):
        raise ValueError(f"system={task.system} of dysts: no state outside its attractor was found that returns to it")
    found: Array = tried[good]
    return found, np.where(plain, centre, 0.0)
