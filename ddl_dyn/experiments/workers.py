"""Runs side by side: worker processes that each do one run after another, and stop together."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from ddl_dyn.engine.threads import THREADS_VARIABLE, available_threads, cores
from ddl_dyn.experiments.cell import Job
from ddl_dyn.experiments.interrupts import Terminated, as_interrupts, exit_code
from ddl_dyn.experiments.progress import Account
from ddl_dyn.experiments.run import Launch

# What closing a run takes after an interrupt; a worker that needs longer is stuck.
STOP_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The end of one of the runs.

    Args:
        number: its place in the list.
        error: None for a completed run, otherwise the reason in one line.
    """

    number: int
    error: str | None


class _Service(NamedTuple):
    """The service of a worker process; see `run_all`."""

    base: Path
    options: Mapping[str, Any]
    do: Callable[[Job, Launch], object]


def run_all(
    work: Sequence[Job],
    launch: Launch,
    do: Callable[[Job, Launch], object],
    *,
    jobs: int,
    on_account: Callable[[int, Account], None],
    on_end: Callable[[Ended], None],
) -> list[Ended]:
    """Do every piece of work in a worker process, `jobs` at a time.

    Args:
        work: what `do` takes, in JSON's types.
        launch: where and how.
        do: a function of a module.
        jobs: worker processes; each keeps its imports from one run to the next.
        on_account: told how far a run is.
        on_end: told of the end of each.
    Returns:
        One `Ended` per piece, in order. A worker that dies takes only its own run with it.
    Raises:
        KeyboardInterrupt: passed on after all workers have been told to stop and have closed their runs.
    """
    team = _Team(work, _Service(launch.base, dict(launch.options), do), on_end)
    try:
        team.hire(min(jobs, len(work)))
        while len(team.ended) < len(work):
            team.hand_out()
            for worker, kind, payload in team.listen():
                if kind == "account":
                    assert worker.number is not None
                    on_account(worker.number, payload)
                else:
                    team.finish(worker, payload)
    finally:
        _stop(team.workers)
    return [team.ended[number] for number in range(len(work))]


class _Team:
    """The workers, and which run is waiting, under way or over."""

    def __init__(self, work: Sequence[Job], service: _Service, on_end: Callable[[Ended], None]) -> None:
        self.work, self.service, self.on_end = work, service, on_end
        self.waiting = deque(range(len(work)))
        self.ended: dict[int, Ended] = {}
        self.workers: list[_Worker] = []

    def hire(self, count: int) -> None:
        """Start worker processes."""
        with _shared_cores(count):
            self.workers += [_Worker(self.service) for _ in range(count)]

    def hand_out(self) -> None:
        """Give every idle worker a run, a dead one's successor too."""
        for place, worker in enumerate(self.workers):
            if worker.number is None and self.waiting:
                if not worker.process.is_alive():
                    with _shared_cores(len(self.workers)):
                        self.workers[place] = worker = _Worker(self.service)
                number = self.waiting.popleft()
                worker.send(number, self.work[number])

    def listen(self) -> Iterator[tuple[_Worker, str, Any]]:
        """Messages of busy workers; one that died has ended its run."""
        busy = {worker.connection: worker for worker in self.workers if worker.number is not None}
        for ready in wait(list(busy)):
            worker = busy[ready]  # type: ignore[index]
            try:
                kind, payload = worker.connection.recv()
            except (EOFError, OSError):
                worker.process.join(STOP_SECONDS)
                kind, payload = "ended", f"its worker process died (exit code {worker.process.exitcode})"
            yield worker, kind, payload

    def finish(self, worker: _Worker, error: str | None) -> None:
        """Note how a worker's run ended; the worker is idle again."""
        number, worker.number = worker.number, None
        assert number is not None
        self.ended[number] = Ended(number=number, error=error)
        self.on_end(self.ended[number])


class _Worker:
    """One process and the end of the pipe to it; `number` is the run it is busy with."""

    def __init__(self, service: _Service) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, service, sys.argv), daemon=False)
        self.process.start()
        theirs.close()
        self.number: int | None = None

    def send(self, number: int, config: Job) -> None:
        self.connection.send(config)
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
def _shared_cores(workers: int) -> Iterator[None]:
    """Within the block new processes start with their share of the cores, and with one thread for linear algebra."""
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", THREADS_VARIABLE)}
    os.environ |= {
        "OMP_NUM_THREADS": before["OMP_NUM_THREADS"] or "1",
        THREADS_VARIABLE: str(max(available_threads() // workers, 1)),
    }
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def in_one_line(problem: BaseException) -> str:
    """An error without its notes: where the traceback lies is said by the run itself."""
    return f"{type(problem).__name__}: {' '.join(str(problem).split())}"


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Within the block nothing is printed: runs side by side would mix their lines, and each keeps its own."""
    nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    with nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def _serve(connection: Connection, service: _Service, argv: list[str]) -> None:
    sys.argv = argv
    try:
        with as_interrupts():
            _serve_each(connection, service)
    except KeyboardInterrupt as interrupt:
        # The pipe may be closed already, and interpreter shutdown would print a traceback that says nothing.
        os._exit(exit_code(interrupt))


def _serve_each(connection: Connection, service: _Service) -> None:
    def tell(kind: str, payload: object) -> None:
        try:
            connection.send((kind, payload))
        except OSError as error:
            # The parent is gone: nobody waits for this run, so it ends as an interrupted one.
            raise Terminated(15) from error

    launch = Launch(base=service.base, options=service.options, on_account=lambda now: tell("account", dict(now)))
    while True:
        try:
            config = connection.recv()
        except (EOFError, OSError):
            return
        error = None
        with silence():
            try:
                service.do(config, launch)
            except Exception as problem:
                error = in_one_line(problem)
        tell("ended", error)


# More side by side on one GPU only wait for each other.
JOBS_PER_GPU = 4


def default_jobs(device: str) -> int:
    """One worker per core that this process may use, fewer on a GPU.

    Args:
        device: the runs' `train.device`.
    """
    import torch

    on_gpu = device != "cpu" and torch.cuda.is_available()
    return min(cores(), JOBS_PER_GPU) if on_gpu else cores()
