"""Runs copied to MongoDB: a real server, killed and hung while runs go on; the files stay the truth."""

from __future__ import annotations

import inspect
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ddl_dyn import runs
from ddl_dyn.cli.main import main
from ddl_dyn.experiments import run as running
from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.experiments.tracking import mongo
from ddl_dyn.experiments.tracking.mongo import parse_address, send_runs
from ddl_dyn.experiments.tracking.mongo_observer import MongoMirror
from ddl_dyn.experiments.tracking.sacred import MongoObserver
from ddl_dyn.runs.provenance import strip_credentials
from tests.helpers import fake_runs
from tests.helpers.commands import SMALL_ARGUMENTS, command, config
from tests.helpers.mongo_server import Server, serve

# pymongo alone waits 30 s for a server that is gone, once at least; a run of no length must not come near that.
OUTAGE_SECONDS = 25.0


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the tests leave alone."""
    yield from serve(tmp_path_factory.mktemp("standing"))


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own."""
    yield from serve(tmp_path / "server")


@pytest.fixture(autouse=True)
def _pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "execute", fake_runs.execute)


def at_update(update: int, action: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `action` happen within a run, after the record of an update has been stored."""

    def execute(setup: Setup, callbacks: Callbacks) -> Any:
        def on_epoch(progress: Any) -> None:
            assert callbacks.on_epoch is not None
            callbacks.on_epoch(progress)
            if progress.update == update:
                action()

        return fake_runs.execute(setup, replace(callbacks, on_epoch=on_epoch))

    monkeypatch.setattr(running, "execute", execute)


def launch(base: Path, server: Server, said: list[str], **options: Any) -> Launch:
    return Launch(base=base, options={"--store": server.url, "--beat-interval": "0.05", **options}, say=said.append)


def held(server: Server, stored: runs.Run) -> dict[str, Any]:
    """Contents of the database for a run: its document, metrics by name and files by name."""
    import gridfs

    with server.database() as database:
        documents = list(database.runs.find({"meta.uid": mongo.run_identity(stored.entry)}))
        assert len(documents) == 1
        document = documents[0]
        fs = gridfs.GridFS(database)
        found = {item["name"]: fs.get(item["file_id"]).read() for item in document["artifacts"]}
        metrics = {item["name"]: item for item in database.metrics.find({"run_id": document["_id"]})}
        # Nothing else of the run lies about.
        prefix = f"artifact://runs/{document['_id']}/"
        assert {file.filename for file in fs.find() if file.filename.startswith(prefix)} == {prefix + n for n in found}
    assert {item["id"] for item in document["info"].get("metrics", ())} == {
        str(item["_id"]) for item in metrics.values()
    }
    return {"document": document, "files": found, "metrics": metrics}


def check_whole(server: Server, stored: runs.Run) -> None:
    """The database holds what the files hold."""
    copy = held(server, stored)
    document = copy["document"]
    assert (document["status"], document["config"]) == (stored.status, stored.config)
    assert document["captured_out"] == stored.output
    assert document["stop_time"].isoformat(timespec="milliseconds") == stored.entry["stop_time"][:23]
    updates = [record["update"] for record in stored.metrics]
    for name, series in copy["metrics"].items():
        assert series["steps"] == updates, name
        assert series["values"] == [record[name][0] for record in stored.metrics]
        assert len(series["timestamps"]) == len(updates)
    assert set(copy["metrics"]) == {"loss", "val"}
    on_disk = {path.relative_to(stored.path).as_posix(): path.read_bytes() for path in stored.path.rglob("*.*")}
    assert copy["files"] == {name: data for name, data in on_disk.items() if name not in mongo.TRAINING}


def test_a_run_is_copied_whole_as_sacred_lays_it_out(standing: Server, tmp_path: Path) -> None:
    said: list[str] = []
    assert run(config(tags=["a"], note="n"), launch(tmp_path, standing, said)) == "1"
    assert said == []
    stored = runs.find_run("1", tmp_path)
    check_whole(standing, stored)
    document = held(standing, stored)["document"]
    # The layout that readers of Sacred's databases know.
    assert document["format"] == MongoObserver.VERSION
    assert document["experiment"]["name"] == f"{document['info']['model']} on {document['info']['task']}"
    assert document["info"]["tags"] == ["a"]
    assert document["meta"]["run"] == "1"
    expected = sorted(stored.result["test"]["nrmse_short"])[1]
    assert document["result"]["test nrmse short"] == pytest.approx(expected, rel=1e-15)


def test_a_failed_run_is_copied_as_one(standing: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAIL", "ddl")
    with pytest.raises(FloatingPointError):
        run(config(), launch(tmp_path, standing, []))
    stored = runs.find_run("1", tmp_path)
    check_whole(standing, stored)
    document = held(standing, stored)["document"]
    assert document["status"] == "FAILED"
    assert "the pretence broke down" in "".join(document["fail_trace"])
    # Resumed, it is the same document, and what the failure left in it is gone.
    monkeypatch.delenv("FAKE_FAIL")
    run(config(), Launch(base=tmp_path, run_id="1", options={"--store": standing.url}))
    after = runs.find_run("1", tmp_path)
    check_whole(standing, after)
    again = held(standing, after)["document"]
    assert (again["_id"], again["status"]) == (document["_id"], "COMPLETED")
    assert "fail_trace" not in again


def test_sent_twice_it_is_there_once_and_what_changed_is_renewed(standing: Server, tmp_path: Path) -> None:
    run(config(), Launch(base=tmp_path))
    stored = runs.find_run("1", tmp_path)
    said: list[str] = []
    assert send_runs([stored], standing.url, said.append) == 1
    first = held(standing, stored)
    assert said == [f"run 1 is {standing.url} run {first['document']['_id']}"]
    with standing.database() as database:
        # What a viewer writes beside Sacred's own fields is the user's.
        database.runs.update_one({"_id": first["document"]["_id"]}, {"$set": {"omniboard": {"tags": ["mine"]}}})
    (stored.path / "cout.txt").write_text("more\n", encoding="utf-8")
    (stored.path / "checkpoint.pt").unlink()
    send_runs([stored], standing.url, said.append)
    check_whole(standing, runs.find_run("1", tmp_path))
    second = held(standing, stored)["document"]
    assert second["omniboard"] == {"tags": ["mine"]}
    same = {item["name"]: item["file_id"] for item in first["document"]["artifacts"]}
    kept = {item["name"]: item["file_id"] for item in second["artifacts"]}
    assert {name for name, file in same.items() if kept.get(name) != file} == {"cout.txt", "checkpoint.pt"}


def test_a_server_killed_in_mid_run_loses_nothing(
    mortal: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    base = tmp_path / "runs"
    at_update(20, mortal.kill, monkeypatch)
    begun = time.monotonic()
    run(config(), launch(base, mortal, said))
    assert time.monotonic() - begun < OUTAGE_SECONDS
    stored = runs.find_run("1", base)
    assert stored.status == "COMPLETED"
    assert len(stored.metrics) == 5
    assert len(said) == 2
    assert said[0].startswith(f"warning: {mortal.url} does not take the run (")
    assert said[0].endswith("the run goes on, and what the database lacks will be sent from its files")
    assert said[1].endswith(f"send it later: `ddl-dyn --runs {base} send 1 --to {mortal.url}`")
    mortal.start()
    # Before it is sent, the database knows at most a run that goes on: a killed server may forget its last writes.
    with mortal.database() as database:
        assert {item["status"] for item in database.runs.find()} <= {"RUNNING"}
    assert main(["--runs", str(base), "send", "1", "--to", mortal.url]) == 0
    check_whole(mortal, stored)


@pytest.mark.slow
def test_a_server_that_comes_back_in_mid_run_has_it_all_in_the_end(
    mortal: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def outage() -> None:
        mortal.kill()
        # Longer than a heartbeat and the wait for an answer: the outage is noticed before it ends.
        deadline = time.monotonic() + 30
        while not said:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        mortal.start()

    at_update(20, outage, monkeypatch)
    run(config(), launch(tmp_path / "runs", mortal, said))
    check_whole(mortal, runs.find_run("1", tmp_path / "runs"))
    assert len(said) == 2
    assert said[1] == f"{mortal.url} answers again and has the whole of run 1"


def test_no_server_at_all_delays_a_run_by_seconds_and_harms_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    server = Server(tmp_path)
    begun = time.monotonic()
    pytest.importorskip("pymongo")
    run(config(), launch(tmp_path / "runs", server, said, **{"--beat-interval": "10"}))
    assert time.monotonic() - begun < OUTAGE_SECONDS
    assert runs.find_run("1", tmp_path / "runs").status == "COMPLETED"
    assert [text.partition(":")[0] for text in said] == ["warning", "warning"]


@pytest.mark.slow
def test_a_server_that_hangs_holds_no_run_up_for_long(
    mortal: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    assert mortal.process is not None
    at_update(20, lambda: os.kill(mortal.process.pid, signal.SIGSTOP), monkeypatch)
    begun = time.monotonic()
    run(config(), launch(tmp_path / "runs", mortal, said))
    # Each operation is tried twice and given up after the time of a socket; a heartbeat's and the end's may follow.
    assert time.monotonic() - begun < 4 * mongo.TIMEOUTS["socketTimeoutMS"] / 1000
    assert runs.find_run("1", tmp_path / "runs").status == "COMPLETED"
    os.kill(mortal.process.pid, signal.SIGCONT)
    send_runs([runs.find_run("1", tmp_path / "runs")], mortal.url, said.append)
    check_whole(mortal, runs.find_run("1", tmp_path / "runs"))


@pytest.mark.slow
def test_many_runs_at_once_get_numbers_of_their_own(standing: Server, tmp_path: Path) -> None:
    for seed in range(6):
        run(config(seed=seed), Launch(base=tmp_path))
    stored = runs.scan(tmp_path)
    threads = [threading.Thread(target=send_runs, args=([one], standing.url, lambda _: None)) for one in stored]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [held(standing, one)["document"]["_id"] for one in stored]
    assert len(set(numbers)) == 6
    for one in stored:
        check_whole(standing, one)


def test_a_running_or_unstarted_run_is_not_sent(tmp_path: Path) -> None:
    pytest.importorskip("pymongo")
    run(config(), Launch(base=tmp_path))
    stored = runs.find_run("1", tmp_path)
    path = stored.path / "run.json"
    path.write_text(json.dumps(stored.entry | {"status": "QUEUED"}))
    with pytest.raises(runs.RunError, match="run 1 is QUEUED; only a run that has ended can be sent"):
        send_runs([runs.find_run("1", tmp_path)], "mongodb://127.0.0.1:1/x", print)


def test_keys_that_a_database_cannot_hold_are_renamed_as_sacred_does() -> None:
    pytest.importorskip("pymongo")
    assert mongo._plain({"per_task": {"a.py:T": {"$x": 1}}}) == {"per_task": {"a,py:T": {"@x": 1}}}


def test_a_sweep_is_copied_with_its_runs(standing: Server, tmp_path: Path) -> None:
    grid = ["tasks=harmonic", "models=ddl,mlp", *SMALL_ARGUMENTS, "jobs=1"]
    done = command(["sweep", "with", *grid, "--store", standing.url, "--runs", str(tmp_path)])
    assert done.returncode == 0, done.stderr
    stored = runs.scan(tmp_path)
    assert sorted(each.kind for each in stored) == ["run", "run", "sweep"]
    for each in stored:
        document = held(standing, each)["document"]
        assert (document["status"], document["config"]) == ("COMPLETED", each.config)


def test_long_histories_are_thinned_to_what_a_document_holds(
    standing: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(config(), Launch(base=tmp_path))
    stored = runs.find_run("1", tmp_path)
    monkeypatch.setattr(mongo, "POINTS", 3)
    send_runs([stored], standing.url, lambda _: None)
    assert held(standing, stored)["metrics"]["loss"]["steps"] == [0, 20, 40]


def test_the_mirror_answers_whatever_sacred_calls() -> None:
    # Sacred's own observer is a subclass of its base; each of its events has a counterpart.
    names = [name for name, _ in inspect.getmembers(MongoObserver, inspect.isfunction) if name.endswith("_event")]
    assert len(names) == 8
    for name in (*names, "log_metrics", "join"):
        assert callable(getattr(MongoMirror, name))
    assert MongoMirror.priority < running.RunStore.priority


SECRETS = ("geheim", "jan")
FORM_MESSAGE = "expected mongodb://"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("host:27017:db", "a database is given as mongodb://"),
        ("https://jan:geheim@host/db", "a database is given as mongodb://"),
        ("mongodb://", FORM_MESSAGE),
        ("mongodb://jan:ge/heim@host/db", FORM_MESSAGE),
        ("mongodb://jan:geheim@host:port/db", FORM_MESSAGE),
        ("mongodb://jan:geheim@@host/db", FORM_MESSAGE),
        ("mongodb://jan:geheim@host/a/b", FORM_MESSAGE),
        ("mongodb://jan:geheim@host/db?nonsense=geheim&&", FORM_MESSAGE),
        ("mongodb://jan:geheim@[::1/db", FORM_MESSAGE),
        ("mongodb+srv://jan:geheim@/db", "names no host"),
    ],
)
def test_a_bad_address_is_refused_without_repeating_it(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pymongo")
    arguments = ["--runs", str(tmp_path / "runs"), "run", "with", *SMALL_ARGUMENTS, "--store", text]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not any(secret in printed.out + printed.err for secret in SECRETS)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "shown", "database"),
    [
        ("mongodb://jan:geheim@host:27018/lab?authSource=admin", "mongodb://host:27018/lab", "lab"),
        ("mongodb://a,b:2/lab?replicaSet=r", "mongodb://a,b:2/lab", "lab"),
        ("mongodb://host", "mongodb://host/sacred", "sacred"),
        ("mongodb+srv://jan:ge%40heim@cluster.example.org/lab", "mongodb+srv://cluster.example.org/lab", "lab"),
    ],
)
def test_an_address_is_shown_without_credentials(text: str, shown: str, database: str) -> None:
    pytest.importorskip("pymongo")
    address = parse_address(text)
    assert (address.shown, address.database, address.url) == (shown, database, text)
    assert "geheim" not in repr(address)


def test_what_the_url_says_of_timeouts_stands() -> None:
    pytest.importorskip("pymongo")
    with mongo.connect(parse_address("mongodb://127.0.0.1:1/x?serverselectiontimeoutms=123")) as client:
        assert client.options.server_selection_timeout == 0.123
        assert client.options.pool_options.socket_timeout == mongo.TIMEOUTS["socketTimeoutMS"] / 1000


def test_no_credentials_are_printed_or_stored(
    mortal: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = mortal.url.replace("mongodb://", "mongodb://jan:geheim@") + "?tlsCertificateKeyFilePassword=geheim"
    monkeypatch.setattr(sys, "argv", ["ddl-dyn", "run", "-m", url])
    mortal.kill()
    arguments = ["--runs", str(tmp_path / "runs"), "run", "with", *SMALL_ARGUMENTS, "-m", url]
    assert main(arguments) == 0
    assert main(["--runs", str(tmp_path / "runs"), "send", "--to", url]) == 1
    printed = capfd.readouterr()
    assert "warning: " in printed.err
    assert "error: " in printed.err
    everything = (
        printed.out
        + printed.err
        + "".join(path.read_text("utf-8", "replace") for path in (tmp_path / "runs").rglob("*.*"))
    )
    assert not any(secret in everything for secret in ("geheim", "jan:"))


def test_credentials_are_stripped_from_a_database_url_with_odd_characters() -> None:
    text = "ddl-dyn run -m 'mongodb://jan:p@ss:word@host/db?tlsCertificateKeyFilePassword=x&y=z' -c 'a@b'"
    assert strip_credentials(text) == "ddl-dyn run -m 'mongodb://host/db?***' -c 'a@b'"


def test_a_copy_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pymongo")
    arguments = ["--runs", str(tmp_path / "runs"), "run", "with", *SMALL_ARGUMENTS, "-m", "mongodb://h/x", "-u"]
    assert main(arguments) == 1
    assert "--store and --unobserved contradict each other" in capsys.readouterr().err
    assert main(["--runs", str(tmp_path / "runs"), "send", "--to", "mongodb://h/x"]) == 0
    assert "nothing was sent" in capsys.readouterr().out


def test_without_pymongo_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "pymongo"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymongo", None)
    with pytest.raises(ValueError, match=r"not installed: pip install 'ddl-dyn\[mongo\]'"):
        parse_address("mongodb://host/db")
