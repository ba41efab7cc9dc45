"""Following a run into MongoDB while it goes on: an observer that never harms the run it observes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ddl_dyn.experiments.tracking.mongo import OUTPUT, POINTS, Address, connect, first_clause, send
from ddl_dyn.runs import Run


class MongoMirror:
    """Sacred observer that keeps a run's copy in step with its files; Sacred calls its methods by keyword.

    Args:
        address: of the database.
        directory: gives the run's folder; called only after the run store, which stands before this observer, made it.
        say: told in words when the database fails, and whether it has caught up in the end.
    """

    # Below the run store's: what is sent has been written.
    priority = 10

    def __init__(self, address: Address, directory: Callable[[], Path], say: Callable[[str], None]) -> None:
        self._address, self._directory, self._say = address, directory, say
        self._client: Any = None
        # None while the database lacks something.
        self._observer: Any = None
        self._points = 0
        self._warned = False
        # Heartbeats come from a thread of Sacred's, the end from the main one.
        self._lock = threading.RLock()

    def queued_event(self, **_: object) -> None:
        """Nothing: there is no queue."""

    def started_event(self, **_: object) -> None:
        """Make the run's document, or take up that of an earlier attempt."""
        self._attempt(self._send)

    def heartbeat_event(self, *, captured_out: str, beat_time: object, result: object, **_: object) -> None:
        """Renew the document, or try to catch up after an outage.

        Args:
            captured_out: everything printed so far; its end is sent.
            beat_time, result: as Sacred hands them on.
        """
        with self._lock:
            observer = self._observer
            if observer is None:
                self._attempt(self._send)
                return
            info = observer.run_entry["info"]
            self._attempt(lambda: observer.heartbeat_event(info, captured_out[-OUTPUT:], beat_time, result))

    def log_metrics(self, *, metrics_by_name: Mapping[str, Any], **_: Any) -> None:
        """Append to the metrics; during an outage nothing, as the files hold them all."""
        with self._lock:
            observer = self._observer
            self._points += max((len(series["steps"]) for series in metrics_by_name.values()), default=0)
            if observer is not None and self._points <= POINTS:
                self._attempt(lambda: observer.log_metrics(metrics_by_name, observer.run_entry["info"]))

    def completed_event(self, **_: object) -> None:
        """Send the whole run."""
        self._finish()

    def interrupted_event(self, **_: object) -> None:
        """Send what there is."""
        self._finish()

    def failed_event(self, **_: object) -> None:
        """Send what there is."""
        self._finish()

    def resource_event(self, **_: object) -> None:
        """Nothing: at the end every file of the run's folder is sent."""

    def artifact_event(self, **_: object) -> None:
        """Nothing: at the end every file of the run's folder is sent."""

    def join(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()

    def _send(self, *, files: bool = False) -> None:
        if self._client is None:
            self._client = connect(self._address)
        self._observer = send(Run(self._directory()), self._client, self._address, files=files)

    def _finish(self) -> None:
        with self._lock:
            self._attempt(lambda: self._send(files=True))
            if not self._warned:
                return
            run, place = self._directory(), self._address.shown
            if self._observer is None:
                again = f"ddl-dyn --runs {run.parent} send {run.name} --to {place}"
                self._say(f"warning: run {run.name} is whole in {run}, but not in {place}; send it later: `{again}`")
            else:
                self._say(f"{place} answers again and has the whole of run {run.name}")

    def _attempt(self, action: Callable[[], None]) -> None:
        with self._lock:
            try:
                action()
            except Exception as error:
                self._observer = None
                if not self._warned:
                    self._warned = True
                    self._say(
                        f"warning: {self._address.shown} does not take the run ({first_clause(error)}); the run goes "
                        "on, and what the database lacks will be sent from its files"
                    )
