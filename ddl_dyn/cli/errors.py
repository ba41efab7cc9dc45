"""Errors of a command, each as one clear line and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Callable, Iterator

from ddl_dyn.config.formats import shortened
from ddl_dyn.config.terminal import say

# Longer than most paths, and than the list of all keys.
_LONG_WORD, LONGEST_MESSAGE = re.compile(r"\S{400,}"), 4000


def guarded(command: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Call a command; what goes wrong becomes one clear line on standard error and an exit code."""
    from ddl_dyn.experiments.interrupts import as_interrupts, exit_code

    try:
        with _trusting(getattr(options, "trust", [])), as_interrupts():
            return command(options)
    except KeyboardInterrupt as interrupt:
        print("interrupted", file=sys.stderr)
        return exit_code(interrupt)
    except BrokenPipeError:
        raise
    except Exception as error:
        if getattr(options, "debug", False):
            raise
        return complain(error)


@contextlib.contextmanager
def _trusting(files: list[str]) -> Iterator[None]:
    """Trust in files for one command alone."""
    if not files:
        yield
        return
    from ddl_dyn.runs.trust import trusting

    with trusting(files):
        yield


def complain(error: Exception) -> int:
    """Print an error as one line (one each for several problems); the exit code it means."""
    problems = getattr(error, "problems", None)
    if problems is not None:
        for line in problems:
            say(f"error: {brief(line)}", file=sys.stderr)
        return 1
    text = brief(" ".join(str(error).split())) or type(error).__name__
    known = isinstance(error, (ValueError, OSError)) or type(error).__module__.startswith("ddl_dyn")
    say(f"error: {text}" if known else f"error: {type(error).__name__}: {text}", file=sys.stderr)
    for note in getattr(error, "__notes__", ()):
        say(f"  {note}", file=sys.stderr)
    return 2 if type(error).__name__ == "UsageError" else 1


def brief(message: str) -> str:
    """A message without the middle of a value that is thousands of characters long."""
    words = _LONG_WORD.sub(lambda found: shortened(found.group()), message)
    return shortened(words, LONGEST_MESSAGE)
