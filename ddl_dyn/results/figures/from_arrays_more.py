"""More figures of a run that need nothing but its stored arrays; each says why where it means nothing.

Axes: R replicas, N trajectories, T steps, L layers, r directions, B states, P grid points, K kept portraits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ddl_dyn import plots
from ddl_dyn.metrics.accuracy import nrmse_curve, survival_curve, valid_prediction_time
from ddl_dyn.results.figures.from_arrays import Scene
from ddl_dyn.results.inspection.rebuild import CODES, Unsuitable


def nullclines(scene: Scene) -> Any:
    """Where each component stays put."""
    if scene.true.shape[-1] != 2:
        raise Unsuitable(f"nullclines are curves of the plane, and the state has {scene.true.shape[-1]} components")
    if "portrait_step_true" not in scene.arrays:
        raise Unsuitable("the true step field is not known on a grid")
    return plots.nullclines(
        scene.square(scene.arrays["portrait_grid"]),
        scene.square(scene.arrays["portrait_step_true"]),
        scene.square(scene.arrays["portrait_step"][scene.chosen]),
        model=scene.model,
        fixed_points_true=scene.fixed_points("_true"),
        fixed_points_model=scene.fixed_points(),
        state_names=scene.names,
        title=scene.title,
        note=scene.note,
    )


def survival(scene: Scene) -> Any:
    """Share of free runs still valid, over all replicas and test trajectories."""
    if scene.categorical:
        raise Unsuitable(CODES)
    timescale = float(scene.task.get("timescale", 1.0))
    threshold = float(scene.run.config["eval"]["threshold"])
    curve = nrmse_curve(scene.pred, scene.true, scene.arrays["sigma"])
    trust = scene.run.result.get("data", {}).get("trust_steps")
    dt = float(scene.arrays["dt"]) / timescale
    time, censored = valid_prediction_time(curve, dt, threshold, trust_steps=trust)
    return plots.survival_curves(
        {scene.model: tuple(survival_curve(time, censored))},  # type: ignore[dict-item]
        censored={scene.model: np.unique(time[censored])} if censored.any() else None,
        horizon=dt * (curve.shape[-1] - 1),
        xlabel="valid prediction time [time scales of the task]",
        threshold=threshold,
        title=scene.title,
        note=f"{curve.shape[0]} seeds, {curve.shape[1]} initial states. {scene.note}",
    )


def gate_time(scene: Scene) -> Any:
    """β of every layer along free runs from test states."""
    beta = _audited(scene, "audit_beta")[scene.chosen]
    # (T, L, B, r): the median over initial states, each direction of a layer a row of its own.
    typical = np.moveaxis(np.median(beta, axis=2), -1, 2).reshape(len(beta), -1)
    count = beta.shape[2]
    return plots.gate_over_depth_time(
        typical, title=scene.title, note=f"Median over {count} initial states, one replica. {scene.note}"
    )


def discrepancy(scene: Scene) -> Any:
    """Share of its own discrepancy that each rewrite of the first step spends."""
    spent = _audited(scene, "audit_spent")
    beta = scene.arrays["audit_beta"]
    one_step = beta.shape[2] * beta.shape[4]
    # The mean over steps of a rewrite's share; index 0 is the input, of which nothing is spent yet.
    each = spent.reshape(len(spent), -1, one_step).mean(axis=1)
    return plots.discrepancy_spent(
        {scene.model: np.concatenate([np.zeros((len(each), 1)), each], axis=1)},
        xlabel="rewrite (0: the input)",
        ylabel="share of its discrepancy spent",
        title=scene.title,
        note=f"1 − rms e⁺ / rms e of each rewrite, mean over {beta.shape[1]} steps; its own k and v. {scene.note}",
    )


def forming(scene: Scene) -> Any:
    """The learned map at checkpoints of its training."""
    if "kept_update" not in scene.arrays:
        raise Unsuitable("no portraits were kept while it trained; run with keep_portraits=K")
    step, chosen = scene.arrays["kept_step"][:, scene.chosen], scene.chosen
    common: dict[str, Any] = {
        "model": scene.model,
        "title": scene.title,
        "note": f"Seed {scene.run.config['seed'] + chosen}. {scene.note}",
    }
    grid = scene.arrays["portrait_grid"]
    truth = scene.arrays.get("portrait_step_true")
    if grid.shape[1] == 1:
        return plots.map_forming(
            scene.arrays["kept_update"], grid[:, 0], (grid + step)[..., 0],
            None if truth is None else (grid + truth)[:, 0], state_name=scene.names[0], **common,
        )  # fmt: skip
    return plots.field_forming(
        scene.arrays["kept_update"],
        scene.square(grid)[..., :2],
        np.stack([scene.square(one)[..., :2] for one in step]),
        None if truth is None else scene.square(truth)[..., :2],
        state_names=scene.names[:2],
        **common,
    )


def _audited(scene: Scene, name: str) -> Any:
    if name not in scene.arrays:
        raise Unsuitable("no gates were audited: not a DDL stack, or its free runs left the finite range")
    return scene.arrays[name]


STORED = {
    "nullclines": nullclines,
    "survival": survival,
    "gate_time": gate_time,
    "discrepancy": discrepancy,
    "forming": forming,
}
