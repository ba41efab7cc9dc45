"""Time stamps as numbers: plain ones, ISO 8601 dates and datetimes, calendar months. Axes: T samples."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from ddl_dyn.config.formats import shortened
from ddl_dyn.config.numerals import real
from ddl_dyn.metrics.arrays import Array

_ISO = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,18}))?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?)?"
)
_DATE_LIKE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d:\d\d|^\d{8}T")
_DAY = 86400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Stamps:
    """Times of a column.

    Args:
        times: (T,), from the first row's.
        unit: `time` where the numbers say none, else `s`, `day`, `month` or `year`.
        resolution: unit of the last digit that the stamps have.
    """

    times: Array
    unit: str
    resolution: float


def is_date(cell: str) -> bool:
    """True for an ISO 8601 date or datetime."""
    return bool(_ISO.fullmatch(cell.strip()))


def read_stamps(cells: Sequence[Any], place: Callable[[int], str]) -> Stamps:
    """The times of a column, in the unit of its numbers, or of dates in days, months, years or seconds.

    Args:
        cells: (T,) texts or numbers, or datetime64 in UTC.
        place: row and column of a sample, for messages.
    Raises:
        ValueError: for the first cell that is neither a number nor an ISO 8601 date, or has another form.
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        if np.isnat(cells).any():
            raise ValueError(f"{place(int(np.argmax(np.isnat(cells))))}: expected a time, got none")
        texts = np.datetime_as_string(cells, unit="auto").tolist()
    else:
        texts = [str(cell).strip() for cell in cells]
    if texts and is_date(texts[0]):
        return _dates(texts, place)
    exact = [_plain(text, i, place) for i, text in enumerate(texts)]
    # Differences are taken before rounding: seconds since 1970 in nanoseconds have more digits than a float.
    times = np.array([float(value - exact[0]) for value in exact])
    return Stamps(times=times, unit="time", resolution=10.0 ** min((_exponent(value) for value in exact), default=0))


def _exponent(value: Decimal) -> int:
    return int(value.as_tuple().exponent)


def _plain(text: str, i: int, place: Callable[[int], str]) -> Decimal:
    try:
        real(text)
        return Decimal(text)
    except (ValueError, InvalidOperation) as error:
        what = "an empty cell" if not text else repr(shortened(text))
        advice = "every sample needs a time; take the row out"
        if is_date(text):
            advice = "the first sample's is a number; give all times in one form"
        elif _DATE_LIKE.search(text):
            advice = "dates are read in the form 2020-01-31 or 2020-01-31T12:00:00, with Z or +01:00 if known"
        elif text:
            advice = (
                "give a number or a date such as 2020-01-31, or name the times in time_column, a column that tells "
                "trajectories apart in id_column"
            )
        raise ValueError(f"{place(i)}: expected a time as a finite number, got {what}; {advice}") from error


def _dates(texts: list[str], place: Callable[[int], str]) -> Stamps:
    read = [_instant(text, i, place) for i, text in enumerate(texts)]
    zones = [zone for _, _, zone in read]
    if len(set(zones)) > 1:
        i = zones.index(not zones[0])
        raise ValueError(
            f"{place(i)}: {texts[i]!r} {'names' if zones[i] else 'lacks'} an offset from UTC, and the first sample's "
            f"{texts[0]!r} {'names' if zones[0] else 'lacks'} one; write all times with Z or +01:00, or none"
        )
    seconds = [whole for whole, _, _ in read]
    times = np.array([float(value - seconds[0]) for value in seconds])
    resolution = min(float(unit) for _, unit, _ in read)
    months = _months(texts)
    if months is not None:
        whole_years = (months % 12 == 0).all()
        return Stamps(times=months / 12 if whole_years else months, unit="year" if whole_years else "month",
                      resolution=0.0)  # fmt: skip
    steps = np.diff(times)
    if len(steps) and np.median(steps) >= _DAY:
        return Stamps(times=times / _DAY, unit="day", resolution=resolution / _DAY)
    return Stamps(times=times, unit="s", resolution=resolution)


def _instant(text: str, i: int, place: Callable[[int], str]) -> tuple[Decimal, Decimal, bool]:
    """Seconds since 1970, seconds in a unit of the last digit, and whether an offset from UTC is named."""
    match = _ISO.fullmatch(text)
    if not match:
        advice = "expected an ISO 8601 date like the first sample's"
        raise ValueError(f"{place(i)}: got {shortened(text) or 'an empty cell'!r}; {advice}")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    offset = "+00:00" if zone in (None, "Z") else zone if ":" in zone or len(zone) == 3 else f"{zone[:3]}:{zone[3:]}"
    try:
        moment = datetime.fromisoformat(
            f"{year}-{month}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}{offset}"
        )
    except ValueError as error:
        raise ValueError(f"{place(i)}: {text!r} is no date of the calendar ({error})") from error
    since = moment - _EPOCH
    part = Decimal(f"0.{fraction}") if fraction else Decimal(0)
    unit = Decimal(1).scaleb(-len(fraction)) if fraction else Decimal(1 if second else 60 if minute else 86400)
    return since.days * 86400 + since.seconds + part, unit, zone is not None


def _months(texts: list[str]) -> Array | None:
    """Months since the first sample, where all fall on the same day and time of the month; else None."""
    if len({text[7:] for text in texts}) != 1 or len(texts) < 2:
        return None
    # The same day of the month at the same time: 01 of each, or a form without days.
    months = np.array([12 * int(text[:4]) + int(text[5:7]) for text in texts], dtype=np.float64)
    return months - months[0] if (np.diff(months) != 0).any() else None
