"""Behaviour of Sacred 0.8.7 that the suite relies on; a newer Sacred that changes one of these is caught here."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ddl_dyn.experiments.tracking import pkg_resources_shim
from ddl_dyn.experiments.tracking.sacred import Command, UsageError, make_experiment, parse_command_line
from ddl_dyn.runs.observer import RunStore

ROOT = Path(__file__).resolve().parents[2]


def test_sacred_is_imported_by_one_module_only() -> None:
    importers = [
        path.name
        for path in (ROOT / "ddl_dyn").rglob("*.py")
        if any(line.strip().startswith(("import sacred", "from sacred")) for line in path.read_text().splitlines())
    ]
    assert importers == ["sacred.py"]


def test_sacred_imports_silently_without_setuptools_own_pkg_resources() -> None:
    code = (
        "import sys, ddl_dyn.experiments.tracking.sacred as e\n"
        "assert 'pkg_resources' not in sys.modules\nprint(e.Experiment.__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("Experiment\n", "")


def test_the_stand_in_answers_what_sacred_asks() -> None:
    working_set = pkg_resources_shim._WorkingSet()
    found = {item.project_name.lower(): item.version for item in working_set}
    assert found["numpy"] == working_set.by_key["numpy"].version
    path = Path(pkg_resources_shim._resource_filename("sacred", "data/mime.types"))
    assert path.is_file()


def test_the_store_has_every_method_sacred_calls_on_an_observer() -> None:
    pkg_resources_shim.install()
    try:
        from sacred.observers import RunObserver
    finally:
        pkg_resources_shim.remove()
    for name, method in inspect.getmembers(RunObserver, inspect.isfunction):
        mine = inspect.signature(getattr(RunStore, name)).parameters
        assert list(mine) == list(inspect.signature(method).parameters), name


def experiment(body: Any = None) -> Any:
    return make_experiment("run", {"seed": 0, "section": {"a": 1}, "free": {}}, body)


def test_a_fresh_experiment_starts_from_the_defaults_again() -> None:
    seen = []
    for updates in ({"section": {"a": 5}, "free": {"x": 1}}, {}):
        experiment(lambda _run, config: seen.append(dict(config))).run(
            config_updates=updates, options={"--unobserved": True}
        )
    assert seen[0]["section"] == {"a": 5}
    assert seen[0]["free"] == {"x": 1}
    assert seen[1]["section"] == {"a": 1}
    assert seen[1]["free"] == {}


@pytest.mark.parametrize(
    ("typed", "name", "updates", "flags"),
    [
        ("with a=1 b.c=2", "run", ("a=1", "b.c=2"), {}),
        ("print_config with a=1", "print_config", ("a=1",), {}),
        ("-u", "run", (), {"--unobserved": True}),
        ("with a=1 -F there -c words", "run", ("a=1",), {"--file_storage": "there", "--comment": "words"}),
        ("-m mongodb://host/x", "run", (), {"--store": "mongodb://host/x"}),
        ("with a=1 --store=mongodb://host/x", "run", ("a=1",), {"--store": "mongodb://host/x"}),
        ("-l INFO -n name -b 2 -i 7", "run", (), {"--loglevel": "INFO", "--name": "name", "--beat-interval": "2"}),
    ],
)
def test_the_command_line_is_sacreds_own_grammar(typed: str, name: str, updates: Any, flags: dict[str, Any]) -> None:
    command = parse_command_line(experiment(), "ddl-dyn run", typed.split())
    assert isinstance(command, Command)
    assert (command.name, command.updates, command.help) == (name, updates, None)
    assert {key: command.options[key] for key in flags} == flags


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("-s sqlite:///x.db", "--sql is not offered: Sacred's SQL observer keeps no metrics"),
        ("-t x", "--tiny_db is not offered"),
        ("-S s3://x", "--s3 is not offered"),
        # Sacred keeps this one out of its command line until it is imported.
        ("-G gs://x", "expected `ddl-dyn run"),
        ("-q", "--queue is not offered"),
        ("-P 3", "--priority is not offered"),
        ("-f", "--force is not offered"),
        ("-D", "--pdb is not offered"),
        ("a=1", "unknown command 'a=1'"),
        ("--bogus", "expected `ddl-dyn run"),
        ("with a=1 -F", "expected `ddl-dyn run"),
    ],
)
def test_what_does_not_fit_or_loses_data_is_refused(typed: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        parse_command_line(experiment(), "ddl-dyn run", typed.split())


def test_help_shows_no_refused_option() -> None:
    text = parse_command_line(experiment(), "ddl-dyn run", ["--help"]).help
    assert text is not None
    assert "--comment" in text
    assert "ddl-dyn run [(with UPDATE...)]" in text
    assert "--store=VALUE" in text
    assert not any(
        word in text for word in ("--mongo_db", "--gcs", "--sql", "--tiny_db", "--queue", "--force", "dummy")
    )
