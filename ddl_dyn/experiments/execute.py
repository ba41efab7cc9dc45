"""The execution of a run: its replicas trained and evaluated. Nothing is written here."""

from __future__ import annotations

from typing import Any

from ddl_dyn.engine.device import device_name
from ddl_dyn.experiments.outcome import Callbacks, RunOutcome
from ddl_dyn.experiments.setup import Setup, member_of
from ddl_dyn.tasks.base import Task


def execute(setup: Setup, callbacks: Callbacks) -> RunOutcome:
    """Train all replicas on their task's data and evaluate them.

    Args:
        setup: its replicas untrained; they are trained in place.
        callbacks: for what is reported on the way.
    Raises:
        ValueError: when configuration and task contradict each other.
    """
    from ddl_dyn.experiments.evaluation.evaluate import evaluate
    from ddl_dyn.experiments.train import train

    device = device_name(setup.device)
    if callbacks.on_data is not None:
        callbacks.on_data(setup.data.content_hash, device)
    training = train(setup, callbacks)
    found = evaluate(setup, training.result)
    return RunOutcome(
        numbers={**found.numbers, "budget": training.budget, "tuning": training.tuning},
        arrays=found.arrays | training.arrays,
        state=setup.replicas.state_dict(),
        resolved={
            "model_args": setup.budget.options,
            "pace": training.pace,
            "device": device,
            "compiled": training.result.compiled,
            "task": drawing_facts(setup.task),
        },
    )


def drawing_facts(task: Task) -> dict[str, Any]:
    """Facts about a task that figures of a stored run are drawn by."""
    # A family is what its members are.
    system = member_of(task)[0] or task
    discrete = hasattr(system, "next_state") or system.state_kind == "categorical"
    return {
        "state_names": list(task.state_names),
        "kind": "map" if discrete else "flow",
        "time_unit": task.time_unit,
        "isotropic": task.isotropic,
        "timescale": task.timescale,
        "dt": task.dt,
    }
