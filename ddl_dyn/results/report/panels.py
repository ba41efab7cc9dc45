"""Figures of one task on a page: a panel a model, so that each can be hidden, and charts of all models.

Axes: R replicas, N trajectories, T steps, D observed state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ddl_dyn import plots
from ddl_dyn.config.formats import percent
from ddl_dyn.config.labels import model_label
from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.results.comparison.groups import Setting, spoken
from ddl_dyn.results.comparison.radius import radius_panel
from ddl_dyn.results.comparison.verdicts import Contrast
from ddl_dyn.results.figures.registry import figures_side_by_side
from ddl_dyn.results.figures.run_view import RunView
from ddl_dyn.results.report import answers
from ddl_dyn.results.report.charts import ChartCurve, LineChart, curve_of_floor, curve_of_model
from ddl_dyn.results.report.document import OverviewRow, ReportFigure
from ddl_dyn.results.report.figures import PROBLEMS, web_figure
from ddl_dyn.runs.result import FLOORS

# Shown as panels and charts; every other figure of several models is drawn of each one alone.
_SHOWN = frozenset(("portrait", "trajectories", "error", "radius"))
_LEVEL = 0.8
# Of one trajectory: components, and steps of a map, which jumps at every one.
_COMPONENTS, _MAP_STEPS = 3, 40


def overview_row(
    setting: Setting, views: Sequence[RunView], judged: Sequence[Contrast], target: str, title: str
) -> OverviewRow:
    """A task at a glance: small portraits with their verdicts, and error against horizon.

    Args:
        setting: the task.   views: of its runs.   judged: from `contrasts`.   target: id of its section.   title: its.
    """
    comparison = answers.primary(setting)
    panels = []
    for i, (view, figure, alt) in enumerate(_panels(views, small=True)):
        caption, verdict, told = "truth", "", []
        if view is not None:
            caption, found = spoken(view.label), answers.against(judged, comparison, view.label)
            if comparison and view.label in comparison.intervals:
                caption += f" {comparison.setting.metric.page(comparison.intervals[view.label].estimate)}"
                told += ["lowest"] if view.label == comparison.order()[0] else []
            if found is not None:
                told.append(answers.mark(found))
                verdict = answers.shade(found)
        panels.append(
            web_figure(
                figure, f"small-{target}-{i}", alt, caption=caption, model=view.label if view else "", verdict=verdict,
                mark=", ".join(told),
            )
        )  # fmt: skip
    chart = _error_chart(views, f"{target}-glance", floors=False) if views else None
    return OverviewRow(title, target, tuple(panels), chart)


def task_panels(views: Sequence[RunView], target: str) -> tuple[ReportFigure, ...]:
    """The truth and every model of a task, a panel each.

    Args:
        views: of the runs of a task.   target: id of its section.
    """
    return tuple(
        web_figure(
            figure, f"portrait-{target}-{i}", alt, caption=spoken(view.label) if view else "truth",
            model=view.label if view else "",
        )
        for i, (view, figure, alt) in enumerate(_panels(views, small=False))
    )  # fmt: skip


def _panels(views: Sequence[RunView], *, small: bool) -> Iterator[tuple[RunView | None, Any, str]]:
    """Truth (None) and every view, with its panel and the text in its place."""
    if not views or views[0].categorical:
        return
    first = views[0]
    for view in (None, *views):
        who = "the truth" if view is None else spoken(view.label)
        what, figure = _plane(first, view, small) if first.dim >= 2 else _course(first, view, small)
        yield view, figure, f"{what} of {who} on {first.run.config['task']}"


def _plane(first: RunView, view: RunView | None, small: bool) -> tuple[str, Any]:
    shown: dict[str, Any] = {}
    if "portrait_step" in (view or first).arrays:
        shown["grid"] = first.square(first.arrays["portrait_grid"])[..., :2]
        if "portrait_step_true" in first.arrays:
            shown["step_true"] = first.square(first.arrays["portrait_step_true"])[..., :2]
        if view is not None:
            shown["step_model"] = view.square(view.arrays["portrait_step"][view.chosen])[..., :2]
    if first.dim == 2:
        shown["fixed_points"] = first.fixed_points("_true") if view is None else view.fixed_points()
    figure = plots.plane_panel(
        first.true[..., :2],
        None if view is None else view.pred[..., :2],
        model="" if view is None else view.model,
        state_names=first.names[:2],
        kind=first.kind,
        isotropic=bool(first.task.get("isotropic", False)),
        small=small,
        **shown,
    )
    return f"Phase portrait ({', '.join(first.names[:2])})", figure


def _course(first: RunView, view: RunView | None, small: bool) -> tuple[str, Any]:
    shown = _shown(first)
    figure = plots.course_panel(
        first.arrays["test_times"][shown],
        first.true[0, shown, 0],
        None if view is None else view.pred[:, 0, shown, 0],
        model="" if view is None else view.model,
        small=small,
    )
    return f"{first.names[0]} against time", figure


def _shown(view: RunView) -> slice:
    return slice(None, _MAP_STEPS + 1 if view.kind == "map" else None)


def task_charts(views: Sequence[RunView], target: str) -> tuple[LineChart, ...]:
    """Charts of all models of a task: error against horizon and radius, one trajectory against time.

    Args:
        views: of the runs of a task.   target: id of its section.
    """
    if not views or views[0].categorical:
        return ()
    found = [_error_chart(views, f"{target}-error"), *_radius_charts(views, target), *_time_charts(views, target)]
    return tuple(chart for chart in found if chart is not None)


def _error_chart(views: Sequence[RunView], name: str, *, floors: bool = True) -> LineChart | None:
    curves: list[ChartCurve] = []
    for view in views:
        # Step 0 is given, so its error is zero and has no place on a logarithmic axis.
        errors = view.arrays["test_nrmse"][:, 1:] if "test_nrmse" in view.arrays else np.empty((0, 0))
        if errors.size:
            steps = np.arange(1.0, errors.shape[1] + 1)
            curves.append(curve_of_model(view.label, spoken(view.label), steps, errors, level=_LEVEL))
    if not curves or views[0].categorical:
        return None
    known = {f: v.arrays[f"test_nrmse_{f}"][1:] for v in views for f in FLOORS if f"test_nrmse_{f}" in v.arrays}
    for label, errors in known.items() if floors else ():
        curves.append(curve_of_floor(label, model_label(label), np.arange(1.0, len(errors) + 1), errors))
    models = ", ".join(curve.name for curve in curves if curve.model)
    return LineChart(
        name, "Error against horizon", "steps", PRIMARY.heading,
        f"Median {PRIMARY.title} of {models} against the number of free-run steps, in distribution",
        tuple(curves), log_y=True, note=_lines(views) + " Grey: floors." if known else _lines(views),
    )  # fmt: skip


def _lines(views: Sequence[RunView]) -> str:
    seeds = "–".join(str(n) for n in sorted({len(view.pred) for view in views}))
    return f"Lines: median over {seeds} seeds; bands: central {percent(_LEVEL)}."


def _radius_charts(views: Sequence[RunView], target: str) -> Iterator[LineChart]:
    for horizon in PRIMARY.horizons:
        panel = radius_panel({view.label: view.run for view in views}, horizon)
        if panel is None:
            continue
        curves = [
            curve_of_model(label, spoken(label), np.asarray(radii), np.asarray(errors).T, level=_LEVEL)
            for label, (radii, errors) in panel.curves.items()
        ]
        curves += [
            curve_of_floor(label, model_label(label), np.asarray(radii), np.asarray(errors))
            for label, (radii, errors) in panel.floors.items()
        ]
        models = ", ".join(curve.name for curve in curves if curve.model)
        yield LineChart(
            f"{target}-radius-{horizon}", f"Error against radius, {panel.title}", "radius [training radii]",
            PRIMARY.heading, f"Median {PRIMARY.title} of {models} after {panel.title} against the radius of the starts",
            tuple(curves), log_x=True, log_y=True, note="Free runs from starts at multiples of the training radius.",
        )  # fmt: skip


def _time_charts(views: Sequence[RunView], target: str) -> Iterator[LineChart]:
    first = views[0]
    shown = _shown(first)
    times = first.arrays["test_times"][shown].astype(np.float64)
    for d, name in enumerate(first.names[:_COMPONENTS]):
        truth = first.true[0, shown, d]
        curves = [ChartCurve("truth", "", "truth", times, truth)]
        for view in views:
            free = view.pred[:, 0, shown, d].astype(np.float64)
            curves.append(curve_of_model(view.label, spoken(view.label), times, free, level=_LEVEL, missing=True))
        margin = 0.2 * (float(np.ptp(truth)) or 1.0)
        time = "time" if first.time_unit == "time" else f"time [{first.time_unit}]"
        yield LineChart(
            f"{target}-time-{d}", f"{name} against time", time, name,
            f"{name} against time from one unseen initial state: truth and {', '.join(c.name for c in curves[1:])}",
            tuple(curves), note="One unseen initial state.",
            box=(float(truth.min()) - margin, float(truth.max()) + margin), dots=first.kind == "map",
        )  # fmt: skip


def other_figures(views: Sequence[RunView]) -> tuple[list[tuple[str, list[ReportFigure]]], list[str]]:
    """Figures that no panel or chart replaces, of each model alone, by what they show; a line for each not drawn."""
    problems: list[str] = []
    found: list[tuple[str, list[ReportFigure]]] = []
    for one in figures_side_by_side(views[0]) if views else []:
        if one.name in _SHOWN:
            continue
        pictures = []
        for view in views:
            alt = f"{one.alt[:1].upper()}{one.alt[1:]}: {spoken(view.label)} on {view.run.config['task']}"
            try:
                drawn = one.draw(view)
                pictures.append(web_figure(drawn, f"{one.name}-{view.run.id}", alt, model=view.label))
            except PROBLEMS as error:
                problems.append(f"The figure “{one.name}” of {view.label} could not be drawn: {error}")
        found.append((f"{one.shows[:1].upper()}{one.shows[1:]}", pictures))
    return found, problems
