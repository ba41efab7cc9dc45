"""Errors of free runs that start at multiples of the training radius.

Axes: R replicas, N trajectories, T steps, D observed state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.experiments.evaluation.free_runs import errors, failure_shares, free_run, horizons, shared_errors
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.runs.stored_result import RadiusErrors

Floors = Sequence[tuple[Setup, Mapping[str, Replicas]]]


def radius_numbers(setup: Setup, floors: Floors, failed: NDArray[np.bool_]) -> dict[str, RadiusErrors]:
    """Errors at each radius of the data: of every replica, and of the floors.

    Args:
        setup: its replicas trained.   floors: of each data set its setup and the floors solved on it.
        failed: (R,), replicas without a trained state.
    Returns:
        By radius: trajectories N; steps of the short and the long horizon; NRMSE, median over starts and share of
        starts beyond the threshold at both horizons, and shares of failed runs, (R,) each; the floors' errors by name.
        Empty where the data have no radii.
    """
    radii = setup.data.radii
    if not radii:
        return {}
    parts = list(radii.values())
    # One batch for all radii: a step costs the same for sixty starts as for sixteen.
    truth = parts[0].replace(
        states=np.concatenate([part.states for part in parts]), inputs=np.concatenate([part.inputs for part in parts])
    )
    shown = horizons(setup.config.eval, truth.steps)
    steps = shown["long"]
    run = free_run(setup, truth, steps, failed=failed)
    below = {
        name: [(own, free_run(replace(own, replicas=solved[name]), truth, steps)["pred"]) for own, solved in floors]
        for name in (floors[0][1] if floors else ())
    }
    found: dict[str, RadiusErrors] = {}
    first = 0
    for radius, part in radii.items():
        rows = slice(first, first := first + len(part))
        true = part.states[:, : steps + 1]
        found[str(float(radius))] = {
            "trajectories": len(part),
            "steps": shown,
            **errors(setup, run["pred"][:, rows], true),
            **failure_shares(run["status"][:, rows]),
            "floors": {
                name: shared_errors([errors(own, pred[:, rows], true) for own, pred in each])
                for name, each in below.items()
            },
        }
    return found
