"""Recorded series before they are sampled evenly, from arrays, data frames, xarray. Axes: T samples, C columns."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from ddl_dyn.config.formats import shortened
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.series.in_memory import clocks_of, frame_table, values_of, xarray_parts
from ddl_dyn.tasks.series.stamps import read_stamps
from ddl_dyn.tasks.series.table import Table, place_of

SUFFIX = ".npz"
_MEMBERS = ("series_names", "series_lengths", "series_times", "series_values", "series_words", "series_resolution")


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """One trajectory as recorded.

    Args:
        times: (T,), increasing or not.   values: (T, C), NaN where a value is missing.
        source: the file or object it came from.   rows: (T,) number of each sample's row or line.
        row_word: `line` or `row`.
    """

    times: Array
    values: Array
    source: str
    rows: NDArray[np.integer[Any]]
    row_word: str = "row"

    def place(self, i: int, column: str) -> str:
        """Row and column of a sample, for messages."""
        return place_of(self.source, self.row_word, int(self.rows[i]), column)

    def part(self, which: Any) -> Record:
        """Some of the samples, by slice, mask or index."""
        return Record(
            times=self.times[which],
            values=self.values[which],
            source=self.source,
            rows=self.rows[which],
            row_word=self.row_word,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """Recorded trajectories with their times; `save` writes the file that `task_args.path` names.

    Args:
        names: of the value columns.   records: the trajectories.
        time_name, id_name: columns of the times and of what tells trajectories apart; empty where there is none.
        time_unit: `time` where it is not known.   resolution: unit of the times' last digit; 0 for exact ones.
        notes: on how it was read.
    Example:
        >>> import numpy as np
        >>> from ddl_dyn import Series
        >>> series = Series.from_arrays([np.zeros((30, 2)), np.ones((20, 2))], dt=0.1, names=("x", "y"))
        >>> len(series.records), series.names
        (2, ('x', 'y'))
    """

    names: tuple[str, ...]
    records: tuple[Record, ...]
    time_name: str = "time"
    id_name: str = ""
    time_unit: str = "time"
    resolution: float = 0.0
    notes: tuple[str, ...] = ()

    @classmethod
    def from_arrays(
        cls,
        states: Any,
        *,
        dt: float | None = None,
        times: Any = None,
        names: Sequence[str] | None = None,
    ) -> Self:
        """A series from arrays.

        Args:
            states: (T,) or (T, C), or (N, T, C), or a list of such arrays of any lengths, one a trajectory.
            dt: sampling step; None where times are given.
            times: (T,) numbers or datetime64, for all trajectories or in a list for each.
            names: of the C columns.
        Raises:
            ValueError: when the shapes do not fit each other, or a value is no number.
        """
        listed = isinstance(states, (list, tuple)) and bool(states) and np.ndim(states[0]) > 0
        several = listed or np.ndim(states) == 3
        each = [values_of(one) for one in (states if several else [states])]
        widths = {one.shape[1] for one in each}
        if len(widths) != 1:
            raise ValueError(f"states: all trajectories must have the same columns, got {sorted(widths)} of them")
        (width,) = widths
        names = tuple(names) if names is not None else ("x",) if width == 1 else tuple(f"x{i}" for i in range(width))
        if isinstance(names, str) or len(names) != width or len(set(names)) != width or not all(names):
            raise ValueError(f"names: expected {width} different ones, one for each column, got {names!r}")
        if (dt is None) == (times is None):
            raise ValueError("give either dt, the sampling step, or times, one for each sample")
        if dt is not None:
            if not (np.isfinite(dt) and dt > 0):
                raise ValueError(f"dt: expected a positive number, got {dt!r}")
            clocks = [dt * np.arange(len(one), dtype=np.float64) for one in each]
            unit, resolution = "time", 0.0
        else:
            clocks, unit, resolution = clocks_of(times, [len(one) for one in each], several)
        records = tuple(
            Record(times=clock, values=one, source=_source(i, len(each)), rows=np.arange(len(one)))
            for i, (clock, one) in enumerate(zip(clocks, each, strict=True))
        )
        return cls(names=names, records=records, time_unit=unit, resolution=resolution)

    @classmethod
    def from_dataframe(
        cls,
        frame: Any,
        *,
        time: str | None = None,
        values: str | Sequence[str] | None = None,
        id: str | None = None,
        dt: float | None = None,
    ) -> Self:
        """A series from a data frame of pandas, or anything with its `columns` and `index`.

        Args:
            frame: one row a sample.
            time: column of the times; None takes the index, unless it only counts the rows.
            values: column or columns of the values; None for all others.
            id: column that tells several trajectories apart.
            dt: sampling step where there is no time.
        Raises:
            ValueError: when a column is missing or holds what is no number.
        """
        table, time = frame_table(frame, time, dt)
        chosen = (values,) if isinstance(values, str) else None if values is None else tuple(values)
        return cls.from_table(table, time=time, values=chosen, id=id, dt=dt)

    @classmethod
    def from_xarray(
        cls, data: Any, *, time: str = "time", values: str | Sequence[str] | None = None, id: str | None = None
    ) -> Self:
        """A series from a DataArray or a Dataset of xarray.

        Args:
            data: with a time dimension; a DataArray's third one, if any, names the columns.
            time: dimension and coordinate of the times.
            values: variables of a Dataset; None for all that depend on time.
            id: dimension that tells several trajectories apart; a missing sample ends or begins a trajectory.
        Raises:
            ValueError: when a dimension is missing, or there is one more.
        """
        names, clocks, parts = xarray_parts(data, time=time, values=values, id=id)
        return cls.from_arrays(parts, times=clocks, names=names)

    @classmethod
    def from_table(
        cls, table: Table, *, time: str | None, values: tuple[str, ...] | None, id: str | None, dt: float | None
    ) -> Self:
        """A series from a table.

        Args:
            table: one row a sample.   time: its time column; None where dt is given.
            values: names of the value columns; None for all others.
            id: column that tells several trajectories apart.   dt: sampling step where there is no time column.
        Raises:
            ValueError: when a column is missing or holds what is no number.
        """
        groups = _groups(table, id)
        stamps = None if time is None else read_stamps(table.column(time), lambda i: table.place(i, time))
        names = tuple(name for name in table.names if name not in (time, id)) if values is None else values
        numbers = np.stack([table.numbers(name) for name in names], axis=1) if names else np.zeros((len(table.rows), 0))
        lines = np.asarray(table.rows)
        records = tuple(
            Record(
                times=stamps.times[at] if stamps else (dt or 1.0) * np.arange(len(at), dtype=np.float64),
                values=numbers[at],
                source=table.source,
                rows=lines[at],
                row_word=table.row_word,
            )
            for at in groups
        )
        return cls(
            names=names,
            records=records,
            time_name=time or "",
            id_name=id or "",
            time_unit=stamps.unit if stamps else "time",
            resolution=stamps.resolution if stamps else 0.0,
            notes=table.notes,
        )

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write the series to an .npz file, which `task_args.path` names.

        Returns:
            The path.
        Raises:
            ValueError: when the name ends otherwise.
        """
        if Path(path).suffix != SUFFIX:
            raise ValueError(f"a series is kept as {SUFFIX}, got {shortened(os.fspath(path))!r}")
        with open(path, "wb") as file:
            self.write(file)
        return os.fspath(path)

    def write(self, file: IO[bytes]) -> None:
        """Write the content of its .npz file."""
        np.savez_compressed(file, allow_pickle=False, **self._arrays())

    @property
    def digest(self) -> str:
        """SHA-256 of names, times and values, whatever file they came from."""
        found = hashlib.sha256()
        for name, part in self._arrays().items():
            found.update(f"{name} {part.shape} ".encode())
            found.update("\n".join(part.tolist()).encode() if part.dtype.kind == "U" else part.tobytes())
        return found.hexdigest()

    def _arrays(self) -> dict[str, Array]:
        whole = [
            np.array(self.names),
            np.array([len(one.times) for one in self.records], dtype=np.int64),
            np.concatenate([one.times for one in self.records]),
            np.concatenate([one.values for one in self.records]),
            np.array([self.time_name, self.id_name, self.time_unit]),
            np.array([self.resolution]),
        ]
        return dict(zip(_MEMBERS, whole, strict=True))

    @classmethod
    def from_members(cls, members: Mapping[str, Array], source: str) -> Self | None:
        """The series in the arrays of a file that `save` wrote; None for other arrays.

        Args:
            members: arrays by name.   source: the file, for messages.
        Raises:
            ValueError: when the arrays do not fit each other.
        """
        if not set(_MEMBERS) <= set(members):
            return None
        names, lengths, times, values, words, resolution = (members[name] for name in _MEMBERS)
        fits = lengths.dtype.kind == "i" and lengths.ndim == 1 and values.ndim == 2 and (lengths >= 0).all()
        if not fits or not len(times) == len(values) == lengths.sum() or len(names) != values.shape[1]:
            raise ValueError(f"{source}: the arrays of the series do not fit each other; save it again")
        cuts = np.cumsum(lengths)[:-1]
        records = tuple(
            Record(times=clock, values=part, source=source, rows=row)
            for clock, part, row in zip(
                np.split(times.astype(np.float64), cuts),
                np.split(values.astype(np.float64), cuts),
                np.split(np.arange(len(times)), cuts),
                strict=True,
            )
        )
        time_name, id_name, unit = (str(word) for word in words)
        return cls(
            names=tuple(str(name) for name in names),
            records=records,
            time_name=time_name,
            id_name=id_name,
            time_unit=unit,
            resolution=float(resolution[0]),
        )


def _groups(table: Table, id: str | None) -> list[NDArray[np.integer[Any]]]:
    if id is None:
        return [np.arange(len(table.rows))]
    rows: dict[str, list[int]] = {}
    for i, cell in enumerate(table.column(id)):
        rows.setdefault(str(cell).strip(), []).append(i)
    return [np.array(at) for at in rows.values()]


def _source(i: int, of: int) -> str:
    return f"the arrays, trajectory {i}" if of > 1 else "the array"
