"""The run directory's schema, and reading runs back.

    runs/<id>/run.json          status, times, process, machine, device, git state, command line, attempts
              config.json       the resolved configuration
              environment.json  versions of every installed package, digests of the sources
              git.diff          what differs from the commit
              metrics.jsonl     one record per validation, per-replica values; only ever appended to
              cout.txt          what the run printed
              result.json       numbers of the evaluation
              arrays.npz        curves, predictions and everything else that the figures need
              portraits.npz     while it trains with keep_portraits=K: those of the first replica so far
              checkpoint.pt     parameters (`runs.checkpoint`)
              figures/          PNG and SVG

Nothing here executes what it reads: JSON, .npz without pickle, and tensors without code; `reading` bounds how much.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ddl_dyn.config.files import MEGABYTE, open_member
from ddl_dyn.runs.heartbeat import is_dead
from ddl_dyn.runs.reading import ARRAYS_LIMIT, PORTRAITS_LIMIT, RECORDS_LIMIT, RunError, read_json, read_text
from ddl_dyn.runs.stored_result import RunResult

if TYPE_CHECKING:
    from ddl_dyn.metrics.arrays import Arrays

SCHEMA = 1
FIGURES_FOLDER, PORTRAITS_FILE = "figures", "portraits.npz"
QUEUED, RUNNING, COMPLETED, FAILED, INTERRUPTED = "QUEUED", "RUNNING", "COMPLETED", "FAILED", "INTERRUPTED"
# Two that are never stored: a reader infers them.
DEAD, UNREADABLE = "DEAD", "UNREADABLE"
STATUSES = (QUEUED, RUNNING, COMPLETED, FAILED, INTERRUPTED, DEAD, UNREADABLE)
# Keys of a configuration that change nothing in a run.
REMARKS = frozenset({"tags", "note"})
# Kinds that are made of other runs.
GRIDS = ("compare", "sweep")
SHORTEST_PREFIX = 4
# What every reader of a configuration relies on.
_SECTIONS = ("task_args", "model_args", "data", "train", "eval", "budget", "per_task", "per_model")
_SHAPE: dict[str, tuple[type, str]] = {
    **dict.fromkeys(_SECTIONS, (dict, "an object")),
    **dict.fromkeys(("task", "model"), (str, "a text")),
    "seeds": (int, "an integer"),
}
_ENTRY_SHAPE: dict[str, tuple[type, str]] = {
    **dict.fromkeys(("git", "versions", "resolved", "host"), (dict, "an object")),
    **dict.fromkeys(("attempts", "members", "tags"), (list, "a list")),
}
# An id is a folder's name and nothing else: no separator, no leading dot.
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _sort_key(name: str) -> tuple[int, int, str]:
    # isdecimal also holds for digits that int() reads in other scripts; ids are ASCII by the pattern above.
    return (0, int(name), "") if name.isdecimal() else (1, 0, name)


def member_ids(entry: Mapping[str, Any]) -> list[str]:
    """Ids of the runs that a comparison or sweep is made of, from its run.json; empty for a single run."""
    stored = entry.get("members")
    stored = stored if isinstance(stored, list) else []
    # A stored id becomes part of a path, so a folder from elsewhere must not be able to point outside.
    return [item for item in stored if isinstance(item, str) and RUN_ID.fullmatch(item)]


@dataclass(frozen=True)
class Run:
    """One run directory, read lazily.

    Args:
        path: the run's folder.
    """

    path: Path

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    @cached_property
    def entry(self) -> dict[str, Any]:
        """Contents of run.json; errors as of `read_entry`."""
        return read_entry(self.path)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration.

        Raises:
            RunError: when the file is missing or damaged, or holds no configuration.
        """
        path = self.path / "config.json"
        found = read_json(path)
        # A sweep may spread its seeds over a list.
        _check_shape(path, {name: value for name, value in found.items() if not (name == "seeds" and "tasks" in found)})
        return found

    @cached_property
    def result(self) -> RunResult:
        """Numbers of the evaluation; empty before the run completes, a tally where it is made of other runs.

        A run from elsewhere may lack keys: `runs.result.at` reads what may be missing.
        """
        path = self.path / "result.json"
        return cast(RunResult, read_json(path) if path.exists() else {})

    @property
    def kind(self) -> str:
        """`run`, `compare` or `sweep`."""
        return str(self.entry.get("kind", "run"))

    @property
    def status(self) -> str:
        """The stored status, or DEAD for a running one whose process is gone, or UNREADABLE."""
        try:
            return status_of(self.entry)
        except RunError:
            return UNREADABLE

    @cached_property
    def arrays(self) -> Arrays:
        """Every array of arrays.npz by name; empty where there are none. One that is not there raises RunError.

        Raises:
            RunError: when the file is damaged or holds pickled objects.
        """
        return self._read_arrays("arrays.npz", ARRAYS_LIMIT)

    @property
    def portraits(self) -> Arrays:
        """Arrays of portraits.npz, as `arrays`: portraits of the first replica while it trains."""
        return self._read_arrays(PORTRAITS_FILE, PORTRAITS_LIMIT)

    def _read_arrays(self, name: str, limit: int) -> Arrays:
        import numpy as np

        path = self.path / name
        if not path.exists():
            return _Stored(path, {})
        try:
            with open_member(self.path, name, limit) as file, np.lib.npyio.NpzFile(file) as stored:
                assert stored.zip is not None
                if sum(part.file_size for part in stored.zip.infolist()) > limit:
                    raise ValueError(f"its arrays hold more than {limit // MEGABYTE:,} MB")
                return _Stored(path, {name: stored[name] for name in stored.files})
        except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
            raise RunError(f"{path} cannot be read: {error}") from error

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Records of metrics.jsonl in order of their update; a line torn by a killed process is left out.

        A resumed run repeats what it did after its last checkpoint: the later record of an update stands.
        """
        records: dict[int, dict[str, Any]] = {}
        for line in read_text(self.path / "metrics.jsonl", RECORDS_LIMIT).splitlines():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict) and isinstance(record.get("update"), int):
                records[record["update"]] = record
        return [records[update] for update in sorted(records)]

    @property
    def output(self) -> str:
        """Text that the run printed."""
        return read_text(self.path / "cout.txt")

    @property
    def members(self) -> list[str]:
        """Ids of the runs that a comparison is made of; empty for a single run."""
        return member_ids(self.entry)

    def check_config(self) -> None:
        """Refuse a run whose configuration was edited after its start; tags and note may be.

        Raises:
            RunError: when config.json is not what run.json says that the run was started with.
        """
        stored, found = self.entry.get("config_sha256"), config_digest(self.config)
        if stored != found:
            raise RunError(
                f"{self.path / 'config.json'} is not what run {self.id} was started with (SHA-256 {found[:12]}…, then "
                f"{str(stored)[:12]}…); restore it, or start a new run: `ddl-dyn {self.kind} with "
                f"{self.path / 'config.json'}`"
            )


def read_entry(folder: Path) -> dict[str, Any]:
    """Contents of a run's run.json.

    Raises:
        RunError: when the file is missing or damaged, or one of its parts is of another kind than a run's.
    """
    path = folder / "run.json"
    found = read_json(path)
    _check_shape(path, {name: value for name, value in found.items() if value is not None}, _ENTRY_SHAPE)
    return found


def _check_shape(path: Path, found: Mapping[str, object], shape: Mapping[str, tuple[type, str]] = _SHAPE) -> None:
    for name, (kind, expected) in shape.items():
        if name in found and not isinstance(found[name], kind):
            raise RunError(f"{path} is damaged: {name} should be {expected}, got {type(found[name]).__name__}")


class _Stored(dict[str, Any]):
    """Arrays of a run; one that is asked for and not there is a fault of the run's, not of the reader's."""

    def __init__(self, path: Path, arrays: Mapping[str, Any]) -> None:
        super().__init__(arrays)
        self.path = path

    def __missing__(self, name: str) -> Any:
        reason = f"holds no array {name!r}" if self.path.exists() else "is missing"
        raise RunError(f"{self.path} {reason}; the run is incomplete or its folder damaged, start it anew")


def config_digest(config: Mapping[str, object]) -> str:
    """Hexadecimal SHA-256 of a stored configuration, without the remarks about it."""
    record = {key: value for key, value in config.items() if key not in REMARKS}
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def status_of(entry: Mapping[str, object]) -> str:
    """Status of a run from its run.json, DEAD where it says RUNNING and its process is gone."""
    stored = entry.get("status")
    if stored not in (QUEUED, RUNNING, COMPLETED, FAILED, INTERRUPTED):
        return UNREADABLE
    return DEAD if stored == RUNNING and is_dead(entry) else str(stored)


def ids(runs: str | os.PathLike[str] = "runs") -> list[str]:
    """Ids of the runs in a folder, numbers first and in order; empty where there is no folder."""
    try:
        with os.scandir(runs) as entries:
            names = [entry.name for entry in entries if RUN_ID.fullmatch(entry.name) and entry.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{os.fspath(runs)} cannot be listed: {error.strerror}; expected a folder of runs") from error
    return sorted(names, key=_sort_key)


def scan(runs: str | os.PathLike[str] = "runs") -> list[Run]:
    """Every run of a folder in order of id; folders that hold no run.json are passed over."""
    base = os.fspath(runs)
    return [Run(Path(base, name)) for name in ids(base) if os.path.exists(f"{base}/{name}/run.json")]


def find_run(reference: str | os.PathLike[str], runs: str | os.PathLike[str] = "runs") -> Run:
    """One run by its folder, by its id within `runs` or the beginning of that, or `last`.

    Args:
        reference: `last` is the run that was started last, not counting those of a comparison or sweep.
        runs: the runs folder.
    Raises:
        RunError: when there is no such run; the message names the nearest ids.
    Example:
        >>> find_run("last").config["task"]
        'henon'
    """
    text, base = os.fspath(reference), Path(runs)
    if text == "last":
        found = [run for run in scan(base) if run.status != UNREADABLE]
        inside = {name for run in found for name in run.members}
        found = [run for run in found if run.id not in inside]
        if not found:
            raise RunError(f"no runs in {base}; start one with `ddl-dyn run with task=… model=…`")
        return max(found, key=lambda run: str(run.entry.get("start_time") or ""))
    candidates = [base / text] if RUN_ID.fullmatch(text) else []
    for path in [*candidates, Path(text)]:
        if (path / "run.json").is_file():
            return Run(path)
    known = [run.id for run in scan(base)]
    # Ids of a sweep's runs are long; as many letters do as no other run begins with.
    alike = [name for name in known if len(text) >= SHORTEST_PREFIX and name.startswith(text)]
    if len(alike) == 1:
        return Run(base / alike[0])
    listing = ", ".join(known[-8:]) if known else "none yet"
    raise RunError(f"no run {text!r} in {base} (there are: {listing}); `ddl-dyn list` shows them all")
