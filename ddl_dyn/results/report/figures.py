"""Figures of a report, drawn from stored arrays: several models to a panel, or a run's own where it has them.

Axes: R replicas, N trajectories, T steps, D observed state, P grid points, L layers.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ddl_dyn import plots
from ddl_dyn.config.files import read_member
from ddl_dyn.config.formats import joined
from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.metrics.significance import Ranking
from ddl_dyn.plots.radius import RadiusPanel
from ddl_dyn.plots.style import style
from ddl_dyn.results.comparison.groups import Comparison, Setting, spoken
from ddl_dyn.results.comparison.radius import radius_panels
from ddl_dyn.results.comparison.verdicts import coverage_words
from ddl_dyn.results.figures.registry import figures_side_by_side, on_page
from ddl_dyn.results.figures.run_view import RunView
from ddl_dyn.results.report.document import ReportFigure
from ddl_dyn.results.report.images import is_image
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.result import SPLIT_NAMES

# A larger SVG (many thousand points) opens slowly; its PNG is as good to look at.
SVG_BYTES = 350_000
# What is read from a run's own figures folder; a larger file is no figure of this suite.
FILE_BYTES = 5_000_000
# The models of one panel; more do not fit side by side.
PANELS = 8
# Resolution of a page's pictures: they stand enlarged by 1.2 and stay sharp on a screen of two dots a pixel.
ENLARGED, DOTS = 1.2, 2
WEB_QUALITY = {"quality": 75, "method": 4}
PROBLEMS = (ValueError, KeyError, IndexError, TypeError, RunError)


def report_figure(figure: Any, name: str, alt: str, caption: str = "") -> ReportFigure:
    """A figure as SVG, or as PNG if its SVG exceeds `SVG_BYTES`.

    Args:
        figure: of matplotlib.   name: of its file, without suffix.   alt: text in its place.   caption: below it.
    """
    with style():
        drawn = io.BytesIO()
        # Without a date the same figure gives the same bytes.
        figure.savefig(drawn, format="svg", metadata={"Date": None})
        if drawn.tell() <= SVG_BYTES:
            return ReportFigure(name, "svg", drawn.getvalue(), alt, caption)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png")
        return ReportFigure(name, "png", drawn.getvalue(), alt, caption)


def web_figure(
    figure: Any, name: str, alt: str, *, caption: str = "", model: str = "", verdict: str = "", mark: str = ""
) -> ReportFigure:
    """A figure as WebP, a tenth of the bytes of its PNG.

    Args:
        figure: of matplotlib.   name: unique on the page.   alt: text in its place.
        caption, model, verdict, mark: as of `ReportFigure`.
    """
    pixels = 96 * ENLARGED
    with style():
        drawn = io.BytesIO()
        figure.savefig(drawn, format="webp", dpi=DOTS * pixels, pil_kwargs=WEB_QUALITY)
    width, height = (round(pixels * inches) for inches in figure.get_size_inches())
    return ReportFigure(name, "webp", drawn.getvalue(), alt, caption, model, (width, height), verdict, mark)


def comparison_figures(found: Sequence[Setting]) -> list[ReportFigure]:
    """Medians and intervals of every entry, one figure for each split; medians against the radius of the starts."""
    out = []
    kinds = itertools.product(dict.fromkeys(setting.metric for setting in found), SPLIT_NAMES.items())
    for metric, (split, name) in kinds:
        every = [c for setting in found if setting.metric == metric for c in setting.comparisons]
        here = [c for c in every if c.split == split]
        rows = [row for comparison in here for row in _rows(comparison)]
        if rows:
            sizes = sorted({v.size for comparison in here for v in comparison.values.values()})
            seeds = sizes[0] if len(sizes) == 1 else None
            covered = [value for comparison in here for value in comparison.coverages.values()]
            figure = plots.interval_chart(rows, level=min(covered), seeds=seeds, metric=metric, note=f"Test: {name}")
            between = f" with {coverage_words(covered)} intervals" if any(covered) else ""
            alt = f"Median {metric.title}{between} of each model, {name}. Lowest medians: "
            alt += "; ".join(f"{c.setting.title}, {c.over}: {_lowest(c)}" for c in here) + "."
            own = "" if metric is PRIMARY else f"_{metric.title.replace(' ', '_')}"
            out.append(report_figure(figure, f"comparison_{split}{own}", alt))
    panels = radius_panels(found)
    if panels:
        alt = f"Median {PRIMARY.title} of each model against the radius of the starts: {_farthest(panels)}"
        out.append(report_figure(plots.error_by_radius(panels), "comparison_radius", alt))
    return out


def _farthest(panels: Sequence[RadiusPanel]) -> str:
    """Lowest median at the largest radius of each panel, in words."""
    told = []
    for panel in panels:
        ends = {name: (radii[-1], float(np.median(errors[-1]))) for name, (radii, errors) in panel.curves.items()}
        first = min(ends, key=lambda name: ends[name][1])
        where = ", ".join(panel.title.splitlines())
        told.append(f"{where}: lowest at radius {ends[first][0]:g} {spoken(first)} {PRIMARY.page(ends[first][1])}")
    return "; ".join(told) + "."


def _lowest(comparison: Comparison) -> str:
    first = comparison.order()[0]
    return f"{spoken(first)} {comparison.setting.metric.page(comparison.intervals[first].estimate)}"


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
    views, problems = stored_views(setting)
    pictures: list[ReportFigure] = []
    if not views:
        return pictures, problems
    shown = joined(spoken(view.model) for view in views)
    for one in figures_side_by_side(views[0]):
        alt = f"{one.alt[:1].upper()}{one.alt[1:]}: {shown}; {setting.task}, {setting.protocol}"
        try:
            pictures.append(report_figure(one.draw(*views), f"{setting.task}_{one.name}", alt))
        except PROBLEMS as error:
            problems.append(f"The figure “{one.name}” could not be drawn: {error}")
    return pictures, problems


def stored_views(setting: Setting) -> tuple[list[RunView], list[str]]:
    """The runs of a setting that store predictions, at most `PANELS`, and one line for each that is left out."""
    views, problems = [], []
    for entry in setting.entries:
        view, who = RunView(entry.run, label=entry.label, stored_only=True), f"{entry.label} (run {entry.run.id})"
        try:
            if {"test_true", "test_pred"} <= set(view.arrays):
                _check(view)
                views.append(view)
            else:
                problems.append(f"{who} stores no predictions, so it is not drawn")
        except PROBLEMS as error:
            problems.append(f"{who} cannot be drawn: {error}")
    if len(views) > PANELS:
        left = ", ".join(view.model for view in views[PANELS:])
        problems.append(f"Drawn are the first {PANELS} models; left out: {left}")
    return views[:PANELS], problems


def _check(view: RunView) -> None:
    pred, true = view.arrays["test_pred"], view.arrays["test_true"]
    if pred.ndim != 4 or true.ndim != 3 or pred.shape[1:] != true.shape:
        raise ValueError(
            f"expected predictions (R, N, T+1, D) for truth (N, T+1, D), got {pred.shape} for {true.shape}"
        )


def run_figures(run: Run, label: str = "", *, web: bool = False) -> tuple[list[ReportFigure], list[str]]:
    """A run's own figures, those that mean something for it.

    Args:
        run: a finished run.   label: its entry's.
        web: drawn for a page, in place of those that lie in its figures folder.
    """
    pictures, problems = [], []
    view = RunView(run, stored_only=True, narrow=web)
    for one in on_page(together=False):
        name, stored = f"run_{run.id}_{one.name}", None if web else stored_figure(run, one.name)
        alt = f"{run.config.get('model')} on {run.config.get('task')}, run {run.id}: {one.alt}"
        try:
            if stored is not None:
                pictures.append(ReportFigure(name, *stored, alt))
            elif not one.unless(view) and web:
                pictures.append(web_figure(one.draw(view), name, alt, model=label))
            elif not one.unless(view):
                pictures.append(report_figure(one.draw(view), name, alt))
        except PROBLEMS as error:
            problems.append(f"Run {run.id}: the figure “{one.name}” could not be drawn: {error}")
    return pictures, problems


def stored_figure(run: Run, name: str) -> tuple[str, bytes] | None:
    """Suffix and content of a figure that lies with the run; None where none does that is one."""
    for suffix, limit in (("svg", SVG_BYTES), ("png", FILE_BYTES)):
        with contextlib.suppress(OSError):
            data = read_member(run.path, f"figures/{name}.{suffix}", limit)
            if is_image(data, suffix):
                return suffix, data
    return None
