"""Many cases in one child process: commands called one after another, what they print and leave held to the promises.

A child has a limit on its memory, a folder of its own for each case and file descriptors that are caught, so that a
library's own words are seen too. The parent waits for each case, and takes a child that hangs or dies for its fault.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ddl_dyn.config.terminal import CONTROL
from tests.helpers.commands import ROOT, environment

# Data of a child: what torch and the smallest training take, several times.
MEMORY_BYTES = 6 << 30
# Of one command: processor time, which a busy machine does not stretch, and time by the clock for one that hangs.
PROCESSOR_S, CLOCK_S = 20.0, 120.0
# Words that are nobody's to read on a terminal.
FOREIGN = re.compile(r"Traceback \(most recent|\b\w*Warning\b|AttributeError|KeyError|IndexError|TypeError|NameError")
# Longest line that is still clear.
LONGEST = 4200


@dataclasses.dataclass(frozen=True)
class Said:
    """One command: exit code, standard output, standard error, seconds of the processor."""

    code: int | None
    out: str
    err: str
    seconds: float


def call(words: Sequence[str], function: Callable[[Sequence[str]], int] | None = None) -> Said:
    """Call the command line in this process; what any library writes to the terminal is caught too."""
    from ddl_dyn.cli.main import main

    began, caught = time.process_time(), []
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with _instead(1, out.fileno()), _instead(2, err.fileno()):
            try:
                code: int | None = (function or main)(list(words))
            except BaseException:
                code = None
                sys.stderr.write(traceback.format_exc())
        for file in (out, err):
            file.seek(0)
            caught.append(file.read().decode("utf-8", "replace"))
    return Said(code, *caught, time.process_time() - began)


@contextlib.contextmanager
def _instead(descriptor: int, other: int) -> Iterator[None]:
    stream = {1: sys.stdout, 2: sys.stderr}[descriptor]
    stream.flush()
    kept = os.dup(descriptor)
    os.dup2(other, descriptor)
    try:
        yield
    finally:
        stream.flush()
        os.dup2(kept, descriptor)
        os.close(kept)


def faults(said: Said, *, refused: Sequence[int] = (1, 2)) -> list[str]:
    """Promises about what is said that a command did not keep."""
    found = []
    if said.code not in (0, *refused):
        found.append(f"exit code {said.code}")
    if CONTROL.search(said.out + said.err):
        found.append("a control character on the terminal")
    # The suite's own word about an option that has no effect, in the form of the language's warnings.
    if foreign := FOREIGN.search(said.err.replace("UserWarning: train.compile=on:", "")):
        found.append(f"foreign words: {foreign.group()}")
    if said.code in refused:
        lines = [line for line in said.err.splitlines() if line.strip()]
        if not any(line.startswith("error: ") for line in lines):
            found.append("refused without a line that begins with error:")
        if max(map(len, lines), default=0) > LONGEST:
            found.append("an endless line")
    if said.seconds > PROCESSOR_S:
        found.append(f"{said.seconds:.0f} s of the processor")
    return found


def one_line(said: Said) -> list[str]:
    """Promises about a refusal that writes nothing: problems alone, one line each, and nothing else."""
    lines = [line for line in said.err.splitlines() if line.strip()]
    stray = [line for line in lines if not line.startswith("error: ")]
    return [f"beside the error: {line}" for line in stray[:1]] + ["printed beside an error"] * bool(said.out)


def tree(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Everything below a folder, not through links: name -> kind, size and time of the last change."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            state = os.lstat(path)
            size, changed = (0, 0) if os.path.isdir(path) else (state.st_size, state.st_mtime_ns)
            found[os.path.relpath(path, folder)] = (state.st_mode >> 12, size, changed)
    return found


# A suite's own part: it makes what its cases share, and judges one case in an empty working directory.
Judge = Callable[[int, int, Path], list[str]]


def serve(judge: Judge, seed: int, first: int, count: int) -> None:
    """In a child: judge cases, and tell of each as one line of JSON on the descriptor that the parent reads."""
    told = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    # One core: what the command line spreads over several is done in this process, where it is seen.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0), key=lambda core: (core + first) % 2)})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    base = Path(tempfile.mkdtemp(prefix="torture_"))
    try:
        for number in range(first, first + count):
            folder = base / str(number)
            folder.mkdir()
            os.chdir(folder)
            print(json.dumps({"begins": number}), file=told, flush=True)
            try:
                found = judge(seed, number, folder)
            except Exception:
                found = [f"the judge itself failed: {traceback.format_exc()}"]
            print(json.dumps({"number": number, "faults": found}), file=told, flush=True)
            os.chdir(base)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.chdir("/")
        shutil.rmtree(base, ignore_errors=True)


@dataclasses.dataclass
class Outcome:
    """Cases that were judged, and the faults of those that have some."""

    judged: int = 0
    faults: dict[int, list[str]] = dataclasses.field(default_factory=dict)


def torture(suite: str, seed: int, numbers: range) -> Outcome:
    """Judge cases of a suite in children, a new one after one that hangs or dies."""
    outcome, first = Outcome(), numbers.start
    while first < numbers.stop:
        words = [sys.executable, "-m", "tests.torture.child", suite, str(seed), str(first), str(numbers.stop - first)]
        last, lost = _listen(words, outcome)
        if lost is None:
            break
        outcome.judged += 1
        outcome.faults[last] = [lost]
        first = last + 1
    return outcome


def _listen(words: Sequence[str], outcome: Outcome) -> tuple[int, str | None]:
    """The case under way when a child ended, and why it was lost; None where all its cases are judged."""
    full = environment(OMP_NUM_THREADS="1", PYTHONUNBUFFERED="1", MPLBACKEND="agg", COLUMNS="80")
    with tempfile.TemporaryFile() as err:
        child = subprocess.Popen(words, cwd=ROOT, env=full, stdout=subprocess.PIPE, stderr=err, start_new_session=True)
        assert child.stdout is not None
        under_way, lost, pending = int(words[-2]), None, b""
        try:
            while True:
                if not select.select([child.stdout], [], [], CLOCK_S)[0]:
                    lost = f"hangs: nothing for {CLOCK_S:.0f} s"
                    break
                piece = os.read(child.stdout.fileno(), 1 << 16)
                if not piece:
                    break
                *lines, pending = (pending + piece).split(b"\n")
                for line in lines:
                    message = json.loads(line)
                    under_way = message.get("begins", under_way)
                    if "number" in message:
                        outcome.judged += 1
                        if message["faults"]:
                            outcome.faults[message["number"]] = message["faults"]
        finally:
            if lost:
                os.killpg(child.pid, signal.SIGKILL)
            code = child.wait()
            child.stdout.close()
        if lost is None and code != 0:
            err.seek(0)
            lost = f"the process died (exit code {code}): {err.read().decode('utf-8', 'replace')[-600:]}"
    return under_way, lost
