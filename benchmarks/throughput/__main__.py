"""Updates × replicas per second of (a) this suite, (b) a plain loop over seeds, (c) JAX and (d) the products alone.

    python -m benchmarks.throughput [--models ddl,lstm] [--replicas 1,32] [--repeats 5] [--seconds 0.4]

Each contestant is a process of its own, pinned to the same processors, and makes the same update (AdamW, gradients
clipped by their norm). First their losses and gradients are compared from the same weights on the same windows, then
they are timed in turn. On one thread the clock is the process's processor time; with more, or on a card, the wall's. A
ratio is the median over samples, each beside its neighbour in time. "MiB" is the peak while training, above what the
process held after its imports. Exits with 1 when the component's tests fail or contestants disagree; a target that is
missed is printed, and is no error.

Contestants (c) come from the extra `bench`; without it their columns are empty.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.throughput.cells import CONTESTANTS, ROOT, Cell, ContestantFailed, Worker, first_call, measure, prepare
from benchmarks.throughput.problem import MODELS, Problem
from benchmarks.throughput.report import compile_table, machine, rates_table, ratios_table, slug, to_json

PEERS = {"jax": ("jax", "equinox", "optax", "diffrax"), "torchode": ("torchode",)}
TESTS = ("tests/benchmarks/test_benchmarks.py", "tests/training/test_training.py")
# What is measured with two threads beside one, and with how many replicas that is done, and compilation timed.
TWO_THREADS = ("ddl", "lstm")
MIDDLE = 32


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", default=",".join(MODELS), help="comma-separated (default: %(default)s)")
    parser.add_argument("--replicas", default="1,8,32,128", help="comma-separated (default: %(default)s)")
    parser.add_argument("--contestants", default=",".join(CONTESTANTS), help="comma-separated (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="samples of each contestant (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.4, help="shortest sample (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1, help="of every contestant (default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--skip-tests", action="store_true", help="measure without testing first")
    parser.add_argument("--skip-compile-times", action="store_true")
    parser.add_argument("--skip-two-threads", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder for the results")
    args = parser.parse_args(argv)
    args.models, args.contestants = args.models.split(","), args.contestants.split(",")
    args.replicas = [int(r) for r in args.replicas.split(",")]
    for what, chosen, known in (("model", args.models, MODELS), ("contestant", args.contestants, CONTESTANTS)):
        if unknown := [name for name in chosen if name not in known]:
            parser.error(f"unknown {what} {unknown[0]!r}; choose from {', '.join(known)}")
    return args


def present(names: list[str]) -> list[str]:
    """The contestants whose packages are installed; says once what is missing."""
    missing = {name: [p for p in PEERS.get(name, ()) if importlib.util.find_spec(p) is None] for name in names}
    if absent := [package for packages in missing.values() for package in packages]:
        print(f"not installed: {', '.join(absent)}; their columns stay empty (pip install -e '.[bench]')\n")
    return [name for name in names if not missing[name]]


def problem_of(args: argparse.Namespace, model: str, replicas: int, threads: int) -> Problem:
    """Sizes of a cell.

    Args:
        args: the options.   model: printed name.   replicas: R.   threads: of every contestant.
    """
    return Problem(
        model=model,
        replicas=replicas,
        threads=threads,
        steps=args.steps,
        batch=args.batch,
        hidden=args.hidden,
        device=args.device,
    )


def middle(replicas: list[int]) -> int:
    """The number of replicas nearest to `MIDDLE`."""
    return min(replicas, key=lambda r: abs(r - MIDDLE))


def compile_times(args: argparse.Namespace, names: list[str], folder: Path) -> list[dict[str, Any]]:
    """First call of each model with an empty cache of compiled code, and again in the next process.

    Args:
        args: the options.   names: contestants.   folder: for what they exchange.
    """
    found = []
    replicas = middle(args.replicas)
    for model in args.models:
        here = folder / f"compile-{slug(model)}"
        prepare(problem_of(args, model, replicas, args.threads), here)
        cache = {"DDL_DYN_CACHE": str(here / "cache")}
        row: dict[str, Any] = {"model": model, "replicas": replicas}
        for kind, name in (("cold", "suite"), ("cached", "suite"), ("jax", "jax")):
            row[kind] = float("nan")
            if name in names:
                worker = Worker(name, here, cache)
                try:
                    worker.answer()
                    row[kind] = first_call(worker)
                except ContestantFailed as error:
                    print(error)
                finally:
                    worker.close()
        found.append(row)
        print(f"compiled {model}: {row['cold']:.1f} s, again {row['cached']:.1f} s", flush=True)
    return found


def all_cells(args: argparse.Namespace, names: list[str], folder: Path) -> list[Cell]:
    """Measure every cell and print the progress.

    Args:
        args: the options.   names: contestants.   folder: for what they exchange.
    """
    todo = [(model, R, args.threads) for model in args.models for R in args.replicas]
    if not args.skip_two_threads and args.threads == 1 and args.device == "cpu" and (os.cpu_count() or 1) > 1:
        todo += [(model, middle(args.replicas), 2) for model in TWO_THREADS if model in args.models]
    cells = []
    for i, (model, R, threads) in enumerate(todo):
        problem = problem_of(args, model, R, threads)
        cells.append(measure(problem, names, folder / f"cell-{i}", repeats=args.repeats, seconds=args.seconds))
        done = {name: f"{cells[-1].median(name):.4g}" for name in cells[-1].found}
        print(f"[{i + 1}/{len(todo)}] {model}, R = {R}, {threads} thread(s): {done}", flush=True)
    return cells


def problems(cells: list[Cell]) -> list[str]:
    """Contestants that failed or disagree, a line each."""
    return [
        line
        for cell in cells
        for line in (*cell.disagreements(), *(f"{n}: {m.failure}" for n, m in cell.found.items() if m.failure))
    ]


def main(argv: list[str] | None = None) -> int:
    """Test, measure, print and save."""
    args = parse(argv)
    began = time.perf_counter()
    if not args.skip_tests:
        command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", *TESTS]
        if subprocess.run(command, check=False, cwd=ROOT).returncode:
            print("the tests of training and of the contestants fail; nothing measured")
            return 1
    names = present(args.contestants)
    about = {"machine": machine(args.device)}
    with tempfile.TemporaryDirectory() as folder:
        cells = all_cells(args, names, Path(folder))
        skip = args.skip_compile_times or "suite" not in names
        compiled = [] if skip else compile_times(args, names, Path(folder))
    about |= {
        "seconds": time.perf_counter() - began,
        "options": {k: str(v) for k, v in vars(args).items() if k != "out"},
    }
    m = about["machine"]
    packages = ", ".join(f"{name} {v}" for name, v in m["packages"].items())
    text = "\n\n".join(
        (
            f"{m['device']}, {m['cores']} cores, load {m['load']:.1f} at the start; {packages}\n"
            f"d = 16, hidden {args.hidden}, batch {args.batch}, {args.steps} steps, AdamW; "
            f"{args.repeats} samples of at least {args.seconds} s, {about['seconds'] / 60:.1f} min in all",
            "updates × replicas per second: median (lowest–highest)\n\n" + rates_table(cells),
            "ratios of rates, peak memory while training, and the targets\n\n" + ratios_table(cells),
            *(["seconds of the first update\n\n" + compile_table(compiled)] if compiled else []),
            *sorted({note for cell in cells for note in cell.notes}),
            *problems(cells),
        )
    )
    print(f"\n{text}")
    save(args.out, text, cells, to_json(cells, compiled, about), m["device"])
    return int(bool(problems(cells)))


def save(folder: Path, text: str, cells: list[Cell], json_text: str, device: str) -> None:
    """Write table, numbers and figure, named after the machine.

    Args:
        folder: for the files.   text: the tables.   cells: measured.   json_text: the numbers.   device: its name.
    """
    from benchmarks.throughput.figure import throughput
    from ddl_dyn.plots import style

    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"throughput-{slug(device)}"
    stem.with_suffix(".txt").write_text(text + "\n")
    stem.with_suffix(".json").write_text(json_text)
    alike = [cell for cell in cells if cell.problem.threads == cells[0].problem.threads]
    style.save(throughput(alike, device), stem)
    print(f"\nwritten: {stem}.txt, .json, .png, .svg")


if __name__ == "__main__":
    sys.exit(main())
