"""The report's figures: drawn from stored arrays, several models to a panel; a run's own figures where it has them.

Axes: R replicas, N trajectories, T steps, D observed state, P grid points, L layers.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ddl_dyn import plots
from ddl_dyn.config.formats import joined
from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.metrics.significance import Ranking
from ddl_dyn.plots.style import style
from ddl_dyn.results.comparison.groups import Comparison, Setting, spoken
from ddl_dyn.results.figures import from_arrays
from ddl_dyn.results.figures.from_arrays import Scene
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.result import FLOORS, SPLIT_NAMES, at

from .document import ReportFigure

# A larger SVG (many thousand points) opens slowly; its PNG is as good to look at.
SVG_BYTES = 350_000
# What is read from a run's own figures folder; a larger file is no figure of this suite.
FILE_BYTES = 5_000_000
# The models of one panel; more do not fit side by side.
PANELS = 8
# State components of the figure over time; more rows become too flat to read.
COMPONENTS = 6
PROBLEMS = (ValueError, KeyError, IndexError, TypeError, RunError)
ALT = {
    "portrait": "phase portrait: true trajectories, free runs and step field in the plane of the first two components",
    "portrait_3d": "phase portrait in three dimensions, projected on the coordinate planes",
    "cobweb": "cobweb of the learned map beside the true one",
    "trajectories": "true components against time with free runs and their seed bands",
    "gates": "gate β over the phase plane, one panel per layer, with contours where the regime changes",
    "eigenvalues": "eigenvalues of each layer against the unit circle",
    "error": "error of the free runs against the number of steps",
    "training": "training loss and validation error against updates",
}


def report_figure(figure: Any, name: str, alt: str, caption: str = "") -> ReportFigure:
    """A figure as SVG, or as PNG where its SVG would be heavy."""
    with style():
        drawn = io.BytesIO()
        # Without a date the same figure gives the same bytes.
        figure.savefig(drawn, format="svg", metadata={"Date": None})
        if drawn.tell() <= SVG_BYTES:
            return ReportFigure(name, "svg", drawn.getvalue(), alt, caption)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png")
        return ReportFigure(name, "png", drawn.getvalue(), alt, caption)


def comparison_figures(found: Sequence[Setting]) -> list[ReportFigure]:
    """Medians and intervals of every entry, one figure for each split."""
    out = []
    for split, name in SPLIT_NAMES.items():
        here = [c for setting in found for c in setting.comparisons if c.split == split]
        rows = [row for comparison in here for row in _rows(comparison)]
        if rows:
            sizes = sorted({v.size for comparison in here for v in comparison.values.values()})
            seeds = sizes[0] if len(sizes) == 1 else None
            figure = plots.interval_chart(rows, seeds=seeds, note=f"Test: {name}")
            alt = f"Median {PRIMARY.title} with 95 % intervals of each model, {name}. Lowest medians: "
            alt += "; ".join(f"{c.setting.title}, {c.over}: {_lowest(c)}" for c in here) + "."
            out.append(report_figure(figure, f"comparison_{split}", alt))
    return out


def _lowest(comparison: Comparison) -> str:
    first = comparison.order()[0]
    return f"{spoken(first)} {PRIMARY.page(comparison.intervals[first].estimate)}"


def _rows(comparison: Comparison) -> list[dict[str, Any]]:
    base = {"task": comparison.setting.task, "protocol": comparison.setting.protocol, "horizon": comparison.over}
    models = [
        {**base, "model": label, "median": i.estimate, "low": i.low, "high": i.high}
        for label, i in comparison.intervals.items()
    ]
    nothing = {"low": float("nan"), "high": float("nan")}
    return models + [{**base, "model": name, "median": v, **nothing} for name, v in comparison.floors.items()]


def ranking_figure(place: int, where: str, ranking: Ranking, labels: Sequence[str], tasks: int) -> ReportFigure:
    """Mean ranks with the critical difference.

    Args:
        place: number of the figure.   where: protocol, split and horizon.   ranking: of M models.   labels: theirs.
        tasks: K.
    """
    ranks = dict(zip(labels, map(float, ranking.mean_ranks), strict=True))
    tied = [[labels[i] for i in group] for group in ranking.groups if len(group) > 1]
    figure = plots.ranking(ranks, ranking.critical_difference, tied=tied, tasks=tasks, note=where)
    listed = ", ".join(f"{spoken(label)} {rank:.2f}" for label, rank in sorted(ranks.items(), key=lambda pair: pair[1]))
    return report_figure(figure, f"ranks_{place}", f"Mean ranks over {tasks} tasks, {where}: {listed}")


def panel(setting: Setting) -> tuple[list[ReportFigure], list[str]]:
    """A setting's figures with all its models side by side, and one line for each that could not be drawn."""
    scenes, problems = _scenes(setting)
    pictures: list[ReportFigure] = []
    if not scenes:
        return pictures, problems
    models = joined(map(spoken, scenes))
    where = f"{setting.task}, {setting.protocol}"
    drawings: list[tuple[str, str, Callable[[dict[str, Scene]], Any]]] = [
        ("portrait", f"{_portrait_words(scenes)} of the true system and of {models}; {where}", _portraits),
        (
            "error",
            f"Error of the free runs of {models} and of the floors against the number of steps; {where}",
            _errors,
        ),
        ("trajectories", f"True components against time with free runs of {models}; {where}", _trajectories),
    ]
    for name, alt, draw in drawings:
        try:
            figure = draw(scenes)
            if figure is not None:
                pictures.append(report_figure(figure, f"{setting.task}_{name}", alt))
        except PROBLEMS as error:
            problems.append(f"The figure “{name}” could not be drawn: {error}")
    return pictures, problems


def _scenes(setting: Setting) -> tuple[dict[str, Scene], list[str]]:
    scenes, problems = {}, []
    for entry in setting.entries:
        scene = Scene(entry.run)
        try:
            if {"test_true", "test_pred"} <= set(scene.arrays):
                _check(scene)
                scenes[entry.label] = scene
            else:
                problems.append(f"{entry.label} (run {entry.run.id}) stores no predictions, so it is not drawn")
        except PROBLEMS as error:
            problems.append(f"{entry.label} (run {entry.run.id}) cannot be drawn: {error}")
    if len(scenes) > PANELS:
        left = list(scenes)[PANELS:]
        problems.append(f"Drawn are the first {PANELS} models; left out: {', '.join(left)}")
        scenes = dict(list(scenes.items())[:PANELS])
    return scenes, problems


def _check(scene: Scene) -> None:
    pred, true = scene.arrays["test_pred"], scene.arrays["test_true"]
    if pred.ndim != 4 or true.ndim != 3 or pred.shape[1:] != true.shape:
        raise ValueError(
            f"expected predictions (R, N, T+1, D) for truth (N, T+1, D), got {pred.shape} for {true.shape}"
        )


def _portrait_words(scenes: dict[str, Scene]) -> str:
    return "Cobweb" if next(iter(scenes.values())).true.shape[-1] == 1 else "Phase portraits"


def _portraits(scenes: dict[str, Scene]) -> Any:
    first = next(iter(scenes.values()))
    dim, arrays = first.true.shape[-1], first.arrays
    common: dict[str, Any] = {"kind": first.kind, "note": _note(scenes)}
    runs = {label: scene.pred for label, scene in scenes.items()}
    if dim == 3:
        return plots.phase_portrait_3d(
            first.true,
            runs,
            state_names=first.names,
            fixed_points_true=first.fixed_points("_true"),
            fixed_points_model={label: scene.fixed_points() for label, scene in scenes.items()},
            **common,
        )
    if dim == 1:
        return _cobwebs(scenes) if "portrait_step_true" in arrays and first.kind == "map" else None
    if dim > 3 and "portrait_grid" not in arrays:
        # A plane of two among many components that inputs drive shows nothing of the motion.
        return None
    if all("portrait_step" in scene.arrays for scene in scenes.values()):
        common["grid"] = first.square(arrays["portrait_grid"])[..., :2]
        common["step_model"] = {
            label: scene.square(scene.arrays["portrait_step"][scene.chosen])[..., :2] for label, scene in scenes.items()
        }
        if "portrait_step_true" in arrays:
            common["step_true"] = first.square(arrays["portrait_step_true"])[..., :2]
    if dim == 2:
        common["fixed_points_true"] = first.fixed_points("_true")
        common["fixed_points_model"] = {label: scene.fixed_points() for label, scene in scenes.items()}
    return plots.phase_portrait(
        first.true[..., :2],
        {label: pred[..., :2] for label, pred in runs.items()},
        state_names=first.names[:2],
        isotropic=bool(first.task.get("isotropic", False)),
        **common,
    )


def _cobwebs(scenes: dict[str, Scene]) -> Any:
    first = next(iter(scenes.values()))
    grid = first.arrays["portrait_grid"][:, 0]
    maps = {
        label: grid + scene.arrays["portrait_step"][_chosen_first(scene), :, 0]
        for label, scene in scenes.items()
        if "portrait_step" in scene.arrays
    }
    return plots.cobweb(
        grid,
        grid + first.arrays["portrait_step_true"][:, 0],
        maps,
        orbit_true=first.true[0, :, 0],
        orbit_model={label: scenes[label].pred[0, 0, :, 0] for label in maps},
        fixed_points_true=[(float(point[0]), kind) for point, kind in first.fixed_points("_true")],
        fixed_points_model={
            label: [(float(point[0]), kind) for point, kind in scenes[label].fixed_points()] for label in maps
        },
        state_name=first.names[0],
    )


def _chosen_first(scene: Scene) -> list[int]:
    others = range(len(scene.arrays["portrait_step"]))
    return [scene.chosen, *(r for r in others if r != scene.chosen)]


def _errors(scenes: dict[str, Scene]) -> Any:
    curves = {
        label: scene.arrays["test_nrmse"][:, 1:] for label, scene in scenes.items() if "test_nrmse" in scene.arrays
    }
    if not curves:
        return None
    floors = {
        name: scene.arrays[f"test_nrmse_{name}"][1:]
        for scene in scenes.values()
        for name in FLOORS
        if f"test_nrmse_{name}" in scene.arrays
    }
    length = min(curve.shape[-1] for curve in curves.values())
    trust = at(next(iter(scenes.values())).run.result, "data.trust_steps")
    return plots.error_growth(
        np.arange(1, length + 1),
        {label: curve[:, :length] for label, curve in curves.items()},
        floors={name: floor[:length] for name, floor in floors.items() if len(floor) >= length},
        trust=trust if isinstance(trust, int) else None,
    )


def _trajectories(scenes: dict[str, Scene]) -> Any:
    first = next(iter(scenes.values()))
    dim = first.true.shape[-1]
    return plots.trajectories(
        first.arrays["test_times"],
        first.true[..., :COMPONENTS],
        {label: scene.pred[..., :COMPONENTS] for label, scene in scenes.items()},
        state_names=first.names[:COMPONENTS],
        note=f"The first {COMPONENTS} of {dim} components" if dim > COMPONENTS else "",
        time_unit=str(first.task.get("time_unit", "time")),
        kind=first.kind,
    )


def _note(scenes: dict[str, Scene]) -> str:
    runs = ", ".join(f"{label}: {scene.run.id}" for label, scene in scenes.items())
    return f"Each panel: the replica with the median validation error. Runs {runs}"


def run_pictures(run: Run, names: Sequence[str]) -> tuple[list[ReportFigure], list[str]]:
    """A run's own figures: from its figures folder where they lie there, else drawn from its arrays.

    Args:
        names: of `portrait.FIGURES`; those that the run's task or model has no use for are left out.
    """
    pictures, problems = [], []
    for name in names:
        alt = f"{run.config.get('model')} on {run.config.get('task')}, run {run.id}: {ALT.get(name, name)}"
        stored = _stored(run, name)
        if stored is not None:
            pictures.append(ReportFigure(f"run_{run.id}_{name}", stored.suffix[1:], stored.read_bytes(), alt))
            continue
        try:
            figure = from_arrays.FIGURES[name](Scene(run))
            if figure is not None:
                pictures.append(report_figure(figure, f"run_{run.id}_{name}", alt))
        except PROBLEMS as error:
            problems.append(f"Run {run.id}: the figure “{name}” could not be drawn: {error}")
    return pictures, problems


def _stored(run: Run, name: str) -> Path | None:
    for suffix, limit in ((".svg", SVG_BYTES), (".png", FILE_BYTES)):
        path = run.path / "figures" / f"{name}{suffix}"
        if path.is_file() and 0 < path.stat().st_size <= limit:
            return path
    return None
