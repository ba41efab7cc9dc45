"""Sacred's Experiment around a run: its configuration, its commands and options, its observers.

The one module that imports Sacred. Sacred keeps the configuration of captured functions in a process-wide place, so
every run gets a fresh Experiment and a process runs one at a time.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddl_dyn.config.terminal import clean
from ddl_dyn.experiments.progress import Validation
from ddl_dyn.experiments.tracking import pkg_resources_shim
from ddl_dyn.runs.provenance import PACKAGE

pkg_resources_shim.install()
try:
    from sacred import SETTINGS, Experiment
    from sacred.arg_parser import format_usage
    from sacred.commandline_options import cli_option
    from sacred.commands import help_for_command
    from sacred.observers import MongoObserver
    from sacred.observers.mongo import force_bson_encodeable
    from sacred.utils import apply_backspaces_and_linefeeds
finally:
    pkg_resources_shim.remove()

__all__ = [
    "REFUSED",
    "Command",
    "MongoObserver",
    "UsageError",
    "force_bson_encodeable",
    "make_experiment",
    "medians",
    "parse_command_line",
    "print_config",
]

# Keys may hold dots: a user's own class is named by its file.
SETTINGS.CONFIG.ENFORCE_KEYS_MONGO_COMPATIBLE = False
# Stands for a dot in a key where Sacred would split there.
DOT = "\u2024"
# Sacred colours what it prints wherever it goes; in a file or a pipe that is noise.
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# "fd" loses output at random and tears progress bars.
SETTINGS.CAPTURE_MODE = "sys"
SETTINGS.CONFIG.READ_ONLY_CONFIG = False
# The store records sources, packages and the machine itself, for both packages and without starting programs.
SETTINGS.DISCOVER_SOURCES = "none"
SETTINGS.DISCOVER_DEPENDENCIES = "none"
SETTINGS.HOST_INFO.INCLUDE_CPU_INFO = False
SETTINGS.HOST_INFO.INCLUDE_GPU_INFO = False


def make_experiment(
    name: str, config: Mapping[str, Any], body: Callable[[Any, Mapping[str, Any]], Any] | None = None, *, doc: str = ""
) -> Any:
    """A fresh Experiment whose main command calls `body(run, config)`.

    Args:
        name: of the experiment and its main command.
        config: the whole configuration, checked already.
        body: does the work; what it returns is the run's result. None for the other commands alone.
        doc: what help says of the main command.
    """
    experiment: Any = Experiment(name, save_git_info=False, base_dir=str(PACKAGE.parent))
    experiment.logger = _logger()
    experiment.captured_out_filter = apply_backspaces_and_linefeeds
    experiment.add_config(dict(config))

    @experiment.option_hook
    def accept(options: dict[str, Any]) -> None:
        # Keys that Sacred finds suspicious (those of task_args and model_args) have been checked.
        options["--force"] = True

    def main(_run: Any, _config: Any) -> Any:
        assert body is not None
        try:
            return body(_run, _config)
        except BaseException:
            # Sacred would lose whatever was printed since the last heartbeat.
            _run._get_captured_output()
            raise

    main.__name__, main.__doc__ = name, doc.strip()
    experiment.main(main)
    return experiment


def print_config(
    name: str, defaults: Mapping[str, object], config: Mapping[str, object], options: Mapping[str, object]
) -> None:
    """Sacred's `print_config`, which marks what differs from the defaults.

    Args:
        name: of the experiment.   defaults, config: whole configurations.   options: Sacred's, by their long flag.
    """
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        experiment = make_experiment(name, _dotless(defaults))
        experiment.run("print_config", config_updates=_dotless(config), options=dict(options))
    told = text.getvalue().replace(DOT, ".")
    print(told if sys.stdout.isatty() else _COLOURS.sub("", told), end="")


def _dotless(value: object) -> Any:
    if isinstance(value, Mapping):
        return {clean(key).replace(".", DOT): _dotless(item) for key, item in value.items()}
    return value


def _logger() -> logging.Logger:
    logger = logging.getLogger("ddl_dyn.sacred")
    # What ends a run is said once, by the command line; --loglevel shows Sacred's own account.
    logger.setLevel(logging.CRITICAL)
    logger.propagate = False
    logger.handlers = [logging.StreamHandler(sys.stderr)]
    logger.handlers[0].setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    return logger


def medians(progress: Validation) -> dict[str, float]:
    """Scalars for observers that keep no arrays: medians over the replicas that are alive."""
    alive = np.asarray(progress.alive, dtype=bool)
    chosen = {"loss": np.asarray(progress.loss)[alive], "val": np.asarray(progress.val)[alive]}
    return {name: float(np.median(values)) for name, values in chosen.items() if values.size}


# Options that Sacred offers and that cannot keep their promise here, with the reason.
REFUSED = {
    "--sql": "Sacred's SQL observer keeps no metrics and loses parallel runs; the file store keeps everything",
    "--tiny_db": "TinyDB rewrites one file for all runs and cannot be shared; the file store keeps everything",
    "--s3": "S3 rewrites each file whole at every heartbeat; copy finished runs there instead",
    "--pdb": "it would stop in Sacred's own code; use `python -m pdb -m ddl_dyn run --debug …`",
    "--priority": "there is no queue in which a priority could count",
    "--queue": "nothing would start a queued run; leave -q out",
    "--force": "unknown keys are never accepted, so there is nothing to force",
}


@dataclass(frozen=True, kw_only=True)
class Command:
    """A parsed command line of Sacred's grammar.

    Args:
        name: Sacred's command, e.g. `print_config`, or the experiment's own.
        updates: the `with` items as typed.
        options: Sacred's options by their long flag.
        help: the text to print instead of doing anything.
    """

    name: str
    updates: tuple[str, ...]
    options: Mapping[str, Any]
    help: str | None = None


@cli_option("-m", "--store")
def _store_option(args: object, run: object) -> None:
    """Copy the run to MongoDB too, beside its files.

    The argument value is mongodb://[user:password@]host[:port]/database.
    """


class UsageError(ValueError):
    """A command line that does not fit the grammar."""


def _without_with(arguments: list[str]) -> str:
    """Hint where settings stand before any `with`."""
    before = arguments[: arguments.index("with")] if "with" in arguments else arguments
    loose = [item for item in before if "=" in item and not item.startswith("-")]
    return f" (did you forget `with` before {loose[0]}?)" if loose else ""


def parse_command_line(experiment: Any, program: str, arguments: list[str]) -> Command:
    """Read `[COMMAND] [with key=value …] [options]`.

    Args:
        experiment: from `make_experiment`.   program: its printed name.   arguments: words after the program's name.
    Raises:
        UsageError: when the arguments do not fit, or an option is refused.
    """
    from docopt import DocoptExit, docopt

    commands = dict(experiment.gather_commands())
    # Sacred's own -m would put its observer in beside ours, and takes no URL.
    offered = [option for option in experiment.all_cli_options if option.get_flag() != "--mongo_db"] + [_store_option]
    usable = [option for option in offered if option.get_flag() not in REFUSED]
    text = format_usage("dummy", experiment.doc, commands, offered)
    shown = format_usage("dummy", commands[experiment.default_command].__doc__, commands, usable)
    shown = shown.replace("  dummy ", f"  {program} ")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            parsed = docopt(text, arguments, default_help=False)
    except DocoptExit as error:
        hint = _without_with(arguments)
        expected = f"expected `{program} [COMMAND] [with key=value …] [options]`"
        raise UsageError(f"{expected}{hint}; see `{program} --help`") from error
    for flag, reason in REFUSED.items():
        if parsed.get(flag):
            raise UsageError(f"{flag} is not offered: {reason}")
    name = parsed["COMMAND"] or experiment.default_command
    if parsed["help"] or parsed["--help"]:
        wanted = parsed["COMMAND"]
        return Command(
            name=name, updates=(), options={}, help=help_for_command(commands[wanted]) if wanted in commands else shown
        )
    if name not in commands:
        raise UsageError(f"unknown command {name!r}{_without_with(arguments)}; there are {', '.join(commands)}")
    flags = {key: value for key, value in parsed.items() if key.startswith("--")}
    return Command(name=name, updates=tuple(parsed["UPDATE"]), options=flags)
