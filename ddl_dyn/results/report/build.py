"""A report put together from runs: which sections there are and what stands in them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from ddl_dyn.config.formats import counted, joined
from ddl_dyn.results.comparison.groups import Setting, complete, group_runs, kind, spoken
from ddl_dyn.results.comparison.verdicts import Contrast, contrasts
from ddl_dyn.results.report import dynamics, figures, gates, headline, provenance, significance, tables
from ddl_dyn.results.report.document import Report, ReportSection, ReportTable, without_constant
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.result import at


def expand(runs: Sequence[Run]) -> list[Run]:
    """The runs with every comparison replaced by those of its runs that lie beside it, each run once."""
    found: dict[Path, Run] = {}
    for run in runs:
        names = run.members if kind(run) == "compare" else []
        for member in [Run(run.path.parent / name) for name in names] if names else [run]:
            if kind(member) != "compare" and (member.path / "run.json").is_file():
                found.setdefault(member.path, member)
    return list(found.values())


def build_report(runs: Sequence[Run], whole: Run | None = None, *, jobs: int = 1) -> Report:
    """The report of some runs.

    Args:
        runs: single runs; those without a result are listed under failures.
        whole: the comparison whose runs they are, for its note, tags and the failures it noted.
        jobs: processes that draw, each started anew; drawing is what a report's time goes to.
    """
    found = group_runs(runs)
    judged = contrasts(found)
    sections = [
        _asked(found, whole),
        _result(found, judged),
        ReportSection("table", "Every number", tables=tuple(_tables(found, judged))),
        ReportSection("tasks", "Task by task", parts=_panels(found, jobs)),
        _gates(found),
        _theory(found),
        ReportSection("cost", "Cost", tables=(tables.cost_table(found),) if found else ()),
        _failures(runs, found, whole),
        _origin(runs),
    ]
    tasks = list(dict.fromkeys(setting.task for setting in found))
    models = list(dict.fromkeys(c.model for setting in found for c in setting.entries))
    title = f"{joined(map(spoken, models))} on {joined(tasks)}" if found else "No finished run"
    subtitle = f"{counted(len(complete(runs)), 'finished run')} of {len(runs)}" + (
        f", comparison {whole.id}" if whole else ""
    )
    shown = [section if section.id == "asked" else _slim(section) for section in sections if not section.empty]
    return Report(title, subtitle, tuple(shown))


def _slim(section: ReportSection) -> ReportSection:
    """Without the protocol in every row where there is one protocol; it would crowd out the numbers."""
    return replace(section, tables=tuple(without_constant(table, "protocol") for table in section.tables))


def _asked(found: Sequence[Setting], whole: Run | None) -> ReportSection:
    if not found:
        return ReportSection("asked", "What was asked")
    tasks = list(dict.fromkeys(setting.task for setting in found))
    models = list(dict.fromkeys(c.model for setting in found for c in setting.entries))
    verb = "does" if len(models) == 1 else "do"
    text = (
        f"How well {verb} {joined(map(spoken, models))} learn {joined(tasks)} as discrete dynamical systems? Each "
        f"model was trained from {_trained_on(found)}, then left to run freely from initial states it had not seen."
    )
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
    return ReportSection("asked", "What was asked", (text,), tuple(points), (provenance.asked_table(found),))


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


def _result(found: Sequence[Setting], judged: Sequence[Contrast]) -> ReportSection:
    parts = [
        ReportSection(
            f"found-{i}", setting.title, points=tuple(headline.finding(c, judged) for c in setting.comparisons)
        )
        for i, setting in enumerate(found)
        if setting.comparisons
    ]
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
        "What came out",
        text=tuple(headline.headline(found, judged)),
        parts=tuple(parts),
        pictures=tuple(figures.comparison_figures(found)),
    )


def _tables(found: Sequence[Setting], judged: Sequence[Contrast]) -> Iterator[ReportTable]:
    shown = [setting for setting in found if setting.comparisons]
    for metric in dict.fromkeys(setting.metric for setting in shown):
        yield tables.comparison_table([setting for setting in shown if setting.metric == metric], judged)
    for table in (tables.starts_table(shown), tables.motion_table(found), significance.paired_table(judged)):
        if table is not None:
            yield table


def _panels(found: Sequence[Setting], jobs: int) -> tuple[ReportSection, ...]:
    jobs = min(jobs, len(found))
    if jobs < 2:
        return tuple(map(_panel, found, range(len(found))))
    # Started anew, not forked: the process that asks may hold threads.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return tuple(pool.map(_panel, found, range(len(found))))


def _panel(setting: Setting, number: int) -> ReportSection:
    pictures, problems = figures.panel(setting)
    folded, more = [], []
    for entry in setting.entries:
        own, trouble = figures.run_figures(entry.run)
        folded += own
        more += trouble
    details = (
        (ReportSection(f"more-{number}", "Figures of each run", tuple(more), pictures=tuple(folded)),)
        if folded or more
        else ()
    )
    table = dynamics.analysis_table(setting)
    shown = (table,) if table else ()
    name, told = f"task-{number}", tuple(problems)
    return ReportSection(name, setting.title, told, tables=shown, pictures=tuple(pictures), details=details)


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
