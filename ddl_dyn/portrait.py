"""A run's figures, drawn from its stored arrays alone.

Axes: R replicas, N trajectories, T steps, D observed state, P grid points, G points a side, L layers, r directions.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddl_dyn import plots
from ddl_dyn.runs import COMPLETED, Run

Array = NDArray[Any]
# Fewer lines than trajectories: a portrait of all of them is a smear.
SPLIT = "test"


@dataclass(frozen=True)
class Scene:
    """What the figures of one run have in common.

    Args:
        run: a finished run.
    """

    run: Run

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """Stored arrays by name."""
        return self.run.arrays

    @cached_property
    def task(self) -> dict[str, Any]:
        """Facts of the task that the drawing needs: state_names, kind, time_unit, isotropic."""
        resolved = self.run.entry.get("resolved")
        stored = resolved.get("task") if isinstance(resolved, dict) else None
        return stored if isinstance(stored, dict) else {}

    @property
    def model(self) -> str:
        """Registry key of the model."""
        return str(self.run.config["model"])

    @property
    def kind(self) -> Any:
        """`flow` or `map`."""
        return "map" if self.task.get("kind") == "map" else "flow"

    @property
    def names(self) -> list[str]:
        """Names of the D components."""
        stored = self.task.get("state_names")
        known = [str(name) for name in stored] if isinstance(stored, list) else []
        dim = self.arrays[f"{SPLIT}_true"].shape[-1]
        return known if len(known) == dim else [f"x{i + 1}" for i in range(dim)]

    @property
    def title(self) -> str:
        """Model and task."""
        return f"{self.model} on {self.run.config['task']}"

    @property
    def note(self) -> str:
        """The protocol, which is part of every claim."""
        options = self.run.config.get("model_args", {})
        return f"carry = {options.get('carry')}, lift = {options.get('lift')}; run {self.run.id}"

    @cached_property
    def chosen(self) -> int:
        """The replica shown strong: that with the median validation error."""
        return int(self.arrays.get("portrait_replica", np.asarray(0)))

    @property
    def order(self) -> list[int]:
        """The replicas, the chosen one first."""
        count = len(self.arrays[f"{SPLIT}_pred"])
        return [self.chosen, *(r for r in range(count) if r != self.chosen)]

    @cached_property
    def pred(self) -> Array:
        """(R, N, T+1, D) free runs, the chosen replica first."""
        return self.arrays[f"{SPLIT}_pred"][self.order]

    @property
    def true(self) -> Array:
        """(N, T+1, D)."""
        return self.arrays[f"{SPLIT}_true"]

    def square(self, values: Array) -> Array:
        """(P, …) on the portrait's plane as (G, G, …)."""
        side = round(len(values) ** 0.5)
        return values.reshape(side, side, *values.shape[1:])

    def fixed_points(self, suffix: str = "") -> list[tuple[Any, str]]:
        """Locations (D,) with their stability, of the chosen replica or (suffix `_true`) of the true map."""
        points = self.arrays.get(f"fixed_points{suffix}")
        if points is None:
            return []
        kinds = self.arrays[f"fixed_points_stability{suffix}"]
        owner = self.arrays[f"fixed_points_replica{suffix}"]
        mine = np.ones(len(points), dtype=bool) if suffix else owner == self.chosen
        return [(point, str(kind)) for point, kind in zip(points[mine], kinds[mine], strict=True)]


def _trajectories(scene: Scene) -> Any:
    return plots.trajectories(
        scene.arrays[f"{SPLIT}_times"],
        scene.true,
        {scene.model: scene.pred},
        state_names=scene.names,
        time_unit=str(scene.task.get("time_unit", "time")),
        kind=scene.kind,
        title=scene.title,
        note=scene.note,
    )


def _portrait(scene: Scene) -> Any:
    dim = scene.true.shape[-1]
    if dim < 2:
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
        note=scene.note,
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
        note=scene.note,
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
        note=scene.note,
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
        title=scene.title,
        note=scene.note,
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


def _error(scene: Scene) -> Any:
    prefix = f"{SPLIT}_nrmse_"
    floors = {name.removeprefix(prefix): curve for name, curve in scene.arrays.items() if name.startswith(prefix)}
    curve = scene.arrays[f"{SPLIT}_nrmse"]
    # Step 0 is given, so its error is zero and has no place on a logarithmic axis.
    steps = np.arange(1, curve.shape[-1])
    return plots.error_growth(
        steps,
        {scene.model: curve[:, 1:]},
        floors={name: floor[1:] for name, floor in floors.items()},
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
    "error": _error,
    "training": _training,
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
    if run.kind != "run":
        raise ValueError(f"run {run.id} is a comparison; draw one of its runs: {', '.join(run.members)}")
    if not run.arrays:
        reason = f"it is {run.status}" if run.status != COMPLETED else "it holds no arrays"
        raise ValueError(f"run {run.id} cannot be drawn: {reason}; only a completed run has figures")
    scene = Scene(run)
    drawn = {name: FIGURES[name](scene) for name in (what or FIGURES)}
    missing = [name for name, figure in drawn.items() if figure is None]
    if what and missing:
        raise ValueError(f"run {run.id} ({scene.title}) has no {', '.join(missing)}")
    return {name: figure for name, figure in drawn.items() if figure is not None}


def draw(run: Run, what: Sequence[str] | None, folder: Path) -> list[Path]:
    """Write a run's figures as PNG and SVG; the paths written.

    Raises:
        ValueError: as `figures`.
    """
    return [path for name, figure in figures(run, what).items() for path in plots.save(figure, folder / name)]
