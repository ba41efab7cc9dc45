"""Models that are solved, not trained, made ready as `fit` makes the others. Axes: R, N, T, D, U."""

from __future__ import annotations

import numpy as np
import torch

from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.models.closed_form import ClosedForm
from ddl_dyn.training.schedule import Series


def solve(replicas: Replicas, train: Series) -> None:
    """Solve every replica in place from the whole training set, in float64.

    Args:
        replicas: of a model with `closed_form`.   train: in model units.
    """
    states, inputs = (torch.as_tensor(np.asarray(a), dtype=torch.float64) for a in (train.states, train.inputs))
    rows = []
    for r in range(replicas.size):
        model = replicas.model(r).cpu()
        assert isinstance(model, ClosedForm)
        model.solve(states, inputs)
        rows.append(model.state_dict())
    device = replicas.device
    replicas.load_state_dict({name: torch.stack([row[name] for row in rows]).to(device) for name in rows[0]})
