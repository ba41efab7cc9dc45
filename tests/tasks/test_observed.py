"""Observed series: reading, faults named by line and column, embedding, chronological windows. Axes: N, T, D."""

from __future__ import annotations

import numpy as np
import pytest

from ddl_dyn.tasks import make_dataset, make_task
from ddl_dyn.tasks.series.embedding import choose_delay, choose_dimension, embed, false_neighbours, mutual_information

SPLIT = {"n_train": 20, "n_val": 5, "n_test": 5, "steps": 12}


def write(tmp_path, lines, name="series.csv"):
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def sine(tmp_path, n=300, dt=0.1):
    t = dt * np.arange(n)
    return write(tmp_path, ["t,x", *(f"{a:.6f},{np.sin(a):.12f}" for a in t)])


def test_bundled_series_are_complete():
    sunspots, ecg = make_task("sunspots"), make_task("ecg")
    assert sunspots.series.records[0].values.shape == (309, 1)
    assert ecg.series.records[0].values.shape == (21600, 1)
    assert ecg.dt == pytest.approx(1 / 360, rel=1e-5)  # times in the file are rounded to a microsecond
    # Known: the sunspot cycle lasts about 11 years; the largest yearly mean before 2009 was 190.2 in 1957.
    assert sunspots.timescale == pytest.approx(11.0, abs=0.5)
    series = sunspots.series.records[0].values[:, 0]
    assert series.max() == pytest.approx(190.2)
    assert 1700 + int(series.argmax()) == 1957
    # Tachycardic record: about two beats a second.
    assert 0.4 < ecg.timescale < 0.8


def test_delay_vectors_are_newest_first():
    states = embed(np.arange(10.0), dimension=3, delay=2)
    np.testing.assert_array_equal(states[0], (4.0, 2.0, 0.0))
    np.testing.assert_array_equal(states[-1], (9.0, 7.0, 5.0))
    assert states.shape == (6, 3)


def test_windows_are_pieces_of_the_series(tmp_path):
    task = make_task("observed", path=sine(tmp_path), delay=4, dimension=3)
    data = make_dataset(task, **SPLIT)
    series = task.series.records[0].values[:, 0]
    for part in (data.train, data.val, data.test):
        assert part.states.shape[1:] == (13, 3)
        for window in part.states:
            i = int(np.argmin(np.abs(series - window[0, 0]) + np.abs(np.roll(series, 4) - window[0, 1])))
            np.testing.assert_array_equal(window[:, 0], series[i : i + 13])
            np.testing.assert_array_equal(window[:, 1], series[i - 4 : i + 9])
    assert data.ood is None
    assert data.trust_steps == data.test.steps


@pytest.mark.parametrize(("delay", "dimension"), [(1, 1), (4, 3), (9, 2)])
def test_no_sample_is_in_two_splits(tmp_path, delay, dimension):
    path = write(tmp_path, ["t,x", *(f"{i},{i}" for i in range(300))])
    task = make_task("observed", path=path, delay=delay, dimension=dimension)
    data = make_dataset(task, **SPLIT)
    # The value of a sample is its index: every component, delays included, tells where it was taken.
    train, val, test = (set(part.states.ravel()) for part in (data.train, data.val, data.test))
    assert max(train) < 210 <= min(val)
    assert max(val) < 255 <= min(test)
    assert max(test) == 299


def test_several_trajectories_and_columns(tmp_path):
    lines = ["run,t,x,y"]
    for run, offset in (("a", 0.0), ("b", 1000.0)):
        lines += [f"{run},{i * 0.5},{offset + i},{-i}" for i in range(100)]
    task = make_task("observed", path=write(tmp_path, lines), time_column="t", id_column="run")
    assert task.state_names == ("x", "y")
    assert task.dt == pytest.approx(0.5)
    data = make_dataset(task, **{**SPLIT, "steps": 5})
    x = data.train.states[..., 0]
    assert (x < 70).any()
    assert (x >= 1000).any()
    # No window runs from one trajectory into the other.
    np.testing.assert_array_equal(np.diff(x, axis=1), 1.0)


def test_value_columns_choose(tmp_path):
    path = write(tmp_path, ["t,x,y", *(f"{i},{i % 7},{i % 5}" for i in range(60))])
    task = make_task("observed", path=path, value_columns=["y"], delay=1, dimension=2)
    assert task.state_names == ("y[t]", "y[t-1]")
    assert make_task("observed", path=path, value_columns="x", delay=1, dimension=1).state_names == ("x[t]",)


def test_short_segments_give_shorter_windows_and_say_so():
    data = make_dataset(make_task("sunspots"), n_train=8, n_val=4, n_test=4, n_ood=4, steps=200)
    assert data.test.steps < 200
    said = " ".join(data.notes)
    assert f"test: windows of {data.test.steps} steps instead of 200" in said
    assert "ood: none" in said


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["t,x", "0,1", "1,oops", "2,3"], ("line 3", "'x'", "oops")),
        (["t,x", "0,1", "1,", "2,3"], ("line 3", "'x'", "empty")),
        (["t,x", "0,1", "1,nan", "2,3"], ("line 3", "'x'", "nan")),
        (["t,x", "0,1", "1,inf", "2,3"], ("line 3", "'x'", "inf")),
        (["t,x", "0,1", "2,2", "1,3"], ("line 4", "'t'", "increase")),
        (["t,x", "0,1", "0,2", "1,3"], ("line 3", "'t'", "increase")),
        (["t,x", "0,1", "1,2", "2,3", "4,4", "5,5"], ("line 5", "'t'", "evenly")),
        (["t,x", "0,1", "1,2,3"], ("line 3", "cells")),
        (["t,x", "0,1", "1"], ("line 3", "'x'", "cells")),
        (["t,y", "0,1", "1,2"], ("line 1", "'x'", "missing")),
        (["t,x,x", "0,1,2", "1,2,3"], ("line 1", "'x'", "more than once")),
        (["t,x"], ("line 2", "too short")),
        (["t,x", "0,1"], ("line 2", "too short")),
        (["t,x", "0,1", "1,2", "2,1", "3,2"], ("line", "'x'", "too short")),
        ([""], ("line 1", "empty")),
    ],
)
def test_faults_name_file_line_and_column(tmp_path, lines, words):
    path = write(tmp_path, lines)
    with pytest.raises(ValueError, match=r"series\.csv") as fault:
        make_task("observed", path=path, value_columns=("x",))
    for word in words:
        assert word in str(fault.value)


def test_a_blank_line_does_not_shift_the_line_numbers(tmp_path):
    path = write(tmp_path, ["t,x", "0,1", "", "1,bad"])
    with pytest.raises(ValueError, match="line 4"):
        make_task("observed", path=path)


def test_missing_file_and_binary_file(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.csv"):
        make_task("observed", path=str(tmp_path / "nowhere.csv"))
    (tmp_path / "noise.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match=r"noise\.csv"):
        make_task("observed", path=str(tmp_path / "noise.csv"))


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"train_fraction": 0.9, "val_fraction": 0.1}, "test split"),
        ({"delay": 0}, "delay"),
        ({"dimension": 2.5}, "dimension"),
        ({"delay": 40, "dimension": 4}, "too short"),
        ({"dt": 0.2}, "dt"),
    ],
)
def test_bad_parameters(tmp_path, params, word):
    with pytest.raises(ValueError, match=word):
        make_task("observed", path=sine(tmp_path), **params)


def test_several_columns_refuse_an_embedding(tmp_path):
    path = write(tmp_path, ["t,x,y", *(f"{i},{i},{i}" for i in range(50))])
    with pytest.raises(ValueError, match="single value column"):
        make_task("observed", path=path, dimension=3)


def test_noise_and_simulation_are_refused():
    task = make_task("sunspots")
    with pytest.raises(ValueError, match="noise"):
        make_dataset(task, **SPLIT, noise=0.1)
    with pytest.raises(ValueError, match="simulated"):
        task.simulate(np.zeros((1, task.state_dim)), 3)


def test_the_hash_follows_the_content_not_the_path(tmp_path):
    first = sine(tmp_path)
    copy = write(tmp_path, (tmp_path / "series.csv").read_text().splitlines(), "copy.csv")
    changed = write(tmp_path, [*(tmp_path / "series.csv").read_text().splitlines()[:-1], "29.900000,0.5"], "other.csv")
    hashes = [
        make_dataset(make_task("observed", path=p, delay=2, dimension=2), **SPLIT).content_hash
        for p in (first, copy, changed)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_mutual_information_of_known_cases():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(20_000)
    # Independent samples: the bias of the estimate is (bins − 1)²/(2n) = .0056 nats.
    assert mutual_information(noise, 3) < 0.01
    # A copy of itself: the entropy of 16 equally filled bins, ln 16.
    assert mutual_information(np.tile(noise[:100], 50), 100, bins=16) == pytest.approx(np.log(16), abs=0.05)


def test_delay_and_dimension_of_a_noisy_sine():
    t = 0.1 * np.arange(4000)
    series = np.sin(t) + 0.1 * np.random.default_rng(1).standard_normal(len(t))
    # A quarter of the period 62.8 is where x(t) says least about x(t + τ).
    assert 12 <= choose_delay(series) <= 19
    assert choose_dimension(np.sin(t), 16, reach=200) == 2


def test_delay_of_lorenz():
    lorenz = make_task("lorenz63", dt=0.02)
    series = lorenz.simulate(np.array([[1.0, 2.0, 20.0]]), 3000).states[0, 200:, 0]
    # Fraser, Swinney (1986) and many since: the first minimum for x of Lorenz lies at 0.16–0.2 time units.
    assert 0.14 <= choose_delay(series) * 0.02 <= 0.22


def test_dimension_of_lorenz_is_three():
    lorenz = make_task("lorenz63")
    series = lorenz.simulate(np.array([[1.0, 2.0, 20.0]]), 2500).states[0, 200:, 0]
    shares = [false_neighbours(series, m, 8) for m in (1, 2, 3)]
    # Kennel et al. (1992), fig. 4: false neighbours vanish at three.
    assert shares[0] > 0.5
    assert shares[2] < 0.02
    assert choose_dimension(series, 8, reach=1000, tolerance=0.02) == 3


def test_the_choice_uses_the_training_segment_alone(tmp_path):
    t = 0.1 * np.arange(400)
    calm = np.sin(t)
    wild = calm.copy()
    wild[280:] = np.random.default_rng(0).standard_normal(120)
    tasks = [
        make_task(
            "observed", path=write(tmp_path, ["t,x", *(f"{a:.4f},{v:.9f}" for a, v in zip(t, s, strict=True))], n)
        )
        for s, n in ((calm, "a.csv"), (wild, "b.csv"))
    ]
    assert (tasks[0].delay, tasks[0].dimension) == (tasks[1].delay, tasks[1].dimension)


def test_a_constant_series_is_refused(tmp_path):
    # .1 has no exact binary form: its standard deviation over many samples is 1e-17, not 0.
    path = tmp_path / "still.csv"
    path.write_text("t,x\n" + "".join(f"{t},0.1\n" for t in range(100)))
    with pytest.raises(ValueError, match="column 'x': constant in the training segment"):
        make_task("observed", path=str(path))
