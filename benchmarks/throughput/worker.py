"""One contestant in a process of its own, so that its threads and its memory are its own; driven over a pipe.

    python -m benchmarks.throughput.worker CONTESTANT PROBLEM.json DATA.npz

Each line that comes in is a command in JSON, each line that goes out its answer:
    {"do": "gradients", "path": P}   loss and gradients of the shared windows, saved in P
    {"do": "sample", "seconds": S}   train for S seconds or more (0: one update) -> updates × replicas, seconds by
                                     the wall's clock and by the processor's
    {"do": "memory"}                 MiB above what the process held before the problem was built
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

from benchmarks.throughput import memory
from benchmarks.throughput.problem import Data, Problem

Array = np.ndarray


class Contestant(Protocol):
    """One side of the benchmark. `per_update`: replicas that one call of `after_update` stands for."""

    per_update: int

    def train(self, after_update: Callable[[], None]) -> None:
        """Train until `after_update` raises."""

    def wait(self) -> None:
        """Until the device has finished."""


class Finished(Exception):  # noqa: N818
    """No more commands: training ends."""


def pin(threads: int) -> None:
    """Let every thread of this process, and those it will start, run on the last `threads` processors alone."""
    if not hasattr(os, "sched_setaffinity"):
        return
    allowed = set(sorted(os.sched_getaffinity(0))[-threads:])
    for task in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(task.name), allowed)


def load(name: str) -> type[Any]:
    """A contestant's class, with all that it imports, so that the libraries do not count as its memory."""
    if name == "jax":
        from benchmarks.throughput.jax_peer import Jax

        return Jax
    if name == "suite":
        from benchmarks.throughput.suite import Suite

        return Suite
    if name == "torchode":
        from benchmarks.throughput.torchode_peer import Torchode

        return Torchode
    if name == "roofline":
        from benchmarks.throughput.roofline import Roofline

        return Roofline
    from benchmarks.throughput.loop import Loop

    return Loop


class Session:
    """Answers commands; while a contestant trains, between two of its updates."""

    def __init__(self, contestant: Any, problem: Problem, commands: TextIO, answers: TextIO, before: float) -> None:
        self.contestant, self.problem, self.before = contestant, problem, before
        self.commands, self.answers = commands, answers
        self.updates, self.goal = 0, 0.0
        self.started = self.worked = 0.0
        self.warm = False

    def serve(self) -> None:
        """Until the pipe closes."""
        if self.next_sample():
            try:
                self.contestant.train(self.after_update)
            except Finished:
                return

    def after_update(self) -> None:
        """Called by the contestant after each update."""
        self.updates += 1
        if time.perf_counter() - self.started < self.goal:
            return
        self.contestant.wait()
        self.answer(
            updates=self.updates * self.contestant.per_update,
            seconds=time.perf_counter() - self.started,
            processor=time.process_time() - self.worked,
        )
        if not self.warm:
            # What the first call compiled is not the training's memory.
            self.warm = True
            memory.restart_peak()
            if self.problem.device == "cpu":
                pin(self.problem.threads)
        if not self.next_sample():
            raise Finished

    def next_sample(self) -> bool:
        """Answer what can be answered at once; True when a sample is to be taken, False when all is over."""
        for line in self.commands:
            command = json.loads(line)
            if command["do"] == "sample":
                self.updates, self.goal = 0, command["seconds"]
                self.started, self.worked = time.perf_counter(), time.process_time()
                return True
            if command["do"] == "gradients":
                loss, gradients = self.contestant.gradients()
                np.savez(command["path"], loss=loss, **gradients)
                self.answer()
            else:
                self.answer(
                    training=self.device_peak() or memory.peak() - self.before,
                    process=memory.lifetime_peak(),
                )
        return False

    def device_peak(self) -> float:
        """MiB that the card's allocator held at most; 0 on the processor."""
        if self.problem.device == "cpu" or "torch" not in sys.modules:
            return 0.0
        import torch

        return torch.cuda.max_memory_allocated() / 2**20

    def answer(self, **values: Any) -> None:
        """One line out."""
        print(json.dumps(values), file=self.answers, flush=True)


def main() -> None:
    """Serve one contestant."""
    name, problem_path, data_path = sys.argv[1:]
    # What libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    problem = Problem(**json.loads(Path(problem_path).read_text()))
    if name == "jax" and problem.device == "cpu":
        # Its pool of threads is as large as the processors it may use when it is loaded.
        pin(problem.threads)
    if name == "jax" and problem.dtype == "float64":
        os.environ["JAX_ENABLE_X64"] = "1"
    cls = load(name)
    before = memory.resident()
    session = Session(cls(problem, Data.read(Path(data_path), problem.dtype)), problem, sys.stdin, answers, before)
    session.answer(ready=True)
    session.serve()


if __name__ == "__main__":
    main()
