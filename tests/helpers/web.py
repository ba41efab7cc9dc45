"""A server of a runs folder in a thread, and requests to it as they stand, whatever their headers."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ddl_dyn.results.serve.server import RunsServer


@dataclass(frozen=True)
class Answer:
    """Status, headers (lower case) and content of an answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True)
class Client:
    """Requests to a server: below its token, or of any path."""

    server: RunsServer
    runs: Path

    def get(self, place: str = "", **headers: str) -> Answer:
        """Answer to a path below the token."""
        return self.ask("GET", f"/{self.server.token}/{place}", headers)

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, *, times: int = 1) -> Answer:
        """Any request; the header Host is sent `times` times, by default with the server's own name."""
        at = urlsplit(self.server.address)
        given = {"Host": f"{at.hostname}:{at.port}", **(headers or {})}
        host = given.pop("Host")
        connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=60)
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for _ in range(times):
                connection.putheader("Host", host)
            for name, value in given.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())


@contextlib.contextmanager
def serving(runs: Path, host: str = "127.0.0.1") -> Iterator[Client]:
    """A server in a thread of this process, on a free port, until the block ends."""
    server = RunsServer(runs, host, 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield Client(server, runs)
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()
