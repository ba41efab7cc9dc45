"""Portraits of the map kept while it trains, to show how it forms.

Axes: K portraits, R replicas, P grid points, D observed state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from ddl_dyn.experiments.evaluation.phase_space import portrait_grid
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.metrics.arrays import Arrays


class PortraitSeries:
    """The step field of every replica at K updates spread evenly from the first to the last (the last alone for K = 1).

    Args:
        setup: its replicas are being trained; its configuration says K.   updates: that training will make.
        on_kept: called with `first_replica` whenever a portrait is added.
    """

    def __init__(self, setup: Setup, updates: int, on_kept: Callable[[Mapping[str, Any]], None] | None = None) -> None:
        self.on_kept = on_kept
        self.replicas, self.normalizer = setup.replicas, setup.normalizer
        self.grid = portrait_grid(setup.data.train.states)
        self.due = set(np.linspace(updates, 0, setup.config.keep_portraits).round().astype(int).tolist())
        self.update: list[int] = []
        self.steps: list[torch.Tensor] = []

    def visit(self, update: int) -> None:
        """Keep a portrait where one is due at this update and none is kept yet."""
        if update in self.due and update not in self.update:
            self.take(update)

    @torch.no_grad()
    def take(self, update: int) -> None:
        """Keep a portrait."""
        replicas = self.replicas
        z = torch.as_tensor(self.normalizer.normalize(self.grid)).to(replicas.device, replicas.dtype)
        x = replicas.each(z)
        # Layer by layer and eagerly: a step compiled for the training batch would be compiled anew for the grid.
        moved = replicas.read(replicas.step(replicas.lift(x), 0, x.new_zeros(*x.shape[:-1], 0)))
        step = self.normalizer.denormalize(moved.double().cpu().numpy()) - self.grid
        self.update.append(update)
        self.steps.append(torch.as_tensor(step, dtype=torch.float32))
        if self.on_kept is not None:
            self.on_kept(self.first_replica())

    def first_replica(self) -> Arrays:
        """portrait_grid (P, D), kept_update (K,) and kept_step (K, P, D): enough to be looked at, and small."""
        steps = torch.stack([one[0] for one in self.steps]).numpy()
        return {"portrait_grid": self.grid, "kept_update": np.array(self.update), "kept_step": steps}

    def state(self) -> dict[str, Any]:
        """Contents for a checkpoint, as tensors and plain numbers."""
        return {"update": list(self.update), "steps": list(self.steps)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken."""
        self.update, self.steps = list(state["update"]), list(state["steps"])

    def arrays(self) -> Arrays:
        """kept_update (K,) and kept_step (K, R, P, D), float32: Φ(x) − x on the portrait's grid."""
        if not self.update:
            return {}
        return {"kept_update": np.array(self.update), "kept_step": torch.stack(self.steps).numpy()}
