"""`ddl-dyn sweep` and `ddl-dyn missing`: from the command line to a sweep and to what is left of one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddl_dyn.cli.launch import base_of, options_of
from ddl_dyn.config.parsing import ConfigError, merged, parse_updates
from ddl_dyn.experiments.run import Launch
from ddl_dyn.experiments.sweep.grid import SweepConfig, resolve_sweep
from ddl_dyn.experiments.sweep.record import left_over, open_sweep
from ddl_dyn.experiments.sweep.sweep import sweep
from ddl_dyn.experiments.tracking.sacred import make_experiment, parse_command_line
from ddl_dyn.runs import scan
from ddl_dyn.runs.index import clean


def launch_sweep(arguments: list[str], base: Path) -> int:
    """Train a grid of configurations, each once: what is complete already is not run again.

    `ddl-dyn sweep FILE.toml` or `with` key=value pairs. tasks=, models= and carries= take lists such as ddl,resnet, and
    so does every key of a run: model_args.layers=1,2,4 makes three cells. Brackets make one value that is a list. Keys
    under per_task.NAME and per_model.NAME hold for that task or model alone. engine=ray takes a Ray cluster.
    """
    arguments, settings = _take_file(arguments)
    experiment = make_experiment("sweep", SweepConfig().model_dump(mode="json"), _documented, lambda _: None)
    command = parse_command_line(experiment, "ddl-dyn sweep", arguments)
    if command.help is not None:
        print(command.help)
        return 0
    config, cells = resolve_sweep(merged(settings, parse_updates(command.updates)))
    if command.name != "sweep":
        resolved = config.model_dump(mode="json")
        experiment = make_experiment("sweep", resolved, _documented, lambda _: None)
        experiment.run(command.name, options=options_of(command))
        return 0
    return sweep(config, cells, Launch(base=base_of(command, base), options=options_of(command)))


def _documented(_run: Any, _config: Mapping[str, Any]) -> None:
    pass


_documented.__doc__ = launch_sweep.__doc__


def _take_file(arguments: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The arguments without a leading FILE.toml, and the settings in it."""
    if not arguments or not arguments[0].endswith(".toml"):
        return arguments, {}
    path = Path(arguments[0])
    try:
        with open(path, "rb") as file:
            return arguments[1:], tomllib.load(file)
    except OSError as error:
        raise ConfigError(
            [f"{path} cannot be read: {error.strerror}; expected a TOML file with tasks, models, …"]
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path} is not TOML: {error}"]) from error


def print_missing(reference: str | None, base: Path) -> int:
    """Print what is left of a sweep, or of every sweep of a folder.

    Args:
        reference: id or folder of a sweep, `last`, or None for all.
        base: the runs folder.
    Returns:
        0.
    Raises:
        RunError: when there is no such sweep.
    """
    if reference is not None:
        chosen = [open_sweep(reference, base)]
    else:
        chosen = [run for run in scan(base) if run.path.name.startswith("sweep-") or run.kind == "sweep"]
        chosen = chosen or [open_sweep("last", base)]
    for run in chosen:
        left, cells = left_over(run)
        if not left:
            print(f"sweep {run.id}: all {cells} cells are complete")
            continue
        print(f"sweep {run.id}: {len(left)} of {cells} cells are left")
        for item in left:
            print(f"  {item.run_id}  {clean(item.state)}  {clean(item.title)}\n      {clean(item.reason)}")
        print(f"the same command continues: {clean(run.entry.get('command_line'))}")
    return 0
