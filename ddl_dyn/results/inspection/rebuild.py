"""A finished run made whole again: its task, its data and its trained replicas, ready to be measured.

Axes: R replicas, B states, D observed state, H latent state, U inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ddl_dyn import analysis
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.engine.normalizer import Normalizer
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.experiments.evaluation.phase_space import search_box
from ddl_dyn.runs import COMPLETED, Run, RunError
from ddl_dyn.runs.trust import check_code

Array = NDArray[Any]
# Why distances between states say nothing of a token task.
CODES = "the states are one-hot codes: see the tracking accuracy"


class Unsuitable(ValueError):  # noqa: N818  # an answer to a question, as Suited is
    """A question that means nothing for this run; the message says why."""


class Suited(Exception):  # noqa: N818  # an answer, not an error
    """Raised instead of drawing where the question is only whether a figure could be drawn."""


@dataclass(frozen=True)
class Subject:
    """What an analysis of one run is about.

    Args:
        run: a completed run.   config: its configuration.
        task: as trained.   member: the autonomous system that is analysed: the task itself, or for a family of tasks
            the member in the middle of the held-out gap; None where inputs drive the state from step to step.
        held: (U,), the inputs that choose the member.
        data: the dataset, made again.   normalizer: of its training split.   replicas: with the trained parameters.
    """

    run: Run
    config: RunConfig
    task: Any
    member: Any
    held: Array
    data: Any
    normalizer: Normalizer
    replicas: Replicas

    @property
    def chosen(self) -> int:
        """The replica shown where only one can be: that with the median validation error."""
        return int(self.run.arrays.get("portrait_replica", np.asarray(0)))

    @cached_property
    def sigma(self) -> Array:
        """(D,), standard deviation of each component over the training split; 1 for a constant one."""
        from ddl_dyn.experiments.evaluation.evaluate import training_scale

        return training_scale(self.data.train.states)

    @cached_property
    def box(self) -> Array:
        """(D, 2), the range of the training states with a tenth on either side."""
        return search_box(self.data.train.states)

    @cached_property
    def timescale(self) -> float:
        """Period, relaxation or Lyapunov time of the task, in its unit of time."""
        return float(self.task.timescale)

    @property
    def obstacle(self) -> str:
        """Why the learned map cannot be iterated as one autonomous map; empty where it can."""
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
        """Whether the truth is a differential equation sampled at dt."""
        return hasattr(self.member, "vector_field")

    @property
    def comparable(self) -> bool:
        """Whether learned and true map act on the same space, so that points and Jacobians can be compared."""
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
        if self.learned.dim == x.shape[-1] and (self.replicas.carry == "observed" or self._plain_lift):
            return self.learned.states(x)
        z = torch.as_tensor(self.normalizer.normalize(x)).to(self.replicas.device, self.replicas.dtype)
        with torch.no_grad():
            return self.replicas.lift(z.expand(self.replicas.size, *z.shape)).double()

    @property
    def _plain_lift(self) -> bool:
        return self.replicas.template.config.lift == "identity"


def rebuild(run: Run) -> Subject:
    """Task, data and trained replicas of a finished run, from its config.json, run.json and checkpoint.pt.

    Args:
        run: a completed single run.
    Returns:
        `Subject`.
    Raises:
        RunError: when the run is a comparison, is not complete, its checkpoint does not fit, or it would execute code
            that the user has not named.
        ConfigError: when this version does not accept its configuration.
    """
    from ddl_dyn.engine.device import choose_device
    from ddl_dyn.experiments.prepare import prepare
    from ddl_dyn.experiments.resolve import resolve_run
    from ddl_dyn.experiments.train import build_replicas
    from ddl_dyn.training.budget import resolve

    if run.kind != "run":
        raise RunError(f"run {run.id} is a comparison; name one of its runs: {', '.join(run.members)}")
    if run.status != COMPLETED:
        raise RunError(f"run {run.id} is {run.status}; only a completed run can be analysed")
    check_code(run)
    config = resolve_run(run.config)
    ready = prepare(config)
    task, data = ready.task, ready.data
    stored = run.entry.get("data_hash")
    if stored is not None and stored != data.content_hash:
        raise RunError(
            f"run {run.id} was trained on other data ({str(stored)[:12]}…) than its configuration gives now "
            f"({data.content_hash[:12]}…); use the version that trained it"
        )
    options = resolve(config, state_dim=task.state_dim, input_dim=task.input_dim, dt=task.dt).options
    replicas = build_replicas(config, config.model, options, ready.shape, choose_device(config.train.device))
    try:
        replicas.load_state_dict(run.checkpoint()["replicas"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"the checkpoint of run {run.id} does not fit its configuration: {error}") from error
    member, held = member_of(task)
    return Subject(
        run=run,
        config=config,
        task=task,
        member=member,
        held=held,
        data=data,
        normalizer=ready.normalizer,
        replicas=replicas,
    )


def member_of(task: Any) -> tuple[Any, Array]:
    """The autonomous system to look at and the inputs (U,) that choose it; (None, …) where there is no one system."""
    if not task.input_dim:
        return task, np.zeros(0)
    if hasattr(task, "at") and hasattr(task, "gap"):
        value = float(sum(task.gap) / 2)
        return task.at(value), np.array([value])
    return None, np.zeros(task.input_dim)
