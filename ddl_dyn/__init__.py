"""Deep Delta Learning stacks as discrete dynamical systems: train, compare, look."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddl_dyn.analysis.lyapunov import lyapunov_spectrum
    from ddl_dyn.config.sections import TrainConfig
    from ddl_dyn.engine.normalizer import Normalizer
    from ddl_dyn.engine.replicas import Replicas
    from ddl_dyn.engine.rollout import rollout
    from ddl_dyn.models import MODELS, make_model
    from ddl_dyn.models.delta import delta_operator, delta_update
    from ddl_dyn.results.grids import compare, search, sweep
    from ddl_dyn.results.opened import open_run
    from ddl_dyn.runs import load_runs
    from ddl_dyn.tasks import TASKS, Series, make_dataset, make_task
    from ddl_dyn.training.trainer import fit

__version__ = "0.1.0"

# Imported on first use: `ddl-dyn --help` must not pay for torch. Type checkers read the imports above.
_SOURCES = {
    "MODELS": ("ddl_dyn.models", "MODELS"),
    "TASKS": ("ddl_dyn.tasks", "TASKS"),
    "Normalizer": ("ddl_dyn.engine.normalizer", "Normalizer"),
    "Replicas": ("ddl_dyn.engine.replicas", "Replicas"),
    "Series": ("ddl_dyn.tasks", "Series"),
    "TrainConfig": ("ddl_dyn.config.sections", "TrainConfig"),
    "compare": ("ddl_dyn.results.grids", "compare"),
    "delta_operator": ("ddl_dyn.models.delta", "delta_operator"),
    "delta_update": ("ddl_dyn.models.delta", "delta_update"),
    "fit": ("ddl_dyn.training.trainer", "fit"),
    "load_runs": ("ddl_dyn.runs", "load_runs"),
    "lyapunov_spectrum": ("ddl_dyn.analysis.lyapunov", "lyapunov_spectrum"),
    "make_dataset": ("ddl_dyn.tasks", "make_dataset"),
    "make_model": ("ddl_dyn.models", "make_model"),
    "make_task": ("ddl_dyn.tasks", "make_task"),
    "open_run": ("ddl_dyn.results.opened", "open_run"),
    "rollout": ("ddl_dyn.engine.rollout", "rollout"),
    "search": ("ddl_dyn.results.grids", "search"),
    "sweep": ("ddl_dyn.results.grids", "sweep"),
}

__all__ = [
    "MODELS",
    "TASKS",
    "Normalizer",
    "Replicas",
    "Series",
    "TrainConfig",
    "__version__",
    "compare",
    "delta_operator",
    "delta_update",
    "fit",
    "load_runs",
    "lyapunov_spectrum",
    "make_dataset",
    "make_model",
    "make_task",
    "open_run",
    "rollout",
    "search",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _SOURCES:
        raise AttributeError(f"module 'ddl_dyn' has no attribute {name!r}; it offers {', '.join(__all__)}")
    module, attribute = _SOURCES[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
