"""The run store: what Sacred tells an observer, written to a run directory that survives a kill at any moment.

Sacred's own file observer rewrites its files in place and loses the whole history when it is killed while doing so.
This one has the same methods (Sacred calls observers by name) but replaces files whole and only appends to histories.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from ddl_dyn.config.files import inner_folder, open_appending, replacing
from ddl_dyn.runs import heartbeat, provenance
from ddl_dyn.runs.atomic_files import plain, write_json, write_text, write_with
from ddl_dyn.runs.reading import RunError
from ddl_dyn.runs.run import COMPLETED, FAILED, GRIDS, INTERRUPTED, QUEUED, RUNNING, SCHEMA, config_digest, read_entry
from ddl_dyn.runs.writer import BusyError, RunWriter, StoreError

# Freed when the disk is full, so that the last word about the run can still be written.
RESERVE_BYTES = 64 * 1024


def _stamp(moment: datetime) -> str:
    # Sacred's times are UTC without saying so.
    return moment.replace(tzinfo=UTC).isoformat(timespec="milliseconds")


class RunStore(RunWriter):
    """Sacred observer over a run directory; the arguments are those of `RunWriter`.

    Sacred calls its events, with the arguments of `sacred.observers.RunObserver`.
    """

    priority = 20

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._printed = 0

    def queued_event(
        self,
        ex_info: Mapping[str, object],  # noqa: ARG002
        command: str,  # noqa: ARG002
        host_info: Mapping[str, object],  # noqa: ARG002
        queue_time: datetime,
        config: Mapping[str, object],
        meta_info: Mapping[str, object],
        _id: str | None,
    ) -> str:
        """Make the directory of a run that something else will start.

        Args:
            queue_time: stored with the run.   config: the whole configuration.
            meta_info: Sacred's, with comment and command.   _id: the run's id; None chooses the next.
            ex_info, command, host_info: not stored.
        """
        with self.guard():
            self.make(_id)
            self._describe(config, meta_info)
            self.entry |= {"status": QUEUED, "queue_time": _stamp(queue_time), "attempts": []}
            self.save_entry()
        return self.directory.name

    def started_event(
        self,
        ex_info: Mapping[str, object],
        command: str,  # noqa: ARG002
        host_info: Mapping[str, object],
        start_time: datetime,
        config: Mapping[str, object],
        meta_info: Mapping[str, object],
        _id: str | None,
    ) -> str:
        """Make the directory, or take up that of an earlier attempt, and mark the run as running.

        Args:
            ex_info: its name is stored.   host_info: host name, system and processors are stored.
            start_time: of this attempt.   config: the whole configuration.
            meta_info: Sacred's, with comment and command.   _id: the run's id; None chooses the next.
            command: not stored.
        """
        with self.guard():
            self.make(_id)
            earlier = self._earlier()
            process = heartbeat.process_identity()
            attempt = {"start_time": _stamp(start_time), "process": process, "command_line": provenance.command_line()}
            self._describe(config, meta_info)
            attempt |= {"versions": self.entry["versions"], "commit": self.entry["git"].get("commit")}
            self.entry = {
                **earlier,
                **self.entry,
                "name": ex_info.get("name"),
                "status": RUNNING,
                "start_time": earlier.get("start_time", _stamp(start_time)),
                "stop_time": None,
                "heartbeat": _stamp(start_time),
                "process": process,
                "host": {key: host_info.get(key) for key in ("hostname", "os", "cpu", "gpus") if host_info.get(key)},
                "attempts": [*earlier.get("attempts", []), attempt],
            }
            self.entry.pop("error", None)
            self._printed = 0
            with replacing(self.directory / ".reserve") as file:
                file.write(b"\0" * RESERVE_BYTES)
            self.save_entry()
        return self.directory.name

    def heartbeat_event(
        self,
        info: Mapping[str, object],  # noqa: ARG002
        captured_out: str,
        beat_time: datetime,
        result: object,  # noqa: ARG002
    ) -> None:
        """Append what was printed, renew the heartbeat. A full disk is reported by the run's next own write.

        Args:
            captured_out: everything printed so far.   beat_time: stored as the heartbeat.
            info, result: not stored.
        """
        with contextlib.suppress(StoreError), self.guard():
            self._save_output(captured_out)
            self.entry["heartbeat"] = _stamp(beat_time)
            self.save_entry()

    def completed_event(self, stop_time: datetime, result: object) -> None:  # noqa: ARG002
        """Say that the run is complete, or why it is not."""
        self._finish(FAILED if "error" in self.entry else COMPLETED, stop_time)

    def interrupted_event(self, interrupt_time: datetime, status: str) -> None:  # noqa: ARG002
        """Say that the run was interrupted."""
        self._finish(INTERRUPTED, interrupt_time)

    def failed_event(self, fail_time: datetime, fail_trace: list[str]) -> None:
        """Say that the run failed, with the last line of the reason; the whole of it goes to traceback.txt."""
        if self.path is None:
            return
        lines = "".join(fail_trace).strip()
        self.entry["error"] = provenance.strip_credentials(lines.splitlines()[-1]) if lines else "unknown"
        with contextlib.suppress(OSError):
            write_text(self.path / "traceback.txt", provenance.strip_credentials(lines) + "\n")
        self._finish(FAILED, fail_time)

    def artifact_event(
        self,
        name: str,
        filename: str,
        metadata: Mapping[str, object] | None = None,  # noqa: ARG002
        content_type: str | None = None,  # noqa: ARG002
    ) -> None:
        """Copy a file into the run directory and note its SHA-256 digest.

        Args:
            name: path inside the run directory; a slash makes a folder.   filename: the file to copy.
            metadata, content_type: not stored.
        Raises:
            ValueError: when the name leads out of the run directory.
        """
        target = PurePosixPath(name)
        if target.is_absolute() or ".." in target.parts:
            raise ValueError(f"an artifact's name must stay inside the run directory, got {name!r}")
        with self.guard():
            parent = target.parent.as_posix()
            path = (self.directory if parent == "." else inner_folder(self.directory, parent)) / target.name
            if path.resolve() != Path(filename).resolve():
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(filename, "rb") as source:
                    write_with(path, lambda file: shutil.copyfileobj(source, file))
            self.entry.setdefault("artifacts", {})[str(target)] = hashlib.sha256(path.read_bytes()).hexdigest()
            self.save_entry()

    def resource_event(self, filename: str) -> None:
        """Note a file the run has read, with its SHA-256 digest."""
        with self.guard():
            digest = hashlib.sha256(Path(filename).read_bytes()).hexdigest()
            self.entry.setdefault("resources", {})[filename] = digest
            self.save_entry()

    def log_metrics(self, metrics_by_name: Mapping[str, object], info: Mapping[str, object]) -> None:
        """Nothing: Sacred's scalars are medians of what `record` has stored already, for observers elsewhere."""

    def join(self) -> None:
        """Nothing: every write is done when its method returns."""

    def _earlier(self) -> dict[str, Any]:
        """Contents of run.json from earlier attempts; a run that is not to be continued is left as it is."""
        path = self.directory / "run.json"
        # A process killed between making the folder and describing the run leaves a folder without run.json.
        if not self.resume or not path.exists():
            return {}
        try:
            earlier = read_entry(self.directory)
            reason = _not_to_continue(earlier)
        except RunError as error:
            reason = f"cannot be continued: {error}; move its folder away to start it anew"
        if reason is None:
            return earlier
        self.leave()
        name, self.path = self.directory.name, None
        raise BusyError(f"run {name} {reason}")

    def _describe(self, config: Mapping[str, object], meta_info: Mapping[str, object]) -> None:
        state, diff = provenance.git_state()
        write_json(self.directory / "config.json", config)
        write_json(self.directory / "environment.json", provenance.environment())
        if diff:
            write_text(self.directory / "git.diff", diff)
        self.entry |= {
            "schema": SCHEMA,
            "config_sha256": config_digest(plain(config)),
            "id": self.directory.name,
            "comment": meta_info.get("comment"),
            "command_line": provenance.command_line(),
            "git": state,
            "versions": provenance.versions(),
        }

    def _save_output(self, captured: str) -> None:
        if len(captured) > self._printed:
            with open_appending(self.directory / "cout.txt") as file:
                file.write(captured[self._printed :].encode("utf-8", "replace"))
            self._printed = len(captured)

    def _finish(self, status: str, moment: datetime) -> None:
        if self.path is None:
            return
        with self._lock:
            self.entry |= {"status": status, "stop_time": _stamp(moment), "heartbeat": _stamp(moment)}
            if self.entry.get("attempts"):
                self.entry["attempts"][-1] |= {"stop_time": _stamp(moment), "status": status}
            with contextlib.suppress(OSError):
                (self.path / ".reserve").unlink(missing_ok=True)
            try:
                self.save_entry()
            except OSError as error:
                self.failure = self.failure or error
            self.leave()


def _not_to_continue(earlier: Mapping[str, object]) -> str | None:
    status = earlier.get("status")
    # A complete grid has more to do once one of its runs is gone.
    if status == COMPLETED and earlier.get("kind") not in GRIDS:
        return "is complete already"
    process = earlier.get("process")
    elsewhere = not isinstance(process, Mapping) or process.get("machine") != heartbeat.machine()
    # On this machine holding the lock proves that the earlier process is gone or has left the run.
    if status == RUNNING and elsewhere and not heartbeat.is_dead(earlier):
        return "runs on another machine, whose last heartbeat is fresh; wait for it, or stop it first"
    return None
