"""`ddl-dyn completion`: scripts for shells, and the words that may stand where the cursor is.

A shell asks at every press of Tab, so the answers come from the parser and from sources (`declared`), without torch.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ddl_dyn.cli.declared import SECTIONS_FILE, fields, model_options, registered, task_parameters
from ddl_dyn.config.terminal import say

_EXPERIMENTS = Path(__file__).parents[1] / "experiments"
_GRID_FILE, _SEARCH_FILE = _EXPERIMENTS / "sweep" / "config.py", _EXPERIMENTS / "search" / "config.py"
# Class of the configuration of each command that takes settings, and the file it stands in.
SETTINGS_OF = {
    "run": (SECTIONS_FILE, "RunConfig"),
    "compare": (_GRID_FILE, "CompareConfig"),
    "sweep": (_GRID_FILE, "SweepConfig"),
    "search": (SECTIONS_FILE, "RunConfig"),
}
# Sacred's commands and options, whose own list takes long to load.
SACRED_COMMANDS = ("print_config", "print_dependencies", "save_config", "print_named_configs", "help")
SACRED_FLAGS = ("--debug", "--enforce_clean", "--help", "--print-config", "--unobserved")
SACRED_OPTIONS = (
    *("--beat-interval", "--capture", "--comment", "--file_storage", "--id", "--loglevel", "--name", "--store"),
    *("--runs", "--trust"),
)
_OWN_OPTIONS = {"run": (), "compare": ("--dry-run",), "sweep": ("--dry-run",), "search": ("--jobs",)}

# Each script hands on the command line up to the cursor. Words that end in = . or , go on, so no space follows them.
SCRIPTS = {
    "bash": r"""_ddl_dyn() {
    local line=${COMP_LINE:0:COMP_POINT} word before
    mapfile -t COMPREPLY < <("$1" completion --answer "$line" 2>/dev/null)
    # Readline completes what stands behind the last = or : of a word.
    word=${line##*[[:space:]]}
    before=${word%"${word##*[=:]}"}
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
    [[ ${COMPREPLY[0]} == *[=.,] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o default -F _ddl_dyn ddl-dyn
""",
    "zsh": r"""#compdef ddl-dyn
_ddl_dyn() {
    local -a found going ending
    found=("${(@f)$(${words[1]} completion --answer "${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)}")
    going=(${(M)found:#*[=.,]})
    ending=(${found:#*[=.,]})
    (( $#going )) && compadd -S '' -- $going
    (( $#ending )) && compadd -- $ending
    (( $#going + $#ending )) || _files
}
compdef _ddl_dyn ddl-dyn
""",
    "fish": r"""function __ddl_dyn
    set -l words (commandline -opc)
    set -l found ($words[1] completion --answer (commandline -cp | string collect) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c ddl-dyn -f -a '(__ddl_dyn)'
""",
}


def print_completion(shell: str | None, line: str | None, parser: argparse.ArgumentParser) -> int:
    """Print the script for a shell, or the answers to a line, one to a line.

    Args:
        shell: its name, or None.   line: the command line up to the cursor, or None.   parser: of the program.
    Returns:
        0.
    Raises:
        ValueError: when neither or both are given.
    """
    if (shell is None) == (line is None):
        raise ValueError(f"which shell? `ddl-dyn completion` takes one of {', '.join(SCRIPTS)}")
    if shell is not None:
        print(SCRIPTS[shell], end="")
    for word in () if line is None else answers(line, parser):
        say(word)
    return 0


def answers(line: str, parser: argparse.ArgumentParser) -> list[str]:
    """The words that may stand at the end of a command line, each whole; none where only a file's name may.

    Args:
        line: the command line up to the cursor, the program's name first.   parser: of the program.
    """
    *words, current = _words(line)[1:] or [""]
    commands = _commands(parser)
    place, chosen = 0, _Chosen(parser)
    while place < len(words) and words[place].startswith("-"):
        place += chosen.take(words, place)
    if place >= len(words):
        found = chosen.values(words, current) if words else None
        offered = [*commands, *_flags(parser)] if current.startswith("-") else list(commands)
        return _fitting(offered if found is None else found, current)
    command, rest = words[place], words[place + 1 :]
    if command in SETTINGS_OF:
        return _fitting(_of_settings(command, rest, current), current)
    if command not in commands:
        return []
    return _fitting(_of_plain(commands[command], command, rest, current, words), current)


def _words(line: str) -> list[str]:
    """Words of an unfinished command line; the last one is what is being typed, empty after a space."""
    for end in ("", "'", '"'):
        try:
            found = shlex.split(line + end)
        except ValueError:
            continue
        return [*found, ""] if not line or (line[-1].isspace() and not end) else found
    return line.split(" ")


def _fitting(offered: Iterable[str], current: str) -> list[str]:
    return [word for word in dict.fromkeys(offered) if word.startswith(current)]


def _commands(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    (found,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    shown = (action for action in parser._actions if action.help is not argparse.SUPPRESS)
    return [flag for action in shown for flag in action.option_strings if flag.startswith("--")]


class _Chosen:
    """Options of a parser and the values that they take."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.options = {flag: action for action in parser._actions for flag in action.option_strings}

    def take(self, words: Sequence[str], place: int) -> int:
        """Words that the option at a place is made of."""
        action = self.options.get(words[place])
        return 2 if action is not None and action.nargs != 0 else 1

    def values(self, words: Sequence[str], current: str) -> list[str] | None:
        """Values of the option before the cursor; None where none stands there, or it takes none."""
        action = self.options.get(words[-1]) if words else None
        if action is None or action.nargs == 0:
            return None
        if action.choices is not None:
            return [str(choice) for choice in action.choices]
        listed = _LISTS.get(action.dest)
        return [] if listed is None else _listed(current, listed())


def _of_plain(
    parser: argparse.ArgumentParser, command: str, rest: Sequence[str], current: str, words: Sequence[str]
) -> list[str]:
    """Words of a command that argparse reads: its options, their values and its arguments."""
    chosen = _Chosen(parser)
    found = chosen.values(rest, current)
    if found is not None:
        return found
    if current.startswith("-"):
        return _flags(parser)
    place, count = 0, 0
    while place < len(rest):
        option = rest[place].startswith("-")
        count += not option
        place += chosen.take(rest, place) if option else 1
    wanted = [action for action in parser._actions if not action.option_strings]
    several = wanted and wanted[-1].nargs in ("*", argparse.REMAINDER)
    action = wanted[min(count, len(wanted) - 1)] if wanted and (count < len(wanted) or several) else None
    if action is None:
        return []
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    if action.dest == "name":
        return list(registered(command))
    return _run_ids(_folder(words)) if action.metavar in ("RUN", "SWEEP") else []


def _folder(words: Sequence[str]) -> str:
    for place, word in enumerate(words):
        if word.startswith("--runs="):
            return word.partition("=")[2]
        if word == "--runs" and place + 1 < len(words):
            return words[place + 1]
    return "runs"


def _run_ids(folder: str) -> list[str]:
    try:
        found = [entry.name for entry in os.scandir(folder) if os.path.exists(os.path.join(entry.path, "run.json"))]
    except OSError:
        return []
    # Numbers as numbers: run 10 follows run 9.
    return ["last", *sorted(found, key=lambda name: (not name.isdecimal(), name.zfill(20)))] if found else []


def _statuses() -> list[str]:
    from ddl_dyn.runs import STATUSES

    return list(STATUSES)


# Values of options by their destination; several with commas.
_LISTS: dict[str, Callable[[], list[str]]] = {
    "task": lambda: list(registered("tasks")),
    "model": lambda: list(registered("models")),
    "status": _statuses,
    "kind": lambda: ["run", "compare", "sweep"],
}


def _listed(current: str, offered: Iterable[str]) -> list[str]:
    """Offered words behind those that stand before the last comma; none of these again."""
    before, comma, _ = current.rpartition(",")
    given = before.split(",")
    return [f"{before}{comma}{word}" for word in offered if word not in given]


def _of_settings(command: str, rest: Sequence[str], current: str) -> list[str]:
    """Words of a command of Sacred's grammar: `[COMMAND] [with key=value …] [options]`."""
    if rest and rest[-1] in (*SACRED_OPTIONS, "--jobs"):
        return []
    if current.startswith("-"):
        return [*SACRED_FLAGS, *SACRED_OPTIONS, *_OWN_OPTIONS[command]]
    if "with" not in rest:
        return ["with", *(SACRED_COMMANDS if command != "search" else ("help",))]
    settings = dict(word.partition("=")[::2] for word in rest[rest.index("with") + 1 :] if "=" in word)
    key, equals, value = current.partition("=")
    known = _keys(command, settings)
    if not equals:
        return _next_parts(key, known)
    offered = known.get(key, ())
    several = key in ("tasks", "models", "carries") or (command == "sweep" and key != "engine")
    return [f"{key}={word}" for word in (_listed(value, offered) if several else offered)]


def _next_parts(typed: str, known: Iterable[str]) -> list[str]:
    """Keys that begin as typed, up to their next dot: a section is offered before its keys."""
    at = typed.rfind(".") + 1
    found = dict.fromkeys(key[:at] + re.split(r"(?<=\.)", key[at:])[0] for key in known if key.startswith(typed))
    # One section alone is no choice.
    if len(found) == 1 and (section := next(iter(found))).endswith("."):
        return [
            f"{section}{part}"
            for part in _next_parts("", [k.removeprefix(section) for k in known if k.startswith(section)])
        ]
    return [key if key.endswith(".") else f"{key}=" for key in found]


def _keys(command: str, settings: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Every key that a command takes with the names that may be its value, for the tasks and models in the settings."""
    path, name = SETTINGS_OF[command]
    found = _flat(path, name)
    run = _flat(SECTIONS_FILE, "RunConfig")
    default = fields(SECTIONS_FILE, "RunConfig")
    tasks, models = (
        (settings.get(f"{kind}s") or settings.get(kind) or default[kind].default).split(",")
        for kind in ("task", "model")
    )
    run |= {f"model_args.{key}": one.choices for model in models for key, one in model_options(model).items()}
    run |= {f"task_args.{key}": one.choices for task in tasks for key, one in task_parameters(task).items()}
    names = {"task": tuple(registered("tasks")), "model": tuple(registered("models"))}
    if command == "search":
        found |= _flat(_SEARCH_FILE, "SearchConfig", "search.")
    if command in ("run", "search"):
        return found | run | names
    of_cell = {key: choices for key, choices in run.items() if key not in (*names, "tags", "note")}
    of_cell.pop("model_args.carry")
    found |= of_cell | {f"{key}s": choices for key, choices in names.items()}
    for section, chosen in (("per_task", tasks), ("per_model", models)):
        found |= {f"{section}.{one}.{key}": choices for one in chosen if one for key, choices in of_cell.items()}
    return {key: choices for key, choices in found.items() if key not in ("per_task", "per_model")}


def _flat(path: Path, name: str, prefix: str = "") -> dict[str, tuple[str, ...]]:
    """Dotted keys of a section and of those in it, with the names that may be their value."""
    found: dict[str, tuple[str, ...]] = {}
    for key, one in fields(path, name).items():
        if one.section:
            found |= _flat(SECTIONS_FILE, one.section, f"{prefix}{key}.")
        elif key not in ("task_args", "model_args"):
            found[prefix + key] = one.choices
    return found
