"""Runge–Kutta methods: fixed steps, and embedded pairs that choose their own.

Axes: S stages, the last of which is evaluated at the end of the step and is the first of the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

# A vector field along a solve: (time, state) -> its rate of change.
Rhs = Callable[[Any, Tensor], Tensor]


def euler(rhs: Rhs, t: float, y: Tensor, size: float) -> Tensor:
    """One step of Euler's method.

    Args:
        rhs: vector field.   t: time.   y: state.   size: of the step.
    """
    return y + size * rhs(t, y)


def midpoint(rhs: Rhs, t: float, y: Tensor, size: float) -> Tensor:
    """One step of the midpoint rule.

    Args:
        rhs: vector field.   t: time.   y: state.   size: of the step.
    """
    return y + size * rhs(t + size / 2, y + size / 2 * rhs(t, y))


def rk4(rhs: Rhs, t: float, y: Tensor, size: float) -> Tensor:
    """One step of Kutta's 3/8 rule, of order 4, which torchdiffeq calls rk4.

    Args:
        rhs: vector field.   t: time.   y: state.   size: of the step.
    Source: Kutta (1901).
    """
    k1 = rhs(t, y)
    k2 = rhs(t + size / 3, y + size / 3 * k1)
    k3 = rhs(t + 2 * size / 3, y + size * (k2 - k1 / 3))
    k4 = rhs(t + size, y + size * (k1 - k2 + k3))
    return y + size / 8 * (k1 + 3 * (k2 + k3) + k4)


# Solver -> one step of it, and evaluations in a step.
FIXED: dict[str, Callable[[Rhs, float, Tensor, float], Tensor]] = {"euler": euler, "midpoint": midpoint, "rk4": rk4}
STAGES = {"euler": 1, "midpoint": 2, "rk4": 4}


@dataclass(frozen=True)
class Pair:
    """y₁ = y₀ + h Σ_s b_s k_s with an estimate of its error, h Σ_s e_s k_s; b is the last row of `rows`.

    Args:
        order: of y₁.   nodes: (S,).   rows: (S, s), Butcher's a_sj.   error: (S,), e.
        middle: (S,), weights of the state at h/2, through which the interpolant passes.
    """

    order: int
    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    error: tuple[float, ...]
    middle: tuple[float, ...]


# Dormand & Prince (1980), A family of embedded Runge–Kutta formulae, 10.1016/0771-050X(80)90013-3; error estimate and
# middle: Shampine (1986), Some practical Runge–Kutta formulas, 10.1090/S0025-5718-1986-0815836-3.
DORMAND_PRINCE = Pair(
    order=5,
    nodes=(0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1),
    rows=(
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    error=(
        35 / 384 - 1951 / 21600,
        0,
        500 / 1113 - 22642 / 50085,
        125 / 192 - 451 / 720,
        12231 / 42400 - 2187 / 6784,
        11 / 84 - 649 / 6300,
        -1 / 60,
    ),
    middle=(
        6025192743 / 30085553152 / 2,
        0,
        51252292925 / 65400821598 / 2,
        -2691868925 / 45128329728 / 2,
        187940372067 / 1594534317056 / 2,
        -1776094331 / 19743644256 / 2,
        11237099 / 235043384 / 2,
    ),
)
# Bogacki & Shampine (1989), A 3(2) pair of Runge–Kutta formulas, 10.1016/0893-9659(89)90079-7.
BOGACKI_SHAMPINE = Pair(
    order=3,
    nodes=(0, 1 / 2, 3 / 4, 1),
    rows=((), (1 / 2,), (0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
    error=(2 / 9 - 7 / 24, 1 / 3 - 1 / 4, 4 / 9 - 1 / 3, -1 / 8),
    middle=(0, 1 / 2, 0, 0),
)
PAIRS = {"dopri5": DORMAND_PRINCE, "bosh3": BOGACKI_SHAMPINE}


@dataclass(frozen=True)
class Solver:
    """A pair with its tolerances.

    Args:
        pair: a key of `PAIRS`.   rtol, atol: tolerated error, root mean square over a replica's batch and components.
        attempts: steps that may be tried between two outputs before the solver gives up.
    """

    pair: str
    rtol: float
    atol: float
    attempts: int
