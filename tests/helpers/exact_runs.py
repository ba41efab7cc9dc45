"""Finished runs, and tasks whose replicas are their own exact map, for the tests of what is made from runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from ddl_dyn import make_model
from ddl_dyn.analysis import from_task
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.engine.normalizer import Normalizer
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.models.oracles import truth_of
from ddl_dyn.runs import Run, find_run
from ddl_dyn.tasks import make_dataset, make_task
from ddl_dyn.tasks.base import Task
from ddl_dyn.tasks.dataset import Dataset
from ddl_dyn.training.budget import Budget

DATA = {"n_train": 16, "n_val": 4, "n_test": 8, "n_ood": 0, "steps": 30}


def stored(base: Path, name: str, **updates: object) -> Run:
    config = {"seeds": 2, "data": DATA, "eval": {"short": 5, "long": 30}} | updates
    run(resolve_run(config), Launch(base=base, options={"--id": name}))
    return find_run(name, base)


def setup_of(data: Dataset, normalizer: Normalizer, replicas: object) -> Setup:
    """A setup around given replicas, as if restored from a run without arrays."""
    budget = Budget(options={}, parameters=0, target=None, met=True)
    parts: dict[str, Any] = {"replicas": replicas, "stored": SimpleNamespace(arrays={})}
    return Setup(config=RunConfig(task=data.task.key()), data=data, normalizer=normalizer, budget=budget, **parts)


def exact(name: str, **params: object) -> Setup:
    """A task whose replicas are its own Householder stack: everything the analysis says of both must agree."""
    data = make_dataset(make_task(name, **params), n_train=8, n_val=2, n_test=8, steps=10)
    normalizer = Normalizer.fit(data.train.states, "isotropic")
    truth = truth_of(data.task, normalizer)
    replicas = Replicas(
        lambda: make_model("householder_stack", state_dim=data.task.state_dim, lift="identity", truth=truth), [0, 1]
    ).to(dtype=torch.float64)
    return setup_of(data, normalizer, replicas)


def exact_map(task: Task) -> Setup:
    """A setup whose learned map is the true one."""
    data = make_dataset(task, n_train=8, n_val=2, n_test=8, steps=100)
    template = SimpleNamespace(config=SimpleNamespace(lift="linear"))
    setup = setup_of(
        data, Normalizer(np.zeros(2), np.ones(2)), SimpleNamespace(size=1, max_steps=None, template=template)
    )
    vars(setup)["learned"] = dataclasses.replace(from_task(task), replicas=1)
    return setup
