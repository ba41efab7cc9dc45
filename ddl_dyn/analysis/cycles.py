"""Fixed points and n-cycles of a map: all that a multi-start Newton search finds, each once.

Axes: R replicas, B starts, D state components, n points of a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ddl_dyn.analysis.maps import Chart, DiscreteMap
from ddl_dyn.analysis.spectra import eigenvalues, solve_least_squares
from ddl_dyn.analysis.systems import System, as_map
from ddl_dyn.metrics.arrays import Array

Stability = Literal["sink", "source", "saddle", "nonhyperbolic"]
# Distance of a multiplier's modulus from 1 below which no stability is claimed.
HYPERBOLICITY = 1e-6
# A step of Newton's that does not lower the residual is halved so often at most.
_HALVINGS = 7


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """An n-cycle of a map: n distinct points that Φ visits in turn (a fixed point has n = 1).

    Args:
        points: (n, D), in the order in which Φ visits them.
        multipliers: (D,), complex eigenvalues of the Jacobian of Φⁿ, largest modulus first.
        stability: "sink", "source", "saddle", or "nonhyperbolic" where a multiplier lies on the unit circle.
        isolated: False where Φⁿ − 1 has a singular derivative, as on a curve of cycles.
        residual: |Φⁿ(x) − x| at points[0].
        replica: index of the replica whose cycle it is (0 for a single map).
    """

    points: Array
    multipliers: NDArray[np.complex128]
    stability: Stability
    isolated: bool
    residual: float
    replica: int = 0

    @property
    def period(self) -> int:
        """n, in steps."""
        return len(self.points)

    @property
    def flips(self) -> int:
        """Number of negative real multipliers: directions in which neighbours change sides at every turn."""
        real = np.abs(self.multipliers.imag) <= 1e-12 * np.maximum(1.0, np.abs(self.multipliers))
        return int(np.sum(real & (self.multipliers.real < 0)))

    @property
    def spirals(self) -> bool:
        """True where a pair of multipliers is complex: neighbours turn around the cycle."""
        return bool(np.any(np.abs(self.multipliers.imag) > 1e-9 * np.maximum(1.0, np.abs(self.multipliers))))


def fixed_points(system: System, **search: Any) -> list[Cycle]:
    """Fixed points of a map: `cycles` with period 1."""
    return cycles(system, 1, **search)


def cycles(
    system: System,
    period: int,
    *,
    box: ArrayLike | None = None,
    starts: ArrayLike | Tensor | None = None,
    count: int = 256,
    iterations: int = 60,
    tolerance: float = 1e-10,
    merge: float = 1e-6,
    seed: int = 0,
) -> list[Cycle]:
    """All n-cycles of exactly this period that damped Newton on Φⁿ(x) − x = 0 reaches from many starts.

    x ← x − α (J_{Φⁿ}(x) − I)⁺ (Φⁿ(x) − x),  α halved until the residual falls

    Args:
        system: DiscreteMap, task, model or replicas.
        period: n.
        box: (D, 2), lower and upper ends per component: filled with `count` Sobol starts; a root outside is discarded.
            A map on a torus is searched all over it besides, in angles.
        starts: (B, D) or (R, B, D), further starts such as points of an orbit.
        iterations: Newton steps at most.
        tolerance: largest |Φⁿ(x) − x| of a root, relative to the size of the search region.
        merge: roots closer than this share of the region's size are one; so are the points of one cycle, which keeps
            a fixed point from passing for a 2-cycle.
        seed: of the Sobol scramble.
    Returns:
        Cycles sorted by replica and then by their points; each once, whichever of its points was reached.
    Raises:
        ValueError: when period < 1, when neither box nor starts is given, or for a box of the wrong shape.
    Source: Davidchack & Lai (1999), Efficient algorithm for detecting unstable periodic orbits in chaotic systems,
        Phys. Rev. E 60, 6172, 10.1103/PhysRevE.60.6172 (the multi-start setting).
    """
    phi = as_map(system)
    if period < 1:
        raise ValueError(f"period must be at least 1, got {period}")
    if phi.chart is not None:
        search = {"count": count, "iterations": iterations, "tolerance": tolerance, "merge": merge, "seed": seed}
        return _cycles_on_torus(phi, phi.chart, period, box, starts, search)
    x, limits = _starts(phi, box, starts, count, seed)
    finite = x[torch.isfinite(x).all(-1)]
    scale = float((limits[:, 1] - limits[:, 0]).max()) if limits is not None else float(finite.abs().max().clamp_min(1))
    with torch.no_grad():
        x, residual, shift = _newton(phi.iterate(period), x, iterations, tolerance * scale)
    converged = (residual <= tolerance * scale) & (shift <= merge * scale)
    if limits is not None:
        converged &= _inside(phi, x, limits, merge * scale)
    found: list[Cycle] = []
    for r in range(phi.replicas or 1):
        keep = converged[r] if phi.replicas else converged
        roots = (x[r] if phi.replicas else x)[keep]
        found += _distinct(phi, period, roots, r, merge * scale)
    return found


def _cycles_on_torus(
    phi: DiscreteMap,
    chart: Chart,
    period: int,
    box: ArrayLike | None,
    starts: ArrayLike | Tensor | None,
    search: dict[str, Any],
) -> list[Cycle]:
    """Cycles found in the chart's coordinates, where they are isolated and Newton cannot leave the manifold."""
    given = None if starts is None else chart.coordinates(phi.states(starts))
    everywhere = np.tile([0.0, 2 * np.pi], (chart.phi.dim, 1))
    found = []
    for cycle in cycles(chart.phi, period, box=everywhere, starts=given, **search):
        points = chart.embed(torch.as_tensor(cycle.points))
        if box is None or bool(_inside(phi, points, np.asarray(box), search["merge"]).all()):
            whole = _describe(phi, points.numpy(), cycle.replica)
            found.append(replace(whole, stability=cycle.stability, isolated=cycle.isolated))
    return found


def _inside(phi: DiscreteMap, x: Tensor, limits: Array, slack: float) -> Tensor:
    """Mask of the states (..., D) inside a box (D, 2); angles are inside where some turn of them is."""
    low, width = torch.as_tensor(limits[:, 0] - slack).to(x), torch.as_tensor(np.ptp(limits, axis=1) + 2 * slack).to(x)
    offset = x - low
    for i in phi.angles:
        offset[..., i] = torch.remainder(offset[..., i], 2 * torch.pi)
    return ((offset >= 0) & (offset <= width)).all(-1)


def _starts(
    phi: DiscreteMap, box: ArrayLike | None, starts: ArrayLike | Tensor | None, count: int, seed: int
) -> tuple[Tensor, Array | None]:
    parts: list[Tensor] = []
    limits: Array | None = None
    if box is not None:
        limits = np.asarray(box, dtype=np.float64)
        if limits.shape != (phi.dim, 2) or not (limits[:, 0] < limits[:, 1]).all():
            raise ValueError(f"box must have shape ({phi.dim}, 2) with lower < upper ends, got {limits.tolist()}")
        unit = torch.quasirandom.SobolEngine(phi.dim, scramble=True, seed=seed).draw(count, dtype=torch.float64)
        parts.append(phi.states(torch.as_tensor(limits[:, 0]) + unit * torch.as_tensor(limits[:, 1] - limits[:, 0])))
    if starts is not None:
        parts.append(phi.states(starts))
    if not parts:
        raise ValueError("a search needs starts or a box to draw them from, got neither")
    return torch.cat(parts, dim=-2), limits


def _newton(phi: DiscreteMap, x: Tensor, iterations: int, target: float) -> tuple[Tensor, Tensor, Tensor]:
    """Roots of Φ(x) − x, their residuals and the length of the last full Newton step; all rows at once."""
    eye = torch.eye(phi.dim, dtype=x.dtype, device=x.device)

    def size(v: Tensor) -> Tensor:
        return torch.nan_to_num(v.norm(dim=-1), nan=torch.inf, posinf=torch.inf)

    shift = torch.full_like(x[..., 0], torch.inf)
    residual = shift
    for _ in range(iterations):
        image, j = phi.step_and_jacobian(x)
        gap = phi.difference(image, x)
        residual = size(gap)
        move = torch.nan_to_num(solve_least_squares(j - eye, -gap), nan=0.0, posinf=0.0, neginf=0.0)
        shift = torch.where(torch.isfinite(residual), move.norm(dim=-1), torch.inf)
        if bool(((shift <= 1e-14 * (1 + x.norm(dim=-1))) | ~torch.isfinite(residual)).all()):
            break
        x = _backtrack(phi, x, move, residual, target)
    return x, size(phi.difference(phi.step(x), x)), shift


def _backtrack(phi: DiscreteMap, x: Tensor, move: Tensor, residual: Tensor, target: float) -> Tensor:
    """x + α·move with the largest α of 1, ½, …, 2⁻⁷ that lowers the residual; the smallest where none does."""

    def enough(trial: Tensor, residual: Tensor) -> Tensor:
        size = torch.nan_to_num(phi.difference(phi.step(trial), trial).norm(dim=-1), nan=torch.inf)
        # Below the target the residual is round-off and need not fall any further.
        return (size < residual) | (size <= target)

    best = x + move
    done = enough(best, residual)
    rows = (~done).reshape(-1, done.shape[-1]).any(dim=0).nonzero().squeeze(-1)
    if not len(rows):
        return best
    # Their shorter moves in one call: (..., 7, B', D).
    x, move, residual = x[..., rows, :], move[..., rows, :], residual[..., rows]
    shares = 0.5 ** torch.arange(1.0, _HALVINGS + 1, dtype=x.dtype, device=x.device)
    trials = x[..., None, :, :] + shares[:, None, None] * move[..., None, :, :]
    known = residual[..., None, :].expand(trials.shape[:-1]).flatten(-2)
    fits = enough(trials.flatten(-3, -2), known).unflatten(-1, trials.shape[-3:-1])
    fits[..., -1, :] = True
    first = fits.to(torch.int8).argmax(dim=-2)
    chosen = first[..., None, :, None].expand(*first.shape[:-1], 1, *x.shape[-2:])
    shorter = trials.gather(-3, chosen).squeeze(-3)
    best[..., rows, :] = torch.where(done[..., rows, None], best[..., rows, :], shorter)
    return best


def _distinct(phi: DiscreteMap, period: int, roots: Tensor, replica: int, merge: float) -> list[Cycle]:
    """One Cycle per orbit of exactly this period among the converged roots (B, D) of one replica."""
    if not len(roots):
        return []
    roots = _one_turn(phi, roots, merge)
    order = np.lexsort(np.round(roots.cpu().numpy().T[::-1] / merge))
    distinct: list[Tensor] = []
    single = one_replica(phi, replica)
    with torch.no_grad():
        orbits = single.orbit(roots[torch.as_tensor(order.copy(), device=roots.device)], period)
    for orbit in _one_turn(phi, orbits, merge).unbind(1):
        # How far the orbit's first point lies from each of its own and of another cycle's.
        own = phi.difference(orbit, orbit[:1]).norm(dim=-1)
        proper = all(own[d] > merge for d in range(1, period) if period % d == 0)
        if proper and not any(phi.difference(other, orbit[:1]).norm(dim=-1).min() <= merge for other in distinct):
            distinct.append(orbit[:period])
    return [_describe(single, points.cpu().numpy(), replica) for points in distinct]


def _one_turn(phi: DiscreteMap, x: Tensor, slack: float) -> Tensor:
    """Angles in [−slack, 2π − slack), so that rounding does not part a point at 0 from itself."""
    shift = torch.zeros(phi.dim, dtype=x.dtype, device=x.device)
    shift[list(phi.angles)] = torch.pi - slack
    return phi.difference(x, shift) + shift


def _describe(single: DiscreteMap, points: Array, replica: int) -> Cycle:
    n = len(points)
    with torch.no_grad():
        image, j = single.iterate(n).step_and_jacobian(single.states(points[:1]))
    multipliers = eigenvalues(j)[0].cpu().numpy()
    gap = torch.linalg.svdvals(j[0] - torch.eye(single.dim, dtype=j.dtype, device=j.device))
    return Cycle(
        points=points,
        multipliers=multipliers,
        stability=stability_of(multipliers),
        isolated=bool(gap[-1] > 1e-7 * max(1.0, float(gap[0]))),
        residual=float(single.difference(image[0], single.states(points[0])[0]).norm()),
        replica=replica,
    )


def one_replica(phi: DiscreteMap, replica: int) -> DiscreteMap:
    """The map of one replica, acting on (B, D): the others see copies of the same states."""
    if phi.replicas is None:
        return phi
    size = phi.replicas

    def spread(x: Tensor) -> Tensor:
        return x.expand(size, *x.shape)

    def joint(x: Tensor) -> tuple[Tensor, Tensor]:
        value, j = phi.step_and_jacobian(spread(x))
        return value[replica], j[replica]

    return DiscreteMap(
        step=lambda x: phi.step(spread(x))[replica],
        joint=joint,
        dim=phi.dim,
        dt=phi.dt,
        name=f"{phi.name}[{replica}]",
        device=phi.device,
        angles=phi.angles,
    )


def stability_of(multipliers: NDArray[np.complex128], *, margin: float = HYPERBOLICITY) -> Stability:
    """Stability type from the multipliers (D,): sink if all lie inside the unit circle, source if all lie outside.

    Args:
        multipliers: (D,), complex.
        margin: distance from the unit circle below which no type is claimed.
    """
    modulus = np.abs(multipliers)
    if not np.isfinite(modulus).all() or (np.abs(modulus - 1) <= margin).any():
        return "nonhyperbolic"
    if (modulus < 1).all():
        return "sink"
    return "source" if (modulus > 1).all() else "saddle"
