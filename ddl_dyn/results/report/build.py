"""A report put together from runs: which sections there are and what stands in them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from ddl_dyn.results.comparison.groups import Contest, Setting, complete, contests, kind, settings, spoken
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.result import at

from . import dynamics, figures, gates, headline, provenance, significance
from . import tables as scores
from .document import Report, Section, counted, joined, without_constant

# Shown folded under each setting, for every run of it.
FOLDED = ("gates", "eigenvalues", "training")


def expand(runs: Sequence[Run]) -> list[Run]:
    """The runs with every comparison replaced by those of its runs that lie beside it, each run once."""
    found: dict[Path, Run] = {}
    for run in runs:
        names = run.members if kind(run) == "compare" else []
        for member in [Run(run.path.parent / name) for name in names] if names else [run]:
            if kind(member) != "compare" and (member.path / "run.json").is_file():
                found.setdefault(member.path, member)
    return list(found.values())


def build(runs: Sequence[Run], comparison: Run | None = None, *, jobs: int = 1) -> Report:
    """The report of some runs.

    Args:
        runs: single runs; those without a result are listed under failures.
        comparison: whose runs they are, for its note, tags and the failures it noted.
        jobs: processes that draw, each started anew; drawing is what a report's time goes to.
    """
    found = settings(runs)
    grouped = [group for setting in found if (group := contests(setting))]
    sections = [
        _asked(found, comparison),
        _result(found, grouped),
        Section("table", "Every number", tables=tuple(_tables(found, grouped))),
        Section("tasks", "Task by task", parts=_panels(found, jobs)),
        _gates(found),
        _theory(found),
        Section("cost", "Cost", tables=(scores.cost_table(found),) if found else ()),
        _failures(runs, found, comparison),
        _origin(runs),
    ]
    tasks = list(dict.fromkeys(setting.task for setting in found))
    models = list(dict.fromkeys(c.model for setting in found for c in setting.contestants))
    title = f"{joined(map(spoken, models))} on {joined(tasks)}" if found else "No finished run"
    subtitle = f"{counted(len(complete(runs)), 'finished run')} of {len(runs)}" + (
        f", comparison {comparison.id}" if comparison else ""
    )
    shown = [section if section.id == "asked" else _slim(section) for section in sections if not section.empty]
    return Report(title, subtitle, tuple(shown))


def _slim(section: Section) -> Section:
    """Without the protocol in every row where there is one protocol; it would crowd out the numbers."""
    return replace(section, tables=tuple(without_constant(table, "protocol") for table in section.tables))


def _asked(found: Sequence[Setting], comparison: Run | None) -> Section:
    if not found:
        return Section("asked", "What was asked")
    tasks = list(dict.fromkeys(setting.task for setting in found))
    models = list(dict.fromkeys(c.model for setting in found for c in setting.contestants))
    seeds = sorted({int(c.run.config.get("seeds", 1)) for setting in found for c in setting.contestants})
    counts = " or ".join(map(str, seeds)) + (" seed" if seeds == [1] else " seeds")
    verb = "does" if len(models) == 1 else "do"
    text = (
        f"How well {verb} {joined(map(spoken, models))} learn {joined(tasks)} as discrete dynamical systems? Each "
        f"model was trained from {counts} on the same trajectories, then left to run freely from initial states "
        f"it had not seen."
    )
    try:
        entry = comparison.entry if comparison else {}
    except RunError:
        entry = {}
    runs = [contestant.run for setting in found for contestant in setting.contestants]
    notes = dict.fromkeys(str(source.get("note")) for source in [entry, *(r.entry for r in runs)] if source.get("note"))
    tags = dict.fromkeys(
        str(tag) for source in [entry, *(r.entry for r in runs)] for tag in source.get("tags") or [] if tag
    )
    points = [f"Note: {note}" for note in notes] + ([f"Tags: {', '.join(tags)}"] if tags else [])
    points += provenance.data_notes(found)
    return Section("asked", "What was asked", (text,), tuple(points), (provenance.asked_table(found),))


def _result(found: Sequence[Setting], grouped: Sequence[Sequence[Contest]]) -> Section:
    text = headline.headline(grouped)
    parts = [
        Section(f"found-{i}", group[0].setting.title, points=tuple(headline.verdict(contest) for contest in group))
        for i, group in enumerate(grouped)
    ]
    warnings = headline.caveats(found, grouped)
    if warnings:
        parts.append(Section("caveats", "Read with care", points=tuple(warnings)))
    return Section(
        "result",
        "What came out",
        text=tuple(text),
        parts=tuple(parts),
        pictures=tuple(figures.comparison_pictures(grouped)),
    )


def _tables(found: Sequence[Setting], grouped: Sequence[Sequence[Contest]]) -> Iterator[provenance.Table]:
    if grouped:
        yield scores.comparison_table(grouped)
    for table in (scores.motion_table(found), significance.paired_table(grouped)):
        if table is not None:
            yield table


def _panels(found: Sequence[Setting], jobs: int) -> tuple[Section, ...]:
    jobs = min(jobs, len(found))
    if jobs < 2:
        return tuple(map(_panel, found, range(len(found))))
    # Started anew, not forked: the process that asks may hold threads.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return tuple(pool.map(_panel, found, range(len(found))))


def _panel(setting: Setting, number: int) -> Section:
    pictures, problems = figures.panel(setting)
    folded, more = [], []
    for contestant in setting.contestants:
        own, trouble = figures.run_pictures(contestant.run, FOLDED)
        folded += own
        more += trouble
    details = (
        (
            Section(
                f"more-{number}", "Gates, layer spectra and training of each run", tuple(more), pictures=tuple(folded)
            ),
        )
        if folded or more
        else ()
    )
    table = dynamics.analysis_table(setting)
    tables = () if table is None else (table,)
    return Section(
        f"task-{number}", setting.title, tuple(problems), tables=tables, pictures=tuple(pictures), details=details
    )


def _gates(found: Sequence[Setting]) -> Section:
    tables = (gates.gate_table(found), gates.law_table(found))
    return Section("gates", "What the gates do", tables=tuple(table for table in tables if table is not None))


def _theory(found: Sequence[Setting]) -> Section:
    table = gates.theory_table(found)
    return Section("theory", "Theory against result", tables=(table,) if table else ())


def _failures(runs: Sequence[Run], found: Sequence[Setting], comparison: Run | None) -> Section:
    try:
        reported = at(comparison.result, "failed") if comparison else None
    except RunError:
        reported = None
    sentences, tables = provenance.failures(runs, found, [str(line) for line in reported or []])
    kinds = gates.verdict_table(found)
    return Section("failures", "Failures", tuple(sentences), tables=(*tables, *((kinds,) if kinds else ())))


def _origin(runs: Sequence[Run]) -> Section:
    sentences, tables, details = provenance.provenance(runs)
    return Section("origin", "Where each number comes from", tuple(sentences), tables=tables, details=details)
