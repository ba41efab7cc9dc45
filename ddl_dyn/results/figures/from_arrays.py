"""A run's figures, drawn from its stored arrays alone.

Axes: R replicas, N trajectories, T steps, D observed state, P grid points, G points a side, L layers, r directions.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ddl_dyn import plots
from ddl_dyn.results.figures.run_view import SPLIT, Scene
from ddl_dyn.runs import COMPLETED, Run

# A map jumps at every step: more of them in one panel are a thicket.
MAP_STEPS = 40


def _trajectories(scene: Scene) -> Any:
    if scene.categorical:
        return None
    shown = slice(None, MAP_STEPS + 1 if scene.kind == "map" else None)
    times = scene.arrays[f"{SPLIT}_times"]
    cut = f"The first {MAP_STEPS} of {len(times) - 1} steps. " if len(times[shown]) < len(times) else ""
    return plots.trajectories(
        times[shown],
        scene.true[:, shown],
        {scene.model: scene.pred[:, :, shown]},
        state_names=scene.names,
        time_unit=scene.time_unit,
        kind=scene.kind,
        title=scene.title,
        note=cut + scene.note,
    )


def _portrait(scene: Scene) -> Any:
    dim = scene.true.shape[-1]
    if dim < 2 or scene.categorical:
        return None
    fields: dict[str, Any] = {}
    if "portrait_step" in scene.arrays:
        fields["grid"] = scene.square(scene.arrays["portrait_grid"])[..., :2]
        fields["step_model"] = scene.square(scene.arrays["portrait_step"][scene.chosen])[..., :2]
        if "portrait_step_true" in scene.arrays:
            fields["step_true"] = scene.square(scene.arrays["portrait_step_true"])[..., :2]
    if dim == 2:
        fields["fixed_points_true"] = scene.fixed_points("_true")
        fields["fixed_points_model"] = scene.fixed_points()
    return plots.phase_portrait(
        scene.true[..., :2],
        scene.pred[..., :2],
        model=scene.model,
        state_names=scene.names[:2],
        kind=scene.kind,
        isotropic=bool(scene.task.get("isotropic", False)),
        title=scene.title,
        note=scene.field_note,
        **fields,
    )


def _portrait_3d(scene: Scene) -> Any:
    if scene.true.shape[-1] != 3:
        return None
    return plots.phase_portrait_3d(
        scene.true,
        scene.pred,
        model=scene.model,
        fixed_points_true=scene.fixed_points("_true"),
        fixed_points_model=scene.fixed_points(),
        state_names=scene.names,
        kind=scene.kind,
        title=scene.title,
        note=scene.space_note,
    )


def _cobweb(scene: Scene) -> Any:
    if scene.true.shape[-1] != 1 or "portrait_step_true" not in scene.arrays:
        return None
    grid = scene.arrays["portrait_grid"][:, 0]
    return plots.cobweb(
        grid,
        grid + scene.arrays["portrait_step_true"][:, 0],
        grid + scene.arrays["portrait_step"][scene.order, :, 0],
        model=scene.model,
        orbit_true=scene.true[0, :, 0],
        orbit_model=scene.pred[0, 0, :, 0],
        fixed_points_true=[(float(point[0]), kind) for point, kind in scene.fixed_points("_true")],
        fixed_points_model=[(float(point[0]), kind) for point, kind in scene.fixed_points()],
        state_name=scene.names[0],
        title=scene.title,
        note=scene.field_note,
    )


def _gates(scene: Scene) -> Any:
    if "gate_beta" not in scene.arrays or scene.true.shape[-1] < 2:
        return None
    # (L, P, r): each direction of a layer is a gate of its own.
    beta = np.moveaxis(scene.arrays["gate_beta"][scene.chosen], -1, 1)
    beta = beta.reshape(-1, beta.shape[-1])
    return plots.gate_map(
        scene.square(scene.arrays["portrait_grid"])[..., :2],
        np.stack([scene.square(gate) for gate in beta]),
        state_names=scene.names[:2],
        orbits=scene.true[:4, :, :2],
        kind=scene.kind,
        title=scene.title,
        note=scene.plane_note,
    )


def _eigenvalues(scene: Scene) -> Any:
    if "eigen_operator" not in scene.arrays or "eigen_jacobian" not in scene.arrays:
        return None
    return plots.eigenvalues(
        scene.arrays["eigen_operator"],
        scene.arrays["eigen_jacobian"],
        model=scene.model,
        title=scene.title,
        note=scene.note,
    )


def _training(scene: Scene) -> Any:
    if len(scene.arrays.get("history_update", ())) < 2:
        return None
    return plots.training_curves(
        scene.arrays["history_update"],
        scene.arrays["history_loss"],
        scene.arrays["history_val"],
        scene.arrays["history_horizon"],
        model=scene.model,
        title=scene.title,
        note=scene.note,
    )


def error(scene: Scene, exponents: Mapping[str, float] | None = None, *, where: str = "") -> Any:
    """Error against horizon.

    Args:
        exponents: "true" or model → largest Lyapunov exponent per step, where they are known.
        where: of which member of a family they are, a sentence for the caption.
    """
    if scene.categorical:
        return None
    prefix = f"{SPLIT}_nrmse_"
    floors = {name.removeprefix(prefix): curve for name, curve in scene.arrays.items() if name.startswith(prefix)}
    curve = scene.arrays[f"{SPLIT}_nrmse"]
    # Step 0 is given, so its error is zero and has no place on a logarithmic axis.
    steps = np.arange(1, curve.shape[-1])
    return plots.error_growth(
        steps,
        {scene.model: curve[:, 1:]},
        floors={name: floor[1:] for name, floor in floors.items()},
        exponents=exponents,
        title=scene.title,
        note=f"{where}{scene.note}",
    )


def _tracking(scene: Scene) -> Any:
    if "tracking_accuracy" not in scene.arrays:
        return None
    facts = scene.run.result["tracking"]
    return plots.tracking_accuracy(
        {scene.model: scene.arrays["tracking_accuracy"]},
        {scene.model: scene.arrays["tracking_sequence"]},
        chance=facts["chance"],
        trained=facts["trained_length"],
        words=facts["words"],
        title=scene.title,
        note=scene.note,
    )


FIGURES: dict[str, Callable[[Scene], Any]] = {
    "portrait": _portrait,
    "portrait_3d": _portrait_3d,
    "cobweb": _cobweb,
    "trajectories": _trajectories,
    "gates": _gates,
    "eigenvalues": _eigenvalues,
    "error": error,
    "training": _training,
    "tracking": _tracking,
}


def figures(run: Run, what: Sequence[str] | None = None) -> dict[str, Any]:
    """The figures of a finished run by name; those that its task or model has no use for are left out.

    Args:
        run: a completed run.
        what: names from `FIGURES`; all by default.
    Raises:
        ValueError: for an unknown name, an unfinished run, or a named figure that this run cannot have.
    """
    for name in what or ():
        if name not in FIGURES:
            near = difflib.get_close_matches(name, FIGURES, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"unknown figure {name!r}{hint}; there are {', '.join(FIGURES)}")
    check_drawable(run)
    scene = Scene(run)
    drawn = {name: FIGURES[name](scene) for name in (what or FIGURES)}
    missing = [name for name, figure in drawn.items() if figure is None]
    if what and missing:
        raise ValueError(f"run {run.id} ({scene.title}) has no {', '.join(missing)}")
    return {name: figure for name, figure in drawn.items() if figure is not None}


def check_drawable(run: Run) -> None:
    """ValueError, saying what to do, unless a run is a single one that holds arrays."""
    if run.kind != "run":
        raise ValueError(f"run {run.id} is a comparison; draw one of its runs: {', '.join(run.members)}")
    if not run.arrays:
        reason = f"it is {run.status}" if run.status != COMPLETED else "it holds no arrays"
        raise ValueError(f"run {run.id} cannot be drawn: {reason}; only a completed run has figures")


def draw(run: Run, what: Sequence[str] | None, folder: Path) -> list[Path]:
    """Write a run's figures as PNG and SVG; the paths written.

    Raises:
        ValueError: as `figures`.
    """
    return [path for name, figure in figures(run, what).items() for path in plots.save(figure, folder / name)]
