"""Figures of what the truth keeps and how perturbations grow: symmetries, invariants, singular values, exponents.

Axes: R replicas, N trajectories, T steps, D observed state.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ddl_dyn import analysis, plots
from ddl_dyn.results.figures import from_arrays
from ddl_dyn.results.inspection import dynamics
from ddl_dyn.results.inspection.rebuild import CODES, Unsuitable

if TYPE_CHECKING:
    from ddl_dyn.results.figures.stage import Stage

Array = NDArray[Any]
# Written beside a run by `ddl-dyn analyse`.
FILE = "analysis.json"
# Averaged steps of exponents where no analysis has been made, steps through which perturbations are followed, and
# states they start at.
STEPS, FOLLOWED, STATES = 600, 100, 16


def error(stage: Stage) -> Any:
    """Error against horizon with the slopes of the true and the learned largest Lyapunov exponent."""
    if stage.categorical:
        raise Unsuitable(CODES)
    stage.suited()
    path = stage.run.path / FILE
    found: dict[str, Any] | None = None
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8")).get("spectrum")
    elif not stage.subject.obstacle:
        found = dynamics.spectrum(stage.subject, STEPS)
    return from_arrays.error(stage, None if found is None else largest(stage, found), where=where(stage))


def where(stage: Stage) -> str:
    """Which member of a family exponents are those of; empty for a single system."""
    held = zip(stage.subject.task.input_names, stage.subject.held, strict=True)
    each = ", ".join(f"{name} = {value:.3g}" for name, value in held)
    return f"Exponents at {each}. " if each else ""


def largest(stage: Stage, found: dict[str, Any]) -> dict[str, float]:
    """Largest exponent per step, "true" and by the model's name, the latter that of the chosen replica.

    Args:
        found: from `dynamics.spectrum`.
    """
    values = {stage.model: found["trained"]["exponents"][stage.chosen][0]}
    if found["true"] is not None:
        values = {"true": found["true"]["exponents"][0], **values}
    dt = float(stage.subject.task.dt)
    return {name: float(v) * dt for name, v in values.items() if v is not None and np.isfinite(v)}


def growth(stage: Stage) -> Any:
    """Singular values of DΦᵗ and gradient norms, of the learned map beside the true one."""
    subject = stage.subject
    reach = subject.replicas.max_steps
    if subject.task.state_kind != "continuous" or subject.member is None:
        raise Unsuitable(subject.obstacle)
    stage.suited()
    steps = int(np.clip(round(subject.timescale / subject.task.dt), 20, FOLLOWED))
    model = subject.replicas.model(stage.chosen)
    common: dict[str, Any] = {"normalizer": subject.normalizer.of_replica(stage.chosen), "inputs": subject.held}
    if reach is None:
        maps = [analysis.from_replicas(model, **common)] * steps
    else:
        steps = min(steps, reach)
        maps = [analysis.from_replicas(model, index=t, **common) for t in range(steps)]
    x0 = subject.starts(STATES)
    plain = maps[0].dim == x0.shape[1]
    learned = analysis.depth_profile(maps, x0 if plain else _lifted(stage, model, x0))
    truth = analysis.depth_profile([subject.truth] * steps, x0) if plain and subject.truth is not None else None
    space = "" if plain else f"A latent carry: the learned map acts on {maps[0].dim} dimensions of its own. "
    return plots.perturbation_growth(
        learned.singular_values,
        learned.gradient_norms,
        None if truth is None else truth.singular_values,
        None if truth is None else truth.gradient_norms,
        model=stage.model,
        title=stage.title,
        note=f"{space}{len(x0)} test states, one replica. {stage.note}",
    )


def _lifted(stage: Stage, model: Any, x: Array) -> Array:
    """States in the latent space of one model."""
    import torch

    z = torch.as_tensor(stage.subject.normalizer.of_replica(stage.chosen).normalize(x)).to(
        stage.subject.replicas.device
    )
    with torch.no_grad():
        return np.asarray(model.lift(z.to(stage.subject.replicas.dtype)).double().cpu())


def defects(stage: Stage) -> Any:
    """Each seed's defects of the truth's symmetries and invariants."""
    rows: dict[str, Any] = {}
    for label, section in (("symmetry: {}", dynamics.symmetries), ("invariant: {}", dynamics.invariants)):
        try:
            rows |= {label.format(name): values for name, values in section(stage.subject).items()}
        except Unsuitable:
            continue
    if not rows:
        raise Unsuitable("neither a linear symmetry nor an invariant of the task is known")
    stage.suited()
    return plots.defects(
        rows,
        model=stage.model,
        xlabel="defect [σ, or the invariant's spread]",
        title=stage.title,
        note="Symmetries: √⟨|Φ(Sx) − SΦ(x)|²/σ²⟩ over test states; invariants: largest drift along the stored free "
        f"runs, median over them. {stage.note}",
    )


def drift(stage: Stage) -> Any:
    """Drift of every invariant along the stored free runs."""
    names = list(stage.subject.task.invariants(stage.subject.data.test.states[:1, 0]))
    if not names:
        raise Unsuitable("the task has no invariant")
    stage.suited()
    pred = np.asarray(stage.pred, dtype=np.float64)
    curves = {}
    for name in names:
        with np.errstate(invalid="ignore", over="ignore"):
            values = np.asarray(stage.subject.task.invariants(pred)[name])
            start = values[..., :1]
            level, spread = float(np.abs(start).mean()), float(start[0].std())
            gap = np.abs(values - start) / (spread if spread > 1e-9 * level else level or 1.0)
        gap[~np.isfinite(gap)] = np.inf
        curves[name] = np.quantile(gap, 0.5, axis=1, method="inverted_cdf")
    return plots.invariant_drift(
        stage.arrays["test_times"],
        curves,
        model=stage.model,
        time_unit="" if stage.time_unit == "time" else stage.time_unit,
        title=stage.title,
        note=f"Median over {pred.shape[1]} test trajectories of each seed. {stage.note}",
    )
