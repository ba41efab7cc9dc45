"""Figures of free runs in time: components, errors, survival, an animation.

Axes: R replicas, N trajectories, T steps.
"""

from __future__ import annotations

import numpy as np

from ddl_dyn import plots
from ddl_dyn.metrics.accuracy import nrmse_curve, survival_curve, valid_prediction_time
from ddl_dyn.metrics.registry import METRICS
from ddl_dyn.plots.style import Drawing
from ddl_dyn.results.figures.registry import figure
from ddl_dyn.results.figures.run_view import SPLIT, RunView, heading
from ddl_dyn.runs.result import FLOORS, at

# A map jumps at every step: more of them in one panel are a thicket. More rows become too flat to read.
MAP_STEPS, COMPONENTS = 40, 6


@figure(
    "trajectories",
    "components against time, with the seeds' band",
    alt="true components against time with free runs and their seed bands",
    unless=lambda view: view.codes,
    by_default=True,
    together=True,
)
def _trajectories(*views: RunView) -> Drawing:
    first = views[0]
    times = first.arrays[f"{SPLIT}_times"]
    shown = slice(None, MAP_STEPS + 1 if first.kind == "map" else None)
    cuts = [f"The first {MAP_STEPS} of {len(times) - 1} steps. "] if len(times[shown]) < len(times) else []
    cuts += [f"The first {COMPONENTS} of {first.dim} components. "] if first.dim > COMPONENTS else []
    own = heading(views)
    return plots.trajectories(
        times[shown],
        first.true[:, shown, :COMPONENTS],
        {view.model: view.pred[:, :, shown, :COMPONENTS] for view in views},
        state_names=first.names[:COMPONENTS],
        time_unit=first.time_unit,
        kind=first.kind,
        title=own["title"],
        note="".join(cuts) + (own["note"] if len(views) == 1 else ""),
    )


@figure(
    "error",
    "error against horizon, with floors, and Lyapunov slopes with their standard errors",
    alt="error of the free runs against the number of steps",
    unless=lambda view: view.codes,
    by_default=True,
    together=True,
)
def _error(*views: RunView) -> Drawing:
    curves = {view.model: view.arrays[f"{SPLIT}_nrmse"][:, 1:] for view in views}
    # Step 0 is given, so its error is zero and has no place on a logarithmic axis.
    floors = {
        name: view.arrays[f"{SPLIT}_nrmse_{name}"][1:]
        for view in views
        for name in FLOORS
        if f"{SPLIT}_nrmse_{name}" in view.arrays
    }
    length = min(curve.shape[-1] for curve in curves.values())
    trust = at(views[0].run.result, "data.trust_steps")
    own, exponents = heading(views), largest_exponents(views[0]) if len(views) == 1 else {}
    return plots.error_growth(
        np.arange(1, length + 1),
        {name: curve[:, :length] for name, curve in curves.items()},
        floors={name: floor[:length] for name, floor in floors.items() if len(floor) >= length},
        exponents=exponents,
        trust=trust if isinstance(trust, int) else None,
        title=own["title"],
        note=(_averaged(views[0]) if exponents else "") + own["note"] if len(views) == 1 else "",
    )


def largest_exponents(view: RunView) -> dict[str, tuple[float, float]]:
    """Largest Lyapunov exponent of the true and of the learned map with its standard error.

    Returns:
        "true" and the model's name, the latter's of the chosen replica -> exponent and standard error, both per step;
        empty where they are not known.
    """
    found = view.spectrum
    if not found:
        return {}
    dt, r = float(view.arrays["dt"]), view.chosen
    ours, theirs = found["trained"], found["true"]
    values = {view.model: (ours["exponents"][r][0], ours["standard_error"][r][0])}
    if theirs is not None:
        values = {"true": (theirs["exponents"][0], theirs["standard_error"][0]), **values}
    known = {name: (value, np.nan if e is None else e) for name, (value, e) in values.items() if value is not None}
    return {name: (float(v) * dt, float(e) * dt) for name, (v, e) in known.items() if np.isfinite(v)}


def _averaged(view: RunView) -> str:
    """Averaged steps of the exponents, and the member of a family that they belong to."""
    if view.stored_only:
        pairs = [("input", value) for value in view.analysis["held"]]
    else:
        pairs = list(zip(view.setup.task.input_names, view.setup.held, strict=True))
    each = ", ".join(f"{name} = {value:.3g}" for name, value in pairs)
    assert view.spectrum is not None
    return f"Exponents over {view.spectrum['steps']} steps{f' at {each}' if each else ''}. "


@figure("survival", f"Kaplan–Meier curve of the {METRICS['vpt'].title}", unless=lambda view: view.codes)
def _survival(view: RunView) -> Drawing:
    timescale = float(view.task.get("timescale", 1.0))
    threshold = float(view.run.config["eval"]["threshold"])
    curve = nrmse_curve(view.pred, view.true, view.sigma)
    dt = float(view.arrays["dt"]) / timescale
    trust = at(view.run.result, "data.trust_steps")
    time, censored = valid_prediction_time(curve, dt, threshold, trust_steps=trust)
    return plots.survival_curves(
        {view.model: survival_curve(time, censored)},
        censored={view.model: np.unique(time[censored])} if censored.any() else None,
        horizon=dt * (curve.shape[-1] - 1),
        xlabel=f"{METRICS['vpt'].title} [time scales of the task]",
        threshold=threshold,
        title=view.title,
        note=f"{curve.shape[0]} seeds, {curve.shape[1]} initial states. {view.note}",
    )


@figure(
    "animation",
    "a free run in the phase plane, as a GIF",
    unless=lambda view: view.codes or ("" if view.dim >= 2 else "a phase plane needs two components"),
)
def _animation(view: RunView) -> Drawing:
    return plots.orbit_animation(
        view.true[0, :, :2],
        {view.model: view.pred[0, 0, :, :2]},
        kind=view.kind,
        state_names=view.names[:2],
        title=view.title,
    )
