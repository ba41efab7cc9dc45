"""Files of a recorded series: text, .npy, .npz, parquet, one or several. Axes: T samples, C columns."""

from __future__ import annotations

import glob
import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ddl_dyn.config.files import TABLE_LIMIT, read_input
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.series.series import Series
from ddl_dyn.tasks.series.stamps import read_stamps
from ddl_dyn.tasks.series.table import Table, counts_rows
from ddl_dyn.tasks.series.text import read_text_table

# A step that is given and one that is found are the same within this share.
SAME_STEP = 0.01


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Columns of a file by their part.

    Args:
        time: None for the first that is not `id`, or for none where dt is given.   values: None for all others.
        id: tells several trajectories apart.   dt: sampling step of a file without a time column.
        header: False where a text file begins with its first sample.
    """

    time: str | None = None
    values: tuple[str, ...] | None = None
    id: str | None = None
    dt: float | None = None
    header: bool = True


def read_series(path: str, columns: Columns) -> Series:
    """Read the series in a file, or in all files of a pattern in the order of their names.

    Args:
        path: of a file (.csv or any other text, .npy, .npz, .parquet), or a pattern with *, ? or […].
        columns: the part of each.
    Raises:
        ValueError: for the first fault, naming file, line and column.
    """
    paths = [path]
    if not os.path.exists(path) and glob.has_magic(path):
        paths = sorted(found for found in glob.glob(path) if os.path.isfile(found))
        if not paths:
            raise ValueError(f"{path}: no file has such a name; * stands for any letters of it")
    each = [_read_file(one, columns) for one in paths]
    first = each[0]
    for name, one in zip(paths, each, strict=True):
        if (one.names, one.time_unit) != (first.names, first.time_unit):
            raise ValueError(
                f"{name}: all files must have the same columns and unit of time; got {', '.join(one.names)} "
                f"({one.time_unit}), and {', '.join(first.names)} ({first.time_unit}) in {paths[0]}"
            )
    return replace(
        first,
        records=tuple(record for one in each for record in one.records),
        resolution=max(one.resolution for one in each),
        notes=tuple(dict.fromkeys(note for one in each for note in one.notes)),
    )


def _read_file(path: str, columns: Columns) -> Series:
    ending = os.path.splitext(path)[1].lower()
    if ending in (".npy", ".npz"):
        members = _read_arrays(path)
        stored = Series.from_members(members, path)
        if stored is not None:
            return _of_stored(stored, path, columns)
        table = _table_of_arrays(members, path)
    elif ending in (".parquet", ".pq"):
        table = _read_parquet(path)
    else:
        table = read_text_table(path, header=columns.header)
    return _series(table, columns)


def _series(table: Table, columns: Columns) -> Series:
    """The series of a table whose columns may have to be told apart."""
    table = _without_index(table, columns)
    _check_parts(table, columns)
    time = _time_column(table, columns)
    values = columns.values or tuple(name for name in table.names if name not in (time, columns.id))
    if not values:
        hint = "" if columns.dt else "; a series without a time column takes its step in task_args.dt"
        raise ValueError(
            f"{table.start}: no value column beside {time!r}; the columns are {', '.join(table.names)}{hint}"
        )
    if not len(table.rows):
        line = f", {table.row_word} 2" if table.row_word == "line" else ""
        raise ValueError(f"{table.source}{line}: too short, no sample below the header")
    for name in values:
        table.column(name)
    return Series.from_table(table, time=time, values=values, id=columns.id, dt=columns.dt)


def _without_index(table: Table, columns: Columns) -> Table:
    """The table without an unnamed first column that counts its rows."""
    named = (columns.time, columns.id, *(columns.values or ()))
    unnamed = table.names[0] in ("", "Unnamed: 0", "__index_level_0__")
    if not unnamed or table.names[0] in named or not counts_rows(table.columns[0]):
        return table
    note = "the unnamed first column counts the rows and is left out"
    return replace(table, names=table.names[1:], columns=table.columns[1:], notes=(*table.notes, note))


def _check_parts(table: Table, columns: Columns) -> None:
    values = columns.values
    listing = ", ".join(table.names)
    if values == ():
        raise ValueError(f"{table.source}: value_columns is empty; name one of {listing}, or leave it out for all")
    for name, part in ((columns.time, "time"), (columns.id, "id")):
        if name is not None:
            table.column(name)
        if name is not None and name in (values or ()):
            raise ValueError(
                f"{table.source}: value_columns names {name!r}, which is the {part} column; leave it out there, or "
                f"give another in {part}_column"
            )
    for name in values or ():
        if values is not None and values.count(name) > 1:
            raise ValueError(f"{table.source}: value_columns names {name!r} twice")


def _time_column(table: Table, columns: Columns) -> str | None:
    """The time column; None where dt is given and the first column is none."""
    if columns.time is not None:
        return columns.time
    others = [name for name in table.names if name != columns.id]
    first = others[0] if others else ""
    if columns.dt is None:
        if first in (columns.values or ()):
            raise ValueError(
                f"{table.source}: value_columns names {first!r}, which is the time column; leave it out there, or "
                "give another in time_column, or the step in dt where there is none"
            )
        return first
    if first in (columns.values or ()) or (columns.values is None and len(others) == 1):
        return None
    step = _even_step(table, first)
    if step is None:
        return None
    if abs(step - columns.dt) > SAME_STEP * step:
        raise ValueError(
            f"{table.source}: dt is read from the time column, and {first!r} has even steps of {step:g}; got "
            f"dt={columns.dt:g}, leave it out, or name the values in value_columns where {first!r} is no time"
        )
    return first


def _even_step(table: Table, name: str) -> float | None:
    """Step of a column that increases evenly; None for any other."""
    try:
        times = read_stamps(table.column(name), lambda i: table.place(i, name)).times
    except ValueError:
        return None
    steps = np.diff(times)
    steps = steps[steps > 0] if len(steps) else steps
    even = len(steps) > 1 and np.ptp(steps) <= 2 * SAME_STEP * np.median(steps) and 2 * len(steps) > len(times)
    return float(np.median(steps)) if even else None


def _of_stored(stored: Series, path: str, columns: Columns) -> Series:
    """A series that `Series.save` wrote, with some of its columns."""
    if columns.id not in (None, stored.id_name):
        raise ValueError(f"{path}: the series holds its trajectories apart; leave id_column out")
    if columns.time not in (None, stored.time_name):
        raise ValueError(f"{path}: the time column is {stored.time_name!r}; leave time_column out")
    wanted = columns.values or stored.names
    if columns.values == () or any(stored.names.count(name) != 1 for name in wanted):
        raise ValueError(f"{path}: value_columns must name some of {', '.join(stored.names)}, got {wanted!r}")
    at = [stored.names.index(name) for name in wanted]
    return replace(stored, names=wanted, records=tuple(replace(r, values=r.values[:, at]) for r in stored.records))


def _read_arrays(path: str) -> dict[str, Array]:
    """The arrays of an .npz file by name, or that of an .npy file as `x`; nothing in them is executed."""
    try:
        found = np.load(io.BytesIO(read_input(path, TABLE_LIMIT)), allow_pickle=False)
        return {"x": found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: cannot be read as arrays of numpy ({error})") from error


def _table_of_arrays(members: Mapping[str, Array], path: str) -> Table:
    """Arrays (T,) as columns, and (T, C) as C of them with their numbers behind the name."""
    names: list[str] = []
    columns: list[Any] = []
    for name, part in members.items():
        if part.ndim not in (1, 2) or part.dtype.kind not in "biufMU" or not part.size:
            raise ValueError(
                f"{path}: expected arrays (T,) or (T, C) of numbers, got {name} of shape {part.shape} and type "
                f"{part.dtype}; Series.from_arrays(…).save(…) writes trajectories of other forms"
            )
        if len(part) != len(next(iter(members.values()))):
            lengths = ", ".join(f"{key} {len(each)}" for key, each in members.items())
            raise ValueError(f"{path}: all arrays must have the same length, got {lengths}")
        wide = part.ndim == 2 and part.shape[1] > 1
        names += [f"{name}{i}" for i in range(part.shape[1])] if wide else [name]
        columns += list(part.T) if wide else [part.reshape(-1)]
    if not names:
        raise ValueError(f"{path}: holds no array")
    return Table(source=path, names=tuple(names), columns=tuple(columns), rows=range(len(columns[0])))


def _read_parquet(path: str) -> Table:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_table
    except ImportError as error:
        raise ValueError(
            f"{path}: reading parquet needs pyarrow, which is not installed; `pip install 'ddl-dyn[parquet]'`"
        ) from error
    try:
        found = read_table(io.BytesIO(read_input(path, TABLE_LIMIT)))
    except (OSError, ArrowException) as error:
        raise ValueError(f"{path}: cannot be read as parquet ({error})") from error
    columns = []
    for column in found.columns:
        cells = column.to_numpy()
        columns.append(cells if cells.dtype.kind in "biufM" else cells.tolist())
    return Table(source=path, names=tuple(found.column_names), columns=tuple(columns), rows=range(found.num_rows))
