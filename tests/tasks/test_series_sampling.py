"""Times, gaps, missing values and resampling of recorded series, against closed forms. Axes: T samples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddl_dyn.tasks import Series, make_dataset, make_task


def task_of(folder: Path, times: Any, values: Any, **options: Any) -> Any:
    path = Series.from_arrays(values, times=times).save(folder / "series.npz")
    return make_task("observed", path=path, **({"delay": 1, "dimension": 1} | options))


def of_stamps(folder: Path, stamps: list[str], **options: Any) -> Any:
    path = folder / "series.csv"
    path.write_text("time,x\n" + "".join(f"{stamp},{i % 7}\n" for i, stamp in enumerate(stamps)))
    return make_task("observed", path=str(path), **({"delay": 1, "dimension": 1} | options))


START = datetime(2024, 2, 20, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stamps", "dt", "unit"),
    [
        ([f"{START + timedelta(days=i):%Y-%m-%d}" for i in range(60)], 1.0, "day"),
        ([f"{START + timedelta(minutes=i):%Y-%m-%dT%H:%M}" for i in range(60)], 60.0, "s"),
        ([f"{START + timedelta(hours=i):%Y-%m-%d %H:%M:%SZ}" for i in range(60)], 3600.0, "s"),
        ([f"{START + timedelta(milliseconds=250 * i):%Y-%m-%dT%H:%M:%S.%f}+0130" for i in range(60)], 0.25, "s"),
        ([f"{2000 + i // 12}-{i % 12 + 1:02}-01" for i in range(60)], 1.0, "month"),
        ([f"{2000 + i // 12}-{i % 12 + 1:02}" for i in range(60)], 1.0, "month"),
        ([f"{1900 + i}-07-01" for i in range(60)], 1.0, "year"),
        ([f"{START + timedelta(days=7 * i):%Y-%m-%d}" for i in range(60)], 7.0, "day"),
    ],
)
def test_dates(stamps: list[str], dt: float, unit: str, tmp_path: Path) -> None:
    task = of_stamps(tmp_path, stamps)
    assert (task.dt, task.time_unit) == (pytest.approx(dt), unit)
    assert f"times are dates; dt = {dt:g} is in {unit}" in task.notes


def test_offsets_are_subtracted(tmp_path: Path) -> None:
    # The clocks go forward within the hour: the local times jump, the instants do not.
    stamps = [
        f"2024-03-31T0{1 if i < 30 else 3}:{i % 30 + 30 * (i < 30):02}:00+0{1 if i < 30 else 2}:00" for i in range(60)
    ]
    assert of_stamps(tmp_path, stamps).dt == 60.0


@pytest.mark.parametrize(
    ("step", "unit"),
    [(1000 / 360, 1.0), (1 / 12, 0.01), (2.5, 1.0)],
)
@pytest.mark.parametrize("rounded", [np.round, np.floor])
def test_stamps_rounded_to_their_last_digit(step: float, unit: float, rounded: Any, tmp_path: Path) -> None:
    digits = round(-np.log10(unit))
    stamps = [f"{rounded(i * step / unit + 0.3) * unit:.{digits}f}" for i in range(400)]
    # Off by less than a unit over the whole length.
    assert of_stamps(tmp_path, stamps).dt == pytest.approx(step, abs=unit / 399)
    # Negative control: a sample is missing in the middle of the training segment.
    with pytest.raises(ValueError, match="time must be evenly spaced"):
        of_stamps(tmp_path, [*stamps[:100], *stamps[101:]])


def test_seconds_rounded_in_dates(tmp_path: Path) -> None:
    stamps = [f"{START + timedelta(seconds=int(i * 3.7)):%Y-%m-%dT%H:%M:%S}" for i in range(200)]
    assert of_stamps(tmp_path, stamps).dt == pytest.approx(3.7, abs=0.01)


def test_no_window_crosses_a_gap(tmp_path: Path) -> None:
    times = np.concatenate([np.arange(100.0), 50.0 + np.arange(100.0, 200.0)])
    with pytest.raises(ValueError, match=r"row 100.*a step of 51.*gaps=split"):
        task_of(tmp_path, times, times)
    task = task_of(tmp_path, times, times, gaps="split")
    assert [len(part) for part in task.segments["train"]] == [100, 40]
    data = make_dataset(task, n_train=1000, n_val=5, n_test=5, steps=9)
    # The value of a sample is its time.
    np.testing.assert_array_equal(np.diff(data.train.states[..., 0], axis=1), 1.0)
    assert "train: gaps longer than 1.5: 1" in data.notes
    # A wider limit: the gap is none, and the step is uneven.
    with pytest.raises(ValueError, match="evenly spaced"):
        task_of(tmp_path, times, times, gaps="split", max_gap=60.0)


def test_a_cut_between_trajectories_and_splits_stays_where_a_gap_is(tmp_path: Path) -> None:
    times = np.arange(100.0)
    task = task_of(tmp_path, times, times, gaps="split", missing="interpolate")
    plain = task_of(tmp_path, times, times)
    for split in ("train", "val", "test"):
        np.testing.assert_array_equal(task.segments[split][0], plain.segments[split][0])


@pytest.mark.parametrize(("method", "order"), [("linear", 2), ("cubic", 4)])
def test_resampling_converges_with_the_order_of_its_interpolation(method: str, order: int, tmp_path: Path) -> None:
    errors = []
    for n in (400, 800):
        jitter = np.random.default_rng(0).uniform(-0.2, 0.2, n)
        times = (np.arange(n) + jitter) * 40 / n
        task = task_of(tmp_path, times, np.sin(times), resample=0.1, resample_method=method)
        grid = times[0] + 0.1 * np.arange(len(task.segments["train"][0]))
        assert task.dt == 0.1
        assert any(f"by {method} interpolation" in note for note in task.notes)
        # Away from the ends, at which a spline knows no slope.
        errors.append(np.abs(task.segments["train"][0][:, 0] - np.sin(grid))[20:-20].max())
    # Twice the samples: 2^order less, to within the scatter of uneven steps.
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.8)


def test_uneven_steps_are_refused_without_a_grid(tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(1).exponential(size=200))
    with pytest.raises(ValueError, match="resample=STEP"):
        task_of(tmp_path, times, np.sin(times))
    times[50:] += 100.0
    with pytest.raises(ValueError, match=r"a gap of .*max_gap lets it pass"):
        task_of(tmp_path, times, np.sin(times), resample=0.5)
    assert len(task_of(tmp_path, times, np.sin(times), resample=0.5, gaps="split", max_gap=50.0).segments["train"]) == 2
    assert len(task_of(tmp_path, times, np.sin(times), resample=0.5, max_gap=200.0).segments["train"]) == 1


def holed(n: int = 200, *gone: int) -> Any:
    values = np.stack([np.arange(n, dtype=float), np.arange(n) % 7.0], axis=1)
    values[list(gone), 1] = np.nan
    return values


def test_missing_values(tmp_path: Path) -> None:
    times, options = np.arange(200.0), {"delay": 1, "dimension": 1}
    with pytest.raises(ValueError, match=r"row 20, column 'x1': a missing value .*missing=drop"):
        task_of(tmp_path, times, holed(200, 20, 21), **options)
    task = task_of(tmp_path, times, holed(200, 20, 21), missing="interpolate")
    # On the line from sample 19 to sample 22.
    np.testing.assert_allclose(task.segments["train"][0][19:23, 1], [5, 5 - 4 / 3, 5 - 8 / 3, 1])
    assert "train: samples with missing values filled along a line: 2" in task.notes
    with pytest.raises(ValueError, match="a gap of 3"):
        task_of(tmp_path, times, holed(200, 20, 21), missing="drop")
    task = task_of(tmp_path, times, holed(200, 20, 21), missing="drop", gaps="split")
    assert [len(part) for part in task.segments["train"]] == [20, 118]
    with pytest.raises(ValueError, match=r"2 samples in a row .* more than max_missing = 1"):
        task_of(tmp_path, times, holed(200, 20, 21), missing="interpolate", max_missing=1)
    task = task_of(tmp_path, times, holed(200, 20, 21, 30), missing="interpolate", max_missing=1, gaps="split")
    assert [len(part) for part in task.segments["train"]] == [20, 118]
    assert not np.isnan(np.concatenate(task.segments["train"])).any()


def test_nothing_is_filled_from_another_split(tmp_path: Path) -> None:
    # Samples 139 and 140 lie on either side of the cut: neither has a neighbour within its split on the other side.
    task = task_of(tmp_path, np.arange(200.0), holed(200, 139, 140), missing="interpolate")
    assert [len(task.segments[split][0]) for split in ("train", "val", "test")] == [139, 29, 30]
    values = np.stack([np.arange(200.0), np.arange(200) % 7.0], axis=1)
    changed = values.copy()
    changed[140:] += 50.0
    for method in ("linear", "cubic"):
        first, second = (
            task_of(tmp_path, np.arange(200.0), v, resample=0.4, resample_method=method).segments["train"][0]
            for v in (values, changed)
        )
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("fill", [-999.0, -999.9, -9999.0, 1e20, 9.969209968386869e36])
def test_fill_values_are_named_until_they_are_listed(fill: float, tmp_path: Path) -> None:
    times, values = np.arange(200.0), np.sin(np.arange(200.0))
    values[40] = np.float32(fill)
    with pytest.raises(ValueError, match=r"row 40, column 'x': .* often stands for a missing value"):
        task_of(tmp_path, times, values)
    with pytest.raises(ValueError, match="row 40, column 'x': a missing value"):
        task_of(tmp_path, times, values, missing_values=(fill,))
    task = task_of(tmp_path, times, values, missing_values=fill, missing="interpolate")
    assert task.segments["train"][0].max() <= 1.0
    kept = task_of(tmp_path, times, values, missing_values=[])
    assert kept.segments["train"][0][40, 0] == np.float32(fill)


def test_a_usual_fill_value_among_values_is_one(tmp_path: Path) -> None:
    values = 2000.0 * np.sin(np.arange(200.0))
    values[40] = -999.0
    assert task_of(tmp_path, np.arange(200.0), values).segments["train"][0][40, 0] == -999.0
