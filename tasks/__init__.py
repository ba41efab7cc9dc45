"""Tasks: dynamical systems to be learned, their reference trajectories, their datasets."""

from __future__ import annotations

import dataclasses
from typing import Any

from ddl_dyn.config.hints import nearest_key, nearest_name
from ddl_dyn.config.user_file import is_file_reference, load_class
from ddl_dyn.tasks.base import FlowTask, MapTask, Task
from ddl_dyn.tasks.dataset import Dataset, make_dataset
from ddl_dyn.tasks.flows.chains import Lorenz96, SpringChain
from ddl_dyn.tasks.flows.chaotic import Chen, Lorenz63, Rossler, SprottB, Thomas
from ddl_dyn.tasks.flows.conservative import HardeningDuffing, HenonHeiles, Pendulum
from ddl_dyn.tasks.flows.cycles import Brusselator, FitzhughNagumo, StuartLandau, VanDerPol
from ddl_dyn.tasks.flows.delay import MackeyGlass
from ddl_dyn.tasks.flows.driven import Duffing, Ueda
from ddl_dyn.tasks.flows.dysts import Dysts
from ddl_dyn.tasks.flows.families import Lorenz63Family, VanDerPolFamily
from ddl_dyn.tasks.flows.oscillators import CubicSpiral, DampedSpiral, Harmonic, Torus
from ddl_dyn.tasks.flows.population import Kuramoto, LotkaVolterra
from ddl_dyn.tasks.hybrid.billiards import Billiard, BilliardCollisions
from ddl_dyn.tasks.hybrid.bouncing_ball import BouncingBall, BouncingBallFamily, BouncingBallImpacts
from ddl_dyn.tasks.hybrid.hard_spheres import HardSpheres
from ddl_dyn.tasks.hybrid.many_dimensions import BilliardD
from ddl_dyn.tasks.integrators import integrate, iterate
from ddl_dyn.tasks.maps.line import FlipFlop, Gauss, Logistic, LogisticFamily, Ricker, Tent
from ddl_dyn.tasks.maps.orthogonal import HouseholderChain, PermutationMap
from ddl_dyn.tasks.maps.plane import DuffingMap, Henon, Ikeda, Lozi
from ddl_dyn.tasks.maps.projections import Grover, Kaczmarz, Overwrite
from ddl_dyn.tasks.maps.reflections import Flip, Mirror, Rotation, Rotoreflection, TwistedMirror
from ddl_dyn.tasks.maps.standard import StandardMap
from ddl_dyn.tasks.series.bundled import Ecg, Sunspots
from ddl_dyn.tasks.series.closed_form import Beating, Chirp, Overshoot
from ddl_dyn.tasks.series.observed import Observed
from ddl_dyn.tasks.series.series import Series
from ddl_dyn.tasks.trajectories import Trajectories
from ddl_dyn.tasks.trust import trust_horizon
from ddl_dyn.tasks.words.cyclic import CycleNavigation, ModCount, Parity
from ddl_dyn.tasks.words.permutations import A5, S3, S4, S5, Dihedral, SwapsS5

TASKS: dict[str, type[Task]] = {
    # oscillators
    "harmonic": Harmonic,
    "damped_spiral": DampedSpiral,
    "cubic_spiral": CubicSpiral,
    "van_der_pol": VanDerPol,
    "stuart_landau": StuartLandau,
    "fitzhugh_nagumo": FitzhughNagumo,
    "brusselator": Brusselator,
    "lotka_volterra": LotkaVolterra,
    "pendulum": Pendulum,
    "hardening_duffing": HardeningDuffing,
    "torus": Torus,
    "kuramoto": Kuramoto,
    "spring_chain": SpringChain,
    # closed-form series
    "chirp": Chirp,
    "beating": Beating,
    "overshoot": Overshoot,
    # chaotic flows
    "lorenz63": Lorenz63,
    "rossler": Rossler,
    "thomas": Thomas,
    "ueda": Ueda,
    "duffing": Duffing,
    "lorenz96": Lorenz96,
    "henon_heiles": HenonHeiles,
    "mackey_glass": MackeyGlass,
    "chen": Chen,
    "sprott_b": SprottB,
    # families with the parameter as an input
    "van_der_pol_family": VanDerPolFamily,
    "lorenz63_family": Lorenz63Family,
    "logistic_family": LogisticFamily,
    "bouncing_ball_family": BouncingBallFamily,
    # maps that fold and flip
    "logistic": Logistic,
    "tent": Tent,
    "ricker": Ricker,
    "gauss": Gauss,
    "flip_flop": FlipFlop,
    "henon": Henon,
    "lozi": Lozi,
    "ikeda": Ikeda,
    "duffing_map": DuffingMap,
    "standard_map": StandardMap,
    # reflections and rank-one updates
    "flip": Flip,
    "mirror": Mirror,
    "rotation": Rotation,
    "twisted_mirror": TwistedMirror,
    "rotoreflection": Rotoreflection,
    "householder_chain": HouseholderChain,
    "permutation_map": PermutationMap,
    "grover": Grover,
    "kaczmarz": Kaczmarz,
    "overwrite": Overwrite,
    # impacts and billiards
    "bouncing_ball": BouncingBall,
    "bouncing_ball_impacts": BouncingBallImpacts,
    "billiard": Billiard,
    "billiard_collisions": BilliardCollisions,
    "billiard_d": BilliardD,
    "hard_spheres": HardSpheres,
    # state tracking: a token picks the map
    "parity": Parity,
    "cycle_navigation": CycleNavigation,
    "mod_count": ModCount,
    "dihedral": Dihedral,
    "s3": S3,
    "s4": S4,
    "a5": A5,
    "s5": S5,
    "swaps_s5": SwapsS5,
    # observed series
    "sunspots": Sunspots,
    "ecg": Ecg,
    "observed": Observed,
    # systems of another package
    "dysts": Dysts,
}


def task_class(name: str) -> type[Task]:
    """The class registered under a name, or the class of a user's file, `path/to/file.py:Class`.

    Raises:
        ValueError: for an unknown name (with the nearest match and the known ones), or a file that does not exist, does
            not run or holds no such task.
    """
    if is_file_reference(name):
        return _of_user_file(name)
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}{nearest_name(name, TASKS)}; available: {', '.join(sorted(TASKS))}")
    return TASKS[name]


def _of_user_file(reference: str) -> type[Task]:
    found: type[Task] = load_class(
        reference,
        role="task",
        base=Task,
        base_name="a class of ddl_dyn.tasks.base",
        needs=("state_names", "source", "equations", "family"),
    )
    if "__dataclass_params__" not in vars(found):
        raise ValueError(
            f"task={reference}: {found.__name__} must be decorated with @dataclass(frozen=True, kw_only=True)"
        )
    return found


def make_task(name: str, **params: Any) -> Task:
    """Build a task by its registry key.

    Args:
        name: a key of `TASKS`, or the class of a user's file, `path/to/file.py:Class`.
        params: the task's parameters, see its docstring.
    Returns:
        The task.
    Raises:
        ValueError: when the name or a parameter is unknown, or a value out of range, or a file does not exist, does not
            run or holds no such task.
    Example:
        >>> from ddl_dyn import make_task
        >>> task = make_task("van_der_pol", mu=2.0)
        >>> task.state_names, round(task.timescale, 4)
        (('x', 'y'), 7.6299)
    """
    cls = task_class(name)
    fields = dataclasses.fields(cls)
    valid = [field.name for field in fields if field.init]
    for param in params:
        if param not in valid:
            raise ValueError(
                f"{name} has no parameter {param!r}{nearest_key(param, valid)}; its parameters: {', '.join(valid)}"
            )
    for field in fields:
        if field.init and field.default is dataclasses.MISSING and field.name not in params:
            raise ValueError(f"{name} needs the parameter {field.name!r}; its parameters: {', '.join(valid)}")
    return cls(**params)


__all__ = [
    "TASKS",
    "Dataset",
    "FlowTask",
    "MapTask",
    "Series",
    "Task",
    "Trajectories",
    "integrate",
    "iterate",
    "make_dataset",
    "make_task",
    "task_class",
    "trust_horizon",
]
