"""Runs side by side: worker processes that each do one run after another, and stop together."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

# What closing a run takes after an interrupt; a worker that needs longer is stuck.
STOP_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How one of the runs ended.

    Args:
        number: its place in the list.
        run_id: its folder's name, None when it never got one.
        error: None for a completed run, otherwise the reason in one line.
    """

    number: int
    run_id: str | None
    error: str | None


def run_all(
    configs: Sequence[Mapping[str, Any]],
    base: Path,
    *,
    jobs: int,
    options: Mapping[str, Any] | None = None,
    on_account: Callable[[int, Mapping[str, Any]], None] | None = None,
    on_start: Callable[[int, str], None] | None = None,
    on_end: Callable[[Ended], None] | None = None,
) -> list[Ended]:
    """Do every configuration as a run of its own, `jobs` at a time.

    Args:
        configs: resolved run configurations in JSON's types.
        base: the runs folder.
        jobs: worker processes; each keeps its imports from one run to the next.
        options: Sacred's options for every run.
    Returns:
        One `Ended` per configuration, in order. A worker that dies takes only its own run with it.
    Raises:
        KeyboardInterrupt: passed on after all workers have been told to stop and have closed their runs.
    """
    waiting = list(range(len(configs)))
    ended: dict[int, Ended] = {}
    started: dict[int, str] = {}
    workers: list[_Worker] = []

    def finish(end: Ended) -> None:
        ended[end.number] = end
        if on_end is not None:
            on_end(end)

    try:
        with _single_threaded():
            workers = [_Worker(base, options or {}) for _ in range(min(jobs, len(configs)))]
        while len(ended) < len(configs):
            for place, worker in enumerate(workers):
                if worker.number is not None or not waiting:
                    continue
                if not worker.process.is_alive():
                    with _single_threaded():
                        workers[place] = worker = _Worker(base, options or {})
                worker.send(waiting[0], configs[waiting[0]])
                waiting.pop(0)
            busy = {worker.connection: worker for worker in workers if worker.number is not None}
            for ready in wait(list(busy)):
                worker = busy[ready]  # type: ignore[index]
                number = worker.number
                assert number is not None
                try:
                    kind, payload = worker.connection.recv()
                except (EOFError, OSError):
                    worker.number = None
                    worker.process.join(STOP_SECONDS)
                    reason = f"its worker process died (exit code {worker.process.exitcode})"
                    finish(Ended(number=number, run_id=started.get(number), error=reason))
                    continue
                if kind == "started":
                    started[number] = payload
                    if on_start is not None:
                        on_start(number, payload)
                elif kind == "account":
                    if on_account is not None:
                        on_account(number, payload)
                else:
                    worker.number = None
                    finish(Ended(number=number, run_id=started.get(number), error=payload))
    finally:
        _stop(workers)
    return [ended[number] for number in range(len(configs))]


class _Worker:
    """One process and the end of the pipe to it; `number` is the run it is busy with."""

    def __init__(self, base: Path, options: Mapping[str, Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, base, dict(options), sys.argv), daemon=False)
        self.process.start()
        theirs.close()
        self.number: int | None = None

    def send(self, number: int, config: Mapping[str, Any]) -> None:
        self.connection.send(dict(config))
        self.number = number


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.connection.close()
        # An idle worker leaves by itself when its pipe closes.
        if worker.number is not None and worker.process.is_alive():
            worker.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for worker in workers:
        worker.process.join(max(deadline - time.monotonic(), 0.1))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Within the block new processes start with one thread for linear algebra; side by side, more would compete."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("OMP_NUM_THREADS", None)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    with nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def _serve(connection: Connection, base: Path, options: dict[str, Any], argv: list[str]) -> None:
    from ddl_dyn.signals import as_interrupts, exit_code

    sys.argv = argv
    try:
        with as_interrupts():
            _serve_each(connection, base, options)
    except KeyboardInterrupt as interrupt:
        # The pipe may be closed already, and interpreter shutdown would print a traceback that says nothing.
        os._exit(exit_code(interrupt))


def _serve_each(connection: Connection, base: Path, options: dict[str, Any]) -> None:
    from ddl_dyn.running import Launch, run
    from ddl_dyn.signals import Terminated
    from ddl_dyn.validation import resolve_run

    def tell(kind: str, payload: Any) -> None:
        try:
            connection.send((kind, payload))
        except OSError as error:
            # The parent is gone: nobody waits for this run, so it ends as an interrupted one.
            raise Terminated(15) from error

    launch = Launch(
        base=base,
        options=options,
        on_account=lambda now: tell("account", dict(now)),
        on_start=lambda run_id: tell("started", run_id),
    )
    while True:
        try:
            config = connection.recv()
        except (EOFError, OSError):
            return
        error = None
        # Several runs would write over one another's lines; each keeps its own in cout.txt.
        with _silence():
            try:
                run(resolve_run(config), launch)
            except Exception as problem:
                # In one line, and without the notes: where the traceback lies is said by the run itself.
                error = f"{type(problem).__name__}: {' '.join(str(problem).split())}"
        tell("ended", error)
