"""The analysis of one run, section by section. Axes: R replicas, N trajectories, T steps, D observed state."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ddl_dyn import analysis, plots
from ddl_dyn.experiments.setup import Setup, restore_setup
from ddl_dyn.results.figures import from_arrays
from ddl_dyn.results.figures.conservation import FILE, largest, where
from ddl_dyn.results.figures.from_arrays import Scene
from ddl_dyn.results.figures.from_arrays_more import survival
from ddl_dyn.results.figures.stage import Stage
from ddl_dyn.results.inspection import climate, constants, dynamics
from ddl_dyn.results.inspection.rebuild import Unsuitable
from ddl_dyn.runs import Run
from ddl_dyn.runs.atomic_files import write_json

Array = NDArray[Any]
# Steps averaged over: a hundred Lyapunov times of most tasks, and minutes at most.
STEPS = 2000


class Work:
    """One analysis under way: a subject, the length of its runs, and the long runs that several sections share.

    Args:
        subject: the run made whole.   steps: averaged steps of exponents, averages and long runs.
    """

    def __init__(self, subject: Setup, steps: int) -> None:
        self.subject, self.steps = subject, steps

    @cached_property
    def long_runs(self) -> tuple[Array, Array]:
        """As `climate.long_runs`."""
        return climate.long_runs(self.subject, self.steps)


SECTIONS: dict[str, Callable[[Work], Any]] = {
    "spectrum": lambda work: dynamics.spectrum(work.subject, work.steps),
    "cycles": lambda work: dynamics.cycles(work.subject),
    "limit_cycle": lambda work: dynamics.limit_cycle(work.subject, work.steps),
    "local": lambda work: dynamics.local(work.subject),
    "symmetries": lambda work: dynamics.symmetries(work.subject),
    "invariants": lambda work: dynamics.invariants(work.subject),
    "accuracy": lambda work: climate.accuracy(work.subject),
    "climate": lambda work: climate.distances(work.subject, *work.long_runs),
    "verdicts": lambda work: climate.verdict_shares(work.subject, *work.long_runs),
    "tracking": lambda work: climate.tracking(work.subject),
    "survival": lambda work: climate.survival(work.subject),
    "constants": lambda work: constants.constants(work.subject),
    "laws": lambda work: constants.laws(work.subject),
    "precision": lambda work: analysis.precision_card(),  # noqa: ARG005
}


def analyse(
    run: Run, *, steps: int = STEPS, on_section: Callable[[str], None] | None = None, subject: Setup | None = None
) -> dict[str, Any]:
    """Everything that is known how to measure on a finished run, beside the truth.

    Args:
        run: a completed run.
        steps: averaged steps of exponents, limit cycles and long runs, at least 40.
        on_section: told the name of each section before it is worked out.
        subject: the run already made whole, to spare doing it again.
    Returns:
        run, task, model, seeds, steps and a value per section of `SECTIONS`; lists have one entry per replica, and a
        replica that fails is NaN, infinite or without entries there. `skipped`: section -> why it means nothing here.
    Raises:
        RunError: when the run cannot be made whole.
        ValueError: when steps < 40.
    """
    if steps < 40:
        raise ValueError(f"steps must be at least 40 for averages to mean anything, got {steps}")
    subject = restore_setup(run) if subject is None else subject
    work = Work(subject, steps)
    found: dict[str, Any] = {
        "run": run.id,
        "task": subject.config.task,
        "model": subject.config.model,
        "seeds": list(subject.replicas.seeds),
        "chosen": subject.chosen,
        "held": subject.held.tolist(),
        "dt": float(subject.task.dt),
        "time_unit": subject.task.time_unit,
        "timescale": subject.timescale,
        "steps": steps,
    }
    skipped: dict[str, str] = {}
    for name, section in SECTIONS.items():
        if on_section is not None:
            on_section(name)
        try:
            found[name] = section(work)
        except Unsuitable as reason:
            skipped[name] = str(reason)
    return found | {"skipped": skipped}


def write_analysis(found: dict[str, Any], subject: Setup, folder: Path) -> list[Path]:
    """Write analysis.json and the analysis' own figures; the paths written.

    Args:
        found: from `analyse`.   folder: of the run, or another.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, found)
    paths = [folder / FILE]
    if "survival" in found:
        paths += plots.save(survival(Scene(subject.run)), folder / "figures" / "survival")
    if "spectrum" in found:
        # Drawn at the end of the run without the slopes, which are known now.
        stage = Stage(subject)
        figure = from_arrays.error(stage, largest(stage, found["spectrum"]), where=where(stage))
        paths += plots.save(figure, folder / "figures" / "error")
    return paths
