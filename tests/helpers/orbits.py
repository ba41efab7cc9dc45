"""Orbits of maps, iterated by hand."""

from __future__ import annotations

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import MapTask


def orbit(task: MapTask, x: Array, steps: int) -> Array:
    states = [x]
    for _ in range(steps):
        states.append(task.next_state(states[-1]))
    return np.stack(states, axis=1)
