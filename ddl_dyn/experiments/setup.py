"""The setup of a run: configuration, task, data, normaliser and replicas, built here and handed on whole.

Axes: R replicas, N trajectories, T steps, B states, D observed state, H latent state, U inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from ddl_dyn import analysis
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.engine.device import choose_device
from ddl_dyn.engine.losses import choose_loss
from ddl_dyn.engine.normalizer import Normalizer
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.experiments.data import make_data
from ddl_dyn.experiments.own_series import stored_config
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.unsuitable import Unsuitable
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.models import make_model, model_class, truth_of
from ddl_dyn.runs import COMPLETED, Run, RunError
from ddl_dyn.runs.checkpoint import load_weights
from ddl_dyn.tasks.base import Task
from ddl_dyn.tasks.dataset import Dataset
from ddl_dyn.tasks.trajectories import Trajectories
from ddl_dyn.training import budget as budgets
from ddl_dyn.training.budget import Budget


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A run's parts, and what follows from them alone.

    Args:
        config: resolved.   normalizer: of the training split, one a replica where replicas have data sets of their own.
        data: the splits, with their task; of the first data set where there are several.
        others: the further data sets, with the same test and ood split and radii.
        budget: options of the model under its budget.   replicas: untrained, or with the parameters of `stored`.
        stored: the completed run that it was restored from, None where it was made from a configuration.
    """

    config: RunConfig
    data: Dataset
    normalizer: Normalizer
    budget: Budget
    replicas: Replicas
    stored: Run | None = None
    others: tuple[Dataset, ...] = ()

    @property
    def run(self) -> Run:
        """The completed run that it was restored from.

        Raises:
            ValueError: when it was made from a configuration.
        """
        if self.stored is None:
            raise ValueError("this setup was made from a configuration, not restored from a finished run")
        return self.stored

    @property
    def task(self) -> Task:
        """The task of the data."""
        return self.data.task

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return choose_device(self.config.train.device)

    @cached_property
    def timescale(self) -> float:
        """Period, relaxation or Lyapunov time of the task, in its unit of time; some are found by integrating it."""
        return float(self.task.timescale)

    @property
    def data_sets(self) -> tuple[Dataset, ...]:
        """The data sets that the replicas are trained on."""
        return (self.data, *self.others)

    def of_data_set(self, g: int) -> Setup:
        """The setup of the replicas of one data set alone."""
        rows = [r for r, number in enumerate(self.replicas.data_sets) if number == g]
        part = self.replicas.select(rows)
        part.data_sets = (0,) * len(rows)
        normalizer = self.normalizer.of_replica(rows[0])
        return replace(self, data=self.data_sets[g], others=(), normalizer=normalizer, replicas=part)

    @cached_property
    def sigma(self) -> Array:
        """(D,), standard deviation of each component over the training split; 1 for a constant one.

        (R, D), of each replica's data set, where there are several.
        """
        each = []
        for one in self.data_sets:
            sigma = one.train.states.reshape(-1, self.task.state_dim).std(axis=0)
            each.append(np.where(sigma > 0, sigma, 1.0))
        return np.stack([each[g] for g in self.replicas.data_sets]) if self.others else each[0]

    @cached_property
    def box(self) -> Array:
        """(D, 2), the range of the training states with a tenth on either side."""
        return search_box(self.data.train.states)

    def scaled(self, split: Literal["train", "val"]) -> list[Trajectories]:
        """A split of every data set in the model units of the replicas trained on it."""
        found = []
        for g, one in enumerate(self.data_sets):
            part: Trajectories = getattr(one, split)
            normalizer = self.normalizer.of_replica(self.replicas.data_sets.index(g))
            found.append(part.replace(states=normalizer.normalize(part.states)))
        return found

    def untrained(self, model: str, options: Mapping[str, object]) -> Replicas:
        """Replicas of a model for this task, with this run's seeds, device and precision."""
        return _untrained(self.config, model, options, _shape(model, self.task, self.normalizer), len(self.data_sets))

    @cached_property
    def _member(self) -> tuple[Any, Array]:
        return member_of(self.task)

    @property
    def member(self) -> Any:
        """The autonomous system to analyse: the task itself, or of a family the member amid the held-out gap.

        None where inputs drive the state from step to step.
        """
        return self._member[0]

    @property
    def held(self) -> Array:
        """(U,), the inputs that choose the member."""
        return self._member[1]

    @property
    def chosen(self) -> int:
        """The replica shown where only one can be: that with the median validation error."""
        return int(self.run.arrays.get("portrait_replica", 0))

    @property
    def obstacle(self) -> str:
        """Reason why the learned map cannot be iterated as one autonomous map; empty where it can."""
        if self.task.state_kind != "continuous":
            return "the states are one-hot codes: a token picks the map at every step"
        if self.member is None:
            return f"inputs ({', '.join(self.task.input_names)}) drive the state from step to step"
        if self.replicas.max_steps is not None:
            return "an untied stack is a different map at every step"
        return ""

    @cached_property
    def learned(self) -> analysis.DiscreteMap:
        """The learned map of all replicas in float64: of R^D in physical units, or of R^H under a latent carry.

        Raises:
            Unsuitable: when there is no one such map.
        """
        if self.obstacle:
            raise Unsuitable(f"the learned map cannot be analysed: {self.obstacle}")
        return analysis.from_replicas(self.replicas, normalizer=self.normalizer, inputs=self.held)

    @cached_property
    def truth(self) -> analysis.DiscreteMap | None:
        """The exact map of the member; None for recorded or closed-form series, which define none."""
        if self.member is None or not (hasattr(self.member, "next_state") or hasattr(self.member, "vector_field")):
            return None
        return analysis.from_task(self.member)

    @property
    def is_flow(self) -> bool:
        """True where the truth is a differential equation sampled at dt."""
        return hasattr(self.member, "vector_field")

    @property
    def comparable(self) -> bool:
        """True where learned and true map act on one space, so that points and Jacobians can be compared."""
        return not self.obstacle and self.truth is not None and self.learned.dim == self.task.state_dim

    def starts(self, count: int, *, late: bool = False) -> Array:
        """(B, D) states of the test set, its initial ones or (late) its last ones; those of the member for a family.

        Args:
            count: B, at most the size of the test set.
        """
        if self.member is not self.task and self.member is not None:
            x0 = self.data.test.states[:count, 0]
            steps = self.data.test.steps if late else 0
            return np.asarray(self.member.simulate(x0, steps).states)[:, -1]
        return np.asarray(self.data.test.states[:count, -1 if late else 0])

    def embedded(self, x: Array) -> torch.Tensor:
        """States x (B, D) in the coordinates of `learned`: themselves, or lifted (R, B, H) under a latent carry."""
        plain = self.replicas.carry == "observed" or self.replicas.template.config.lift == "identity"
        if self.learned.dim == x.shape[-1] and plain:
            return self.learned.states(x)
        z = torch.as_tensor(self.normalizer.normalize(x)).to(self.replicas.device, self.replicas.dtype)
        with torch.no_grad():
            return self.replicas.lift(self.replicas.each(z)).double()


def search_box(states: Array) -> Array:
    """(D, 2): the range of states (N, T+1, D) with a tenth on either side."""
    flat = states.reshape(-1, states.shape[-1])
    low, high = flat.min(axis=0), flat.max(axis=0)
    margin = 0.1 * np.where(high > low, high - low, 1.0)
    return np.stack([low - margin, high + margin], axis=-1)


def member_of(task: Any) -> tuple[Any, Array]:
    """The autonomous system to look at and the inputs (U,) that choose it; (None, …) where there is no one system."""
    if not task.input_dim:
        return task, np.zeros(0)
    if hasattr(task, "at") and hasattr(task, "gap"):
        value = float(sum(task.gap) / 2)
        return task.at(value), np.array([value])
    return None, np.zeros(task.input_dim)


def make_setup(config: RunConfig) -> Setup:
    """The setup that a configuration asks for, its replicas untrained.

    Raises:
        ValueError: when the data cannot be had, or configuration and task contradict each other.
    """
    data, *others = make_data(config)
    task, mode = data.task, _normalization(config.data.normalize, data.task)
    each = [Normalizer.fit(one.train.states, mode) for one in (data, *others)]
    # A loss that the states do not allow is refused here, before anything is written.
    choose_loss(config.train.loss, each[0].normalize(data.train.states))
    # An oracle learns from no data: one truth, in the units of the first data set, is told to all.
    single = not others or model_class(config.model).dynamics == "oracle"
    share = config.seeds // len(each)
    normalizer = each[0] if single else Normalizer.of_replicas([each[r // share] for r in range(config.seeds)])
    budget = budgets.resolve(config, state_dim=task.state_dim, input_dim=task.input_dim, dt=task.dt)
    replicas = _untrained(config, config.model, budget.options, _shape(config.model, task, normalizer), len(each))
    return Setup(
        config=config, data=data, others=tuple(others), normalizer=normalizer, budget=budget, replicas=replicas
    )


def restore_setup(run: Run) -> Setup:
    """The setup of a finished run with its trained replicas, from config.json, run.json and checkpoint.pt.

    Raises:
        RunError: when the run is a comparison, is not complete, its configuration was edited, its data or checkpoint do
            not fit, or it would execute code that the user has not named.
        ConfigError: when this version does not accept its configuration.
    """
    if run.kind != "run":
        raise RunError(f"run {run.id} is a comparison; name one of its runs: {', '.join(run.members)}")
    if run.status != COMPLETED:
        raise RunError(f"run {run.id} is {run.status}; only a completed run can be analysed")
    setup = make_setup(resolve_run(stored_config(run)))
    stored, given = run.entry.get("data_hash"), setup.data.content_hash
    if stored is not None and stored != given:
        raise RunError(
            f"run {run.id} was trained on other data ({str(stored)[:12]}…) than its configuration gives now "
            f"({given[:12]}…); use the version that trained it"
        )
    weights = load_weights(run)
    try:
        setup.replicas.load_state_dict(weights)
    except ValueError as error:
        raise RunError(f"the checkpoint of run {run.id} does not fit its configuration: {error}") from error
    return replace(setup, stored=run)


def _normalization(mode: str, task: Task) -> Any:
    """Scaling of states: components alike where they share one geometry, one-hot codes not at all."""
    if mode != "auto":
        return mode
    if task.state_kind == "categorical":
        return "none"
    return "isotropic" if task.isotropic else "component"


def _shape(model: str, task: Task, normalizer: Normalizer) -> dict[str, Any]:
    """Arguments of `make_model` that a task decides; an oracle is told the truth."""
    truth = truth_of(task, normalizer) if model_class(model).dynamics == "oracle" else None
    return {"state_dim": task.state_dim, "input_dim": task.input_dim, "dt": task.dt, "truth": truth}


def _untrained(
    config: RunConfig, model: str, options: Mapping[str, Any], shape: Mapping[str, Any], data_sets: int
) -> Replicas:
    seeds = range(config.seed, config.seed + config.seeds)
    numbers = [r * data_sets // config.seeds for r in range(config.seeds)]
    replicas = Replicas(lambda: make_model(model, **shape, **options), seeds, numbers)
    return replicas.to(choose_device(config.train.device), getattr(torch, config.train.dtype))
