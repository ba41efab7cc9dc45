"""The command line. Commands are imported when they are called: `ddl-dyn --help` loads neither torch nor numpy.

Exit codes: 0 done, 1 bad input or failed run, 2 usage, 130 Ctrl-C, 143 SIGTERM.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ddl_dyn import __version__
from ddl_dyn.config.numerals import real, whole_number
from ddl_dyn.config.terminal import say

_EXAMPLES = """\
examples:
  ddl-dyn run with task=van_der_pol model=ddl seeds=5 model_args.layers=2
  ddl-dyn compare with tasks=van_der_pol,twisted_mirror models=ddl,resnet,highway,neural_ode
  ddl-dyn run print_config with model=resnet
  ddl-dyn list --status COMPLETED --sort started
  ddl-dyn portrait last --what list
  ddl-dyn analyse last
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint about an unknown command names the nearest one."""

    commands: tuple[str, ...] = ()

    def error(self, message: str) -> None:  # type: ignore[override]
        if "invalid choice" in message and self.commands:
            typed = message.partition("invalid choice: ")[2].partition(" ")[0].strip("'\"")
            near = difflib.get_close_matches(typed, self.commands, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            message = f"unknown command {typed!r}{hint}; there are {', '.join(self.commands)}"
        say(f"error: {message}; see `{self.prog} --help`", file=sys.stderr)
        raise SystemExit(2)


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="ddl-dyn",
        description="Deep Delta Learning stacks as discrete dynamical systems: train, compare, look.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ddl-dyn {__version__}")
    parser.add_argument("--runs", metavar="DIR", default="runs", help="where runs are kept (runs)")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, text in (
        ("run", "train one model on one task, several seeds at once"),
        ("compare", "train several models on several tasks and compare them"),
        ("sweep", "train a grid of configurations, each once; FILE or with key=1,2,4"),
        ("search", "look for the best settings of a model by trials; train.lr=log(1e-4,1e-1)"),
    ):
        commands.add_parser(name, help=text, add_help=False)
    _plain_commands(commands)
    commands.choices["completion"].set_defaults(parser=parser)
    parser.commands = tuple(commands.choices)
    return parser


def _plain_commands(commands: argparse._SubParsersAction[_Parser]) -> None:
    lister = _add(commands, "list", "runs, with their status")
    for name in ("status", "task", "model", "kind", "tag"):
        lister.add_argument(f"--{name}", metavar="VALUE", help=f"only runs of this {name}; several with commas")
    columns = ("id", "status", "task", "model", "seeds", "started")
    lister.add_argument("--sort", choices=columns, default="id", help="column to sort by")
    lister.add_argument("--reverse", action="store_true", help="last first")
    lister.add_argument("--json", action="store_true", help="one JSON object a line")
    watch = _add(commands, "watch", "what runs and what waits, renewed every second; Ctrl-C leaves")
    watch.add_argument("run", nargs="?", metavar="RUN", help="only this run, comparison or sweep; ends when it ends")
    watch.add_argument("--once", action="store_true", help="print the present state and leave, as into a pipe")
    watch.add_argument("--interval", type=real, metavar="SECONDS", default=1.0, help="between two looks (1)")
    serve = _add(commands, "serve", "the runs folder in a browser, live and read-only; Ctrl-C ends")
    serve.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="interface to listen on (127.0.0.1)")
    serve.add_argument("--port", type=whole_number, metavar="N", default=8765, help="0 takes a free one (8765)")
    _add(commands, "show", "everything about one run", run=True).add_argument(
        "--output", action="store_true", help="also what the run printed"
    )
    _trained_commands(commands)
    missing = _add(commands, "missing", "what is left of a sweep or comparison and why")
    missing.add_argument("sweep", nargs="?", metavar="SWEEP", help="id or folder of one, or last (all of them)")
    _add(commands, "tag", "add tags to a run, or remove those that begin with -", run=True).add_argument(
        "tags", nargs=argparse.REMAINDER, metavar="TAG"
    )
    _add(commands, "note", "set a run's note", run=True).add_argument("text", help="the note; '' removes it")
    export = _add(commands, "export", "the table of all runs as CSV, LaTeX or parquet")
    export.add_argument("--format", choices=("csv", "latex", "parquet"), default="csv", help="what to write (csv)")
    export.add_argument("--columns", metavar="NAMES", help="only these columns; several with commas")
    export.add_argument("--out", metavar="FILE", help="where to (standard output)")
    send = _add(commands, "send", "copy runs that have ended to MongoDB, beside their files")
    send.add_argument("which", nargs="*", metavar="RUN", help="ids or folders of runs (all that have ended)")
    send.add_argument("--to", metavar="URL", required=True, help="mongodb://[user:password@]host[:port]/database")
    report = _add(commands, "report", "one page about finished runs: tables, portraits, provenance")
    report.add_argument("which", nargs="*", metavar="RUN", help="ids or folders of runs (all completed ones)")
    report.add_argument(
        "--query", metavar="FILTERS", help="only runs that fit, by the filters of list: 'task=a,b model=ddl tag=t'"
    )
    report.add_argument("--out", metavar="PATH", default="report", help="file or folder to write (report)")
    report.add_argument("--markdown", action="store_true", help="Markdown with figures beside it instead of HTML")
    for name, what in (("tasks", "task"), ("models", "model")):
        catalogue = _add(commands, name, f"catalogue of {name}: equations, parameters, sources", runs=False)
        catalogue.add_argument("name", nargs="?", metavar="NAME", help=f"one {what} in full, with a figure")
        catalogue.add_argument("--out", metavar="DIR", help="where the figure goes (out)")
        if name == "tasks":
            catalogue.add_argument("--gallery", metavar="DIR", help="write DIR/tasks.md with every task's portrait")
            catalogue.add_argument(
                "--dysts", action="store_true", help="list the systems of the package dysts, or describe the one NAMEd"
            )

    completion = _add(commands, "completion", "print a script that completes words in a shell", runs=False)
    completion.add_argument("shell", nargs="?", choices=("bash", "zsh", "fish"), help="which shell")
    completion.add_argument("--answer", metavar="LINE", help=argparse.SUPPRESS)


def _trained_commands(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Commands that use a run's trained model, whose code may be the user's own."""
    portrait = _add(commands, "portrait", "draw a finished run's figures again", run=True)
    portrait.add_argument("--what", metavar="NAMES", help="only these figures; several with commas; all; list")
    portrait.add_argument("--out", metavar="DIR", help="where to (the run's own figures folder)")
    analyse = _add(commands, "analyse", "what a finished run's map does, beside the true one", run=True)
    analyse.add_argument("--steps", type=whole_number, metavar="N", default=2000, help="steps to average over (2000)")
    analyse.add_argument("--out", metavar="DIR", help="where to (the run's own folder)")
    convert = _add(commands, "convert", "write a finished run's step map for use elsewhere", run=True)
    forms = ("onnx", "torch.export", "numpy")
    convert.add_argument("--to", choices=forms, required=True, help="onnx, torch.export or a module of plain numpy")
    convert.add_argument("--seed", type=whole_number, metavar="N", help="of the replica (the one that figures show)")
    convert.add_argument("--out", metavar="FILE", help="where to (step.* in the run's own folder)")
    differ = _add(commands, "diff", "what differs between two runs", run=True)
    differ.add_argument("other", metavar="RUN", help="id or folder of the other run")
    resume = _add(commands, "resume", "continue a run, comparison or sweep that is not complete", run=True)
    resume.add_argument("--store", metavar="URL", help="copy the run to MongoDB too: mongodb://…")
    replay = _add(commands, "replay", "run a finished run again and report max |Δ|", run=True)
    replay.add_argument("--tolerance", type=real, metavar="X", help="fail when max |Δ| exceeds this")
    for parser in (portrait, analyse, convert, resume, replay):
        trust = "file of code that the run may execute, where its model or task is a user's own; several times"
        parser.add_argument("--trust", metavar="FILE", action="append", default=[], help=trust)


def _add(
    commands: argparse._SubParsersAction[_Parser], name: str, text: str, *, run: bool = False, runs: bool = True
) -> _Parser:
    parser = commands.add_parser(name, help=text, description=text[:1].upper() + text[1:] + ".")
    if runs:
        # Not a default here: the value given before the command must stand.
        parser.add_argument("--runs", metavar="DIR", default=argparse.SUPPRESS, help="where runs are kept (runs)")
    if run:
        parser.add_argument("run", metavar="RUN", help="id or folder of a run, or last")
    return parser


def _split(arguments: list[str]) -> tuple[list[str], str, list[str]]:
    """Options before the command, the command, the rest; Sacred's grammar is not argparse's to read."""
    place = 0
    while place < len(arguments) and arguments[place].startswith("-"):
        place += 2 if arguments[place] == "--runs" else 1
    command = arguments[place] if place < len(arguments) else ""
    return arguments[:place], command, arguments[place + 1 :]


def _unknown_option(before: list[str]) -> str | None:
    """Words about an unknown option before the command, whose value argparse would take for it; None without one."""
    known = [option for action in make_parser()._actions for option in action.option_strings]
    for item in before:
        name = item.partition("=")[0]
        # argparse takes the beginning of an option for it.
        if name.startswith("-") and not any(option.startswith(name) for option in known):
            near = difflib.get_close_matches(name, known, n=1)
            return f"unknown option {name!r}" + (f" (did you mean {near[0]!r}?)" if near else "")
    return None


def _take(rest: list[str], flag: str, wants: str) -> tuple[list[str], list[str]]:
    """The values of an option that Sacred does not know, and the arguments without it."""
    values, kept, items = [], [], iter(rest)
    for item in items:
        if item == flag:
            value = next(items, None)
            if value is None:
                raise SystemExit(_usage(f"{flag} needs {wants}"))
            values.append(value)
        elif item.startswith(f"{flag}="):
            values.append(item.partition("=")[2])
        else:
            kept.append(item)
    return values, kept


def _usage(message: str) -> int:
    say(f"error: {message}; see `ddl-dyn --help`", file=sys.stderr)
    return 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; by default those of this process.
    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # Greek letters must not stop a run on a terminal that cannot show them.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        before, command, rest = _split(arguments)
        if before and (message := _unknown_option(before)) is not None:
            return _usage(message)
        if command in ("run", "compare", "sweep", "search"):
            chosen, rest = _take(rest, "--runs", "a folder")
            trusted, rest = _take(rest, "--trust", "a file of code")
            options = make_parser().parse_args([*before, command])
            return _sacred(command, rest, Path(chosen[-1] if chosen else options.runs), trusted)
        options = make_parser().parse_args(arguments)
        if options.command is None:
            make_parser().print_help()
            return 2
        from ddl_dyn.cli.commands import COMMANDS
        from ddl_dyn.cli.errors import guarded

        return guarded(COMMANDS[options.command], options)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BrokenPipeError:
        # The reader (head, less) has seen enough; what is left in the buffer must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _sacred(command: str, rest: list[str], runs: Path, trusted: list[str]) -> int:
    from ddl_dyn.cli.errors import guarded

    def start(_: argparse.Namespace) -> int:
        from ddl_dyn.cli.launch import LAUNCHERS

        return LAUNCHERS[command](rest, runs)

    debug = any(item in ("-d", "--debug") for item in rest)
    return guarded(start, argparse.Namespace(debug=debug, trust=trusted))


if __name__ == "__main__":
    sys.exit(main())
