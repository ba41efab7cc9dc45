"""Linear symmetries of the tasks: matrices S with Φ(Sx) = SΦ(x), whatever the parameters. Axes: D state components."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tasks.base import Array, Task
from tasks.chains import Lorenz96, SpringChain
from tasks.chaotic import Chen, Lorenz63, SprottB, Thomas
from tasks.conservative import HardeningDuffing, HenonHeiles, Pendulum
from tasks.cycles import StuartLandau, VanDerPol
from tasks.driven import Duffing, Ueda
from tasks.maps import FlipFlop
from tasks.oscillators import CubicSpiral, DampedSpiral, Harmonic, Torus
from tasks.planar_maps import DuffingMap
from tasks.population import Kuramoto
from tasks.projections import Grover
from tasks.reflections import Flip, Mirror, Rotation, Rotoreflection, TwistedMirror
from tasks.standard_map import StandardMap

QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])
# Odd right-hand sides: every sign may be turned at once.
ODD: tuple[type[Task], ...] = (
    Harmonic, DampedSpiral, CubicSpiral, Torus, VanDerPol, StuartLandau, Pendulum, HardeningDuffing, SpringChain, Ueda,
    Duffing, Thomas, FlipFlop, DuffingMap, Flip, Mirror, Rotation, Rotoreflection, TwistedMirror, Grover,
)  # fmt: skip


def _shift(task: Task) -> Array:
    """Each component to its neighbour's place."""
    return np.roll(np.eye(task.state_dim), 1, axis=0)


def _third_turn() -> Array:
    """A rotation by 2π/3 of the plane of positions, and of that of momenta."""
    c, s = -0.5, np.sqrt(0.75)
    return np.kron(np.eye(2), np.array([[c, -s], [s, c]]))


def _half_turn_about_z(task: Task) -> dict[str, Array]:  # noqa: ARG001
    return {"half turn about z": np.diag([-1.0, -1.0, 1.0])}


def _quarter_turn(task: Task) -> dict[str, Array]:  # noqa: ARG001
    return {"quarter turn": QUARTER}


OTHERS: dict[type[Task], Callable[[Any], dict[str, Array]]] = {
    Harmonic: _quarter_turn,
    DampedSpiral: _quarter_turn,
    StuartLandau: _quarter_turn,
    Lorenz63: _half_turn_about_z,
    Chen: _half_turn_about_z,
    SprottB: _half_turn_about_z,
    Thomas: lambda task: {"cyclic exchange": _shift(task)},
    Lorenz96: lambda task: {"cyclic exchange": _shift(task)},
    HenonHeiles: lambda _: {"mirror x": np.diag([-1.0, 1.0, -1.0, 1.0]), "third turn": _third_turn()},
    # Cosines first, then sines: all phases advance by π/2.
    Kuramoto: lambda task: {"common phase": np.kron(QUARTER, np.eye(task.n))},
}


def symmetries(task: Task) -> dict[str, Array]:
    """The linear symmetries that are known of a task, by name.

    Φ(S x) = S Φ(x) for the map over one sampling interval

    Args:
        task: of the registry; one of a user's own has none that are known.
    Returns:
        name -> S (D, D); empty where none is known.
    """
    found = {"change of sign": -np.eye(task.state_dim)} if type(task) in ODD else {}
    if isinstance(task, StandardMap) and task.coordinates == "circle":
        found["inversion of both angles"] = np.diag([1.0, -1.0, 1.0, -1.0])
    return found | OTHERS.get(type(task), lambda _: {})(task)
