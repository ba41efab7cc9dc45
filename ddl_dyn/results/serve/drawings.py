"""Reports of selections and figures of single runs, drawn in a process of their own into a temporary folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

from ddl_dyn.config.formats import shortened
from ddl_dyn.config.terminal import clean
from ddl_dyn.results.report import write_report
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.atomic_files import write_text

DrawingKind = Literal["report", "figures"]
WAITING, BUILDING, READY, LOST = "waiting", "building", "ready", "failed"
# A training on the same machine goes first.
_NICE = 10


class DrawingShelf:
    """Reports and figures by the runs they are of, one drawn at a time; what nobody asks for any more is not begun.

    They lie in a temporary folder, the user's alone, until `close`.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ddl-dyn-serve-")
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._current = ""
        self._asked: dict[str, list[Path]] = {}

    def ask(self, runs: Sequence[Run], *, kind: DrawingKind = "report") -> str:
        """Key of the report of some runs, or of the figures of one, as they are now."""
        key = f"{kind}-{_key(runs)}"
        with self._lock:
            self._asked[key] = [run.path for run in runs]
        return key

    def state(self, key: str) -> tuple[str, str]:
        """State of a drawing that was asked for, and why it failed; drawing begins when no other is being drawn.

        Raises:
            RunError: when nobody has asked for it.
        """
        with self._lock:
            if key not in self._asked:
                raise RunError("no such drawing; select runs in the list and ask for their report")
            target = self._path(key)
            if self._process is not None and not self._process.is_alive():
                self._end()
            if target.exists():
                return READY, ""
            reason = target.with_suffix(".txt")
            if reason.exists():
                return LOST, reason.read_text(encoding="utf-8")
            if self._process is None:
                self._begin(key, self._asked[key], target)
            return (BUILDING if self._current == key else WAITING), ""

    def content(self, key: str) -> bytes:
        """A report's page, or the figures of a run as JSON: name, text and address (data:) of each.

        Raises:
            RunError: when there is none.
        """
        if self.state(key)[0] != READY:
            raise RunError("this is not drawn yet; select its runs in the list and ask for their report")
        return self._path(key).read_bytes()

    def close(self) -> None:
        """End what is being drawn and remove the folder."""
        with self._lock:
            if self._process is not None:
                self._process.terminate()
                self._process.join()
                self._process = None
        self._folder.cleanup()

    def _path(self, key: str) -> Path:
        return Path(self._folder.name) / f"{key}{'.html' if key.startswith('report') else '.json'}"

    def _begin(self, key: str, paths: list[Path], target: Path) -> None:
        # Started anew, not forked: the server has threads.
        context = multiprocessing.get_context("spawn")
        self._process, self._current = context.Process(target=_draw, args=(paths, target), daemon=True), key
        self._process.start()

    def _end(self) -> None:
        assert self._process is not None
        self._process.join()
        target = self._path(self._current)
        if not target.exists() and not target.with_suffix(".txt").exists():
            target.with_suffix(".txt").write_text(f"its process ended with code {self._process.exitcode}")
        self._process, self._current = None, ""


def _key(runs: Sequence[Run]) -> str:
    """Digest of the runs, their statuses and the moments at which their results were written."""
    found = hashlib.sha256()
    for run in runs:
        written = 0
        with contextlib.suppress(OSError):
            written = os.stat(run.path / "result.json").st_mtime_ns
        found.update(f"{run.path} {run.status} {written}\n".encode())
    return found.hexdigest()[:24]


def _draw(paths: Sequence[Path], target: Path) -> None:
    """Write a report or, as JSON, one run's figures, or the reason why there are none; in a process of its own."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICE)
    try:
        runs = [Run(path) for path in paths]
        if target.suffix == ".html":
            write_report(runs, target)
        else:
            write_text(target, json.dumps(_figures(runs[0])))
    except Exception as error:
        reason = clean(shortened(f"{error}" or type(error).__name__, 500))
        target.with_suffix(".txt").write_text(reason, encoding="utf-8")


def _figures(run: Run) -> list[dict[str, object]]:
    """Figures of a finished run from its stored arrays, without those of its training, which its page has as charts."""
    from ddl_dyn.results.figures.registry import figures_side_by_side, known_figures, on_page
    from ddl_dyn.results.figures.run_view import RunView
    from ddl_dyn.results.report.figures import PROBLEMS, web_figure
    from ddl_dyn.results.report.html import data_uri, size

    view = RunView(run, stored_only=True, narrow=True)
    alone = [one for one in on_page(together=False) if one.name != "training" and not one.unless(view)]
    # On the page while it trained, and not gone when it has ended.
    forming = known_figures("stored")["forming"]
    found: list[dict[str, object]] = []
    for one in [*figures_side_by_side(view), *alone, *([] if forming.unless(view) else [forming])]:
        try:
            drawn = web_figure(one.draw(view), one.name, one.alt)
        except PROBLEMS as error:
            found.append({"shows": f"{one.shows}: it could not be drawn: {error}", "address": ""})
            continue
        width, height = size(drawn) or (0, 0)
        found.append({"shows": one.shows, "alt": one.alt, "address": data_uri(drawn), "width": width, "height": height})
    return found
