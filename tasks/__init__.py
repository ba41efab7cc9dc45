"""The truth: dynamical systems to be learned, their reference trajectories, their datasets."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from tasks.base import FlowTask, MapTask, Task, Trajectories
from tasks.billiards import Billiard, BilliardCollisions
from tasks.chains import Lorenz96, SpringChain
from tasks.chaotic import Chen, Lorenz63, Rossler, SprottB, Thomas
from tasks.conditioned import Lorenz63Family, VanDerPolFamily
from tasks.conservative import HardeningDuffing, HenonHeiles, Pendulum
from tasks.cycles import Brusselator, FitzhughNagumo, StuartLandau, VanDerPol
from tasks.cyclic_groups import CycleNavigation, ModCount, Parity
from tasks.dataset import Dataset, make_dataset
from tasks.delay import MackeyGlass
from tasks.driven import Duffing, Ueda
from tasks.impacts import BouncingBall, BouncingBallFamily, BouncingBallImpacts
from tasks.maps import FlipFlop, Gauss, Logistic, LogisticFamily, Ricker, Tent
from tasks.observed import Ecg, Observed, Sunspots
from tasks.oscillators import CubicSpiral, DampedSpiral, Harmonic, Torus
from tasks.permutations import A5, S3, S4, S5, Dihedral, SwapsS5
from tasks.planar_maps import DuffingMap, Henon, Ikeda, Lozi
from tasks.population import Kuramoto, LotkaVolterra
from tasks.projections import Grover, Kaczmarz, Overwrite
from tasks.reflections import Flip, Mirror, Rotation, Rotoreflection, TwistedMirror
from tasks.signals import Beating, Chirp, Overshoot
from tasks.simulate import integrate, iterate, trust_horizon
from tasks.standard_map import StandardMap
from tasks.user_file import is_file_reference, load_class

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
    "grover": Grover,
    "kaczmarz": Kaczmarz,
    "overwrite": Overwrite,
    # impacts and billiards
    "bouncing_ball": BouncingBall,
    "bouncing_ball_impacts": BouncingBallImpacts,
    "billiard": Billiard,
    "billiard_collisions": BilliardCollisions,
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
}


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
    """
    if is_file_reference(name):
        cls = load_class(name)
    elif name in TASKS:
        cls = TASKS[name]
    else:
        raise ValueError(f"unknown task {name!r}{_nearest(name, TASKS)}; available: {', '.join(sorted(TASKS))}")
    fields = dataclasses.fields(cls)
    valid = [field.name for field in fields if field.init]
    for param in params:
        if param not in valid:
            raise ValueError(
                f"{name} has no parameter {param!r}{_nearest(param, valid)}; its parameters: {', '.join(valid)}"
            )
    for field in fields:
        if field.init and field.default is dataclasses.MISSING and field.name not in params:
            raise ValueError(f"{name} needs the parameter {field.name!r}; its parameters: {', '.join(valid)}")
    return cls(**params)


def _nearest(word: str, valid: Any) -> str:
    match = difflib.get_close_matches(word, list(valid), n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""


__all__ = [
    "TASKS",
    "Dataset",
    "FlowTask",
    "MapTask",
    "Task",
    "Trajectories",
    "integrate",
    "iterate",
    "make_dataset",
    "make_task",
    "trust_horizon",
]
