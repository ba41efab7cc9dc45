"""Figures of a finished run: which it can have, and drawn to files.

Axes: R replicas, N trajectories, T steps, D observed state.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ddl_dyn import plots
from ddl_dyn.config.files import inner_folder
from ddl_dyn.engine.threads import one_torch_thread
from ddl_dyn.experiments.unsuitable import Unsuitable
from ddl_dyn.plots.style import Drawing
from ddl_dyn.results.figures.registry import RunFigure, figures_side_by_side, known_figures, on_page
from ddl_dyn.results.figures.run_view import ANALYSIS_FILE, RunView
from ddl_dyn.runs import COMPLETED, Run, RunError, read_json
from ddl_dyn.runs.atomic_files import write_json
from ddl_dyn.runs.run import FIGURES_FOLDER

if TYPE_CHECKING:
    from ddl_dyn.experiments.setup import Setup

ALL, LIST = "all", "list"
# Written beside a run by `ddl-dyn portrait RUN --what list`.
LIST_FILE = "figures.json"


def draw_figures(
    run: Run,
    what: Sequence[str] | None,
    folder: Path | None = None,
    *,
    on_figure: Callable[[int, int, str], None] | None = None,
    on_path: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Write figures of a finished run; the paths written.

    Args:
        run: a completed run.
        what: names of figures, or `all`; None draws those that are drawn by default, from stored arrays.
        folder: where to; None takes the run's own.
        on_figure: told before each how many are done, of how many, and its name.
        on_path: told each path as soon as it is written.
    Raises:
        ValueError: for an unknown name, an unfinished run, or a figure asked for by name that means nothing here.
        FileError: when the run's own folder of figures is a link or no folder.
    """
    chosen = list(_chosen(what))
    check_drawable(run)
    folder = inner_folder(run.path, FIGURES_FOLDER) if folder is None else folder
    view = RunView(run, stored_only=what is None)
    paths: list[Path] = []
    for done, one in enumerate(chosen):
        if on_figure is not None:
            on_figure(done, len(chosen), one.name)
        written, reason = _drawn(view, one, folder)
        if reason and what is not None and list(what) != [ALL]:
            raise _refusal(view, one, reason)
        if on_path is not None:
            for path in written:
                on_path(path)
        paths += written
    return paths


def _drawn(view: RunView, one: RunFigure, folder: Path) -> tuple[Sequence[Path], str]:
    """Paths of a figure, or why there is none."""
    # What is drawn from stored arrays alone brings no torch along.
    with nullcontext() if view.stored_only else one_torch_thread():
        try:
            reason = one.unless(view)
            return ((), reason) if reason else (plots.save(one.draw(view), folder / one.name), "")
        except Unsuitable as late:
            return (), str(late)


def figure_of(run: Run, name: str | None, *, given: Setup | None = None) -> Drawing:
    """One figure of a finished run.

    Args:
        run: a completed run.
        name: of the figure; None takes the first that a report shows of it, the phase portrait for most.
        given: the run's setup, to spare making it again.
    Raises:
        ValueError: for an unknown name, an unfinished run, or a figure that means nothing here.
    """
    check_drawable(run)
    view = RunView(run, given=given)
    if name is None:
        suited = [*figures_side_by_side(view), *(one for one in on_page(together=False) if not one.unless(view))]
        if not suited:
            raise ValueError(f"run {run.id} ({view.title}) has no figure of stored arrays")
        return suited[0].draw(view)
    (one,) = _named([name])
    reason = one.unless(view)
    if reason:
        raise _refusal(view, one, reason)
    return one.draw(view)


def _refusal(view: RunView, one: RunFigure, reason: str) -> ValueError:
    return ValueError(f"run {view.run.id} ({view.title}) has no {one.name}: {reason}")


def available_figures(run: Run) -> Iterator[tuple[str, str, str]]:
    """(name, what it shows, why not) of every figure; the last is empty where the run has it."""
    check_drawable(run)
    known = _listed(run)
    if known is not None:
        yield from known
        return
    view, found = RunView(run), []
    for one in known_figures().values():
        found.append((one.name, one.shows, one.unless(view)))
        yield found[-1]
    # Where a run may not be written to, the list is made again.
    with suppress(OSError):
        write_json(run.path / LIST_FILE, {"code": _code(), "figures": found})


def _listed(run: Run) -> list[tuple[str, str, str]] | None:
    """The list that this code has written beside a run: making it takes the trained map, and seconds."""
    path = run.path / LIST_FILE
    try:
        stored = read_json(path) if path.is_file() else {}
        found = [(str(name), str(shows), str(why)) for name, shows, why in stored.get("figures", [])]
    except (RunError, TypeError, ValueError):
        return None
    return found if stored.get("code") == _code() and found else None


def _code() -> str:
    """Digest of the files that say which figures there are."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _chosen(what: Sequence[str] | None) -> Iterator[RunFigure]:
    if what is None:
        yield from (one for one in known_figures("stored").values() if one.by_default)
        return
    if list(what) == [ALL]:
        yield from known_figures().values()
        return
    yield from _named(what)


def _named(what: Sequence[str]) -> Iterator[RunFigure]:
    figures = known_figures("stored")
    if not set(what) <= set(figures):
        figures = known_figures()
    for name in what:
        if name not in figures:
            near = difflib.get_close_matches(name, figures, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"unknown figure {name!r}{hint}; there are {', '.join(figures)}, {ALL} and {LIST}")
    yield from (one for name, one in figures.items() if name in what)


def check_drawable(run: Run) -> None:
    """Check that a run is a single one that holds arrays.

    Raises:
        ValueError: when it is not, saying what to do.
    """
    if run.kind != "run":
        raise ValueError(f"run {run.id} is a comparison; draw one of its runs: {', '.join(run.members)}")
    if not run.arrays:
        reason = f"it is {run.status}" if run.status != COMPLETED else "it holds no arrays"
        raise ValueError(f"run {run.id} cannot be drawn: {reason}; only a completed run has figures")


def write_analysis(found: Mapping[str, object], setup: Setup, folder: Path) -> list[Path]:
    """Write an analysis and the figures that show its numbers; the paths written.

    Args:
        found: from `analyse`.   setup: of the run.   folder: of the run, or another.
    Raises:
        FileError: when its folder of figures is a link or no folder; nothing is written.
    """
    figures = inner_folder(folder, FIGURES_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ANALYSIS_FILE, dict(found))
    view = RunView(setup.run, given=setup, analysed=found)
    paths = [folder / ANALYSIS_FILE]
    for name, section in (("survival", "survival"), ("error", "spectrum"), ("latent", "latent")):
        if section in found:
            paths += plots.save(known_figures("stored")[name].draw(view), figures / name)
    return paths
