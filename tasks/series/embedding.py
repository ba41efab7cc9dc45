"""Reading a table of observations, and choosing its delay embedding. Axes: T samples, C value columns, D state."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from dataclasses import dataclass

import numpy as np
import scipy

from ddl_dyn.config.files import TABLE_LIMIT, read_input
from ddl_dyn.config.formats import shortened
from ddl_dyn.config.numerals import real
from ddl_dyn.metrics.arrays import Array

# Steps of an even time column may differ by this share of the median step (columns rounded to a few digits).
EVENNESS = 0.01
MAX_DIMENSION = 8
# Squares and products of four such numbers stay in double precision.
_SMALLEST, _LARGEST = 1e-70, 1e70
# A spread below this share of the largest value is rounding.
ROUNDING = 1e-12
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d:\d\d")
_SEPARATED = re.compile(r"\d[_,'\u00a0\u202f ]\d")
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Evenly sampled observations.

    Args:
        columns: names of the value columns.
        dt: sampling step, in the unit of the time column.
        records: one array (T, C) per trajectory, in the order of the file.
    """

    columns: tuple[str, ...]
    dt: float
    records: tuple[Array, ...]


def read_table(
    path: str, *, time_column: str | None, value_columns: tuple[str, ...] | None, id_column: str | None
) -> Recording:
    """Read a CSV file with a header line.

    Args:
        path: of the file.
        time_column: None for the first.
        value_columns: None for all others.
        id_column: tells several trajectories apart; None where there is one.
    Raises:
        ValueError: for the first fault, naming file, line and column.
    """
    try:
        text = read_input(path, TABLE_LIMIT).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""))
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV text ({error}); name an existing CSV file") from error
    if not rows:
        raise ValueError(f"{path}, line 1: the file is empty; expected a header line and one line per sample")
    header = [cell.strip() for cell in rows[0][1]]
    time = header[0] if time_column is None else time_column
    if value_columns == ():
        raise ValueError(f"{path}: value_columns is empty; name one of {', '.join(header)}, or leave it out for all")
    for name, what in ((time, "time"), (id_column, "id")):
        if name in (value_columns or ()):
            raise ValueError(
                f"{path}: value_columns names {name!r}, which is the {what} column; leave it out there, or "
                f"give another in {what}_column"
            )
    values = value_columns or tuple(c for c in header if c not in (time, id_column))
    for column in (time, *values, *([id_column] if id_column else [])):
        if header.count(column) != 1:
            fault = "missing" if column not in header else "there more than once"
            raise ValueError(f"{path}, line 1: column {column!r} is {fault}; the columns are {', '.join(header)}")
    if not values:
        other = next((name for mark, name in _SEPARATORS.items() if mark in header[0]), None)
        hint = f"; columns are separated by commas, and these by {other}" if other else ""
        raise ValueError(f"{path}, line 1: no value column beside {time!r}; the columns are {', '.join(header)}{hint}")
    groups: dict[str, list[tuple[int, float, list[float]]]] = {}
    for line, row in rows[1:]:
        if len(row) != len(header):
            column = header[min(len(row), len(header) - 1)]
            raise ValueError(
                f"{path}, line {line}, column {column!r}: expected {len(header)} cells as in the header, got {len(row)}"
            )
        cells = dict(zip(header, row, strict=True))
        key = cells[id_column].strip() if id_column else ""
        numbers = [_number(path, line, column, cells[column]) for column in (time, *values)]
        groups.setdefault(key, []).append((line, numbers[0], numbers[1:]))
    if not groups:
        raise ValueError(f"{path}, line 2, column {time!r}: too short, no sample below the header")
    dt = _check_times(path, time, list(groups.values()))
    records = tuple(np.array([sample[2] for sample in group]) for group in groups.values())
    return Recording(columns=values, dt=dt, records=records)


def _number(path: str, line: int, column: str, cell: str) -> float:
    try:
        return real(cell)
    except ValueError as error:
        what = "an empty cell" if not cell.strip() else repr(shortened(cell))
        advice = "fill the gap or cut the series there"
        if _DATE.search(cell):
            advice = "dates are not read; give time as a number, such as days or seconds from the first sample"
        elif _SEPARATED.search(cell):
            advice = "write it without separators between digits, with a point before decimals"
        raise ValueError(
            f"{path}, line {line}, column {column!r}: expected a finite number, got {what}; {advice}"
        ) from error


def _check_times(path: str, column: str, groups: list[list[tuple[int, float, list[float]]]]) -> float:
    """The common sampling step; ValueError where time is unsorted or uneven."""
    steps = np.concatenate([np.diff([t for _, t, _ in group]) for group in groups])
    if not len(steps):
        raise ValueError(f"{path}, line {groups[0][0][0]}, column {column!r}: too short, expected at least two samples")
    dt = float(np.median(steps))
    for group in groups:
        for (_, before, _), (line, now, _) in itertools.pairwise(group):
            if now <= before:
                raise ValueError(
                    f"{path}, line {line}, column {column!r}: time must increase, got {now:g} after {before:g}; sort "
                    "the file, or name the column that tells the trajectories apart (id_column)"
                )
    for group in groups:
        for (_, before, _), (line, now, _) in itertools.pairwise(group):
            if abs(now - before - dt) > EVENNESS * dt:
                raise ValueError(
                    f"{path}, line {line}, column {column!r}: time must be evenly spaced by {dt:g}, got a step of "
                    f"{now - before:g}; resample the series or cut it at the gap"
                )
    longest = max(groups, key=len)
    # The mean over the longest record: a rounded column has a step more exact than any single difference.
    return (longest[-1][1] - longest[0][1]) / (len(longest) - 1)


def check_values(path: str, columns: tuple[str, ...], series: Array) -> None:
    """Hold the training segment to what can be learned and scored.

    Args:
        path: of the file, for messages.   columns: names of the value columns.   series: (T, C).
    Raises:
        ValueError: when no column varies, or one holds numbers whose squares leave double precision.
    """
    size, spread = np.abs(series).max(axis=0), np.ptp(series, axis=0)
    for name, largest in zip(columns, size, strict=True):
        if largest > _LARGEST or 0 < largest < _SMALLEST:
            raise ValueError(
                f"{path}, column {name!r}: values must lie between {_SMALLEST:g} and {_LARGEST:g} in magnitude, the "
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
