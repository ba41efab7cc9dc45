"""Figures of training and of what it reached: curves, the map as it forms, accuracy of words.

Axes: R replicas, K kept portraits, P grid points, T tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ddl_dyn import plots
from ddl_dyn.plots.style import Drawing
from ddl_dyn.results.figures.registry import figure
from ddl_dyn.results.figures.run_view import RunView


@figure(
    "training",
    "training curves",
    alt="training loss and validation error against updates",
    unless=lambda view: "" if len(view.arrays.get("history_update", ())) > 1 else "it was solved, not trained",
    by_default=True,
)
def _training(view: RunView) -> Drawing:
    history = (view.arrays[f"history_{name}"] for name in ("update", "loss", "val", "horizon"))
    return plots.training_curves(*history, model=view.model, **view.common)


@figure(
    "tracking",
    "state-tracking accuracy at every length",
    unless=lambda view: "" if view.categorical else "accuracy is that of one-hot codes",
    by_default=True,
)
def _tracking(view: RunView) -> Drawing:
    facts = view.run.result["tracking"]
    return plots.tracking_accuracy(
        {view.model: view.arrays["tracking_accuracy"]},
        {view.model: view.arrays["tracking_sequence"]},
        chance=facts["chance"],
        trained=facts["trained_length"],
        words=facts["words"],
        **view.common,
    )


def _not_kept(view: RunView) -> str:
    kept = "kept_update" in view.arrays
    return "" if kept else "no portraits were kept while it trained; run with keep_portraits=K"


@figure("forming", "the map at checkpoints of training (keep_portraits=K)", unless=_not_kept)
def _forming(view: RunView) -> Drawing:
    updates, step = view.arrays["kept_update"], view.arrays["kept_step"][:, view.chosen]
    grid, truth = view.arrays["portrait_grid"], view.arrays.get("portrait_step_true")
    common: dict[str, Any] = {
        "model": view.model,
        "title": view.title,
        "note": f"Seed {view.run.config['seed'] + view.chosen}. {view.note}",
    }
    if grid.shape[1] == 1:
        known = None if truth is None else (grid + truth)[:, 0]
        return plots.map_forming(updates, grid[:, 0], (grid + step)[..., 0], known, state_name=view.names[0], **common)
    return plots.field_forming(
        updates,
        view.square(grid)[..., :2],
        np.stack([view.square(one)[..., :2] for one in step]),
        None if truth is None else view.square(truth)[..., :2],
        state_names=view.names[:2],
        **common,
    )
