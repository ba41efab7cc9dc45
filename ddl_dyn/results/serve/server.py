"""Serving a runs folder until it is interrupted."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

import uvicorn

from ddl_dyn.config.terminal import say
from ddl_dyn.results.serve.catalogue import RunsCatalogue
from ddl_dyn.results.serve.drawings import DrawingShelf
from ddl_dyn.results.serve.guard import host_names
from ddl_dyn.results.serve.site import RunsSite, site_application
from ddl_dyn.runs.run import ids

# Longest request line and headers: a selection of thousands of runs stands in its address.
_REQUEST_BYTES = 1 << 19
_SHUTDOWN_S = 2


class RunsServer:
    """A server of one runs folder, listening from its making on.

    Args:
        runs: the folder, which need not exist yet.   host: the interface.   port: 0 takes a free one.
    Raises:
        RunError: when `runs` is no folder.
        ValueError: when the port or the interface cannot be had.
    """

    def __init__(self, runs: Path, host: str, port: int) -> None:
        ids(runs)
        self._socket = _listen(host, port)
        self.token = secrets.token_urlsafe(18)
        name, taken = self._socket.getsockname()[:2]
        shown = f"[{name}]" if ":" in name else name
        self.address = f"http://{shown}:{taken}/{self.token}/"
        self._drawings = DrawingShelf()
        site = RunsSite(RunsCatalogue(runs), self._drawings, self.token)
        config = uvicorn.Config(
            site_application(site, host),
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            h11_max_incomplete_event_size=_REQUEST_BYTES,
            http="h11",
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Serve until `stop`, Ctrl-C or SIGTERM."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._drawings.close()
            self._socket.close()

    def stop(self) -> None:
        """End serving, from another thread."""
        self._server.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ValueError(f"--port must be from 0 (any that is free) to 65535, got {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family)
    except OSError as error:
        # Python adds the address once more, in brackets.
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise ValueError(
            f"cannot listen on port {port} of {host}: {reason}; choose another with --port (0 takes a free one), or "
            "the interface with --host"
        ) from error


def serve_runs(runs: Path, *, host: str, port: int) -> None:
    """Print the address of a runs folder's pages and serve them until Ctrl-C.

    Args:
        runs: the folder.   host: the interface.   port: 0 takes a free one.
    Raises:
        RunError, ValueError: as of `RunsServer`.
    """
    server = RunsServer(runs, host, port)
    say(f"{server.address}\nCtrl-C ends; whoever has the address can read the runs")
    if host.strip("[]") not in host_names("localhost"):
        say("the interface is open to other machines, and what goes there is not encrypted")
    server.run()
