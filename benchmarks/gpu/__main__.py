"""Everything that a card is asked for, in at most eight minutes: `make gpu`.

    python -m benchmarks.gpu [--device cuda] [--minutes 8] [--quick]

The tests that need a card; losses and gradients beside the processor's in float64 and float32; the kernels beside the
ordinary code; waits of the host within updates; measured peaks of products and of a copy; updates × replicas a second
of the suite, a plain loop and JAX by the number of replicas, their share of the peak, memory. Writes gpu-CARD.json and
gpu-CARD.txt in benchmarks/results. What does not fit into the time is left out and named. Exits with 1 where something
is missing or wrong. Nothing has been run on a card so far: `--device cpu --quick` runs the same code here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REQUIRED = ("numpy", "scipy", "torch", "torchdiffeq", "pydantic", "pytest")
OPTIONAL = ("triton", "jax", "equinox", "optax", "diffrax")
OLDEST = (2, 9)


def absent(names: tuple[str, ...]) -> list[str]:
    """Packages that are not installed."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def hindrances(device: str) -> list[str]:
    """Faults to be mended before anything can run, a line each."""
    if missing := absent(REQUIRED):
        return [
            f"not installed: {', '.join(missing)}; pip install {' '.join(missing)} (torch and triton stay as they are)"
        ]
    import torch

    found = []
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < OLDEST:
        found.append(f"torch {torch.__version__} is too old; use {OLDEST[0]}.{OLDEST[1]} or later")
    if device == "cuda" and not torch.cuda.is_available():
        found.append("torch finds no CUDA device here; use a machine with a card, or --device cpu for a trial")
    return found


class Account:
    """Time that is left, and parts that were left out."""

    def __init__(self, minutes: float) -> None:
        self.end = time.perf_counter() + 60 * minutes
        self.left_out: list[str] = []

    def take(self, name: str, seconds: float, find: Callable[[], Any]) -> Any:
        """Find something that takes about so many seconds, if they are left; an error is an outcome, not an end."""
        if time.perf_counter() + seconds > self.end:
            self.left_out.append(f"{name}: out of time")
            return None
        print(f"{name} …", flush=True)
        try:
            return find()
        except Exception as error:
            # One contestant out of memory must not cost the others' numbers.
            self.left_out.append(f"{name}: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
            return None


def measure(args: argparse.Namespace, account: Account) -> dict[str, Any]:
    """All parts, in the order of their weight."""
    from benchmarks.gpu import checks, speed
    from benchmarks.throughput.problem import Problem

    device, quick = args.device, args.quick
    names = checks.trained_models(quick)
    found: dict[str, Any] = {}
    if device == "cuda":
        found["tests"] = account.take("tests that need a card", 60, checks.gpu_tests)
    found["equality"] = account.take("equality with the processor", 20, lambda: checks.equalities(device, names))
    found["kernels"] = account.take("kernels", 30, lambda: checks.kernel_faults(device))
    found["waits"] = account.take("waits", 20, lambda: checks.waits(device, names))
    size, mebibytes = (256, 8) if quick else (8192, 2048)
    found["roofs"] = account.take("roofs", 5, lambda: speed.roofs(device, size=size, mebibytes=mebibytes))
    sizes = {"steps": 5, "batch": 8, "hidden": 16} if quick else {}
    rates = []
    peers = ["suite"] if quick or absent(OPTIONAL[1:]) else ["suite", "jax"]
    for replicas in (1, 4) if quick else (1, 8, 64, 512, 4096):
        for model in ("ddl",) if quick else ("ddl", "resnet", "lstm"):
            # A loop makes one seed after the other, at one rate whatever their number.
            for name in [*peers, *(["loop"] if replicas == 1 else [])]:
                problem = Problem(model=model, replicas=replicas, device=device, compile="off", **sizes)
                row = account.take(
                    f"{name}, {model}, R = {replicas}",
                    8,
                    lambda name=name, problem=problem: speed.throughput(name, problem, 0.05 if quick else 1.0, 5),
                )
                rates += [row] if row else []
    return found | {"rates": rates}


def faults(found: dict[str, Any]) -> list[str]:
    """Faults that were found, a line each."""
    lines = [
        f"{row['model']} in {row['dtype']}: {row['difference']:.1e}"
        for row in found["equality"] or ()
        if not row["right"]
    ]
    lines += [
        f"kernels of {row['model']}, {row['carry']}: {row['fault']}" for row in found["kernels"] or () if row["fault"]
    ]
    lines += [f"{row['model']}: the host waits {row['waits']} times" for row in found["waits"] or () if row["waits"]]
    if found.get("tests") and found["tests"]["status"]:
        lines.append(f"tests: {found['tests']['last']}")
    return lines


def table(found: dict[str, Any]) -> str:
    """The table for docs, as text."""
    from benchmarks.throughput.report import layout, number

    nan = float("nan")
    peak = (found["roofs"] or {}).get("flops_float32", nan)
    loops = {row["model"]: row["rate"] for row in found["rates"] if row["contestant"] == "loop"}
    peers = {(row["model"], row["replicas"]): row["rate"] for row in found["rates"] if row["contestant"] == "jax"}
    rows = [
        [
            row["model"],
            str(row["replicas"]),
            number(row["rate"]),
            number(row["rate"] / loops.get(row["model"], nan)),
            number(row["rate"] / peers.get((row["model"], row["replicas"]), nan)),
            f"{row['flops'] / peak:.1%}",
            number(row["first"]),
            "" if row["mebibytes"] is None else number(row["mebibytes"]),
        ]
        for row in found["rates"]
        if row["contestant"] == "suite"
    ]
    return layout(["model", "R", "updates × R/s", "by loop", "by JAX", "of peak", "first s", "MiB"], rows)


def main(argv: list[str] | None = None) -> int:
    """Look, measure, print and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0, help="at most (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything runs")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parents[1] / "results", help="folder for the results"
    )
    args = parser.parse_args(argv)
    if missing := absent(OPTIONAL):
        print(f"not installed, and left out: {', '.join(missing)}")
    if lines := hindrances(args.device):
        print("\n".join(lines), file=sys.stderr)
        return 1
    from benchmarks.throughput.report import machine, slug

    account = Account(args.minutes - 0.5 if not args.quick else args.minutes)
    about = machine(args.device)
    found = {"machine": about, "options": {"quick": args.quick, "device": args.device}, **measure(args, account)}
    found |= {"left_out": account.left_out, "faults": faults(found)}
    card = about["device"]
    what = "" if args.device == "cuda" else " (a trial on a processor: no measurement of a card)"
    text = "\n".join([f"{card}{what}", "", table(found), "", *account.left_out, *found["faults"]]).rstrip() + "\n"
    print("\n" + text)
    args.out.mkdir(parents=True, exist_ok=True)
    stem = args.out / f"gpu-{slug(card)}"
    stem.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    stem.with_suffix(".txt").write_text(text)
    print(f"written: {stem}.json, .txt")
    return int(bool(found["faults"]))


if __name__ == "__main__":
    raise SystemExit(main())
