"""The bouncing ball: exact flight between impacts, in a flow view and in a view from impact to impact.

Axes: N trajectories, T steps, D state components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import MapTask, Split
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.flows.families import ConditionedTask
from ddl_dyn.tasks.initial import box

BOOK = "di Bernardo et al. (2008), Piecewise-smooth Dynamical Systems, ch. 1, doi:10.1007/978-1-84628-708-4"


def fly(height: Array, velocity: Array, time: Array, *, g: Array, e: Array) -> tuple[Array, Array]:
    """Height and velocity of a bouncing ball after some time, whatever the number of impacts in between.

    The n-th flight between impacts lasts 2 w eⁿ/g, with w the speed after the first one, so the number of impacts and
    the moment of rest 2 w/(g (1 − e)) follow from the geometric series: no impact can be missed, however short the
    flight.

    Args:
        height: above the floor, m, at least 0. The arguments broadcast against one another.
        velocity: upwards, m/s.
        time: duration, s, at least 0.
        g: gravity, m/s².
        e: coefficient of restitution in [0, 1].
    Returns:
        height, velocity; a ball at rest on the floor is (0, 0).
    """
    impact_speed = np.sqrt(velocity * velocity + 2.0 * g * height)
    # Two forms of the root, each without cancellation for its sign of the velocity.
    first = np.where(
        velocity >= 0, (velocity + impact_speed) / g, 2.0 * height / np.maximum(impact_speed - velocity, 1e-300)
    )
    in_flight = time < first
    left = np.maximum(time - first, 0.0)
    speed = e * impact_speed
    flight = 2.0 * speed / g
    rests = (flight <= 0.0) | ((e < 1.0) & (left * (1.0 - e) >= flight))
    count = _flights_within(left, np.where(rests, 1.0, flight), e, rests)
    speed = speed * e**count
    left = np.clip(left - _duration(np.where(rests, 1.0, flight), e, count), 0.0, 2.0 * speed / g)
    bounced_height = np.maximum(speed * left - 0.5 * g * left * left, 0.0)
    bounced_velocity = speed - g * left
    free_height = np.maximum(height + velocity * time - 0.5 * g * time * time, 0.0)
    return (
        np.where(in_flight, free_height, np.where(rests, 0.0, bounced_height)),
        np.where(in_flight, velocity - g * time, np.where(rests, 0.0, bounced_velocity)),
    )


def _duration(flight: Array, e: Array, count: Array) -> Array:
    """Time taken by the first `count` flights: flight (1 − e^count)/(1 − e)."""
    lost = 1.0 - e
    with np.errstate(divide="ignore", invalid="ignore"):
        series = -np.expm1(count * np.log1p(-lost)) / lost
    return flight * np.where(lost > 0.0, series, count)


def _flights_within(left: Array, flight: Array, e: Array, rests: NDArray[np.bool_]) -> Array:
    """Number of whole flights in the time left after the first impact; 0 where the ball rests."""
    lost = 1.0 - e
    ratio = left / flight
    with np.errstate(divide="ignore", invalid="ignore"):
        geometric = np.log1p(-lost * ratio) / np.log1p(-lost)
    count = np.floor(np.where(rests, 0.0, np.where(lost > 0.0, geometric, ratio)))
    count = np.where(np.isfinite(count), np.maximum(count, 0.0), 0.0)
    # The logarithms may be off by one rounding; the series decides.
    count = count - ((_duration(flight, e, count) > left) & (count > 0))
    return np.where(rests, 0.0, count + (_duration(flight, e, count + 1.0) <= left))


@dataclass(frozen=True, kw_only=True)
class BouncingBall(MapTask):
    """A ball bouncing on a floor, sampled every dt.

    Equations: ḣ = v, v̇ = −g for h > 0; v → −e v at h = 0.
    State (height, velocity): m above the floor, m/s upwards. g: gravity, m/s²; e: coefficient of restitution. Time in
    s.
    Regime: for e < 1 the impacts pile up (Zeno) and the ball rests at (0, 0) from the finite time
    t₁ + 2 e s/(g (1 − e)) on, with t₁ the first impact and s its speed; for e = 1 it bounces for ever.
    Facts: successive apices have the ratio e², successive flights e; the energy is conserved at e = 1. At an impact the
    update of the velocity is a factor with k along it, v = 0 and β = 1 + e.
    Initial states: height .5–1.5, velocity −1–1 (train); height 2–3, velocity −1–1 (ood). Radius: height 1.5.
    """

    state_names = ("height", "velocity")
    source = BOOK
    equations = "ḣ = v, v̇ = −g; v → −e v at h = 0"
    family = "impact"
    time_unit = "s"
    obstruction = "non_injective"
    obstruction_reason = (
        "the velocity jumps at impacts, and for e < 1 all states come to rest at (0, 0) in a finite time"
    )

    dt: float = 0.02
    g: float = parameter(9.81, low=0.0, open_low=True, doc="gravity, m/s²")
    e: float = parameter(0.9, low=0.0, high=1.0, doc="coefficient of restitution")

    def __post_init__(self) -> None:
        super().__post_init__()
        if np.all(np.asarray(self.e) == 1.0):
            reason = "invertible and area preserving, but the velocity jumps at impacts: no smooth field has this flow"
            object.__setattr__(self, "obstruction", "none")
            object.__setattr__(self, "obstruction_reason", reason)

    @property
    def timescale(self) -> float:
        """Time 2√(2h/g) of a full bounce from and back to h = 1 m at e = 1."""
        return float(2.0 * np.sqrt(2.0 / np.mean(self.g)))

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Boxes in height and velocity, (n, 2)."""
        low, high = (2.0, 3.0) if split == "ood" else (0.5, 1.5)
        return box(n, rng, (low, -1.0), (high, 1.0))

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:
        """The training range of velocities at one height, (n, 2)."""
        return box(n, rng, (1.5 * radius, -1.0), (1.5 * radius, 1.0))

    def check_states(self, x0: Array, steps: int) -> Array:
        """As for every task; a ball below the floor is refused too."""
        x = super().check_states(x0, steps)
        if (x[:, 0] < 0).any():
            row = int(np.argmax(x[:, 0] < 0))
            raise ValueError(f"{self.key()}: height must be at least 0, but row {row} has {x[row, 0]}")
        return x

    def next_state(self, x: Array) -> Array:
        """State after dt; a height below 0 counts as 0."""
        height = np.maximum(x[..., 0], 0.0)
        time = np.full_like(height, self.dt)
        return np.stack(fly(height, x[..., 1], time, g=np.asarray(self.g), e=np.asarray(self.e)), axis=-1)

    def exact(self, x0: Array, steps: int) -> Array:
        """Every sample straight from x0 by the geometric series, (N, steps+1, 2)."""
        times = self.dt * np.arange(steps + 1.0)
        g, e = (np.asarray(value)[..., None] for value in (self.g, self.e))
        states = np.stack(fly(x0[:, :1], x0[:, 1:], times[None, :], g=g, e=e), axis=-1)
        states[:, 0] = x0
        return states

    def invariants(self, x: Array) -> dict[str, Array]:
        """Energy per mass g h + v²/2 at e = 1."""
        if np.any(np.asarray(self.e) != 1.0):
            return {}
        return {"energy": self.g * x[..., 0] + 0.5 * x[..., 1] ** 2}


@dataclass(frozen=True, kw_only=True)
class BouncingBallImpacts(MapTask):
    """A bouncing ball seen from impact to impact.

    Equations: w⁺ = e w, τ⁺ = e τ with τ = 2 w/g.
    State (speed, flight): speed just after an impact, m/s, and the duration of the flight that it begins, s. g:
    gravity, m/s²; e: coefficient of restitution. Time in impacts.
    Regime: a geometric sequence; the flights of a ball with e < 1 add up to the finite time 2 w/(g (1 − e)).
    Facts: apices w²/2g have the ratio e²; both exponents are ln e on the line τ = 2 w/g that holds the states.
    Initial states: speed 3–5 (train), 6–7.5 (ood), as after falls from .5–1.3 m and 1.8–2.9 m at e = 1.
    Radius: speed 5.
    """

    state_names = ("speed", "flight")
    source = BOOK
    equations = "w⁺ = e w, τ⁺ = e τ"
    family = "impact"
    time_unit = "impact"
    obstruction_reason = (
        "a contraction by e > 0, the time-1 map of ẇ = w ln e: seen from impact to impact, nothing jumps"
    )

    g: float = parameter(9.81, low=0.0, open_low=True, doc="gravity, m/s²")
    e: float = parameter(0.9, low=0.0, high=1.0, open_low=True, doc="coefficient of restitution")

    @property
    def timescale(self) -> float:
        """Impacts in which the speed shrinks e-fold, 1/|ln e|, at most a thousand."""
        time: float = self.dt * min(1e3, 1.0 / max(-np.log(self.e), 1e-12))
        return time

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Speeds, and the flights that follow from them, (n, 2)."""
        low, high = (6.0, 7.5) if split == "ood" else (3.0, 5.0)
        states: Array = box(n, rng, (low,), (high,)) * np.array([1.0, 2.0 / self.g])
        return states

    def states_at_radius(self, n: int, *, rng: np.random.Generator, radius: float) -> Array:  # noqa: ARG002
        """One speed and the flight that follows from it, n times, (n, 2)."""
        return np.tile(5.0 * radius * np.array([1.0, 2.0 / self.g]), (n, 1))

    def next_state(self, x: Array) -> Array:
        """The next rebound."""
        return self.e * x

    def jacobian(self, x: Array) -> Array:
        """e times the identity."""
        return np.broadcast_to(self.e * np.eye(2), (*x.shape, 2)).copy()

    def exact(self, x0: Array, steps: int) -> Array:
        """eⁿ x0, (N, steps+1, 2)."""
        states: Array = np.power(self.e, np.arange(steps + 1.0))[None, :, None] * x0[:, None]
        return states


@dataclass(frozen=True, kw_only=True)
class BouncingBallFamily(ConditionedTask):
    """Bouncing balls, a restitution per trajectory.

    Equations: ḣ = v, v̇ = −g for h > 0; v → −e v at h = 0; input e. State (height, velocity) and regime as in
    `BouncingBall`, with g = 9.81 m/s². A gate that follows the input finds β = 1 + e.
    Initial states: the training box of `BouncingBall`.
    """

    member = BouncingBall
    conditioned_on = "e"
    state_names = BouncingBall.state_names
    input_names = ("e",)
    source = BOOK
    equations = BouncingBall.equations
    family = "impact"
    time_unit = "s"
    obstruction = "non_injective"
    obstruction_reason = BouncingBall.obstruction_reason
    dt: float = 0.02
    train_range: tuple[float, float] = (0.6, 0.95)
    gap: tuple[float, float] = (0.75, 0.82)
    ood_range: tuple[float, float] = (0.3, 0.55)
