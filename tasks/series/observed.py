"""Observed series as tasks: no equation, only what was recorded, cut in chronological order.

Axes: N windows (forecast origins), T steps, D state components (columns, or delays of one column).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ddl_dyn.config.files import TABLE_LIMIT, read_input
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import Split, Task
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.series.embedding import (
    Recording,
    check_values,
    choose_delay,
    choose_dimension,
    dominant_lag,
    embed,
    read_table,
)
from ddl_dyn.tasks.trajectories import Trajectories

DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True, kw_only=True)
class Observed(Task):
    """Any evenly sampled table: a time column and one or more value columns, one trajectory or several.

    Equations: none; the state is the row of value columns, or, for a scalar series, its delay vector
    (x_t, x_{t−τ}, …, x_{t−(m−1)τ}), newest first.
    Parameters: path, a CSV file with a header line; time_column (None: the first); value_columns (None: all others);
    id_column, which tells several trajectories apart; delay τ in samples (None: first minimum of the mutual
    information); dimension m (None: false nearest neighbours, within a quarter of the shortest segment), both chosen
    on the training segment alone; train_fraction and val_fraction, the rest is test. dt is read from the time
    column, in its unit.
    Splits: each trajectory is cut into three consecutive segments; states, delays included, never reach across a
    cut. Every split consists of windows whose forecast origins are spread evenly over its segments. A segment
    shorter than asked yields shorter windows (then at least a third of its states remain origins), and the
    dataset's notes say so.
    """

    source = "the user's file"
    equations = "none (observed)"
    family = "observed"
    obstruction_reason = "unknown: the series has no equation"
    recorded = True
    noise_reason = "an observed series carries its own noise"

    dt: float = None  # type: ignore[assignment]  # read from the time column
    path: str
    time_column: str | None = None
    value_columns: tuple[str, ...] | None = None
    id_column: str | None = None
    delay: int | None = parameter(None, low=1, high=10_000, doc="delay of the embedding, samples")
    dimension: int | None = parameter(None, low=1, high=1000, doc="number of delays, state components")
    train_fraction: float = parameter(0.7, low=0.0, high=1.0, open_low=True, doc="share of the samples")
    val_fraction: float = parameter(0.15, low=0.0, high=1.0, open_low=True, doc="share of the samples")
    table: Recording = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        super().__post_init__()
        table = read_table(
            self.path, time_column=self.time_column, value_columns=self.value_columns, id_column=self.id_column
        )
        put("table", table)
        if self.dt is not None and abs(self.dt - table.dt) > 0.01 * table.dt:
            raise ValueError(
                f"{self.path}: dt is read from the time column, {table.dt:g}; got dt={self.dt}, leave it out"
            )
        put("dt", table.dt)
        if self.train_fraction + self.val_fraction >= 1:
            raise ValueError(
                f"{self.key()}: train_fraction + val_fraction must leave samples for the test split, got "
                f"{self.train_fraction} + {self.val_fraction}"
            )
        learned = np.concatenate([record[: self._cuts(len(record))[0]] for record in table.records])
        if len(learned):
            check_values(self.path, table.columns, learned)
        if len(table.columns) > 1:
            if (self.delay or 1) > 1 or (self.dimension or 1) > 1:
                raise ValueError(
                    f"{self.path}: delay embedding is for a single value column, got {', '.join(table.columns)}; name "
                    "one in value_columns, or leave delay and dimension out"
                )
            put("delay", 1)
            put("dimension", 1)
        else:
            longest = max((record[: self._cuts(len(record))[0], 0] for record in table.records), key=len)
            if len(longest) < 4:
                raise ValueError(
                    f"{self.path}, line {len(longest) + 1}, column {table.columns[0]!r}: too short, the training "
                    f"segment holds {len(longest)} samples; give a longer series"
                )
            put("delay", self.delay or (1 if self.dimension == 1 else choose_delay(longest)))
            put("dimension", self.dimension or choose_dimension(longest, self.delay or 1, reach=self._shortest() // 4))
        for split in ("train", "val", "test"):
            self._segments(split)

    def _cuts(self, length: int) -> tuple[int, int]:
        first = round(length * self.train_fraction)
        return first, round(length * (self.train_fraction + self.val_fraction))

    def _shortest(self) -> int:
        """Samples of the shortest split of the longest trajectory."""
        length = max(len(record) for record in self.table.records)
        first, second = self._cuts(length)
        return min(first, second - first, length - second)

    def _segments(self, split: Split) -> list[Array]:
        """States (T, D) of one split, one array per trajectory, embedded inside the segment."""
        reach = ((self.dimension or 1) - 1) * (self.delay or 1)
        segments = []
        for record in self.table.records:
            first, second = self._cuts(len(record))
            cut = {"train": record[:first], "val": record[first:second], "test": record[second:]}[split]
            if len(cut) >= reach + 2:
                segments.append(embed(cut[:, 0], self.dimension or 1, self.delay or 1) if reach else cut)
        if not segments:
            longest = max(len(record) for record in self.table.records)
            raise ValueError(
                f"{self.path}, line {longest + 1}, column {self.table.columns[0]!r}: too short, the {split} segment of "
                f"the longest trajectory ({longest} samples) holds no two states of {self.dimension} delays of "
                f"{self.delay} samples; give a longer series, a larger fraction or a smaller dimension"
            )
        return segments

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The value columns, or the delays of the one."""
        if len(self.table.columns) > 1:
            return self.table.columns
        name = self.table.columns[0]
        later = (f"{name}[t-{i * (self.delay or 1)}]" for i in range(1, self.dimension or 1))
        return (f"{name}[t]", *later)

    @property
    def timescale(self) -> float:
        """Dominant period: the first prominent peak of the autocorrelation of the training series' increments.

        Increments, so that a slow drift (an electrode's baseline) does not hide the rhythm.
        """
        return self.dt * dominant_lag(np.diff(self._segments("train")[0][:, 0]))

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Recorded states of a split drawn at random, (n, D); there is no ood split."""
        if split == "ood":
            raise ValueError(f"{self.key()}: an observed series has no ood split")
        states = np.concatenate(self._segments(split))
        drawn: Array = states[(rng.random(n) * len(states)).astype(int)]
        return drawn

    def simulate(self, x0: Array, steps: int, inputs: Array | None = None) -> Trajectories:  # noqa: ARG002
        """Not possible: raises ValueError, an observed series has no equation."""
        raise ValueError(f"{self.key()}: an observed series cannot be simulated; take its windows from make_dataset")

    def make_splits(
        self,
        counts: dict[Split, int],
        steps: int,
        *,
        seed: int,  # noqa: ARG002
    ) -> tuple[dict[Split, Trajectories | None], list[str]]:
        """Windows of every split, forecast origins spread evenly; ood is None."""
        splits: dict[Split, Trajectories | None] = {"ood": None}
        notes: list[str] = []
        for split in ("train", "val", "test"):
            windows, said = self._windows(split, counts[split], steps)
            splits[split] = windows
            notes += said
        if counts["ood"]:
            notes.append("ood: none, an observed series has no initial states beyond the recorded ones")
        return splits, notes

    def _windows(self, split: Split, n: int, steps: int) -> tuple[Trajectories, list[str]]:
        segments = self._segments(split)
        longest = max(len(segment) for segment in segments)
        length = min(steps, max(1, 2 * (longest - 1) // 3))
        notes = []
        if length < steps:
            notes.append(
                f"{split}: windows of {length} steps instead of {steps}; the longest segment has {longest} states"
            )
        origins = [(s, i) for s, segment in enumerate(segments) for i in range(len(segment) - length)]
        chosen = np.unique(np.linspace(0, len(origins) - 1, min(n, len(origins))).round().astype(int))
        if len(chosen) < n:
            notes.append(f"{split}: {len(chosen)} windows instead of {n}; there are no more forecast origins")
        states = np.stack([segments[s][i : i + length + 1] for s, i in (origins[c] for c in chosen)])
        return Trajectories(times=self.times(length), states=states), notes

    def parameters(self) -> dict[str, Any]:
        """All parameters but the path: the content of the file counts, not where it lies."""
        return {name: value for name, value in super().parameters().items() if name != "path"}

    def content_key(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(read_input(self.path, TABLE_LIMIT)).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Sunspots(Observed):
    """Yearly mean sunspot number, 1700–2008.

    Equations: none (observed). State: delay vector of the sunspot number, newest first; time in years.
    Facts: 309 values, non-negative; a cycle of about 11 years whose height varies from cycle to cycle, rising faster
    than it falls.
    """

    source = "NOAA National Centers for Environmental Information, yearly mean sunspot number (public domain)"
    time_unit = "year"
    path: str = str(DATA / "sunspots_yearly.csv")


@dataclass(frozen=True, kw_only=True)
class Ecg(Observed):
    """One minute of an electrocardiogram with arrhythmia, sampled at 360 Hz.

    Equations: none (observed). State: delay vector of the potential in millivolt, newest first; time in seconds.
    Facts: 21,600 values of record 208 of the MIT-BIH Arrhythmia Database; about 100 beats, some of them premature
    ventricular ones.
    """

    source = "Moody, Mark (2001), The impact of the MIT-BIH Arrhythmia Database, doi:10.1109/51.932724 (ODC-By)"
    time_unit = "s"
    path: str = str(DATA / "ecg_360hz.csv")
