"""Reports of finished runs: one self-contained HTML page, or Markdown with its figures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ddl_dyn.runs import Run

__all__ = ["write_page", "write_report"]

PAGE, SUPPLEMENT = "index.html", "report.md"


def write_page(folder: Path, run_paths: Sequence[Path], *, jobs: int = 1) -> Path:
    """The page of a comparison, `index.html` in its own run directory.

    Args:
        folder: the comparison's run directory.   run_paths: directories of its runs.
        jobs: processes that draw; more than one need a main module that can be imported, as the command line's can.
    Returns:
        the page's path.
    """
    from ddl_dyn.results.report.build import build_report
    from ddl_dyn.results.report.html import render_page
    from ddl_dyn.runs.atomic_files import write_text

    target = Path(folder) / PAGE
    write_text(
        target,
        render_page(build_report([Run(Path(path)) for path in run_paths], Run(Path(folder)), jobs=jobs, page=True)),
    )
    return target


def write_report(runs: Sequence[Run], out: Path, *, markdown: bool = False, jobs: int = 1) -> Path:
    """A report of any finished runs; comparisons among them stand for their runs.

    Args:
        runs: in the order in which they shall appear.
        out: the file to write, or a folder (an existing one, or any path without a suffix) to write it into.
        markdown: Markdown with figures in a folder beside it, instead of one HTML page.
        jobs: as for `write_page`.
    Returns:
        the path of what was written.
    Raises:
        ValueError: when there are no runs.
    """
    from ddl_dyn.results.comparison.groups import kind
    from ddl_dyn.results.report.build import build_report, expand
    from ddl_dyn.results.report.html import render_page
    from ddl_dyn.results.report.markdown import write_markdown
    from ddl_dyn.runs.atomic_files import write_text

    members = expand(runs)
    if not members:
        raise ValueError("a report needs at least one run, got none; `ddl-dyn list` shows what there is")
    target = Path(out)
    if target.is_dir() or not target.suffix:
        target = target / (SUPPLEMENT if markdown else PAGE)
    target.parent.mkdir(parents=True, exist_ok=True)
    comparisons = [run for run in runs if kind(run) == "compare"]
    content = build_report(
        members, comparisons[0] if len(runs) == 1 and comparisons else None, jobs=jobs, page=not markdown
    )
    if markdown:
        write_markdown(content, target)
    else:
        write_text(target, render_page(content))
    return target
