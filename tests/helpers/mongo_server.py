"""A MongoDB-compatible server of its own process, speaking the wire protocol, for tests to use and to kill."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(sys.executable).with_name("secantusd-py")


class Server:
    """One server on the loopback; its data outlive its process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.process = folder, None  # type: tuple[Path, subprocess.Popen[bytes] | None]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/lab"

    def start(self) -> None:
        from pymongo import MongoClient

        log = open(self.folder / "server.log", "ab")  # noqa: SIM115
        with log:
            place = ["--host", "127.0.0.1", "--port", str(self.port), "--storage-path", str(self.folder / "data")]
            # The working directory holds no configuration file of the server's that it could pick up.
            self.process = subprocess.Popen(
                [PROGRAM, *place, "--standalone"], cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        with MongoClient(self.url, serverSelectionTimeoutMS=60_000) as client:
            client.admin.command("ping")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=10)
            self.kill()

    @contextlib.contextmanager
    def database(self) -> Iterator[Any]:
        from pymongo import MongoClient

        with MongoClient(self.url, serverSelectionTimeoutMS=10_000) as client:
            yield client["lab"]


def serve(folder: Path) -> Iterator[Server]:
    """A started server, stopped in the end; what a fixture yields from."""
    pytest.importorskip("pymongo", reason="pymongo is not installed")
    if not shutil.which(PROGRAM):
        pytest.skip("no MongoDB-compatible server is installed (pip install -e '.[dev]')")
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def wait_until(condition: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
