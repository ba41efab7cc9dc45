"""Finished runs, and tasks whose replicas are their own exact map, for the tests of what is made from runs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from ddl_dyn import make_model
from ddl_dyn.engine.normalizer import Normalizer
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.models.oracles import truth_of
from ddl_dyn.results.inspection.rebuild import Subject, member_of
from ddl_dyn.runs import Run, open_run
from ddl_dyn.tasks import make_dataset, make_task

DATA = {"n_train": 16, "n_val": 4, "n_test": 8, "n_ood": 0, "steps": 30}


def stored(base: Path, name: str, **updates: object) -> Run:
    config = {"seeds": 2, "data": DATA, "eval": {"short": 5, "long": 30}} | updates
    run(resolve_run(config), Launch(base=base, options={"--id": name}))
    return open_run(name, base)


def exact(name: str, **params: object) -> Subject:
    """A task whose replicas are its own Householder stack: everything the analysis says of both must agree."""
    task = make_task(name, **params)
    data = make_dataset(task, n_train=8, n_val=2, n_test=8, steps=10)
    normalizer = Normalizer.fit(data.train.states, "isotropic")
    truth = truth_of(task, normalizer)
    replicas = Replicas(
        lambda: make_model("householder_stack", state_dim=task.state_dim, lift="identity", truth=truth), [0, 1]
    ).to(dtype=torch.float64)
    member, held = member_of(task)
    config = SimpleNamespace(task=name)
    return Subject(SimpleNamespace(arrays={}), config, task, member, held, data, normalizer, replicas)  # type: ignore[arg-type]


def exact_map(task: object) -> Subject:
    """A subject whose learned map is the true one."""
    from ddl_dyn.analysis import from_task

    data = make_dataset(task, n_train=8, n_val=2, n_test=8, steps=100)  # type: ignore[arg-type]
    model = SimpleNamespace(config=SimpleNamespace(lift="linear"))
    replicas = SimpleNamespace(size=1, max_steps=None, template=model)
    config = SimpleNamespace(task=task.key())  # type: ignore[attr-defined]
    subject = Subject(
        SimpleNamespace(arrays={}), config, task, task, np.zeros(0), data, Normalizer(np.zeros(2), np.ones(2)), replicas
    )  # type: ignore[arg-type]
    object.__setattr__(subject, "learned", _one_replica(from_task(task)))
    return subject


def _one_replica(phi: object) -> object:
    import dataclasses

    return dataclasses.replace(phi, replicas=1)  # type: ignore[type-var]
