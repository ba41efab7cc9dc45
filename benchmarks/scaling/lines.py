"""Points and fitted lines of the scaling benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# What an update may hold, in GiB.
LIMIT = 24
NAMES = {"steps": "steps T", "replicas": "replicas R", "batch": "batch B"}


@dataclass(frozen=True)
class Point:
    """One update measured.

    Args:
        axis: "steps", "replicas" or "batch".   steps, replicas, batch: T, R, B.   checkpointing: whether it was on.
        seconds: of processor time.   memory: MiB above what the process held after the smallest update.
    """

    axis: str
    steps: int
    replicas: int
    batch: int
    checkpointing: bool
    seconds: float
    memory: float

    @property
    def size(self) -> int:
        """Value on the axis."""
        return int(getattr(self, self.axis))


@dataclass(frozen=True)
class Line:
    """A line through points in logarithms: value = exp(intercept) · size^slope."""

    slope: float
    intercept: float

    @classmethod
    def fit(cls, sizes: Sequence[float], values: Sequence[float]) -> Line:
        """Least squares over the larger half of the points (at least three), where constant costs no longer count."""
        keep = max(3, (len(sizes) + 1) // 2)
        slope, intercept = np.polyfit(np.log(sizes[-keep:]), np.log(values[-keep:]), 1)
        return cls(float(slope), float(intercept))


def largest(row: Sequence[Point]) -> float:
    """Size at which memory would reach the limit, growing as between the last two points."""
    a, b = row[-2:]
    growth = (b.memory - a.memory) / (b.size - a.size)
    return b.size + (LIMIT * 1024 - b.memory) / growth if growth > 0 else float("nan")


def series_of(points: Sequence[Point]) -> dict[tuple[str, bool], list[Point]]:
    """Points by axis and checkpointing, in order of size."""
    found: dict[tuple[str, bool], list[Point]] = {}
    for point in sorted(points, key=lambda p: (list(NAMES).index(p.axis), p.size)):
        found.setdefault((point.axis, point.checkpointing), []).append(point)
    return found


def sizes_to(longest: int) -> list[int]:
    """50, 100, 200, 500, … up to the longest."""
    return [*(n for n in (50, 100, 200, 500, 1000, 2000, 5000) if n < longest), longest]
