"""One cell of the table: start the contestants, see that they agree, then time them in turn.

Axes: C contestants, S samples.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.throughput.problem import Problem, write

ROOT = Path(__file__).resolve().parents[2]
CONTESTANTS = ("suite", "loop", "jax", "torchode", "roofline")
# The roofline computes no loss; the plain loop is eager, independent and simple, so the others are held against it.
REFERENCE, UNCHECKED = "loop", ("roofline",)
# Largest relative difference of (loss, gradients). Fixed steps: float32 sums in another order, carried through 50
# steps. Adaptive: solvers choose other steps, each right to rtol 1e-5, and 50 intervals add up.
AGREEMENT = {False: (1e-4, 1e-3), True: (1e-3, 1e-2)}


class ContestantFailed(Exception):  # noqa: N818
    """A contestant's process ended before its time."""


class Worker:
    """A contestant's process.

    Args:
        name: one of `CONTESTANTS`.   folder: holds problem.json and data.npz; its errors go there.
        environment: added to this process's own.
    """

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        command = [sys.executable, "-m", "benchmarks.throughput.worker", name]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, str(folder / "problem.json"), str(folder / "data.npz")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env=os.environ | {"OMP_NUM_THREADS": json_threads(folder)} | dict(environment or {}),
            )

    def answer(self) -> dict[str, Any]:
        """The next line that it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            tail = self.log.read_text().strip().splitlines()[-1:]
            raise ContestantFailed(f"{self.name} ended with code {self.process.wait()}: {' '.join(tail)}")
        return json.loads(line)

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """Command and answer."""
        assert self.process.stdin is not None
        print(json.dumps({"do": do, **values}), file=self.process.stdin, flush=True)
        return self.answer()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.close()
            self.process.wait(timeout=30)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def complaints(self) -> list[str]:
        """Warnings of this project's own that it printed, without their place."""
        lines = self.log.read_text().splitlines()
        return [line.partition("Warning: ")[2] for line in lines if "Warning: " in line and "ddl_dyn" in line]


def json_threads(folder: Path) -> str:
    """The problem's number of threads, for libraries that read it when they are loaded."""
    return str(json.loads((folder / "problem.json").read_text())["threads"])


@dataclass
class Measured:
    """Measurements of one contestant.

    Args:
        rates: (S,), updates × replicas per second of the clock in force.   wall: the same of the wall clock.
        first_call: seconds of its first update, with all that it compiles.
        training: MiB while training, above what its process held before.   process: largest resident set in MiB.
        loss, gradients: largest relative difference from the reference; None for those that are not compared.
        failure: why there is nothing else.
    """

    rates: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    first_call: float = float("nan")
    training: float = float("nan")
    process: float = float("nan")
    loss: float | None = None
    gradients: float | None = None
    failure: str = ""


@dataclass
class Cell:
    """One model at one number of replicas: what each contestant gave, and what the suite warned of."""

    problem: Problem
    clock: str
    found: dict[str, Measured]
    notes: list[str] = field(default_factory=list)

    def median(self, name: str) -> float:
        """Updates × replicas per second; not a number where there is none."""
        rates = self.found[name].rates if name in self.found else []
        return float(np.median(rates)) if rates else float("nan")

    def ratio(self, a: str, b: str) -> float:
        """Median over samples of a's rate by b's, sample by sample, so that a drifting machine drops out."""
        first, second = (self.found[n].rates if n in self.found else [] for n in (a, b))
        return float(np.median(np.divide(first, second))) if first and len(first) == len(second) else float("nan")

    def memory_ratio(self, a: str, b: str) -> float:
        """Peak memory of training, a's by b's."""
        if not {a, b} <= self.found.keys():
            return float("nan")
        return self.found[a].training / max(self.found[b].training, 1.0)

    def disagreements(self) -> list[str]:
        """Contestants whose loss or gradients differ from the reference's by more than `AGREEMENT`."""
        loss, gradients = AGREEMENT[self.problem.adaptive]
        return [
            f"{self.problem.model}, R = {self.problem.replicas}: {name} differs from {REFERENCE} by {m.loss:.1e} in "
            f"the loss and {m.gradients:.1e} in the gradients"
            for name, m in self.found.items()
            if m.loss is not None and m.gradients is not None and not (m.loss <= loss and m.gradients <= gradients)
        ]


def clock_of(problem: Problem) -> str:
    """One pinned thread's processor time is what a quiet machine would take; several threads need the wall's clock."""
    return "processor" if problem.threads == 1 and problem.device == "cpu" else "wall"


def prepare(problem: Problem, folder: Path) -> None:
    """Write what the contestants read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "problem.json").write_text(json.dumps(problem.plain()))
    write(problem, folder / "data.npz")


def measure(problem: Problem, names: list[str], folder: Path, *, repeats: int, seconds: float) -> Cell:
    """Check and time the contestants of one cell.

    Args:
        problem: sizes.   names: contestants.   folder: for what they exchange.
        repeats: samples of each, taken in turn.   seconds: shortest time of a sample.
    """
    prepare(problem, folder)
    names = [n for n in names if n != "torchode" or problem.adaptive]
    cell = Cell(problem, clock_of(problem), {name: Measured() for name in names})
    workers = {name: Worker(name, folder) for name in names}

    def each(action: Any) -> None:
        """Do it with every contestant that still takes part."""
        for name in list(workers):
            try:
                action(name, workers[name])
            except ContestantFailed as error:
                cell.found[name].failure = str(error)
                workers.pop(name).close()

    try:
        each(lambda _, worker: worker.answer())
        each(lambda name, worker: name in UNCHECKED or worker.ask("gradients", path=str(folder / f"{name}.npz")))
        compare(cell, folder)
        if cell.disagreements():
            return cell
        each(lambda name, worker: vars(cell.found[name]).update(first_call=first_call(worker)))
        for _ in range(repeats):
            each(lambda name, worker: take(cell, name, worker, seconds))
        each(lambda name, worker: vars(cell.found[name]).update(worker.ask("memory")))
        cell.notes += [f"{problem.model}: {line}" for w in workers.values() for line in w.complaints()]
    finally:
        for worker in workers.values():
            worker.close()
    return cell


def first_call(worker: Worker) -> float:
    """Seconds of the first update."""
    return worker.ask("sample", seconds=0.0)["seconds"]


def take(cell: Cell, name: str, worker: Worker, seconds: float) -> None:
    """Take one sample.

    Args:
        cell: gets it.   name: of the contestant.   worker: its process.   seconds: shortest time.
    """
    sample = worker.ask("sample", seconds=seconds)
    cell.found[name].rates.append(sample["updates"] / sample["seconds" if cell.clock == "wall" else "processor"])
    cell.found[name].wall.append(sample["updates"] / sample["seconds"])


def compare(cell: Cell, folder: Path) -> None:
    """Fill in how far each contestant's loss and gradients are from the reference's."""
    reference = folder / f"{REFERENCE}.npz"
    if REFERENCE not in cell.found or cell.found[REFERENCE].failure:
        return
    with np.load(reference) as held:
        expected = {name: held[name] for name in held.files}
    checked = len(expected["loss"])
    for name, measured in cell.found.items():
        if name in (REFERENCE, *UNCHECKED) or measured.failure:
            continue
        with np.load(folder / f"{name}.npz") as held:
            differ = {n: difference(held[n][:checked], expected[n]) for n in expected}
        measured.loss = differ.pop("loss")
        measured.gradients = max(differ.values())


def difference(found: Any, expected: Any) -> float:
    """Largest difference, by the largest number that was expected; infinite where a number is not finite."""
    error = np.abs(found - expected).max() / np.abs(expected).max()
    return float(error) if np.isfinite(error) else float("inf")
