"""Trust in code from files, which a stored run, or settings from a file, would execute.

Reading a run executes nothing. Doing one again (resume, replay, analyse, figures of the trained map) executes the files
that define its model or task where these are not the suite's own. A run folder may come from a stranger, so that
happens only when the user names those very files, and only while they hold what the run was made with. A file of
settings may come from one, too: the code that it names is executed only when the user has typed or trusts its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ddl_dyn.config.files import CODE_LIMIT, read_input
from ddl_dyn.config.user_file import is_file_reference
from ddl_dyn.runs.reading import RunError
from ddl_dyn.runs.run import REMARKS, Run

_allowed: set[Path] = set()
# Between the references of a typed list, and around a key that holds dots.
_SEPARATORS, _QUOTED = re.compile(r"[\s,\[\](){}'\"]+"), re.compile(r'"([^"]*)"')


def allow(files: Iterable[str | Path]) -> None:
    """From now on this process may execute these files, and no others, for a stored run.

    Raises:
        ValueError: when one of them does not exist.
    """
    chosen = [Path(file) for file in files]
    for path in chosen:
        if not path.is_file():
            raise ValueError(f"--trust {path}: there is no such file (looked in {Path.cwd()})")
    _allowed.clear()
    _allowed.update(path.resolve() for path in chosen)


@contextlib.contextmanager
def trusting(files: Iterable[str | Path]) -> Iterator[None]:
    """Trust in files, and in no others, while something is done; as it was before afterwards.

    Raises:
        ValueError: when one of them does not exist.
    """
    before = set(_allowed)
    allow(files)
    try:
        yield
    finally:
        _allowed.clear()
        _allowed.update(before)


def code_files(config: Mapping[str, Any]) -> list[str]:
    """Files of code that a run's or a comparison's configuration names, as written: `path/to/file.py:Class`."""
    names: list[object] = [config.get("task"), config.get("model")]
    for key in ("tasks", "models"):
        listed = config.get(key)
        names += listed if isinstance(listed, (list, tuple)) else []
    for section in ("per_task", "per_model"):
        for settings in (config.get(section) or {}).values() if isinstance(config.get(section), Mapping) else ():
            if isinstance(settings, Mapping):
                names += [settings.get("task"), settings.get("model")]
    files = [_file(name) for name in names if isinstance(name, str) and is_file_reference(name)]
    return list(dict.fromkeys(files))


def digests(config: Mapping[str, object]) -> dict[str, str]:
    """SHA-256 of each of those files, for the run to store."""
    return {name: _digest(Path(name)) for name in code_files(config)}


def check_settings(settings: Mapping[str, object], typed: Sequence[str]) -> None:
    """Check that settings name no code but what the user has typed or trusts: a file of settings may be a stranger's.

    Args:
        settings: nested; a value that was typed is a `Typed`.   typed: items of the command line.
    Raises:
        ValueError: when they name another file of code, or a trusted file is named nowhere.
    """
    named = list(dict.fromkeys(_named(settings)))
    unknown = [name for name in named if Path(name).resolve() not in _allowed | set(map(_resolved, _words(typed)))]
    if unknown:
        flags = " ".join(f"--trust {name}" for name in unknown)
        raise ValueError(
            f"the settings in a file would execute {' and '.join(unknown)}, which {_is_or_are(unknown)} no part of "
            f"ddl-dyn; read {_it_or_them(unknown)} first, then add {flags}"
        )
    spare = sorted(str(path) for path in _allowed - {Path(name).resolve() for name in named})
    if spare:
        raise ValueError(f"--trust {spare[0]}: the settings name no such file; leave it out")


def _named(value: object) -> Iterator[str]:
    """Files of code that nested settings name, in keys and values, but for those that were typed."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key not in REMARKS:
                yield from (*_named(key), *_named(item))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _named(item)
    elif isinstance(value, str) and is_file_reference(value):
        yield _file(value)


def _words(typed: Sequence[str]) -> Iterator[str]:
    """References to files among the parts of typed items."""
    for item in typed:
        key, _, value = item.partition("=")
        if key.strip() in REMARKS:
            continue
        yield from filter(is_file_reference, [value.strip(), *_SEPARATORS.split(value), *_QUOTED.findall(key)])


def _file(reference: str) -> str:
    return reference if reference.endswith(".py") else reference.rpartition(":")[0]


def _resolved(reference: str) -> Path:
    return Path(_file(reference)).resolve()


def _is_or_are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _it_or_them(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def check_code(run: Run) -> None:
    """Check that a stored run may be done again here.

    Raises:
        RunError: when it would execute a file that the user has not named, or one that has changed since.
    """
    files = code_files(run.config)
    stored = run.entry.get("code")
    known = stored if isinstance(stored, Mapping) else {}
    missing = [name for name in files if not Path(name).is_file()]
    if missing:
        raise RunError(
            f"run {run.id} was made with code from {missing[0]}, which is not in {Path.cwd()}; change to the folder "
            "that holds it"
        )
    unnamed = [name for name in files if Path(name).resolve() not in _allowed]
    if unnamed:
        flags = " ".join(f"--trust {name}" for name in unnamed)
        raise RunError(
            f"run {run.id} would execute {' and '.join(unnamed)}, which {_is_or_are(unnamed)} no part "
            f"of ddl-dyn; read {_it_or_them(unnamed)} first, then add {flags}"
        )
    for name in files:
        if _digest(Path(name)) != known.get(name):
            raise RunError(
                f"{name} is not what run {run.id} was made with (SHA-256 {_digest(Path(name))[:12]}…, then "
                f"{str(known.get(name))[:12]}…); restore it, or start a new run"
            )
    used = {Path(name).resolve() for name in files}
    spare = sorted(str(path) for path in _allowed - used)
    if spare:
        raise RunError(f"--trust {spare[0]}: run {run.id} executes no such file; leave it out")


def _digest(path: Path) -> str:
    return hashlib.sha256(read_input(path, CODE_LIMIT)).hexdigest()
