"""The pages of the server and what their scripts ask for."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from ddl_dyn.config.formats import shortened
from ddl_dyn.config.terminal import clean
from ddl_dyn.results.report.figures import PROBLEMS, stored_figure
from ddl_dyn.results.report.html import TEMPLATES, page_environment, page_policy
from ddl_dyn.results.serve import single_run
from ddl_dyn.results.serve.catalogue import RunsCatalogue
from ddl_dyn.results.serve.drawings import READY, DrawingShelf
from ddl_dyn.results.serve.guard import Application, Guard
from ddl_dyn.results.serve.portraits import forming_portraits
from ddl_dyn.results.serve.selection import selection_data
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.run import GRIDS

_OWN = Path(__file__).with_name("templates")
# The report's stylesheet and chart reader are shared; nothing else in the folders is handed out.
_STATIC = {
    "page.css": (TEMPLATES, "text/css"),
    "charts.js": (TEMPLATES, "text/javascript"),
    "serve.css": (_OWN, "text/css"),
    **dict.fromkeys(("live.js", "list.js", "run.js", "compare.js", "report.js"), (_OWN, "text/javascript")),
}
# A drawing that is opened by itself may do nothing but show.
_FIGURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
_REPORT_POLICY = f"{page_policy()}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_MEDIA = {"png": "image/png", "svg": "image/svg+xml"}


@functools.cache
def _templates() -> Environment:
    return page_environment().overlay(loader=FileSystemLoader([_OWN, TEMPLATES]))


@dataclass(frozen=True)
class RunsSite:
    """Endpoints over a runs folder.

    Args:
        catalogue: of the folder.   drawings: reports and figures.   token: first part of every path.
    """

    catalogue: RunsCatalogue
    drawings: DrawingShelf
    token: str

    def page(self, name: str, **values: Any) -> HTMLResponse:
        """A page from its template.

        Args:
            name: of the template.   values: what it shows, escaped there.
        """
        folder = clean(self.catalogue.base.absolute())
        return HTMLResponse(_templates().get_template(name).render(base=f"/{self.token}", folder=folder, **values))

    def index(self, _: Request) -> Response:
        """The list of the folder, filled by its script."""
        return self.page("index.html")

    def lines(self, request: Request) -> Response:
        """Lines of the list that have changed since a version."""
        text = request.query_params.get("since", "0")
        return JSONResponse(self.catalogue.since(int(text) if text.isdecimal() and len(text) < 16 else 0))

    def run(self, request: Request) -> Response:
        """The page of one run, comparison or sweep."""
        run, line = self._run(request)
        settings = single_run.settings_table(run)
        parts, drawn = self._parts(run, line), self._drawn(*self._drawing(request, run))
        grid = line.get("kind") in GRIDS
        return self.page("run.html", line=line, settings=settings, grid=grid, drawn=drawn, **parts)

    def run_state(self, request: Request) -> Response:
        """The parts of a run's page that change, or nothing where none has since a stamp."""
        run, line = self._run(request)
        drawing = self._drawing(request, run)
        stamp = f"{single_run.page_stamp(run, str(line['status']))}.{drawing[1]}"
        if request.query_params.get("stamp") == stamp:
            return JSONResponse({"stamp": stamp, "line": line})
        parts, drawn = self._parts(run, line), self._drawn(*drawing)
        macros = _templates().get_template("live.html").make_module({"base": f"/{self.token}"})
        told = {
            "charts": str(macros.charts(parts["charts"])),  # type: ignore[attr-defined]
            "scores": str(macros.sentences(parts["scores"])),  # type: ignore[attr-defined]
            "figures": str(macros.figures(parts["figures"], run.id, f"/{self.token}", drawn)),  # type: ignore[attr-defined]
            "forming": str(macros.forming(parts["forming"])),  # type: ignore[attr-defined]
            "output": parts["output"],
            "error": parts["error"],
        }
        return JSONResponse({"stamp": stamp, "line": line, "parts": told})

    def _drawing(self, request: Request, run: Run) -> tuple[str, str, str]:
        """Key, state and fault of a finished run's figures, drawn where its page asks for them (`?figures=draw`)."""
        if not run.path.joinpath("arrays.npz").is_file():
            return "", "none", ""
        if request.query_params.get("figures") != "draw":
            return "", "offered", ""
        key = self.drawings.ask([run], kind="figures")
        return key, *self.drawings.state(key)

    def _drawn(self, key: str, state: str, reason: str) -> dict[str, Any]:
        found = json.loads(self.drawings.content(key)) if state == READY else []
        return {"state": state, "reason": reason, "found": found}

    def _parts(self, run: Run, line: Mapping[str, Any]) -> dict[str, Any]:
        status = str(line["status"])
        single = line.get("kind", "run") not in GRIDS
        return {
            "charts": _attempt(lambda: single_run.training_charts(run), []) if single else [],
            "scores": single_run.score_sentences(run, status) if single else [],
            "figures": single_run.stored_figures(run),
            "forming": _attempt(lambda: forming_portraits(run), None) if single else None,
            "output": single_run.output_end(run),
            "error": _attempt(lambda: clean(shortened(run.entry.get("error") or "", 2000)), "run.json cannot be read"),
        }

    def figure(self, request: Request) -> Response:
        """A figure that lies with a run and is one by its content."""
        run, _ = self._run(request)
        name = request.path_params["name"]
        found = stored_figure(run, name) if name in dict(single_run.stored_figures(run)) else None
        if found is None:
            raise HTTPException(404, "no such figure")
        suffix, data = found
        headers = {"content-security-policy": _FIGURE_POLICY}
        return Response(data, media_type=_MEDIA[suffix], headers=headers)

    def compare(self, request: Request) -> Response:
        """The page that compares a selection, filled by its script."""
        return self.page("compare.html", runs=[run.id for run in self._selected(request)], query=request.url.query)

    def compared(self, request: Request) -> Response:
        """Points and axes of a selection."""
        return JSONResponse(selection_data(self._selected(request)))

    def report(self, request: Request) -> Response:
        """The page that waits for the report of a selection."""
        return self.page("report.html", runs=[run.id for run in self._selected(request)], query=request.url.query)

    def report_state(self, request: Request) -> Response:
        """State of a report: of a selection when it is first asked for, of its key from then on."""
        key = request.query_params.get("key") or self.drawings.ask(self._selected(request))
        state, reason = self.drawings.state(key)
        ready = {"address": f"/{self.token}/reports/{key}"} if state == READY else {}
        return JSONResponse({"key": key, "state": state, "reason": reason, **ready})

    def finished_report(self, request: Request) -> Response:
        """A report that is ready, under its own policy."""
        headers = {"content-security-policy": _REPORT_POLICY}
        return HTMLResponse(self.drawings.content(request.path_params["key"]), headers=headers)

    def static(self, request: Request) -> Response:
        """A style or script of the pages."""
        name = request.path_params["name"]
        if name not in _STATIC:
            raise HTTPException(404, "no such file")
        folder, media = _STATIC[name]
        return Response((folder / name).read_bytes(), media_type=media)

    def home(self, _: Request) -> Response:
        """The list, for an address without its last slash."""
        return RedirectResponse(f"/{self.token}/")

    def _run(self, request: Request) -> tuple[Run, dict[str, Any]]:
        line = self.catalogue.line(request.path_params["run_id"])
        return Run(self.catalogue.base / str(line["id"])), line

    def _selected(self, request: Request) -> list[Run]:
        """Runs of `?run=a,b`."""
        texts = request.query_params.getlist("run")
        return self.catalogue.runs(name for text in texts for name in text.split(",") if name)

    def refused(self, _: Request, error: Exception) -> Response:
        """The page that says what cannot be shown, and why."""
        if isinstance(error, HTTPException):
            status, reason = error.status_code, error.detail
        else:
            status, reason = 404 if isinstance(error, RunError) else 422, str(error) or type(error).__name__
        answer = self.page("refused.html", reason=clean(shortened(reason, 1000)))
        answer.status_code = status
        return answer


def _attempt(read: Callable[[], Any], otherwise: Any) -> Any:
    """A value that is read, or another in its place where a file is damaged."""
    try:
        return read()
    except PROBLEMS:
        return otherwise


def site_application(site: RunsSite, host: str) -> Application:
    """The application that serves a site behind its guard.

    Args:
        site: the endpoints.   host: the interface that is listened on.
    """
    inner = [
        Route("/", site.index),
        Route("/runs.json", site.lines),
        Route("/run/{run_id}", site.run),
        Route("/run/{run_id}/state.json", site.run_state),
        Route("/run/{run_id}/figure/{name}", site.figure),
        Route("/compare", site.compare),
        Route("/compare.json", site.compared),
        Route("/report", site.report),
        Route("/report.json", site.report_state),
        Route("/reports/{key}", site.finished_report),
        Route("/static/{name}", site.static),
    ]
    routes = [Route(f"/{site.token}", site.home), Mount(f"/{site.token}", routes=inner)]
    handlers = dict.fromkeys((HTTPException, *PROBLEMS, OSError), site.refused)
    return Guard(Starlette(routes=routes, exception_handlers=handlers), site.token, host)
