"""Reference trajectories that start at multiples of the training radius.

Axes: N trajectories, T steps, D state components.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddl_dyn.tasks.base import Task
from ddl_dyn.tasks.trajectories import Trajectories

# Starts at each radius, or n_ood where that is less: four radii cost what the ood split of a default run does.
STARTS = 16
# Beside the streams of the noise, which are 1 and 2.
STREAM = 3


def check_radii(radii: Sequence[float]) -> None:
    """Check that radii are different finite numbers above 1.

    Raises:
        ValueError: when they are not.
    """
    if not all(np.isfinite(radius) and radius > 1.0 for radius in radii) or len(set(radii)) != len(radii):
        raise ValueError(f"radii must be different finite numbers above 1, the training radius, got {tuple(radii)}")


def draw_at_radii(
    task: Task, radii: Sequence[float], *, n: int, steps: int, seed: int
) -> tuple[dict[float, Trajectories], list[str]]:
    """Simulate trajectories from `states_at_radius`, at every radius from the same random numbers.

    Args:
        task: the system.   radii: in units of the training radius.
        n: N, starts at each radius, 0 for none; the first n of 2n are the n.
        steps: T.   seed: fixes starts and inputs.
    Returns:
        Finite trajectories by radius, ascending, and notes on what was left out: starts whose trajectory leaves the
        finite numbers, radii that no trajectory or no simulation survives, or where the task has no starts. No radius
        and no note for a task without a radius.
    """
    found: dict[float, Trajectories] = {}
    notes: list[str] = []
    absent: list[float] = []
    for radius in sorted(radii) if n else ():
        streams = np.random.SeedSequence([seed, STREAM]).spawn(2)
        for_states, for_inputs = (np.random.default_rng(stream) for stream in streams)
        try:
            x0 = task.states_at_radius(n, rng=for_states, radius=radius)
            if x0 is None:
                absent.append(radius)
                continue
            acting = task.inputs(n, steps, rng=for_inputs, split="test")
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                part = task.simulate(x0, steps, acting)
        except (ValueError, ArithmeticError) as error:
            notes.append(f"radius {radius:g}: left out, {str(error).partition(chr(10))[0]}")
            continue
        whole = np.isfinite(part.states).all(axis=(1, 2))
        if not whole.all():
            lost = f"{np.count_nonzero(~whole)} of {n}"
            notes.append(f"radius {radius:g}: {lost} trajectories leave the finite numbers and are left out")
        if whole.any():
            found[radius] = part.replace(states=part.states[whole], inputs=part.inputs[whole])
    if absent and len(absent) < len(radii):
        where = ", ".join(f"{radius:g}" for radius in absent)
        notes.append(f"radius {where}: none, the task has no bounded orbits that far out")
    return found, notes
