"""Figures of a stack's layers at work: directions over the plane, a grid of states through depth.

Axes: G grid points a side, P points, D observed state, L layers, r directions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ddl_dyn import plots
from ddl_dyn.experiments.evaluation.phase_space import portrait_grid
from ddl_dyn.plots.style import Drawing
from ddl_dyn.results.figures.registry import figure
from ddl_dyn.results.figures.run_view import RunView
from ddl_dyn.results.inspection.constants import trace_at

# Points a side: of a grid pushed through the layers, of a line field.
LATTICE, LINES = 15, 21


def _no_line_field(view: RunView) -> str:
    if view.dim != 2:
        return f"a line field needs a plane, and the state has {view.dim} components"
    traced = trace_at(view.setup, _lattice(view, 2)) is not None
    return "" if traced else "directions lie in the phase plane only in a DDL stack with lift=identity"


@figure("directions", "directions k as a headless line field", unless=_no_line_field)
def _directions(view: RunView) -> Drawing:
    grid = _lattice(view, LINES)
    trace = trace_at(view.setup, grid)
    assert trace is not None
    # (L, P, r, d): each direction of a layer is a mirror of its own.
    k = np.moveaxis(trace["k"][view.chosen], 2, 1)
    beta = np.moveaxis(trace["beta"][view.chosen], 2, 1)
    # In model units components are scaled; a direction of the plane is scaled back with them.
    k = k.reshape(-1, *k.shape[2:]) * view.setup.normalizer.of_replica(view.chosen).scale
    return plots.direction_field(
        grid.reshape(LINES, LINES, 2),
        k.reshape(-1, LINES, LINES, 2),
        beta=beta.reshape(-1, LINES, LINES),
        state_names=view.names,
        **view.common,
    )


def _no_stack(view: RunView) -> str:
    model = view.setup.replicas.template
    if view.dim < 2 or not len(getattr(model, "layers", ())) or model.dynamics in ("floor", "oracle"):
        return "a grid is pushed through the layers of a stack that acts on at least two components"
    return view.setup.obstacle if view.setup.member is None else ""


@figure("depth", "a grid of states after each layer", unless=_no_stack)
def _depth(view: RunView) -> Drawing:
    setup = view.setup
    model, normalizer = setup.replicas.model(view.chosen), setup.normalizer.of_replica(view.chosen)
    z = torch.as_tensor(normalizer.normalize(_lattice(view, LATTICE))).to(setup.replicas.device, setup.replicas.dtype)
    u = torch.as_tensor(np.resize(setup.held, (len(z), setup.task.input_dim))).to(z)
    with torch.no_grad():
        states = [model.lift(z)]
        for layer in model.layers_at(0):
            states.append(layer(states[-1], u))
        seen = torch.stack([model.read(h) for h in states]).double().cpu().numpy()
    seen = normalizer.denormalize(seen)[..., :2].reshape(-1, LATTICE, LATTICE, 2)
    plain = model.config.lift == "identity"
    note = view.note if plain else f"The latent state is read out after every layer. {view.note}"
    return plots.state_through_depth(seen, state_names=view.names[:2], model=view.model, title=view.title, note=note)


def _lattice(view: RunView, side: int) -> NDArray[Any]:
    """(side², D) states over the portrait's plane, x varying slowest."""
    return portrait_grid(view.setup.data.train.states, side)
