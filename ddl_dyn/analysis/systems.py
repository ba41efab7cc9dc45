"""A task, trained replicas or a DiscreteMap as a DiscreteMap."""

from __future__ import annotations

from typing import Any, cast

from ddl_dyn.analysis.exact import from_task
from ddl_dyn.analysis.learned import Learned, from_replicas
from ddl_dyn.analysis.maps import DiscreteMap
from ddl_dyn.tasks.base import Task

# Any: whatever has a task's or a model's methods will do.
System = DiscreteMap | Task | Learned | Any


def as_map(system: System, **options: Any) -> DiscreteMap:
    """Any system as a DiscreteMap: a DiscreteMap, a task (map, flow or impacts), a trained model or its replicas.

    Args:
        system: what to look at.
        options: passed to `from_task` or `from_replicas`.
    Raises:
        ValueError: when the system is none of these.
    """
    if isinstance(system, DiscreteMap):
        if options:
            raise ValueError(f"a DiscreteMap takes no further options, got {sorted(options)}")
        return system
    if all(hasattr(system, a) for a in ("lift", "step", "read")):
        return from_replicas(cast(Learned, system), **options)
    if any(hasattr(system, a) for a in ("next_state", "vector_field", "simulate")):
        return from_task(cast(Task, system), **options)
    raise ValueError(
        "a system must be a DiscreteMap, a task (next_state, vector_field or simulate) or a model or Replicas "
        f"(lift, step, read), got {type(system).__name__}"
    )
