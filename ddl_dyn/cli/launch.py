"""`ddl-dyn run` and `ddl-dyn compare`: Sacred's grammar and options, one clear line for whatever is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ddl_dyn.config.parsing import parse_updates
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.experiments.progress import Bars
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, beat_interval
from ddl_dyn.experiments.tracking.sacred import Command, make_experiment, parse_command_line


def launch_run(arguments: list[str], base: Path) -> int:
    """Train one model on one task with several seeds at once.

    `with` takes key=value pairs and .json files of such keys; `ddl-dyn run print_config` lists every key.
    """
    command = _parse("run", arguments, RunConfig, resolve_run, launch_run)
    if command.help is not None:
        print(command.help)
        return 0
    config = resolve_run(parse_updates(command.updates))
    if command.name != "run":
        return _other(command, "run", RunConfig, resolve_run, config)
    from ddl_dyn.cli.summary import print_run
    from ddl_dyn.experiments.run import run

    where = base_of(command, base)
    title = f"{config.model} on {config.task}"
    with Bars([title], config.train.updates) as bars:
        options = options_of(command)
        launch = Launch(base=where, options=options, on_account=lambda now: bars.show(0, now), say=bars.say)
        run_id = run(config, launch)
    if run_id is not None:
        print_run(where, run_id)
    return 0


def launch_compare(arguments: list[str], base: Path) -> int:
    """Train several models on several tasks, paired by data and seeds, and compare the finished runs.

    `with` takes key=value pairs; tasks=, models= and carries= take lists such as ddl,resnet. Keys under per_task.NAME
    and per_model.NAME hold for that task or model alone. `ddl-dyn compare print_config` lists every key.
    """
    from ddl_dyn.experiments.compare import CompareConfig, compare, resolve_compare
    from ddl_dyn.results.comparison.records import conclude

    command = _parse("compare", arguments, CompareConfig, resolve_compare, launch_compare)
    if command.help is not None:
        print(command.help)
        return 0
    config = resolve_compare(parse_updates(command.updates))
    if command.name != "compare":
        return _other(command, "compare", CompareConfig, resolve_compare, config)
    return compare(config, Launch(base=base_of(command, base), options=options_of(command)), conclude)


def _parse(
    name: str, arguments: list[str], schema: type[BaseModel], check: Callable[..., Any], doc: Callable[..., Any]
) -> Command:
    def body(_run: Any, _config: Mapping[str, Any]) -> None:
        """Replaced below."""

    body.__doc__ = doc.__doc__
    experiment = make_experiment(name, schema().model_dump(mode="json"), body, check)
    return parse_command_line(experiment, f"ddl-dyn {name}", arguments)


def _other(command: Command, name: str, schema: type[BaseModel], check: Callable[..., Any], config: BaseModel) -> int:
    """Sacred's own commands (print_config, save_config, …) on the resolved configuration."""

    def body(_run: Any, _config: Mapping[str, Any]) -> None:
        """Not reached: another command was asked for."""

    experiment = make_experiment(name, schema().model_dump(mode="json"), body, check)
    experiment.run(command.name, config_updates=config.model_dump(mode="json"), options=options_of(command))
    return 0


def base_of(command: Command, base: Path) -> Path:
    """The runs folder: Sacred's -F, or the one given by --runs."""
    chosen = command.options.get("--file_storage")
    return Path(chosen) if chosen else base


def options_of(command: Command) -> dict[str, Any]:
    """Sacred's options, checked.

    Raises:
        ValueError: for a value that an option cannot have.
    """
    options = dict(command.options)
    beat_interval(options.get("--beat-interval"))
    if options.get("--capture") not in (None, "no", "sys"):
        raise ValueError(f"--capture must be sys or no, got {options['--capture']!r}; fd loses output at random")
    if options.get("--loglevel") is not None:
        _check_level(str(options["--loglevel"]))
    if options.pop("--enforce_clean", None):
        _enforce_clean()
    options.pop("--file_storage", None)
    _check_store(options)
    return options


def _check_store(options: Mapping[str, Any]) -> None:
    if not options.get("--store"):
        return
    from ddl_dyn.experiments.tracking.mongo import parse_address

    parse_address(str(options["--store"]))
    if options.get("--unobserved"):
        raise ValueError("--store and --unobserved contradict each other: a run is copied to a database from its files")


def _check_level(text: str) -> None:
    names = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    if text not in names and not text.isdecimal():
        raise ValueError(f"--loglevel must be a number or one of {', '.join(names)}, got {text!r}")


def _enforce_clean() -> None:
    from ddl_dyn.runs.provenance import git_state

    state, _ = git_state()
    if not state:
        raise ValueError("--enforce_clean: the code is not in a git repository, or git cannot read it")
    if state["dirty"]:
        raise ValueError("--enforce_clean: the repository holds changes that are not committed; commit them first")
