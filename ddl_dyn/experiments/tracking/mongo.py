"""A copy of runs in MongoDB, written by Sacred's own observer beside the run store.

The files stay the truth. While a run goes on the copy follows it; whatever an outage keeps from the database is sent
again from the files once it answers, at the latest when the run ends, or by `ddl-dyn send`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from ddl_dyn import runs
from ddl_dyn.config.files import open_member
from ddl_dyn.experiments.tracking.sacred import MongoObserver, force_bson_encodeable, medians
from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.checkpoint import LIMIT as CHECKPOINT_LIMIT
from ddl_dyn.runs.checkpoint import TRAINING
from ddl_dyn.runs.reading import read_text
from ddl_dyn.runs.result import SPLIT_NAMES, at, primary_of, scores

FORM = "mongodb://[user:password@]host[:port]/database, user and password percent-encoded"
DATABASE = "sacred"
# pymongo alone would wait 30 s for a database that does not answer, once per operation.
TIMEOUTS = {"serverSelectionTimeoutMS": 2000, "connectTimeoutMS": 2000, "socketTimeoutMS": 5000}
# A document holds 16 MB: three lists of so many numbers, and so many characters of output, fit with room to spare.
POINTS, OUTPUT = 100_000, 1_000_000
# Fields of a run's end, which an attempt that continues it must not keep.
ENDINGS = ("stop_time", "fail_trace", "result")


@dataclass(frozen=True, kw_only=True)
class Address:
    """Address of a database.

    Args:
        url: with credentials; never printed or stored.
        database: the database's name.
        shown: hosts and database alone.
    """

    url: str = field(repr=False)
    database: str
    shown: str


def parse_address(text: str) -> Address:
    """The address in a URL. Nothing is connected to yet; no message repeats the URL, which may hold a password.

    Raises:
        ValueError: when it is no address of a database, or pymongo is missing.
    """
    scheme, separator, _ = text.partition("://")
    if not separator or scheme not in ("mongodb", "mongodb+srv"):
        raise ValueError(f"a database is given as {FORM}; for a folder of runs use --runs DIR")
    try:
        from pymongo.errors import PyMongoError
        from pymongo.uri_parser import parse_uri
    except ImportError as error:
        raise ValueError("a database needs pymongo, which is not installed: pip install 'ddl-dyn[mongo]'") from error
    try:
        parts = urlsplit(text)
        if scheme == "mongodb":
            parse_uri(text)
    except (PyMongoError, ValueError):
        # Their messages quote the URL.
        raise ValueError(f"the database's address cannot be read; expected {FORM}") from None
    name = parts.path.strip("/") or DATABASE
    hosts = parts.netloc.rpartition("@")[2]
    if not hosts or not re.fullmatch(r"[^/\\. \"$*<>:|?]{1,63}", name):
        raise ValueError(f"the database's address names no host or no valid database; expected {FORM}")
    return Address(url=text, database=name, shown=f"{scheme}://{hosts}/{name}")


def connect(address: Address) -> Any:
    """A client that gives up after seconds; what the URL itself says of timeouts stands."""
    from pymongo import MongoClient

    given = urlsplit(address.url).query.lower()
    options: dict[str, Any] = {name: ms for name, ms in TIMEOUTS.items() if f"{name.lower()}=" not in given}
    return MongoClient(address.url, **options)


class _Observer(MongoObserver):
    """Sacred's observer, with writes that fail at once: Sacred's own drop them silently or wait for half a minute."""

    def save(self) -> None:
        self.runs.update_one({"_id": self.run_entry["_id"]}, {"$set": self.run_entry})

    def final_save(self, attempts: int) -> None:  # noqa: ARG002
        self.runs.update_one({"_id": self.run_entry["_id"]}, {"$set": self.run_entry}, upsert=True)


def run_identity(entry: Mapping[str, object]) -> str:
    """Identity of a run wherever its folder lies: from its first process and moment."""
    attempts = entry.get("attempts")
    if not isinstance(attempts, list) or not attempts or not isinstance(attempts[0], Mapping):
        raise RunError("the run has not been started yet, so there is nothing to send")
    first = [entry.get("id"), attempts[0].get("start_time"), attempts[0].get("process")]
    return hashlib.sha256(json.dumps(first, sort_keys=True).encode()).hexdigest()[:32]


def send(run: Run, client: object, address: Address, *, files: bool = True) -> Any:
    """Bring a run's copy up to what its files hold now; sent twice, it is there once.

    Args:
        run: as stored.
        client: of pymongo.
        files: also every file of the run's folder, into GridFS.
    Returns:
        Sacred's observer, ready to go on.
    Raises:
        PyMongoError: when the database does not take it.
        RunError: when the run cannot be read.
    """
    entry, status = run.entry, run.status
    uid = run_identity(entry)
    observer = _Observer(client=client, db_name=address.database)
    known = observer.runs.find_one({"meta.uid": uid}, {"_id": 1})
    if known is not None:
        observer.runs.update_one({"_id": known["_id"]}, {"$unset": dict.fromkeys(ENDINGS, "")})
        observer.metrics.delete_many({"run_id": known["_id"]})
        observer.overwrite = known
    observer.started_event(
        ex_info={"name": _name(run), "base_dir": "", "sources": [], "dependencies": []},
        command=run.kind,
        host_info=_plain(entry.get("host") or {}),
        start_time=_moment(entry.get("start_time")),
        config=_plain(run.config),
        meta_info={"uid": uid, "run": run.id, "folder": str(run.path.resolve()), "comment": entry.get("comment")},
        _id=None,
    )
    info = _info(entry)
    observer.log_metrics(_series(run), info)
    observer.heartbeat_event(info, run.output[-OUTPUT:], _moment(entry.get("heartbeat")), _summary(run))
    if files:
        _send_files(run, observer)
    _close(run, status, observer)
    return observer


def _name(run: Run) -> str:
    """Of the experiment, by which viewers list runs: the user's own, or what is done."""
    entry, kind = run.entry, run.kind
    # Sacred calls an experiment by its command where nobody named it.
    if entry.get("name") not in (None, "", kind):
        return str(entry["name"])
    return f"{entry.get('model')} on {entry.get('task')}" if kind == "run" else kind


def _close(run: Run, status: str, observer: Any) -> None:
    stop = _moment(run.entry.get("stop_time") or run.entry.get("heartbeat"))
    if status == runs.COMPLETED:
        observer.completed_event(stop, _summary(run))
    elif status == runs.FAILED:
        trace = read_text(run.path / "traceback.txt") or str(run.entry.get("error"))
        observer.failed_event(stop, trace.splitlines(keepends=True))
    elif status != runs.RUNNING:
        observer.interrupted_event(stop, status)


def _summary(run: Run) -> dict[str, Any]:
    """Medians over replicas, by split and horizon; of a comparison how many of its runs there are and failed."""
    if run.kind != "run":
        return {"runs": len(run.members), "failed": len(at(run.result, "failed") or ())}
    places = [
        (split, horizon, primary_of(run).found_at(split=split, horizon=horizon))
        for split in SPLIT_NAMES
        for horizon in PRIMARY.horizons
    ]
    found = {path.replace(".", " ").replace("_", " "): scores(run, split, horizon) for split, horizon, path in places}
    return {name: float(np.median(values)) for name, values in found.items() if values is not None}


def _info(entry: Mapping[str, object]) -> dict[str, Any]:
    names = ("tags", "note", "task", "model", "seeds", "members", "device", "data_hash", "git", "versions", "error")
    return {name: _plain(entry[name]) for name in names if entry.get(name) not in (None, "", [], {})}


def _plain(value: object) -> Any:
    """The value with keys that every version of MongoDB takes: `.` and a leading `$` replaced, as Sacred does."""
    return force_bson_encodeable(value) if isinstance(value, dict) else value


def _moment(stamp: object) -> datetime:
    try:
        return datetime.fromisoformat(str(stamp)).astimezone(UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def _series(run: Run) -> dict[str, dict[str, list[Any]]]:
    """Medians of the stored records in Sacred's form, thinned evenly where a document could not hold them."""
    records = run.metrics
    start = _moment(run.entry.get("start_time"))
    out: dict[str, dict[str, list[object]]] = {}
    for record in records[:: max(1, math.ceil(len(records) / POINTS))]:
        try:
            found = medians(SimpleNamespace(**record))
            moment = start + timedelta(seconds=float(record["seconds"]))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            continue
        for name, value in found.items():
            series = out.setdefault(name, {"steps": [], "values": [], "timestamps": []})
            for key, item in (("steps", record["update"]), ("values", value), ("timestamps", moment)):
                series[key].append(item)
    return out


def _send_files(run: Run, observer: Any) -> None:
    prefix = f"artifact://{observer.runs.name}/{observer.run_entry['_id']}/"
    stored = {file.filename: file for file in observer.fs.find({"filename": {"$regex": f"^{re.escape(prefix)}"}})}
    for path in sorted(run.path.rglob("*")):
        name = path.relative_to(run.path).as_posix()
        if not path.is_file() or path.is_symlink() or path.name.startswith(".") or name in TRAINING:
            continue
        with open_member(run.path, name, CHECKPOINT_LIMIT) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        old = stored.pop(prefix + name, None)
        if old is not None and (old.metadata or {}).get("sha256") == digest:
            observer.run_entry["artifacts"].append({"name": name, "file_id": old._id})
            continue
        if old is not None:
            observer.fs.delete(old._id)
        # A content type given spares the user a line about it for every file.
        observer.artifact_event(name, str(path), {"sha256": digest}, _content_type(path))
    for old in stored.values():
        observer.fs.delete(old._id)


def _content_type(path: Path) -> str:
    import mimetypes

    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def first_clause(error: Exception) -> str:
    """The first clause of an error of the database's driver, which appends its whole view of the servers."""
    text = " ".join(str(error).split()).partition(", Timeout:")[0].partition(" (configured timeouts")[0]
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def send_runs(chosen: list[Run], text: str, say: Callable[[str], None]) -> int:
    """Send finished runs, and with a comparison its runs, to a database.

    Args:
        chosen: of any status but RUNNING.
        text: the database's URL.
        say: told of each run that is there.
    Returns:
        how many were sent.
    Raises:
        ValueError: when the database does not take them; those said before are there.
        RunError: when a run is running or cannot be read.
    """
    address = parse_address(text)
    from pymongo.errors import PyMongoError

    every: dict[Path, Run] = {}
    for run in chosen:
        beside = [Run(run.path.parent / name) for name in run.members]
        for one in [*(member for member in beside if (member.path / "run.json").is_file()), run]:
            if one.status in (runs.RUNNING, runs.QUEUED, runs.UNREADABLE):
                raise RunError(f"run {one.id} is {one.status}; only a run that has ended can be sent")
            every.setdefault(one.path, one)
    try:
        client = connect(address)
        with client:
            for run in every.values():
                observer = send(run, client, address)
                say(f"run {run.id} is {address.shown} run {observer.run_entry['_id']}")
    except PyMongoError as error:
        raise ValueError(f"{address.shown} does not take the runs: {first_clause(error)}") from error
    return len(every)
