"""`ddl-dyn run`, `compare` and `sweep`: Sacred's grammar and options, one clear line for whatever is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ddl_dyn.config.numerals import whole_number
from ddl_dyn.config.parsing import flatten, parse_updates
from ddl_dyn.config.sections import ModelConfig, RunConfig
from ddl_dyn.config.settings_file import is_settings_file
from ddl_dyn.config.terminal import say
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, beat_interval, run
from ddl_dyn.experiments.sweep.config import CompareConfig, GridConfig
from ddl_dyn.experiments.sweep.grid import Cell, resolve_compare, resolve_sweep
from ddl_dyn.experiments.sweep.run_grid import run_grid
from ddl_dyn.experiments.tracking.sacred import Command, make_experiment, parse_command_line, print_config
from ddl_dyn.runs.trust import check_settings


def launch_run(arguments: list[str], runs: Path) -> int:
    """Train one model on one task with several seeds at once.

    `with` takes key=value pairs and files of such keys (.json, .toml, .yaml); `ddl-dyn run print_config` lists every
    key. Code that is named in a file alone needs --trust FILE.
    """
    command = _parse("run", arguments, launch_run, _key_lines())
    if command is None:
        return 0
    config = resolve_run(_settings(command))
    if command.name != "run":
        return _other(command, "run", RunConfig(), config)
    from ddl_dyn.cli.summary import print_run
    from ddl_dyn.experiments.progress import Bars

    launch = _launch(command, runs)
    with Bars([f"{config.model} on {config.task}"]) as bars:
        run_id = run(config, replace(launch, on_account=lambda now: bars.show(0, now), say=bars.say))
    if run_id is not None:
        print_run(launch.base, run_id)
    return 0


def launch_compare(arguments: list[str], runs: Path) -> int:
    """Train several models on several tasks, paired by data and seeds, and compare the finished runs.

    `with` takes key=value pairs; tasks=, models= and carries= take lists such as ddl,resnet. Keys under per_task.NAME
    and per_model.NAME hold for that task or model alone; a NAME with dots stands in quotes. What is complete already is
    not run again. engine=ray takes a Ray cluster. --dry-run tells the cells, time and disk. `ddl-dyn compare
    print_config` lists every key.
    """
    arguments, dry = _take_dry_run(arguments)
    command = _parse("compare", arguments, launch_compare)
    if command is None:
        return 0
    config, cells = resolve_compare(_settings(command))
    if command.name != "compare":
        return _other(command, "compare", CompareConfig(), config)
    if dry:
        return _estimate(cells, config, _launch(command, runs))
    from ddl_dyn.results.comparison.records import conclude

    return run_grid(config, cells, _launch(command, runs), conclude)


def launch_sweep(arguments: list[str], runs: Path) -> int:
    """Train a grid of configurations, each once: what is complete already is not run again.

    `ddl-dyn sweep FILE` (.toml, .yaml, .json) or `with` key=value pairs. tasks=, models= and carries= take lists such
    as ddl,resnet, and so does every key of a run: model_args.layers=1,2,4 makes three cells. Brackets make one value
    that is a list. Keys under per_task.NAME and per_model.NAME hold for that task or model alone; a NAME with dots
    stands in quotes. engine=ray takes a Ray cluster. --dry-run tells the cells, time and disk. Code that is named in a
    file alone needs --trust FILE.
    """
    arguments, dry = _take_dry_run(arguments)
    # A file may stand first, without `with`.
    files = arguments[:1] if arguments and is_settings_file(arguments[0]) else []
    command = _parse("sweep", arguments[len(files) :], launch_sweep)
    if command is None:
        return 0
    config, cells = resolve_sweep(_settings(command, files))
    if command.name != "sweep":
        return _other(command, "sweep", config, config)
    if dry:
        return _estimate(cells, config, _launch(command, runs))
    return run_grid(config, cells, _launch(command, runs))


def launch_search(arguments: list[str], runs: Path) -> int:
    """Search for the settings of one model on one task with the lowest validation error, by trials that are runs.

    `with` takes the keys of a run; those of train and model_args may be ranges, in quotes for the shell's sake:
    'train.lr=log(1e-4,1e-1)', 'train.clip=float(0.1,2)', 'model_args.layers=int(1,4)',
    'model_args.hidden_dim=logint(8,128)', 'model_args.gate=linear|tanh'. search.trials, search.seed and search.prune
    say how many, from which seed, and whether bad ones are stopped early. --jobs N does N trials side by side, as does
    the same command in another terminal. The same command continues a search that was stopped. The test is never
    looked at.
    """
    arguments, jobs = _take_jobs(arguments)
    command = _parse("search", arguments, launch_search)
    if command is None:
        return 0
    if command.name != "search":
        raise ValueError(
            f"search has no command {command.name}; `ddl-dyn run {command.name} with …` takes one's values"
        )
    from ddl_dyn.experiments.search.config import resolve_search

    plan = resolve_search(_settings(command))
    from ddl_dyn.experiments.search.run_search import run_search

    return run_search(plan, _launch(command, runs), jobs)


LAUNCHERS = {"run": launch_run, "compare": launch_compare, "sweep": launch_sweep, "search": launch_search}


def _settings(command: Command, files: Sequence[str] = ()) -> dict[str, Any]:
    """Nested settings, the last one over those before it; code that they would execute has been typed or is trusted.

    Args:
        command: as it was typed.   files: that stood before `with`.
    """
    settings = parse_updates([*files, *command.updates])
    check_settings(settings, command.updates)
    return settings


def _take_dry_run(arguments: list[str]) -> tuple[list[str], bool]:
    """The arguments without --dry-run, and whether it stood there."""
    return [item for item in arguments if item != "--dry-run"], "--dry-run" in arguments


def _take_jobs(arguments: list[str]) -> tuple[list[str], int]:
    """The arguments without --jobs N, and that number, 1 where it is not given."""
    place = next((i for i, item in enumerate(arguments) if item.partition("=")[0] == "--jobs"), None)
    if place is None:
        return arguments, 1
    _, equals, text = arguments[place].partition("=")
    end = place + (1 if equals else 2)
    text = text if equals else " ".join(arguments[place + 1 : end])
    try:
        jobs = whole_number(text)
    except ValueError:
        jobs = 0
    if not 1 <= jobs <= MOST_JOBS:
        raise ValueError(f"--jobs takes a whole number from 1 to {MOST_JOBS}, got {text!r}")
    return [*arguments[:place], *arguments[end:]], jobs


def _estimate(cells: list[Cell], config: GridConfig, launch: Launch) -> int:
    from ddl_dyn.experiments.sweep.estimate import estimate

    for line in estimate(cells, config, launch.base):
        say(line)
    return 0


MOST_JOBS = 1024
# The keys that most runs set, for the help of `run`.
KEYS = (
    *("task", "model", "seeds", "model_args.layers", "model_args.carry", "data.n_train", "data.steps"),
    *("train.updates", "train.lr", "train.horizon"),
)


def _key_lines() -> str:
    """Those keys with their defaults; a model's own may differ, as `ddl-dyn models NAME` says."""
    known = dict(flatten(RunConfig().model_dump() | {"model_args": ModelConfig().model_dump()}))
    lines = "\n".join(f"      {key} = {known[key]!r}" for key in KEYS)
    return f"\n\n    The keys that matter most, with their defaults:\n\n{lines}"


def _parse(name: str, arguments: list[str], command: Callable[..., int], more: str = "") -> Command | None:
    """The command line read; None where it asked for help, which is printed."""
    experiment = make_experiment(name, {}, doc=(command.__doc__ or "").rstrip() + more)
    parsed = parse_command_line(experiment, f"ddl-dyn {name}", arguments)
    if parsed.help is None:
        return parsed
    print(parsed.help)
    return None


def _other(command: Command, name: str, defaults: BaseModel, config: BaseModel) -> int:
    """Sacred's own commands (print_config, save_config, …) on the resolved configuration."""
    settings, options = config.model_dump(mode="json"), options_of(command)
    if command.name == "print_config":
        print_config(name, defaults.model_dump(mode="json"), settings, options)
    else:
        make_experiment(name, settings).run(command.name, options=options)
    return 0


def _launch(command: Command, runs: Path) -> Launch:
    """The start of the runs, which go to Sacred's -F or to the folder given by --runs."""
    return Launch(base=Path(command.options.get("--file_storage") or runs), options=options_of(command))


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


def _check_store(options: Mapping[str, object]) -> None:
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
