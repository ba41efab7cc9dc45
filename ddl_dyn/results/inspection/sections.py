"""The analysis of one run, section by section. Axes: R replicas, N trajectories, T steps, D observed state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

from ddl_dyn import analysis
from ddl_dyn.engine.threads import one_torch_thread
from ddl_dyn.experiments.setup import Setup, restore_setup
from ddl_dyn.experiments.unsuitable import Unsuitable
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.results.inspection import climate, constants, dynamics, latent, table
from ddl_dyn.runs import Run


class Work:
    """One analysis under way: a setup, the length of its runs, and the long runs that several sections share.

    Args:
        setup: the run made whole.   steps: averaged steps of exponents, averages and long runs.
    """

    def __init__(self, setup: Setup, steps: int) -> None:
        self.setup, self.steps = setup, steps

    @cached_property
    def long_runs(self) -> tuple[Array, Array]:
        """As `climate.long_runs`."""
        return climate.long_runs(self.setup, self.steps)


class InspectionSection(NamedTuple):
    """One section of an analysis: its measurement, and its rows of the printed table, None where it has none."""

    measure: Callable[[Work], Any]
    write: Callable[[Any, dict[str, Any]], Iterator[table.Row]] | None


# In the order of the printed table.
SECTIONS: dict[str, InspectionSection] = {
    "spectrum": InspectionSection(lambda work: dynamics.spectrum(work.setup, work.steps), table.spectrum_rows),
    "latent": InspectionSection(lambda work: latent.latent(work.setup, work.steps), table.latent_rows),
    "cycles": InspectionSection(lambda work: dynamics.compare_cycles(work.setup), table.cycles_rows),
    "limit_cycle": InspectionSection(
        lambda work: dynamics.compare_limit_cycle(work.setup, work.steps), table.limit_cycle_rows
    ),
    "local": InspectionSection(lambda work: dynamics.local(work.setup), table.local_rows),
    "symmetries": InspectionSection(lambda work: dynamics.symmetries(work.setup), table.symmetries_rows),
    "invariants": InspectionSection(lambda work: dynamics.invariants(work.setup), table.invariants_rows),
    "accuracy": InspectionSection(lambda work: climate.accuracy(work.setup), table.accuracy_rows),
    "tracking": InspectionSection(lambda work: climate.tracking(work.setup), table.tracking_rows),
    "climate": InspectionSection(lambda work: climate.distances(work.setup, *work.long_runs), table.climate_rows),
    "verdicts": InspectionSection(
        lambda work: climate.replica_verdict_shares(work.setup, *work.long_runs), table.verdicts_rows
    ),
    "survival": InspectionSection(lambda work: climate.survival(work.setup), table.survival_rows),
    "constants": InspectionSection(lambda work: constants.constants(work.setup), table.constants_rows),
    "laws": InspectionSection(lambda work: constants.laws(work.setup), table.laws_rows),
    "precision": InspectionSection(lambda work: analysis.precision_card(), None),  # noqa: ARG005
}


def rows(found: dict[str, Any]) -> Iterator[table.Row]:
    """(quantity, true, trained) of every section that an analysis has."""
    for name, section in SECTIONS.items():
        if name in found and section.write is not None:
            yield from section.write(found[name], found)


def analyse(
    run: Run,
    *,
    steps: int = dynamics.STEPS,
    on_section: Callable[[str], None] | None = None,
    setup: Setup | None = None,
) -> dict[str, Any]:
    """Everything that is known how to measure on a finished run, beside the truth.

    Args:
        run: a completed run.
        steps: averaged steps of exponents, limit cycles and long runs, at least 40.
        on_section: told the name of each section before it is worked out.
        setup: the run already made whole, to spare doing it again.
    Returns:
        run, task, model, seeds, steps and a value per section of `SECTIONS`; lists have one entry per replica, and a
        replica that fails is NaN, infinite or without entries there. `skipped`: section -> why it means nothing here.
    Raises:
        RunError: when the run cannot be made whole.
        ValueError: when steps < 40.
    """
    if steps < 40:
        raise ValueError(f"steps must be at least 40 for averages to mean anything, got {steps}")
    setup = restore_setup(run) if setup is None else setup
    work = Work(setup, steps)
    found: dict[str, object] = {
        "run": run.id,
        "task": setup.config.task,
        "model": setup.config.model,
        "seeds": list(setup.replicas.seeds),
        "chosen": setup.chosen,
        "held": setup.held.tolist(),
        "dt": float(setup.task.dt),
        "time_unit": setup.task.time_unit,
        "timescale": setup.timescale,
        "steps": steps,
    }
    skipped: dict[str, str] = {}
    for name, section in SECTIONS.items():
        if on_section is not None:
            on_section(name)
        try:
            with one_torch_thread():
                found[name] = section.measure(work)
        except Unsuitable as reason:
            skipped[name] = str(reason)
    return found | {"skipped": skipped}
