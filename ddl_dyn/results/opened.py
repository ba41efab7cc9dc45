"""A stored run opened in Python: its record, its trained replicas, forecasts, figures, analysis.

Axes: R replicas, B initial states, T steps, D observed state, U inputs.
"""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ddl_dyn.config.formats import counted
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.results.score_lines import result_lines
from ddl_dyn.runs import UNREADABLE, Run, RunError, find_run
from ddl_dyn.runs.trust import trusting

if TYPE_CHECKING:
    import pandas as pd

    from ddl_dyn.engine.replicas import Replicas
    from ddl_dyn.engine.rollout import Rollout
    from ddl_dyn.experiments.setup import Setup

PICTURE_DPI = 80


@dataclass(frozen=True)
class RunPrediction:
    """Free runs of all replicas in physical units, with their median and band at every time.

    Args:
        times: (T+1,), in the task's unit of time.   states: (R, B, T+1, D), NaN from where a free run failed on.
        median, low, high: (B, T+1, D), over replicas; a failed one counts as infinitely large.
        level: share of the replicas inside the band.   state_names: of the D components.
    """

    times: Array
    states: Array
    median: Array
    low: Array
    high: Array
    level: float
    state_names: tuple[str, ...]

    def __repr__(self) -> str:
        r, b, length, _ = self.states.shape
        names = ", ".join(self.state_names[:6]) + (", …" if len(self.state_names) > 6 else "")
        size = ", ".join((counted(r, "seed"), counted(b, "start"), counted(length - 1, "step")))
        return f"Prediction({size} of {names}; band of {self.level:.0%})"


@dataclass(frozen=True, repr=False)
class OpenRun(Run):
    """A run as Python and notebooks use it: `Run`, and what its trained map does.

    Args:
        path: the run's folder.   trust: files of code that may be executed for it.
    """

    trust: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Run {self.id}: {self._title} ({self.status})"

    def _repr_html_(self) -> str:
        if self.status != UNREADABLE and self.kind != "run":
            from ddl_dyn.results.comparison.notebook import grid_html

            return grid_html(self, repr(self))
        head = f"<p><b>run {html.escape(self.id)}</b>: {html.escape(self._title)} ({self.status})</p>"
        try:
            note = self.entry.get("note")
            below = f"<p>{html.escape(str(note))}</p>" if note else ""
            cell = '<tr><td style="text-align:left">{}</td><td style="text-align:left">{}</td></tr>'
            pairs = [line.partition(": ")[::2] for line in result_lines(self)]
            rows = "".join(cell.format(*map(html.escape, pair)) for pair in pairs)
            return f"<div>{head}{below}<table>{rows}</table>{self._picture()}</div>"
        except RunError as error:
            return f"<div>{head}<p>{html.escape(str(error))}</p></div>"

    @property
    def _title(self) -> str:
        if self.status == UNREADABLE:
            return "its run.json cannot be read"
        if self.kind != "run":
            return f"{self.kind} of {counted(len(self.members), 'run')}"
        return f"{self.entry.get('model')} on {self.entry.get('task')}, {counted(self.entry.get('seeds', 0), 'seed')}"

    def _picture(self) -> str:
        """The run's portrait as an image in the page itself, or why there is none."""
        from ddl_dyn.results.figures.registry import figures_side_by_side
        from ddl_dyn.results.figures.run_view import RunView

        if not self.arrays:
            return ""
        view = RunView(self, stored_only=True)
        try:
            figure = next(iter(figures_side_by_side(view)), None)
            if figure is None:
                return ""
            drawn = io.BytesIO()
            picture: Any = figure.draw(view)
            picture.savefig(drawn, format="png", dpi=PICTURE_DPI)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            return f"<p>no portrait: {html.escape(str(error))}</p>"
        data = base64.b64encode(drawn.getvalue()).decode()
        return f'<img src="data:image/png;base64,{data}" alt="{html.escape(figure.alt)}">'

    @property
    def table(self) -> pd.DataFrame:
        """Of a comparison or sweep: the rows of comparison.csv; RunError for a single run."""
        from ddl_dyn.results.comparison.notebook import grid_table

        if self.kind == "run":
            raise RunError(f"run {self.id} is no comparison or sweep; load_runs(by='seed') has its numbers")
        return grid_table(self)

    @cached_property
    def setup(self) -> Setup:
        """Configuration, task, data, normaliser and trained replicas; the data are simulated again.

        Raises:
            RunError: when the run is not complete, or would execute code of a user's file that was not named.
        """
        from ddl_dyn.experiments.setup import restore_setup

        # Named for this run alone: another run that is opened beside it names its own.
        with trusting(self.trust):
            return restore_setup(self)

    @property
    def replicas(self) -> Replicas:
        """The trained replicas, in model units."""
        return self.setup.replicas

    def rollout(
        self, x0: ArrayLike | None = None, steps: int | None = None, inputs: ArrayLike | None = None
    ) -> Rollout:
        """Free runs of all replicas in physical units, each with its status.

        Args:
            x0: (B, D) or (D,), initial states in physical units; None takes those of the test set, with its inputs.
            steps: T; None takes as many as the stored test.
            inputs: (B, T, U), or what can be repeated to that, (U,) for instance; for a task that has inputs.
        Returns:
            Rollout with states (R, B, T+1, D).
        Raises:
            ValueError: when shapes do not fit the task.
            RunError: as `setup`.
        """
        import torch

        from ddl_dyn.engine.rollout import Rollout
        from ddl_dyn.experiments.evaluation.free_runs import free_run_from

        starts, given = self._given(x0, steps, inputs)
        training = self.result["training"]
        failed = (np.asarray(training["best_update"]) == 0) & (training["updates"] > 0)
        found = free_run_from(self.setup, starts, given, failed=failed)
        good = np.isfinite(found["pred"]).all(axis=-1).sum(axis=-1)
        return Rollout(torch.as_tensor(found["pred"]), torch.as_tensor(found["status"]), torch.as_tensor(good))

    def predict(
        self,
        x0: ArrayLike | None = None,
        steps: int | None = None,
        inputs: ArrayLike | None = None,
        *,
        level: float = 0.8,
    ) -> RunPrediction:
        """Forecast of every replica with the band over replicas, in physical units.

        Args:
            x0, steps, inputs: as of `rollout`.   level: share of the replicas inside the band, in (0, 1].
        Raises:
            ValueError: when shapes do not fit the task, or `level` is out of range.
            RunError: as `setup`.
        Example:
            >>> future = open_run("last").predict([0.1, 0.2], steps=10)
            >>> future
            Prediction(2 seeds, 1 start, 10 steps of x, y; band of 80%)
            >>> future.states.shape, future.median.shape
            ((2, 1, 11, 2), (1, 11, 2))
        """
        from ddl_dyn.plots.bands import band

        states = self.rollout(x0, steps, inputs).states.numpy()
        task = self.setup.task
        return RunPrediction(task.times(states.shape[2] - 1), states, *band(states, level), level, task.state_names)

    def _given(self, x0: ArrayLike | None, steps: int | None, inputs: ArrayLike | None) -> tuple[Array, Array]:
        """Initial states (B, D) and inputs (B, T, U)."""
        test, task = self.setup.data.test, self.setup.task
        steps = self.arrays["test_pred"].shape[2] - 1 if steps is None else steps
        if not isinstance(steps, int) or steps < 0:
            raise ValueError(f"steps must be a number of steps from 0 on, got {steps!r}")
        if x0 is None and inputs is None:
            if steps > test.steps and task.input_dim:
                raise ValueError(f"the test set has inputs for {test.steps} steps, got steps={steps}; give inputs")
            own = test.inputs[:, :steps] if task.input_dim else np.zeros((len(test), steps, 0))
            return test.states[:, 0], own
        starts = test.states[:, 0] if x0 is None else np.atleast_2d(np.asarray(x0, dtype=np.float64))
        if starts.ndim != 2 or starts.shape[1] != task.state_dim or not np.isfinite(starts).all():
            names = ", ".join(task.state_names[:6])
            raise ValueError(f"x0 must be finite, of shape (B, {task.state_dim}) or ({task.state_dim},): {names}")
        shape = (len(starts), steps, task.input_dim)
        if inputs is None:
            if task.input_dim:
                raise ValueError(f"{task.key()} has the inputs {', '.join(task.input_names)}; give inputs {shape}")
            return starts, np.zeros(shape)
        given = np.asarray(inputs, dtype=np.float64)
        # The inputs' own axis is not repeated: one number is no two inputs.
        if given.shape[-1:] != shape[2:] or not _repeats_to(given.shape, shape) or not np.isfinite(given).all():
            raise ValueError(f"inputs must be finite, of shape {shape} or one that repeats to it, got {given.shape}")
        return starts, np.array(np.broadcast_to(given, shape))

    def portrait(self, what: str | None = None) -> Any:
        """A figure of the run, to be shown or saved; its phase portrait where none is named.

        Args:
            what: name of a figure, as `ddl-dyn portrait RUN --what list` has them.
        Raises:
            ValueError: for an unknown name, or a figure that means nothing for this run.
        Example:
            >>> figure = open_run("last").portrait("error")
            >>> figure.axes[0].get_xlabel()
            'steps'
        """
        from ddl_dyn.results.figures.catalogue import figure_of

        with trusting(self.trust):
            return figure_of(self, what, given=vars(self).get("setup"))

    def analyse(self, steps: int | None = None) -> dict[str, Any]:
        """Exponents, fixed points, cycles, gates: the trained map beside the true one, as `ddl-dyn analyse` has them.

        Args:
            steps: averaged steps, at least 40.
        """
        from ddl_dyn.results.inspection.dynamics import STEPS
        from ddl_dyn.results.inspection.sections import analyse

        return analyse(self, steps=STEPS if steps is None else steps, setup=self.setup)

    def export(self, form: str, path: str | os.PathLike[str], *, seed: int | None = None) -> list[Path]:
        """Write one seed's step map for use elsewhere: physical units in and out, float64, any batch.

        Args:
            form: `onnx`, `torch.export` or `numpy` (a module that needs numpy alone).   path: of the file.
            seed: of the replica; None takes the one with the median validation error, which figures show.
        Returns:
            The files written; of a latent carry also the map from a state to the one that is carried.
        Raises:
            ValueError: for an unknown form or seed, a missing library, or a step that is no fixed graph of operations.
            RunError: as `setup`.
        """
        from ddl_dyn.results.portable.files import write_step_map

        return write_step_map(self.setup, form, Path(path), seed)


def _repeats_to(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(small, large) == large
    except ValueError:
        return False


def open_run(
    reference: str | os.PathLike[str], runs: str | os.PathLike[str] = "runs", *, trust: Sequence[str] = ()
) -> OpenRun:
    """One run, comparison or sweep by its folder, by its id within `runs` or the beginning of that, or `last`.

    Args:
        reference: `last` is the run that was started last, not counting those of a comparison or sweep.
        runs: the runs folder.
        trust: files of code that the run was made with and that may be executed for it.
    Raises:
        RunError: when there is no such run; the message names the nearest ids.
        ValueError: when a file of `trust` does not exist.
    Example:
        >>> run = open_run("last")
        >>> run
        Run 1: ddl on henon, 2 seeds (COMPLETED)
        >>> run.config["task"], run.result["parameters"]
        ('henon', 7)
    """
    found = find_run(reference, runs)
    with trusting(trust):
        return OpenRun(found.path, tuple(trust))
