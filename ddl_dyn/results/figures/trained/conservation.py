"""Figures of what the truth conserves and how perturbations grow: symmetries, invariants, singular values.

Axes: R replicas, N trajectories, T steps, D observed state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ddl_dyn import analysis, plots
from ddl_dyn.experiments.unsuitable import Unsuitable
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.style import Drawing
from ddl_dyn.results.figures.registry import figure
from ddl_dyn.results.figures.run_view import RunView
from ddl_dyn.results.inspection import dynamics

# Steps through which perturbations are followed, and states they start at.
_FOLLOWED, STATES = 100, 16


def _no_one_map(view: RunView) -> str:
    setup = view.setup
    return setup.obstacle if setup.task.state_kind != "continuous" or setup.member is None else ""


@figure("growth", "singular values and gradient norms through the steps", unless=_no_one_map)
def _growth(view: RunView) -> Drawing:
    setup = view.setup
    reach = setup.replicas.max_steps
    steps = int(np.clip(round(setup.timescale / setup.task.dt), 20, _FOLLOWED))
    model = setup.replicas.model(view.chosen)
    common: dict[str, Any] = {"normalizer": setup.normalizer.of_replica(view.chosen), "inputs": setup.held}
    if reach is None:
        maps = [analysis.from_replicas(model, **common)] * steps
    else:
        steps = min(steps, reach)
        maps = [analysis.from_replicas(model, index=t, **common) for t in range(steps)]
    x0 = setup.starts(STATES)
    plain = maps[0].dim == x0.shape[1]
    learned = analysis.depth_profile(maps, x0 if plain else _lifted(view, model, x0))
    truth = analysis.depth_profile([setup.truth] * steps, x0) if plain and setup.truth is not None else None
    space = "" if plain else f"A latent carry: the learned map acts on {maps[0].dim} dimensions of its own. "
    return plots.perturbation_growth(
        learned.singular_values,
        learned.gradient_norms,
        None if truth is None else truth.singular_values,
        None if truth is None else truth.gradient_norms,
        model=view.model,
        title=view.title,
        note=f"{space}{len(x0)} test states, one replica. {view.note}",
    )


def _lifted(view: RunView, model: Any, x: Array) -> Array:
    """States in the latent space of one model."""
    z = torch.as_tensor(view.setup.normalizer.of_replica(view.chosen).normalize(x))
    with torch.no_grad():
        return np.asarray(model.lift(z.to(view.setup.replicas.device, view.setup.replicas.dtype)).double().cpu())


def _no_law(view: RunView) -> str:
    known = dynamics.known_symmetries(view.setup) or dynamics.known_invariants(view.setup)
    return "" if known else "neither a linear symmetry nor an invariant of the task is known"


@figure("defects", "defects of symmetries and invariants", unless=_no_law)
def _defects(view: RunView) -> Drawing:
    rows: dict[str, Any] = {}
    for label, section in (("symmetry: {}", dynamics.symmetries), ("invariant: {}", dynamics.invariants)):
        try:
            rows |= {label.format(name): values for name, values in section(view.setup).items()}
        except Unsuitable:
            continue
    return plots.law_defects(
        rows,
        model=view.model,
        xlabel="defect [σ, or the invariant's spread]",
        title=view.title,
        note="Symmetries: √⟨|Φ(Sx) − SΦ(x)|²/σ²⟩ over test states; invariants: largest drift along the stored free "
        f"runs, median over them. {view.note}",
    )


def _no_invariant(view: RunView) -> str:
    return "" if dynamics.known_invariants(view.setup) else "the task has no invariant"


@figure("drift", "drift of invariants along free runs", unless=_no_invariant)
def _drift(view: RunView) -> Drawing:
    pred = np.asarray(view.pred, dtype=np.float64)
    curves = {}
    for name in dynamics.known_invariants(view.setup):
        with np.errstate(invalid="ignore", over="ignore"):
            values = np.asarray(view.setup.task.invariants(pred)[name])
            start = values[..., :1]
            level, spread = float(np.abs(start).mean()), float(start[0].std())
            gap = np.abs(values - start) / (spread if spread > 1e-9 * level else level or 1.0)
        gap[~np.isfinite(gap)] = np.inf
        curves[name] = np.quantile(gap, 0.5, axis=1, method="inverted_cdf")
    return plots.drift_curves(
        view.arrays["test_times"],
        curves,
        model=view.model,
        time_unit="" if view.time_unit == "time" else view.time_unit,
        title=view.title,
        note=f"Median over {pred.shape[1]} test trajectories of each seed. {view.note}",
    )
