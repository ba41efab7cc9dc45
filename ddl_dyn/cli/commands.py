"""The plain commands beside Sacred's: they read the store, draw, and catalogue."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from ddl_dyn.cli.serve import serve
from ddl_dyn.config.terminal import say


def _list(options: argparse.Namespace) -> int:
    from ddl_dyn.cli.filters import FILTERS, filters_of
    from ddl_dyn.runs.index import list_runs, print_list

    where = Path(options.runs)
    given = {name: getattr(options, name) for name in FILTERS if getattr(options, name)}
    lines = list_runs(where, filters=filters_of(given), sort=options.sort, reverse=options.reverse)
    if options.json:
        for line in lines:
            say(json.dumps(line, ensure_ascii=False))
    else:
        print_list(lines, where)
    return 0


def _show(options: argparse.Namespace) -> int:
    from ddl_dyn.cli.show import show
    from ddl_dyn.runs import find_run

    run = find_run(options.run, options.runs)
    show(run)
    if options.output:
        say("\n".join(run.output.splitlines()))
    return 0


def _watch(options: argparse.Namespace) -> int:
    from ddl_dyn.cli.watch import watch

    return watch(Path(options.runs), options.run, once=options.once, interval=options.interval)


# Cells of a bar of progress.
_BAR = 24


def _portrait(options: argparse.Namespace) -> int:
    from ddl_dyn.results.figures.catalogue import LIST, available_figures, draw_figures
    from ddl_dyn.runs import find_run

    run = find_run(options.run, options.runs)
    names = [name for name in options.what.split(",") if name] if options.what else None
    if names == [LIST]:
        for name, shows, why_not in available_figures(run):
            say(f"{name:13} {'–  ' + why_not if why_not else shows}")
        return 0
    folder = Path(options.out) if options.out else None
    draw_figures(run, names, folder, on_figure=_tell_figure, on_path=_say_path)
    _tell("")
    return 0


def _tell(text: str) -> None:
    """Write over the line of progress, where there is a terminal to show it."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _tell_figure(done: int, count: int, name: str) -> None:
    filled = round(_BAR * done / count)
    _tell(f"{'█' * filled}{'░' * (_BAR - filled)} {done} of {count}: {name} …")


def _say_path(path: Path) -> None:
    _tell("")
    say(path)
    sys.stdout.flush()


def _analyse(options: argparse.Namespace) -> int:
    from ddl_dyn.config.files import inner_folder
    from ddl_dyn.experiments.setup import restore_setup
    from ddl_dyn.results.figures.catalogue import write_analysis
    from ddl_dyn.results.inspection.sections import analyse, rows
    from ddl_dyn.results.inspection.table import print_analysis
    from ddl_dyn.runs import find_run
    from ddl_dyn.runs.run import FIGURES_FOLDER

    run = find_run(options.run, options.runs)
    folder = Path(options.out) if options.out else run.path
    # What cannot be written is said before the minutes that an analysis may take.
    inner_folder(folder, FIGURES_FOLDER)
    setup = restore_setup(run)

    found = analyse(run, steps=options.steps, on_section=lambda name: _tell(f"{name.replace('_', ' ')} …"), setup=setup)
    _tell("")
    print_analysis(found, rows(found))
    for path in write_analysis(found, setup, folder):
        say(path)
    return 0


def _convert(options: argparse.Namespace) -> int:
    from ddl_dyn.results.opened import open_run

    run = open_run(options.run, options.runs, trust=options.trust)
    for path in run.export(options.to, options.out or run.path / "step", seed=options.seed):
        say(path)
    return 0


def _diff(options: argparse.Namespace) -> int:
    from ddl_dyn.cli.summary import difference, print_difference
    from ddl_dyn.runs import find_run

    first, second = find_run(options.run, options.runs), find_run(options.other, options.runs)
    print_difference(first, second, difference(first, second))
    return 0


def _resume(options: argparse.Namespace) -> int:
    from ddl_dyn.cli.summary import print_run
    from ddl_dyn.experiments.rerun import resume
    from ddl_dyn.results.comparison.records import conclude
    from ddl_dyn.runs import COMPLETED

    done = resume(options.run, Path(options.runs), conclude, store=options.store)
    if done.kind == "run":
        print_run(done.path.parent, done.id)
    return 0 if done.status == COMPLETED else 1


def _replay(options: argparse.Namespace) -> int:
    from ddl_dyn.experiments.rerun import replay

    return replay(options.run, Path(options.runs), options.tolerance)


def _missing(options: argparse.Namespace) -> int:
    from ddl_dyn.cli.missing import print_missing

    return print_missing(options.sweep, Path(options.runs))


def _tag(options: argparse.Namespace) -> int:
    from ddl_dyn.runs.annotate import change_tags

    say(", ".join(change_tags(options.run, options.runs, options.tags)) or "no tags")
    return 0


def _note(options: argparse.Namespace) -> int:
    from ddl_dyn.runs.annotate import set_note

    set_note(options.run, options.runs, options.text)
    return 0


def _export(options: argparse.Namespace) -> int:
    from ddl_dyn.runs.atomic_files import write_text
    from ddl_dyn.runs.export import export, export_parquet

    columns = [name for name in options.columns.split(",") if name] if options.columns else None
    if options.format == "parquet":
        if not options.out:
            raise ValueError("a table in parquet is no text for a terminal; say where to with --out FILE")
        export_parquet(options.runs, Path(options.out), columns)
    elif options.out:
        write_text(Path(options.out), export(options.runs, options.format, columns))
    else:
        say(export(options.runs, options.format, columns), end="")
    return 0


def _send(options: argparse.Namespace) -> int:
    from ddl_dyn.experiments.tracking.mongo import send_runs
    from ddl_dyn.runs import COMPLETED, DEAD, FAILED, INTERRUPTED, find_run, scan

    if options.which:
        chosen = [find_run(name, options.runs) for name in options.which]
    else:
        chosen = [run for run in scan(options.runs) if run.status in (COMPLETED, DEAD, FAILED, INTERRUPTED)]
    sent = send_runs(chosen, options.to, say)
    say(f"{sent} sent" if sent else f"no runs in {options.runs} that have ended; nothing was sent")
    return 0


def _report(options: argparse.Namespace) -> int:
    from ddl_dyn.cli.filters import parse_query
    from ddl_dyn.engine.threads import cores
    from ddl_dyn.results.report import write_report
    from ddl_dyn.runs import find_run
    from ddl_dyn.runs.index import list_runs

    if options.which and options.query:
        raise ValueError("give either runs or --query, not both")
    if options.which:
        chosen = [find_run(name, options.runs) for name in options.which]
    else:
        lines = list_runs(Path(options.runs), filters=parse_query(options.query or ""))
        chosen = [find_run(line["id"], options.runs) for line in lines]
        if not chosen and options.query:
            raise ValueError(f"no run in {options.runs} fits --query {options.query!r}; `ddl-dyn list` shows them")
    say(write_report(chosen, Path(options.out), markdown=options.markdown, jobs=cores()))
    return 0


def _tasks(options: argparse.Namespace) -> int:
    from ddl_dyn.cli.catalogue import draw_system, draw_task, print_systems, print_tasks

    if options.gallery:
        if options.name or options.out or options.dysts:
            raise ValueError("--gallery writes every task's portrait; drop NAME, --dysts and --out")
        from ddl_dyn.cli.gallery import write_gallery

        for path in write_gallery(Path(options.gallery)):
            say(path)
        return 0
    if options.dysts:
        print_systems(options.name)
        return _draw(options, draw_system, "")
    print_tasks(options.name)
    return _draw(options, draw_task, "no portrait: a parameter is required")


def _models(options: argparse.Namespace) -> int:
    from ddl_dyn.cli.catalogue import draw_model, print_models

    print_models(options.name)
    return _draw(options, draw_model, "no figure of its start: it is solved, not trained")


def _completion(options: argparse.Namespace) -> int:
    from ddl_dyn.cli.completion import print_completion

    return print_completion(options.shell, options.answer, options.parser)


def _draw(options: argparse.Namespace, draw: Callable[[str, Path], Path | None], none: str) -> int:
    """The figure beside one entry of a catalogue; its path is the last line printed."""
    if options.name is None:
        if options.out:
            raise ValueError("--out is for the figure of one entry; name it")
        return 0
    # The text is there to be read while the figure is drawn.
    sys.stdout.flush()
    print(draw(options.name, Path(options.out or "out")) or none)
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": _list,
    "show": _show,
    "watch": _watch,
    "serve": serve,
    "portrait": _portrait,
    "analyse": _analyse,
    "convert": _convert,
    "diff": _diff,
    "resume": _resume,
    "replay": _replay,
    "missing": _missing,
    "tag": _tag,
    "note": _note,
    "export": _export,
    "report": _report,
    "send": _send,
    "tasks": _tasks,
    "models": _models,
    "completion": _completion,
}
