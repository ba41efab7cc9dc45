"""Memory and time of one update against steps T, replicas R and batch B, with fitted slopes.

    python -m benchmarks.scaling [--model ddl] [--longest 5000] [--out benchmarks/results]

Every point is a process of its own, so that its peak memory is its own: it trains as `fit` does, makes one update to
warm up, then the best of `--repeats`. Time is processor time of one thread. T is run with and without gradient
checkpointing (`train.checkpointing`). The largest problem that fits a memory is not run: it is extrapolated from the
last two points, as if memory went on growing as between them, and printed as such.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scaling.lines import LIMIT, NAMES, Line, Point, largest, series_of, sizes_to
from benchmarks.throughput import memory
from benchmarks.throughput.problem import MODELS, Problem, Training, build, trajectories
from benchmarks.throughput.report import layout, machine, number, slug

ROOT = Path(__file__).resolve().parents[2]
# So few that the data stay small beside an update of them.
TRAJECTORIES = 8


def one_update(problem: Problem, *, checkpointing: bool, repeats: int) -> tuple[float, float]:
    """Seconds of processor time and MiB of one update, in this process.

    Args:
        problem: sizes.   checkpointing: as `TrainConfig` has it.   repeats: timed updates, of which the best counts.
    """
    # The smallest update brings compiler and libraries into memory, which is not what grows.
    train(replace(problem, steps=2, replicas=1, batch=1), checkpointing=checkpointing, repeats=1)
    before = memory.resident()
    marks = train(problem, checkpointing=checkpointing, repeats=repeats)
    # A page at least: a logarithm is taken.
    return float(np.diff(marks).min()), max(memory.peak() - before, 2**-8)


def train(problem: Problem, *, checkpointing: bool, repeats: int) -> list[float]:
    """Processor time after each update of a short training; `memory.peak` counts from the first one's end.

    Args:
        problem: sizes.   checkpointing: as `TrainConfig` has it.   repeats: updates after the first.
    """
    from ddl_dyn import Replicas, fit
    from ddl_dyn.config.sections import TrainConfig

    replicas = Replicas(build(problem), range(problem.replicas))
    series = Training.of(trajectories(problem, TRAJECTORIES).astype(np.float32))
    config = TrainConfig(
        updates=repeats + 1,
        # The validation at the start and at the end sees one step: it is not what is measured.
        validate_every=repeats + 1,
        validate_steps=1,
        batch=problem.batch,
        horizon=problem.steps,
        curriculum=False,
        compile=problem.compile,  # type: ignore[arg-type]
        checkpointing=checkpointing,
        threads=problem.threads,
    )
    marks: list[float] = []

    def on_update(_: Any) -> None:
        if not marks:
            memory.restart_peak()
        marks.append(time.process_time())

    fit(replicas, series, series, config, on_update=on_update)
    return marks


def measured(axis: str, problem: Problem, *, checkpointing: bool, repeats: int) -> Point:
    """One update in a process of its own.

    Args:
        axis: of the point.   problem: sizes.   checkpointing, repeats: as `one_update` takes them.
    """
    asked = json.dumps({"problem": problem.plain(), "checkpointing": checkpointing, "repeats": repeats})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scaling", "--point", asked],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": str(problem.threads)},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{axis} = {getattr(problem, axis)}: {done.stderr.strip().splitlines()[-1:]}")
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    point = Point(axis, problem.steps, problem.replicas, problem.batch, checkpointing, seconds, peak)
    print(f"{axis} = {point.size}{', checkpointing' * checkpointing}: {seconds:.3f} s, {peak:.0f} MiB", flush=True)
    return point


def table(points: Sequence[Point]) -> str:
    """Slopes, and the largest problem that would fit."""
    rows = []
    for (axis, checkpointing), row in series_of(points).items():
        sizes = [p.size for p in row]
        times, held = Line.fit(sizes, [p.seconds for p in row]), Line.fit(sizes, [p.memory for p in row])
        others = ", ".join(f"{n[-1]} = {getattr(row[0], key)}" for key, n in NAMES.items() if key != axis)
        row_text = [NAMES[axis], "on" if checkpointing else "off", others, f"{sizes[0]}–{sizes[-1]}"]
        row_text += [f"{times.slope:.2f}", f"{held.slope:.2f}", number(row[-1].seconds), number(row[-1].memory)]
        rows.append([*row_text, f"{float(f'{largest(row):.2g}'):,.0f}"])
    head = ["against", "checkpointing", "at", "range", "slope of time", "slope of memory", "s at the end"]
    return layout([*head, "MiB at the end", f"fits {LIMIT} GiB (extrapolated)"], rows)


def main(argv: list[str] | None = None) -> int:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=tuple(MODELS), default="ddl")
    parser.add_argument("--longest", type=int, default=5000, help="steps T (default: %(default)s)")
    parser.add_argument("--replicas", type=int, default=8, help="R where it does not vary (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="B where it does not vary (default: %(default)s)")
    parser.add_argument("--most", type=int, default=128, help="largest R; B goes to 16 times it (default: %(default)s)")
    parser.add_argument("--compile", choices=("on", "off"), default="on")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.point:
        asked = json.loads(args.point)
        asked["problem"] = Problem(**asked["problem"])
        print(json.dumps(one_update(**asked)))
        return 0
    base = Problem(model=args.model, replicas=args.replicas, batch=args.batch, compile=args.compile)
    powers = [n for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512) if n <= args.most]
    todo = [("steps", {"steps": n}, on) for on in (False, True) for n in sizes_to(args.longest)]
    todo += [("replicas", {"replicas": n}, False) for n in powers]
    todo += [("batch", {"batch": 16 * n}, False) for n in powers]
    points = [
        measured(axis, Problem(**base.plain() | change), checkpointing=on, repeats=args.repeats)
        for axis, change, on in todo
    ]
    about = machine("cpu")
    text = f"{args.model}, one update, {about['device']}, one thread, load {about['load']:.1f}\n\n{table(points)}"
    print(f"\n{text}")
    save(args.out / f"scaling-{slug(args.model)}-{slug(about['device'])}", text, points, about, args.model)
    return 0


def save(stem: Path, text: str, points: Sequence[Point], about: dict[str, object], model: str) -> None:
    """Write table, numbers and figure.

    Args:
        stem: path without suffix.   text: the table.   points: measured updates.   about: the machine.
        model: printed name.
    """
    from benchmarks.scaling.figure import scaling
    from ddl_dyn.plots import style

    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".txt").write_text(text + "\n")
    stem.with_suffix(".json").write_text(
        json.dumps({"machine": about, "points": [asdict(p) for p in points]}, indent=1) + "\n"
    )
    style.save(scaling(points, f"{model} on {about['device']}"), stem)
    print(f"\nwritten: {stem}.txt, .json, .png, .svg")


if __name__ == "__main__":
    sys.exit(main())
