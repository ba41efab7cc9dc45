"""Families of maps: branches of cycles through their folds, and their bifurcations.

Axes: D state components, n points of a cycle, S points of a branch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from ddl_dyn.analysis.maps import DiscreteMap
from ddl_dyn.analysis.spectra import eigenvalues
from ddl_dyn.metrics.arrays import Array

Family = Callable[[float], DiscreteMap]
# "merger": the n-cycle's points meet in pairs (or more) and it becomes a cycle of a shorter period, which flips there.
BifurcationKind = Literal["fold", "flip", "neimark_sacker", "branch_point", "merger"]
# Step of the parameter in its central difference, relative to the searched range.
PARAMETER_STEP = 1e-6


@dataclass(frozen=True)
class Bifurcation:
    """Bifurcation of a cycle: kind, parameter value, one point of the cycle (D,), multipliers there (D,)."""

    kind: BifurcationKind
    parameter: float
    point: Array
    multipliers: NDArray[np.complex128]


@dataclass(frozen=True, kw_only=True)
class CycleBranch:
    """A curve of n-cycles in (state, parameter).

    Args:
        parameters: (S,).   points: (S, D).   multipliers: (S, D), of Φⁿ.   period: n.
        bifurcations: the ones met, in the order of the curve.
        complete: False where the continuation stopped before it left the range.
    """

    parameters: Array
    points: Array
    multipliers: NDArray[np.complex128]
    period: int
    bifurcations: list[Bifurcation]
    complete: bool


def continue_cycle(
    family: Family,
    start: ArrayLike,
    parameter: float,
    *,
    period: int,
    bounds: tuple[float, float],
    direction: Literal[1, -1] = 1,
    step: float = 0.01,
    points: int = 2000,
) -> CycleBranch:
    """Follow an n-cycle through parameter space by pseudo-arclength, folds included, and locate its bifurcations.

    Test functions: turning of the parameter (fold; merger where the cycle then has a shorter period), det(J − I) = 0
    without turning (branch point), det(J + I) = 0 (flip), |m| = 1 for a complex pair (Neimark–Sacker). Each sign
    change along the curve is refined by Brent's method; at a branch point, where curves cross, to some 1e-5 only.

    Args:
        family: parameter -> map without replicas.
        start: (D,), a point of the cycle at `parameter` (refined by Newton before the first step).
        parameter: where to start.
        period: n.
        bounds: range of the parameter to stay in.
        direction: 1 towards larger parameter values at the start, −1 towards smaller.
        step: largest arclength step, in units where the range of the parameter and the size of the state are both 1.
        points: longest branch.
    Raises:
        ValueError: when no n-cycle lies near the start, or the bounds do not contain the parameter.
    Source: Kuznetsov (2004), Elements of Applied Bifurcation Theory, chapter 10, 10.1007/978-1-4757-3978-7.
    """
    curve = _Curve(family, period, bounds)
    z = curve.correct_at(np.asarray(start, dtype=np.float64).ravel(), parameter)
    tangent = curve.tangent(z, np.append(np.zeros(len(z) - 1), float(direction)))
    found: list[Bifurcation] = []
    path, values = [z], [curve.multipliers(z)]
    complete = False
    size = step
    for _ in range(points - 1):
        move = curve.advance(z, tangent, size)
        if move is None:
            break
        following, next_tangent, size = move
        size = min(step, 1.5 * size)
        found += _crossings(curve, z, tangent, following, next_tangent)
        z, tangent = following, next_tangent
        path.append(z)
        values.append(curve.multipliers(z))
        # Beyond a merger the curve only runs through the same cycles again, one phase later.
        if not bounds[0] <= curve.parameter(z) <= bounds[1] or (found and found[-1].kind == "merger"):
            complete = True
            break
    inside = [b for b in found if bounds[0] <= b.parameter <= bounds[1]]
    return CycleBranch(
        parameters=np.array([curve.parameter(q) for q in path]),
        points=np.array([curve.point(q) for q in path]),
        multipliers=np.array(values),
        period=period,
        bifurcations=inside,
        complete=complete,
    )


class _Curve:
    """The curve Φⁿ(x; p) − x = 0 in scaled coordinates z = (x / size, (p − lower) / range)."""

    def __init__(self, family: Family, period: int, bounds: tuple[float, float]) -> None:
        self.family, self.period, self.width = family, period, float(bounds[1] - bounds[0])
        self.size = 1.0
        if not self.width > 0:
            raise ValueError(f"bounds must be (lower, upper) with lower < upper, got {bounds}")
        self.bounds = bounds
        self._seen: dict[bytes, tuple[Array, Array]] = {}

    def point(self, z: Array) -> Array:
        return z[:-1] * self.size

    def parameter(self, z: Array) -> float:
        return float(self.bounds[0] + z[-1] * self.width)

    def evaluate(self, x: Array, p: float) -> tuple[Array, Array]:
        """Φⁿ(x) and its Jacobian; asked for at one point by several test functions, so it is kept."""
        key = np.append(x, p).tobytes()
        if key not in self._seen:
            phi = self.family(p)
            value, j = phi.iterate(self.period).step_and_jacobian(phi.states(x))
            self._seen[key] = value[0].detach().cpu().numpy(), j[0].detach().cpu().numpy()
        return self._seen[key]

    def shorter(self, z: Array) -> bool:
        """True where the cycle through z closes after a proper divisor of its period."""
        phi, x = self.family(self.parameter(z)), self.point(z)
        with torch.no_grad():
            orbit = phi.orbit(phi.states(x), self.period)[:, 0].cpu().numpy()
        return any(
            np.linalg.norm(orbit[d] - x) < 2e-3 * self.size for d in range(1, self.period) if self.period % d == 0
        )

    def multipliers(self, z: Array) -> NDArray[np.complex128]:
        return eigenvalues(torch.as_tensor(self.evaluate(self.point(z), self.parameter(z))[1])).numpy()

    def correct_at(self, x: Array, p: float) -> Array:
        """Newton at fixed parameter; sets the unit of the state."""
        if not self.bounds[0] <= p <= self.bounds[1]:
            raise ValueError(f"the starting parameter must lie in {self.bounds}, got {p}")
        for _ in range(50):
            value, j = self.evaluate(x, p)
            move = np.linalg.lstsq(j - np.eye(len(x)), x - value, rcond=None)[0] if np.isfinite(j).all() else np.nan
            x = x + move
            if not np.linalg.norm(move) > 1e-13 * (1 + np.linalg.norm(x)):
                break
        residual = np.linalg.norm(self.evaluate(x, p)[0] - x)
        if not residual < 1e-8 * (1 + np.linalg.norm(x)):
            raise ValueError(f"no {self.period}-cycle was reached from the start at parameter {p:g}; find one first")
        self.size = max(1.0, float(np.abs(x).max()))
        return np.append(x / self.size, (p - self.bounds[0]) / self.width)

    def gap(self, z: Array) -> tuple[Array, Array]:
        """F(z) = (Φⁿ(x; p) − x) / size and its derivative (D, D+1), that with respect to p by central difference."""
        x, p, h = self.point(z), self.parameter(z), PARAMETER_STEP * self.width
        value, j = self.evaluate(x, p)
        slope = (self.evaluate(x, p + h)[0] - self.evaluate(x, p - h)[0]) / (2 * PARAMETER_STEP)
        return (value - x) / self.size, np.column_stack([j - np.eye(len(x)), slope / self.size])

    def tangent(self, z: Array, along: Array) -> Array:
        """Unit tangent of the curve, turned towards `along`."""
        _, derivative = self.gap(z)
        t = np.linalg.svd(derivative)[2][-1] if np.isfinite(derivative).all() else along
        return t if t @ along >= 0 else -t

    def correct(self, z: Array, tangent: Array, step: float) -> Array | None:
        """The point of the curve in the plane at distance `step` along the tangent from z; None if Newton fails."""
        guess = z + step * tangent
        for _ in range(12):
            f, derivative = self.gap(guess)
            if not (np.isfinite(f).all() and np.isfinite(derivative).all()):
                return None
            right = np.append(-f, step - tangent @ (guess - z))
            move = np.linalg.lstsq(np.vstack([derivative, tangent]), right, rcond=None)[0]
            guess = guess + move
            if np.linalg.norm(move) < 1e-12:
                return guess if np.linalg.norm(guess - z) < 2 * step else None
        return None

    def advance(self, z: Array, tangent: Array, step: float) -> tuple[Array, Array, float] | None:
        """The next point, its tangent and the step that led there: halved until the curve turns by under 18 degrees.

        A sharper turn is either a fold seen too coarsely or a jump to another branch.
        """
        for _ in range(18):
            following = self.correct(z, tangent, step)
            if following is not None:
                turned = self.tangent(following, tangent)
                if turned @ tangent > 0.95:
                    return following, turned, step
            step /= 2
        return None


def _crossings(curve: _Curve, z: Array, tangent: Array, after: Array, tangent_after: Array) -> list[Bifurcation]:
    """Bifurcations between two neighbouring points of the curve."""
    length = float(tangent @ (after - z))

    def at(s: float) -> Array:
        if s <= 0:
            return z
        return after if s >= length else _or(curve.correct(z, tangent, s), z + s * tangent)

    def jacobian(q: Array) -> Array:
        return curve.evaluate(curve.point(q), curve.parameter(q))[1]

    eye = np.eye(len(z) - 1)
    tests: dict[BifurcationKind, Callable[[Array], float]] = {
        "flip": lambda q: float(np.linalg.det(jacobian(q) + eye)),
        "neimark_sacker": lambda q: neimark_sacker_test(jacobian(q)),
    }
    if tangent[-1] * tangent_after[-1] < 0:
        tests["fold"] = lambda q: float(curve.tangent(q, tangent)[-1])
    else:
        tests["branch_point"] = lambda q: float(np.linalg.det(jacobian(q) - eye))
    found = []
    for kind, test in tests.items():
        if not test(z) * test(after) < 0:
            continue
        q = at(brentq(lambda s, f=test: f(at(s)), 0.0, length, xtol=1e-12))
        m = curve.multipliers(q)
        # Two real multipliers m and 1/m also make the product of a pair 1: that is a neutral saddle.
        if kind == "neimark_sacker" and not _on_unit_circle(m):
            continue
        kind = "merger" if kind == "fold" and curve.shorter(q) else kind
        found.append(Bifurcation(kind, curve.parameter(q), curve.point(q), m))
    return found


def neimark_sacker_test(jacobian: Array) -> float:
    """Product over all pairs i < j of m_i m_j − 1: zero where a complex pair crosses the unit circle (D, D) -> number.

    1 for a map of the line, which has no pair.
    """
    m = np.linalg.eigvals(jacobian)
    i, j = np.triu_indices(len(m), 1)
    return float(np.prod(m[i] * m[j] - 1).real)


def _on_unit_circle(m: NDArray[np.complex128]) -> bool:
    return bool(np.any((np.abs(m.imag) > 1e-6) & (np.abs(np.abs(m) - 1) < 1e-5)))


def _or(value: Array | None, otherwise: Array) -> Array:
    return otherwise if value is None else value
