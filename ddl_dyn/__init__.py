"""Deep Delta Learning stacks as discrete dynamical systems: train, compare, look."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Imported on first use: `ddl-dyn --help` must not pay for torch.
_WHERE = {
    "Normalizer": "ddl_dyn.engine.normalizer",
    "Replicas": "ddl_dyn.engine.replicas",
    "Rollout": "ddl_dyn.engine.rollout",
    "TrainConfig": "ddl_dyn.config.sections",
    "fit": "ddl_dyn.training.trainer",
    "make_model": "ddl_dyn.models",
    "rollout": "ddl_dyn.engine.rollout",
}

__all__ = ["Normalizer", "Replicas", "Rollout", "TrainConfig", "__version__", "fit", "make_model", "rollout"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'ddl_dyn' has no attribute {name!r}")
