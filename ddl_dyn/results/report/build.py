"""A report put together from runs: which sections there are and what stands in them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from ddl_dyn.config.formats import counted, joined
from ddl_dyn.plots.style import model_style
from ddl_dyn.results.comparison.groups import Setting, complete, group_runs, kind, spoken
from ddl_dyn.results.comparison.verdicts import Contrast, contrasts
from ddl_dyn.results.report import answers, dynamics, figures, gates, headline, panels, provenance, significance, tables
from ddl_dyn.results.report.document import (
    OverviewRow,
    Report,
    ReportFigure,
    ReportSection,
    ReportTable,
    without_constant,
)
from ddl_dyn.results.report.plane import phase_plane
from ddl_dyn.results.report.space import orbit_space
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.result import at

# Names in the page's question; more are counted.
_MOST_NAMED = 5


def expand(runs: Sequence[Run]) -> list[Run]:
    """The runs with every comparison replaced by those of its runs that lie beside it, each run once."""
    found: dict[Path, Run] = {}
    for run in runs:
        names = run.members if kind(run) == "compare" else []
        for member in [Run(run.path.parent / name) for name in names] if names else [run]:
            if kind(member) != "compare" and (member.path / "run.json").is_file():
                found.setdefault(member.path, member)
    return list(found.values())


def build_report(runs: Sequence[Run], whole: Run | None = None, *, jobs: int = 1, page: bool = False) -> Report:
    """The report of some runs.

    Args:
        runs: single runs; those without a result are listed under failures.
        whole: the comparison whose runs they are, for its note, tags and the failures it noted.
        jobs: processes that draw, each started anew; drawing is what a report's time goes to.
        page: for a page, whose figures show one model each; else those of a document, with all models side by side.
    """
    found = group_runs(runs)
    judged = contrasts(found)
    names = _names(found)
    tasks = _panels(found, judged, names, jobs, page)
    sections = [
        ReportSection("glance", "At a glance", overview=tuple(row for _, row in tasks if row)),
        *(section for section, _ in tasks),
        _result(found, judged, page),
        _asked(found, whole),
        ReportSection("numbers", "Every number", tables=tuple(_tables(found, judged))),
        _gates(found),
        _theory(found),
        ReportSection("cost", "Cost", tables=(tables.cost_table(found),) if found else ()),
        _failures(runs, found, whole),
        _origin(runs),
    ]
    labels = dict.fromkeys(c.label for setting in found for c in setting.entries)
    told = (answers.answer(setting, judged, f"task-{i}", names[i]) for i, setting in enumerate(found))
    title = f"{joined(map(spoken, _models(found)))} on {joined(_tasks(found))}" if found else "No finished run"
    subtitle = f"{counted(len(complete(runs)), 'finished run')} of {len(runs)}" + (
        f", comparison {whole.id}" if whole else ""
    )
    return Report(
        title,
        subtitle,
        tuple(section if section.id == "asked" else _slim(section) for section in sections if not section.empty),
        _question(found),
        _method(found),
        tuple(one for one in told if one),
        tuple((label, spoken(label), model_style(label).colour) for label in labels),
    )


def _tasks(found: Sequence[Setting]) -> list[str]:
    return list(dict.fromkeys(setting.task for setting in found))


def _models(found: Sequence[Setting]) -> list[str]:
    return list(dict.fromkeys(c.model for setting in found for c in setting.entries))


def _names(found: Sequence[Setting]) -> list[str]:
    """Names of the settings: the task, with its protocol where the task has several."""
    tasks = [setting.task for setting in found]
    return [setting.task if tasks.count(setting.task) == 1 else setting.title for setting in found]


def _slim(section: ReportSection, *, said: bool = True) -> ReportSection:
    """Without task and protocol in every row where there is one of them; they would crowd out the numbers."""
    every = section.tables
    for title in ("protocol", "task"):
        every = tuple(without_constant(table, title, said=said) for table in every)
    return replace(section, tables=every)


def _question(found: Sequence[Setting]) -> str:
    """The comparison as a question, in which more than five tasks or models are counted."""
    if not found:
        return ""
    models, tasks = [spoken(model) for model in _models(found)], _tasks(found)
    who = joined(models) if len(models) <= _MOST_NAMED else counted(len(models), "model")
    what = joined(tasks) if len(tasks) <= _MOST_NAMED else counted(len(tasks), "task")
    return f"How well {'does' if len(models) == 1 else 'do'} {who} learn {what}?"


def _method(found: Sequence[Setting]) -> str:
    if not found:
        return ""
    return f"Each model was trained from {_trained_on(found)}, then ran freely from initial states it had not seen."


def _asked(found: Sequence[Setting], whole: Run | None) -> ReportSection:
    if not found:
        return ReportSection("asked", "Settings")
    try:
        told = whole.entry if whole else {}
    except RunError:
        told = {}
    runs = [entry.run for setting in found for entry in setting.entries]
    notes = dict.fromkeys(str(source.get("note")) for source in [told, *(r.entry for r in runs)] if source.get("note"))
    tags = dict.fromkeys(
        str(tag) for source in [told, *(r.entry for r in runs)] for tag in source.get("tags") or [] if tag
    )
    points = [f"Note: {note}" for note in notes] + ([f"Tags: {', '.join(tags)}"] if tags else [])
    points += provenance.data_notes(found)
    return ReportSection("asked", "Settings", points=tuple(points), tables=(provenance.asked_table(found),))


def _trained_on(found: Sequence[Setting]) -> str:
    """Seeds and data sets of the runs in words."""
    tasks: dict[tuple[int, int], dict[str, None]] = {}
    for setting in found:
        for entry in setting.entries:
            config = entry.run.config
            key = int(at(config, "seeds") or 1), int(at(config, "data.seeds") or 1)
            tasks.setdefault(key, {})[setting.task] = None
    clauses = []
    for (seeds, sets), named in tasks.items():
        each = f"{sets} data sets ({counted(seeds // sets, 'seed')} each)" if sets > 1 else "one data set"
        clauses.append(f"{counted(seeds, 'seed')} on {each}" + (f" of {joined(named)}" if len(tasks) > 1 else ""))
    shared = ", which the models of a setting share" if any(len(setting.entries) > 1 for setting in found) else ""
    return joined(clauses) + shared


def _result(found: Sequence[Setting], judged: Sequence[Contrast], page: bool) -> ReportSection:
    findings = tuple(
        ReportSection(
            f"found-{i}", setting.title, points=tuple(headline.finding(c, judged) for c in setting.comparisons)
        )
        for i, setting in enumerate(found)
        if setting.comparisons
    )
    parts = []
    ranks = significance.rankings(found)
    if ranks:
        points = tuple(significance.rank_sentence(where, *ranking) for where, ranking in ranks.items())
        pictures = tuple(figures.ranking_figure(i, where, *ranks[where]) for i, where in enumerate(ranks))
        parts.append(ReportSection("ranks", "Ranks over tasks", points=points, pictures=pictures))
    warnings = headline.caveats(found)
    if warnings:
        parts.append(ReportSection("caveats", "Read with care", points=tuple(warnings)))
    return ReportSection(
        "result",
        "Verdicts in full",
        text=tuple(headline.headline(found, judged)),
        parts=tuple(parts),
        details=findings,
        pictures=() if page else tuple(figures.comparison_figures(found)),
    )


def _tables(found: Sequence[Setting], judged: Sequence[Contrast]) -> Iterator[ReportTable]:
    shown = [setting for setting in found if setting.comparisons]
    for table in (tables.starts_table(shown), tables.motion_table(found), significance.paired_table(judged)):
        if table is not None:
            yield table


def _panels(
    found: Sequence[Setting], judged: Sequence[Contrast], names: Sequence[str], jobs: int, page: bool
) -> list[tuple[ReportSection, OverviewRow | None]]:
    """The section of every task, and on a page its row of the overview."""
    count = len(found)
    each = [[c for c in judged if c.comparison.setting is setting] for setting in found]
    arguments = (found, each, range(count), names, [page] * count)
    jobs = min(jobs, count)
    if jobs < 2:
        return list(map(_panel, *arguments))
    # Started anew, not forked: the process that asks may hold threads.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(_panel, *arguments))


def _panel(
    setting: Setting, judged: Sequence[Contrast], number: int, name: str, page: bool
) -> tuple[ReportSection, OverviewRow | None]:
    target = f"task-{number}"
    own: dict[str, list[ReportFigure]] = {}
    troubles: list[str] = []
    for entry in setting.entries:
        pictures, trouble = figures.run_figures(entry.run, entry.label, web=page)
        own[entry.label] = pictures
        troubles += trouble
    comparison = (tables.comparison_table([setting], judged),) if setting.comparisons else ()
    analysed = dynamics.analysis_table(setting)
    base = ReportSection(
        target, name, (f"Protocol: {setting.protocol}.",), tables=(*comparison, *((analysed,) if analysed else ()))
    )
    base = _slim(base, said=False)
    if not page:
        drawn, problems = figures.panel(setting)
        every = tuple(picture for pictures in own.values() for picture in pictures)
        more = ReportSection(f"{target}-runs", "Figures of each run", tuple(troubles), pictures=every)
        base = replace(base, text=(*base.text, *problems), pictures=tuple(drawn))
        return replace(base, details=() if more.empty else (more,)), None
    views, problems = figures.stored_views(setting)
    others, more_problems = panels.other_figures(views)
    details = [
        ReportSection(f"{target}-more-{i}", title, pictures=tuple(found)) for i, (title, found) in enumerate(others)
    ]
    gates_shown = []
    for i, (label, pictures) in enumerate(own.items()):
        rest = [picture for picture in pictures if not picture.name.endswith("_gates")]
        gates_shown += [picture for picture in pictures if picture.name.endswith("_gates")]
        details.append(ReportSection(f"{target}-run-{i}", f"Figures of {spoken(label)}", pictures=tuple(rest)))
    section = replace(
        base,
        text=(*base.text, *problems, *more_problems, *troubles),
        panels=panels.task_panels(views, target),
        charts=panels.task_charts(views, target),
        pictures=tuple(gates_shown),
        plane=phase_plane(setting, f"{target}-plane"),
        space=orbit_space(setting, f"{target}-space"),
        details=tuple(one for one in details if not one.empty),
    )
    return section, panels.overview_row(setting, views, judged, target, name)


def _gates(found: Sequence[Setting]) -> ReportSection:
    both = (gates.gate_table(found), gates.law_table(found))
    return ReportSection("gates", "What the gates do", tables=tuple(table for table in both if table is not None))


def _theory(found: Sequence[Setting]) -> ReportSection:
    table = gates.theory_table(found)
    return ReportSection("theory", "Theory against result", tables=(table,) if table else ())


def _failures(runs: Sequence[Run], found: Sequence[Setting], whole: Run | None) -> ReportSection:
    try:
        reported = at(whole.result, "failed") if whole else None
    except RunError:
        reported = None
    sentences, lost = provenance.failures(runs, found, [str(line) for line in reported or []])
    kinds = gates.verdict_table(found)
    return ReportSection("failures", "Failures", tuple(sentences), tables=(*lost, *((kinds,) if kinds else ())))


def _origin(runs: Sequence[Run]) -> ReportSection:
    sentences, origins, details = provenance.provenance(runs)
    return ReportSection("origin", "Where each number comes from", tuple(sentences), tables=origins, details=details)
