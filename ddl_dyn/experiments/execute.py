"""The composition root: a configuration becomes a task, a dataset, trained replicas and an evaluation.

The one module besides `validation` that knows both the tasks and the models. It writes nothing.
"""

from __future__ import annotations

from typing import Any

from ddl_dyn.config.sections import RunConfig
from ddl_dyn.engine.device import choose_device, device_name
from ddl_dyn.experiments.outcome import Callbacks, Outcome
from ddl_dyn.experiments.prepare import Prepared, prepare


def execute(config: RunConfig, callbacks: Callbacks, prepared: Prepared | None = None) -> Outcome:
    """Train all replicas on a task's data and evaluate them. No files are written here.

    Raises:
        ValueError: when configuration and task contradict each other.
    """
    from ddl_dyn.experiments.evaluation import evaluate
    from ddl_dyn.experiments.train import train
    from ddl_dyn.training import budget

    ready = prepared or prepare(config)
    task, data = ready.task, ready.data
    device = choose_device(config.train.device)
    if callbacks.on_data is not None:
        callbacks.on_data(data.content_hash, device_name(device))
    normalizer = ready.normalizer
    size = budget.resolve(config, state_dim=task.state_dim, input_dim=task.input_dim, dt=task.dt)
    trained = train(config, size, ready.shape, data, normalizer, device, callbacks)
    replicas = trained.replicas
    found = evaluate.evaluate(replicas, data, normalizer, trained.result, config)
    return Outcome(
        numbers=found.numbers | {"budget": trained.budget, "tuning": trained.tuning},
        arrays=found.arrays | trained.arrays,
        state=replicas.state_dict(),
        resolved={
            "model_args": size.options,
            "pace": trained.pace,
            "device": device_name(device),
            "compiled": trained.result.compiled,
            "task": drawing_facts(task),
        },
    )


def drawing_facts(task: Any) -> dict[str, Any]:
    """What figures need to know of a task, so that a stored run can be drawn without it."""
    return {
        "state_names": list(task.state_names),
        "kind": "map" if _discrete(task) else "flow",
        "time_unit": task.time_unit,
        "isotropic": task.isotropic,
        "timescale": task.timescale,
        "dt": task.dt,
    }


def _discrete(task: Any) -> bool:
    """Whether time runs in steps: a map, a word of tokens, or a family whose members are maps."""
    if hasattr(task, "at") and hasattr(task, "gap"):
        return _discrete(task.at(sum(task.gap) / 2))
    return hasattr(task, "next_state") or task.state_kind == "categorical"
