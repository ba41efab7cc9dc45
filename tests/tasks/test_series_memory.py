"""Series from arrays, data frames and xarray: the same data by every way, and what is refused. Axes: T samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ddl_dyn.tasks import Series, make_task

T = 50
TIMES, WAVE = 0.5 * np.arange(T), np.sin(0.4 * np.arange(T))


def same(first: Series, second: Series) -> None:
    assert first.names == second.names
    for one, other in zip(first.records, second.records, strict=True):
        np.testing.assert_allclose(one.times - one.times[0], other.times - other.times[0], rtol=1e-12)
        np.testing.assert_array_equal(one.values, other.values)


def test_arrays_of_different_lengths() -> None:
    series = Series.from_arrays([np.ones((30, 2)), np.zeros((20, 2))], dt=0.1, names=("a", "b"))
    assert [record.values.shape for record in series.records] == [(30, 2), (20, 2)]
    same(Series.from_arrays(np.ones((3, 20, 2)), dt=0.1), Series.from_arrays([np.ones((20, 2))] * 3, dt=0.1))
    same(Series.from_arrays([WAVE, WAVE], times=TIMES), Series.from_arrays([WAVE, WAVE], times=[TIMES, TIMES]))
    same(Series.from_arrays(WAVE, times=TIMES), Series.from_arrays(WAVE, dt=0.5))
    days = np.datetime64("2024-02-20", "ns") + np.arange(T) * np.timedelta64(1, "D")
    assert Series.from_arrays(WAVE, times=days).time_unit == "day"


FRAME = pd.DataFrame({"id": ["a"] * T + ["b"] * T, "t": [*TIMES, *TIMES], "x": [*WAVE, *-WAVE], "word": "w"})


def test_a_data_frame() -> None:
    expected = Series.from_arrays([WAVE, -WAVE], times=TIMES, names=["x"])
    same(Series.from_dataframe(FRAME, time="t", values="x", id="id"), expected)
    same(Series.from_dataframe(FRAME, values=["x"], id="id", dt=0.5), expected)
    same(Series.from_dataframe(FRAME.set_index("t").drop(columns="word"), id="id"), expected)
    part = FRAME[FRAME.id == "a"].assign(when=pd.date_range("2024-03-30", periods=T, freq="D", tz="Europe/Oslo"))
    # Days of the local clock: one of them has 23 hours.
    with_offset = Series.from_dataframe(part, time="when", values="x")
    assert np.diff(with_offset.records[0].times).min() == pytest.approx(23 / 24)
    naive = part.assign(when=part.when.dt.tz_localize(None)).set_index("when")
    assert Series.from_dataframe(naive[["x"]]).time_unit == "day"
    gone = part.assign(x=part.x.astype("Float64").mask(part.t == 1.0))
    assert np.isnan(Series.from_dataframe(gone, time="t", values="x").records[0].values).sum() == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Series.from_arrays(WAVE), "either dt"),
        (lambda: Series.from_arrays(WAVE, dt=1.0, times=TIMES), "either dt"),
        (lambda: Series.from_arrays(WAVE, dt=-1.0), "dt: expected a positive number"),
        (lambda: Series.from_arrays(WAVE, times=TIMES[1:]), r"times: expected shapes \[\(50,\)\], got \[\(49,\)\]"),
        (lambda: Series.from_arrays([WAVE, np.ones((9, 2))], dt=1.0), "the same columns"),
        (lambda: Series.from_arrays([], dt=1.0), "none of them empty"),
        (lambda: Series.from_arrays(WAVE, dt=1.0, names=["a", "b"]), "names: expected 1 different"),
        (lambda: Series.from_arrays([1.0, np.inf, 2.0], dt=1.0), "finite numbers, got inf at row 1"),
        (lambda: Series.from_arrays(["a", "b"], dt=1.0), "arrays of numbers"),
        (lambda: Series.from_arrays(WAVE, dt=1.0).save("series.csv"), "kept as .npz"),
        (lambda: Series.from_dataframe(WAVE), "expected a data frame"),
        (lambda: Series.from_dataframe(FRAME), "its index counts the rows"),
        (lambda: Series.from_dataframe(FRAME, time="when"), "column 'when' is missing"),
        (lambda: Series.from_dataframe(FRAME, time="t", id="id"), "row 0, column 'word': expected a finite number"),
        (lambda: Series.from_dataframe(FRAME.set_index(["id", "t"])), "several levels; reset_index"),
        (lambda: Series.from_xarray(WAVE), "expected a DataArray or a Dataset"),
    ],
)
def test_what_is_no_series(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_xarray() -> None:
    xarray = pytest.importorskip("xarray")
    values = np.stack([WAVE, -WAVE], axis=1)
    array = xarray.DataArray(values, dims=("time", "part"), coords={"time": TIMES, "part": ["a", "b"]})
    expected = Series.from_arrays(values, times=TIMES, names=("a", "b"))
    same(Series.from_xarray(array), expected)
    same(Series.from_xarray(array.to_dataset(dim="part")), expected)
    # One of two members begins later.
    late = np.stack([WAVE, np.where(np.arange(T) < 5, np.nan, WAVE)])
    members = xarray.DataArray(late, dims=("member", "time"), coords={"time": TIMES}, name="x")
    same(
        Series.from_xarray(members, id="member"),
        Series.from_arrays([WAVE, WAVE[5:]], times=[TIMES, TIMES[5:]], names=["x"]),
    )
    for options, words in (({"time": "when"}, "'when' must be a dimension"), ({}, "one dimension beside")):
        with pytest.raises(ValueError, match=words):
            Series.from_xarray(members.expand_dims("depth"), **options)


def test_a_saved_series_is_a_task(tmp_path: Path) -> None:
    path = Series.from_dataframe(FRAME, time="t", values="x", id="id").save(tmp_path / "frame.npz")
    task = make_task("observed", path=path, delay=1, dimension=2)
    assert (task.state_names, task.dt, len(task.series.records)) == (("x[t]", "x[t-1]"), pytest.approx(0.5), 2)
