"""Found cycles held against known ones. Axes: D state components, n points of a cycle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ddl_dyn.analysis.cycles import Cycle
from ddl_dyn.metrics.arrays import Array


@dataclass(frozen=True)
class Match:
    """Agreement of found cycles with known ones.

    Args:
        precision: share of the found that are known; NaN where none was found.
        recall: share of the known that were found; NaN where none is known.
        pairs: (index found, index known, largest point distance).
    """

    precision: float
    recall: float
    pairs: list[tuple[int, int, float]]


def match_cycles(found: list[Cycle], known: list[Array], tolerance: float) -> Match:
    """Pair each known cycle with the nearest found one of its period.

    Args:
        found: from `cycles`, of one replica.
        known: each (n, D), from any of its points on.
        tolerance: largest distance between corresponding points.
    """
    pairs, free = [], set(range(len(known)))
    candidates = sorted(
        (cycle_distance(f.points, k), i, j)
        for i, f in enumerate(found)
        for j, k in enumerate(known)
        if f.period == len(k)
    )
    used: set[int] = set()
    for distance, i, j in candidates:
        if distance <= tolerance and i not in used and j in free:
            pairs.append((i, j, distance))
            used.add(i)
            free.discard(j)
    return Match(
        precision=len(pairs) / len(found) if found else math.nan,
        recall=len(pairs) / len(known) if known else math.nan,
        pairs=pairs,
    )


def cycle_distance(a: Array, b: Array) -> float:
    """Largest point distance of two n-cycles (n, D) at the best alignment of their phases."""
    return float(min(np.linalg.norm(a - np.roll(b, s, axis=0), axis=1).max() for s in range(len(b))))
