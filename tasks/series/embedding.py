"""Holding a series to what can be learned, and choosing its delay embedding. Axes: T samples, C columns, D state."""

from __future__ import annotations

import math

import numpy as np
import scipy

from ddl_dyn.metrics.arrays import Array

MAX_DIMENSION = 8
# Squares and products of four such numbers stay in double precision.
SMALLEST, LARGEST = 1e-70, 1e70
# A spread below this share of the largest value is rounding.
ROUNDING = 1e-12


def check_values(path: str, columns: tuple[str, ...], series: Array) -> None:
    """Hold the training segment to what can be learned and scored.

    Args:
        path: of the file, for messages.   columns: names of the value columns.   series: (T, C).
    Raises:
        ValueError: when no column varies, or one holds numbers whose squares leave double precision.
    """
    size, spread = np.abs(series).max(axis=0), np.ptp(series, axis=0)
    for name, largest in zip(columns, size, strict=True):
        if largest > LARGEST or 0 < largest < SMALLEST:
            raise ValueError(
                f"{path}, column {name!r}: values must lie between {SMALLEST:g} and {LARGEST:g} in magnitude, the "
                f"largest is {largest:g}; choose another unit"
            )
    if (spread <= ROUNDING * size).all():
        only = f"column {columns[0]!r}" if len(columns) == 1 else "every value column"
        raise ValueError(f"{path}, {only}: constant in the training segment, to within rounding")


def embed(series: Array, dimension: int, delay: int) -> Array:
    """Delay vectors (x_t, x_{t−τ}, …, x_{t−(m−1)τ}), newest first.

    Args:
        series: (T,).
        dimension: m, number of delays.
        delay: τ, samples.
    Returns:
        (T − (m−1)τ, m).
    """
    length = len(series) - (dimension - 1) * delay
    return np.stack([series[(dimension - 1 - i) * delay :][:length] for i in range(dimension)], axis=1)


def mutual_information(series: Array, lag: int, bins: int = 16) -> float:
    """Average mutual information of x_t and x_{t+lag} in nats, from a histogram of equally filled bins.

    Args:
        series: (T,).
        lag: samples.
        bins: of the histogram, for each of the two.
    Source: Fraser, Swinney (1986), Independent coordinates for strange attractors, doi:10.1103/PhysRevA.33.1134.
    """
    edges = np.unique(np.quantile(series, np.linspace(0, 1, bins + 1)[1:-1]))
    symbol = np.searchsorted(edges, series, side="right")
    joint = np.zeros((len(edges) + 1, len(edges) + 1))
    np.add.at(joint, (symbol[: len(series) - lag], symbol[lag:]), 1.0)
    joint /= joint.sum()
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    filled = joint > 0
    return float((joint[filled] * np.log(joint[filled] / product[filled])).sum())


def choose_delay(series: Array) -> int:
    """First minimum of the average mutual information over lags 1, 2, …; the autocorrelation's 1/e time without one.

    A lag counts as a minimum when none up to an eighth as far again (two lags at least) lies lower, for the
    histogram's scatter makes shallow dents.
    """
    longest = max(2, min(len(series) // 10, 500))
    bins = max(4, min(16, round(math.sqrt(len(series) / 10))))
    information: list[float] = []

    def at(lag: int) -> float:
        while len(information) < lag:
            information.append(mutual_information(series, len(information) + 1, bins))
        return information[lag - 1]

    for lag in range(1, longest):
        ahead = range(lag + 1, min(lag + max(2, lag // 8), longest) + 1)
        if all(at(lag) < at(other) for other in ahead) and (lag == 1 or at(lag) < at(lag - 1)):
            return lag
    below = np.flatnonzero(autocorrelation(series)[: longest + 1] < math.exp(-1))
    return int(below[0]) if len(below) else longest


def autocorrelation(series: Array) -> Array:
    """Autocorrelation at lags 0 … T−1 (biased estimator), (T,); zeros for a constant series."""
    centred = series - series.mean()
    spectrum = np.abs(np.fft.rfft(centred, 2 * len(series))) ** 2
    full = np.fft.irfft(spectrum)[: len(series)]
    return full / full[0] if full[0] > 0 else np.zeros(len(series))


def dominant_lag(series: Array) -> int:
    """Lag of the first prominent peak of the autocorrelation past its first zero, at least half the highest there."""
    correlation = autocorrelation(series)[: max(3, len(series) // 2)]
    negative = np.flatnonzero(correlation < 0)
    if not len(negative):
        return len(correlation)
    tail = correlation[negative[0] :]
    peaks = np.flatnonzero((tail[1:-1] >= tail[:-2]) & (tail[1:-1] > tail[2:]) & (tail[1:-1] >= tail.max() / 2)) + 1
    return int(negative[0] + (peaks[0] if len(peaks) else np.argmax(tail)))


def false_neighbours(series: Array, dimension: int, delay: int) -> float:
    """Share of nearest neighbours in `dimension` delays that one more delay drives apart, in [0, 1].

    A neighbour is false when the new coordinate parts it by more than 15 times its distance, or beyond 2 standard
    deviations of the series.

    Args:
        series: (T,).
        dimension: number of delays.
        delay: samples between them.
    Source: Kennel, Brown, Abarbanel (1992), Determining embedding dimension for phase-space reconstruction, eqs. 4
    and 7, doi:10.1103/PhysRevA.45.3403.
    """
    points = embed(series, dimension + 1, delay)
    # The oldest coordinate is the one that the smaller embedding lacks.
    known, added = points[:, :-1], points[:, -1]
    distance, nearest = scipy.spatial.cKDTree(known).query(known, k=2)
    apart = np.abs(added - added[nearest[:, 1]])
    near = distance[:, 1]
    false = (apart > 15 * near) & (apart > 0)
    false |= np.hypot(near, apart) > 2 * series.std()
    return float(false.mean())


def choose_dimension(series: Array, delay: int, *, reach: int, tolerance: float = 0.05) -> int:
    """Smallest dimension with few false neighbours, or the one with the fewest (noise keeps some).

    Args:
        series: (T,).
        delay: τ, samples.
        reach: most samples (m−1)τ that a delay vector may span, so that short segments keep states at all.
        tolerance: share of false neighbours that counts as few.
    """
    shares: list[float] = []
    for dimension in range(1, MAX_DIMENSION + 1):
        if len(series) - dimension * delay < 20 or (dimension - 1) * delay > reach:
            break
        shares.append(false_neighbours(series, dimension, delay))
        if shares[-1] <= tolerance:
            return dimension
    return int(np.argmin(shares)) + 1 if shares else 1
