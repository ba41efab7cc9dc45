"""Series that people hold in memory: arrays, data frames, xarray. Axes: N trajectories, T samples, C columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.series.stamps import read_stamps
from ddl_dyn.tasks.series.table import Table


def frame_table(frame: Any, time: str | None, dt: float | None) -> tuple[Table, str | None]:
    """The table of a data frame of pandas and the name of its time column.

    Args:
        frame: one row a sample.   time: its time column; None takes the index, unless it only counts the rows.
        dt: sampling step where there is no time.
    Raises:
        ValueError: when it is none, or has no time.
    """
    if not (hasattr(frame, "columns") and hasattr(frame, "index")):
        raise ValueError(f"expected a data frame, got {type(frame).__name__}; Series.from_arrays takes arrays")
    if getattr(frame.index, "nlevels", 1) > 1:
        raise ValueError("the data frame's index has several levels; reset_index() makes columns of them")
    names = [str(name) for name in frame.columns]
    columns = [_cells(frame.iloc[:, i]) for i in range(len(names))]
    if time is None and dt is None:
        if type(frame.index).__name__ == "RangeIndex":
            raise ValueError("the data frame has no time: its index counts the rows; name a column in time, or dt")
        time = str(frame.index.name or "index")
        names, columns = [time, *names], [_cells(frame.index.to_series()), *columns]
    table = Table(source="the data frame", names=tuple(names), columns=tuple(columns), rows=range(len(frame.index)))
    return table, time


def xarray_parts(
    data: Any, *, time: str, values: str | Sequence[str] | None, id: str | None
) -> tuple[tuple[str, ...], list[Array], list[Array]]:
    """Names of the columns, times (T,) and values (T, C) of each trajectory of a DataArray or a Dataset of xarray.

    Args:
        data, time, values, id: as for `Series.from_xarray`.
    Raises:
        ValueError: when a dimension is missing, or there is one more.
    """
    if not (hasattr(data, "dims") and hasattr(data, "coords")):
        raise ValueError(f"expected a DataArray or a Dataset of xarray, got {type(data).__name__}")
    if time not in data.dims or time not in data.coords:
        raise ValueError(f"{time!r} must be a dimension with a coordinate, of {', '.join(map(str, data.dims))}")
    for name in [id] if id is not None else []:
        if name not in data.dims:
            raise ValueError(f"{name!r} is no dimension; there are {', '.join(map(str, data.dims))}")
    names, block = _variables(data, time, values, id)
    clock = np.asarray(data.coords[time].values)
    kept = [~np.isnan(part).all(axis=1) for part in block]
    spans = [slice(int(np.argmax(k)), len(k) - int(np.argmax(k[::-1]))) if k.any() else slice(0) for k in kept]
    parts = [(clock[span], part[span]) for span, part in zip(spans, block, strict=True)]
    parts = [part for part in parts if len(part[0])]
    return names, [at for at, _ in parts], [part for _, part in parts]


def values_of(states: Any) -> Array:
    """Values of one trajectory, (T, C), NaN where one is missing; ValueError where they are no finite numbers."""
    try:
        found = np.asarray(states)
        if found.dtype.kind not in "biuf":
            found = np.asarray(states, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"states: expected arrays of numbers ({error})") from error
    if found.ndim not in (1, 2) or not found.size:
        raise ValueError(f"states: expected (T,) or (T, C) a trajectory, none of them empty, got {found.shape}")
    out = found.astype(np.float64).reshape(len(found), -1)
    if np.isinf(out).any():
        i, c = (int(k) for k in np.argwhere(np.isinf(out))[0])
        raise ValueError(f"states: expected finite numbers, got {out[i, c]} at row {i}, column {c}")
    return out


def clocks_of(times: Any, lengths: list[int], several: bool) -> tuple[list[Array], str, float]:
    """Times of each trajectory, their unit and the unit of their last digit.

    Args:
        times: (T,) for all trajectories, or one such for each.   lengths: T of each.
        several: whether the trajectories were given in a list.
    Raises:
        ValueError: when there are not as many times as samples.
    """
    one = not several or np.ndim(times[0]) == 0
    times = [times] * len(lengths) if one else list(times)
    if [np.shape(one) for one in times] != [(n,) for n in lengths]:
        raise ValueError(f"times: expected shapes {[(n,) for n in lengths]}, got {[np.shape(one) for one in times]}")
    whole: Any = np.concatenate([np.asarray(one) for one in times])
    stamps = read_stamps(whole, lambda i: f"times, row {i}")
    return np.split(stamps.times, np.cumsum(lengths)[:-1]), stamps.unit, stamps.resolution


def _cells(column: Any) -> Any:
    """Cells of a data frame's column, dates in UTC without saying so."""
    if getattr(getattr(column, "dt", None), "tz", None) is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    found = np.asarray(column)
    return found if found.dtype.kind in "biufM" else found.tolist()


def _variables(
    data: Any, time: str, values: str | Sequence[str] | None, id: str | None
) -> tuple[tuple[str, ...], Array]:
    """Names of the columns and their values (N, T, C)."""
    outer = [] if id is None else [id]
    if hasattr(data, "data_vars"):
        wanted = (values,) if isinstance(values, str) else values
        names = tuple(wanted or (str(name) for name in data.data_vars if time in data[name].dims))
        unknown = [name for name in names if name not in data.data_vars]
        if unknown or not names:
            raise ValueError(f"no variable {unknown or ''}; there are {', '.join(map(str, data.data_vars))}")
        for name in names:
            if set(data[name].dims) != {time, *outer}:
                raise ValueError(f"{name} must depend on {' and '.join([time, *outer])} alone, not {data[name].dims}")
        block = np.stack([np.asarray(data[name].transpose(*outer, time).values, float) for name in names], axis=-1)
    else:
        inner = [name for name in data.dims if name not in (time, *outer)]
        if len(inner) > 1 or values is not None:
            raise ValueError(
                f"a DataArray has one dimension beside {[time, *outer]}, got {inner}, and no values to name"
            )
        block = np.asarray(data.transpose(*outer, time, *inner).values, float)
        block = block if inner else block[..., None]
        names = tuple(_labels(data, inner[0], block.shape[-1])) if inner else (str(data.name or "x"),)
    return names, block if outer else block[None]


def _labels(data: Any, name: Any, count: int) -> list[str]:
    coordinate = data.coords.get(name)
    return [f"{name}{i}" for i in range(count)] if coordinate is None else [str(each) for each in coordinate.values]
