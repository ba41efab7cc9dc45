"""Observed series as tasks: no equation, only what was recorded, cut in chronological order.

Axes: N windows (forecast origins), T steps, D state components (columns, or delays of one column).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import Split, Task
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.series.embedding import (
    LARGEST,
    SMALLEST,
    check_values,
    choose_delay,
    choose_dimension,
    dominant_lag,
    embed,
)
from ddl_dyn.tasks.series.files import SAME_STEP, Columns, read_series
from ddl_dyn.tasks.series.sampling import Sampling, check_order, find_step, prepared, straight_lines, without_fills
from ddl_dyn.tasks.series.series import Series
from ddl_dyn.tasks.trajectories import Trajectories


@dataclass(frozen=True, kw_only=True)
class Observed(Task):
    """Any recorded series: value columns with or without a time column, one trajectory or several, from files.

    Equations: none; the state is the row of value columns, or, for a scalar series, its delay vector
    (x_t, x_{t−τ}, …, x_{t−(m−1)τ}), newest first.
    Files: path names a text file (columns separated by commas, semicolons, tabs, bars or blanks, decimals after a
    point, or after a comma where that separates nothing; lines that begin with # or % are comments), an .npz or .npy
    file of numpy, a .parquet file (needs pyarrow), or several files of one form (data/*.csv, in the order of their
    names), each a trajectory. From Python, Series.from_arrays, from_dataframe and from_xarray hold a series, and its
    save writes the .npz file to name here. header=false: the first line is a sample, the columns are x0, x1, ….
    Columns: time_column (None: the first), value_columns (None: all others), id_column (tells several trajectories
    apart). dt: step of a series without a time column; else it is read from the times, in their unit.
    Times: numbers, or ISO 8601 dates and datetimes, with Z or an offset on all or on none; dt is then in days where
    the steps are days or longer, in months or years for the same day of each, else in seconds. Stamps may be rounded
    to their last digit. Learned is a map of one step, so the steps must be even, also for the neural ODEs.
    Uneven times: resample gives the step of an even grid from each segment's first sample on, resample_method how
    values are interpolated there. gaps=split begins a new segment at a step longer than max_gap, which no window
    crosses (None: 1.5 median steps, 10 with resample); without it gaps are refused.
    Missing values (empty cells, nan, NA): missing=drop takes such samples out, missing=interpolate fills them along a
    line over at most max_missing samples in a row, longer ones are refused or, with gaps=split, become gaps.
    missing_values: numbers that stand for one, such as -999 (None: refused where they look so; []: none does).
    Embedding: delay τ in samples (None: first minimum of the mutual information); dimension m (None: false nearest
    neighbours, within a quarter of the shortest segment), both chosen on the training segment alone.
    Splits: each trajectory is cut into three consecutive segments by train_fraction and val_fraction of its samples,
    the rest is test, before anything is filled or resampled; states, delays included, never reach across a
    cut. Every split consists of windows whose forecast origins are spread evenly over its segments. A segment
    shorter than asked yields shorter windows (then at least a third of its states remain origins), and the
    dataset's notes say so, as they say how the file was read and what was filled.
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
    header: bool = True
    resample: float | None = parameter(None, low=0.0, open_low=True, doc="step of the new grid, in the times' unit")
    resample_method: Literal["linear", "cubic"] = "linear"
    gaps: Literal["split"] | None = None
    max_gap: float | None = parameter(None, low=0.0, open_low=True, doc="longest step that is no gap")
    missing: Literal["drop", "interpolate"] | None = None
    max_missing: int = parameter(10, low=1, doc="longest run of samples that is filled")
    missing_values: tuple[float, ...] | None = None
    delay: int | None = parameter(None, low=1, high=10_000, doc="delay of the embedding, samples")
    dimension: int | None = parameter(None, low=1, high=1000, doc="number of delays, state components")
    train_fraction: float = parameter(0.7, low=0.0, high=1.0, open_low=True, doc="share of the samples")
    val_fraction: float = parameter(0.15, low=0.0, high=1.0, open_low=True, doc="share of the samples")
    series: Series = field(init=False, repr=False, compare=False)
    segments: dict[Split, list[Array]] = field(init=False, repr=False, compare=False)
    notes: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        super().__post_init__()
        self._check_options()
        columns = Columns(
            time=self.time_column, values=self.value_columns, id=self.id_column, dt=self.dt, header=self.header
        )
        series = read_series(self.path, columns)
        put("series", series)
        put("time_column", series.time_name or None)
        if series.time_unit != "time":
            put("time_unit", series.time_unit)
        check_order(series)
        put("dt", self._step())
        self._cut(put)
        names = self.series.names
        learned = np.concatenate([*self.segments["train"], np.zeros((0, len(names)))])
        if len(learned):
            check_values(self.path, names, learned)
        if len(names) > 1:
            if (self.delay or 1) > 1 or (self.dimension or 1) > 1:
                raise ValueError(
                    f"{self.path}: delay embedding is for a single value column, got {', '.join(names)}; name "
                    "one in value_columns, or leave delay and dimension out"
                )
            put("delay", 1)
            put("dimension", 1)
        else:
            longest = max((part[:, 0] for part in self.segments["train"]), key=len, default=np.zeros(0))
            if len(longest) < 4:
                raise ValueError(
                    f"{self._end()}: too short, the training segment holds {len(longest)} samples; give a longer series"
                )
            put("delay", self.delay or (1 if self.dimension == 1 else choose_delay(longest)))
            put("dimension", self.dimension or choose_dimension(longest, self.delay or 1, reach=self._shortest() // 4))
        for split in self.segments:
            self._states(split)

    def _check_options(self) -> None:
        if self.train_fraction + self.val_fraction >= 1:
            raise ValueError(
                f"{self.key()}: train_fraction + val_fraction must leave samples for the test split, got "
                f"{self.train_fraction} + {self.val_fraction}"
            )
        needs = (
            ("resample_method", self.resample_method != "linear", "resample", self.resample),
            ("max_gap", self.max_gap is not None, "gaps or resample", self.gaps or self.resample),
        )
        for value in self.missing_values or ():
            if value and not SMALLEST <= abs(value) <= LARGEST:
                raise ValueError(
                    f"{self.key()}: missing_values must be 0 or between {SMALLEST:g} and {LARGEST:g} in magnitude, got "
                    f"{value:g}"
                )
        for name, given, other, there in needs:
            if given and not there:
                raise ValueError(f"{self.key()}: {name} is for {other}; give that too or leave {name} out")

    def _step(self) -> float:
        """Step dt: asked for, or found."""
        found = self.resample or (find_step(self.series) if self.series.time_name else self.dt)
        if self.dt is not None and abs(self.dt - found) > SAME_STEP * found:
            raise ValueError(f"{self.path}: dt is read from the time column, {found:g}; got dt={self.dt}, leave it out")
        return float(found)

    def _cut(self, put: Callable[[str, object], None]) -> None:
        """Cut each trajectory in three, and make each piece even."""
        rules = Sampling(
            resample=self.resample,
            resample_method=self.resample_method,
            gaps=self.gaps,
            max_gap=self.max_gap,
            missing=self.missing,
            max_missing=self.max_missing,
            missing_values=self.missing_values,
        )
        series = without_fills(self.series, rules.missing_values)
        segments: dict[Split, list[Array]] = {"train": [], "val": [], "test": []}
        counts: Counter[str] = Counter()
        said: list[str] = [*series.notes, *straight_lines(series)]
        if series.time_unit != "time":
            said.append(f"times are dates; dt = {self.dt:g} is in {series.time_unit}")
        if self.resample:
            steps = np.concatenate([np.diff(record.times) for record in series.records])
            said.append(
                f"resampled to steps of {self.resample:g} by {self.resample_method} interpolation without a filter; "
                f"the recorded ones are {steps.min():g} to {steps.max():g}"
            )
        for record in series.records:
            first, second = self._cuts(len(record.times))
            spans = (slice(first), slice(first, second), slice(second, None))
            for split, span in zip(segments, spans, strict=True):
                found, done = prepared(record.part(span), series, rules, None if self.resample else self.dt)
                segments[split] += found
                counts.update({f"{split}: {what}": number for what, number in done.items()})
        said += [f"{what}: {number}" for what, number in counts.items() if number]
        put("segments", segments)
        put("notes", tuple(dict.fromkeys(said)))

    def _cuts(self, length: int) -> tuple[int, int]:
        first = round(length * self.train_fraction)
        return first, round(length * (self.train_fraction + self.val_fraction))

    def _shortest(self) -> int:
        """Samples of the longest segment of the split in which that is shortest."""
        return min(max(map(len, parts), default=0) for parts in self.segments.values())

    def _end(self) -> str:
        """The last sample of the longest trajectory, for messages."""
        longest = max(self.series.records, key=lambda record: len(record.times))
        return longest.place(len(longest.times) - 1, self.series.names[0])

    def _states(self, split: Split) -> list[Array]:
        """States (T, D) of one split, one array per segment, embedded inside it."""
        reach = ((self.dimension or 1) - 1) * (self.delay or 1)
        states = [
            embed(part[:, 0], self.dimension or 1, self.delay or 1) if reach else part
            for part in self.segments[split]
            if len(part) >= reach + 2
        ]
        if not states:
            longest = max(map(len, self.segments[split]), default=0)
            raise ValueError(
                f"{self._end()}: too short, the longest {split} segment ({longest} samples) holds no two states of "
                f"{self.dimension} delays of {self.delay} samples; give a longer series, a larger fraction or a "
                "smaller dimension"
            )
        return states

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The value columns, or the delays of the one."""
        if len(self.series.names) > 1:
            return self.series.names
        name = self.series.names[0]
        later = (f"{name}[t-{i * (self.delay or 1)}]" for i in range(1, self.dimension or 1))
        return (f"{name}[t]", *later)

    @property
    def timescale(self) -> float:
        """Dominant period: the first prominent peak of the autocorrelation of the training series' increments.

        Increments, so that a slow drift (an electrode's baseline) does not hide the rhythm.
        """
        return self.dt * dominant_lag(np.diff(max(self._states("train"), key=len)[:, 0]))

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Recorded states of a split drawn at random, (n, D); there is no ood split."""
        if split == "ood":
            raise ValueError(f"{self.key()}: an observed series has no ood split")
        states = np.concatenate(self._states(split))
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
        notes = list(self.notes)
        for split in ("train", "val", "test"):
            windows, said = self._windows(split, counts[split], steps)
            splits[split] = windows
            notes += said
        if counts["ood"]:
            notes.append("ood: none, an observed series has no initial states beyond the recorded ones")
        return splits, notes

    def _windows(self, split: Split, n: int, steps: int) -> tuple[Trajectories, list[str]]:
        segments = self._states(split)
        longest = max(len(segment) for segment in segments)
        length = min(steps, max(1, 2 * (longest - 1) // 3))
        notes = []
        short = len(self.segments[split]) - len(segments)
        if short:
            notes.append(f"{split}: {short} of {short + len(segments)} segments hold no two states and are left out")
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
        """SHA-256 of what was read: names, times and values, whatever file they came in."""
        return self.series.digest
