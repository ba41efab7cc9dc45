"""Seconds that an update should take on cards that have not been tried, from its bytes and FLOPs alone.

    python -m benchmarks.gpu.prediction [--out benchmarks/results/gpu-predicted.json]

    t = max(FLOPs / peak, bytes / bandwidth, chain)

The first two are the roofline (Williams, Waterman & Patterson, 2009, Commun. ACM 52, 65, 10.1145/1498765.1498785). The
chain is what no number of units shortens: T steps forward and back, each a few dependent products of a tile. How many
programs share a multiprocessor follows from the kernels' registers and shared memory, read from their machine code for
each capability (`benchmarks.gpu.resources`, which needs Triton and a minute). Spilled registers, launches and the host
are not counted, so that a measured time should be longer. Written before any measurement.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu.resources import Resources, compiled_kernels, resources
from benchmarks.gpu.speed import flops_of_update
from benchmarks.throughput.problem import Problem, build
from benchmarks.throughput.report import layout
from benchmarks.throughput.roofline import products


@dataclass(frozen=True)
class CardSheet:
    """Data sheet of a card: float32 FLOP/s without tensor cores, bytes/s, multiprocessors, clock in Hz,
    and compute capability without its point."""

    flops: float
    bytes: float
    multiprocessors: int
    clock: float
    capability: int


# NVIDIA's data sheets: A100 SXM 80 GB, H100 SXM, H200 SXM, B200 (HGX).
CARDS = {
    "A100": CardSheet(19.5e12, 2.04e12, 108, 1.41e9, 80),
    "H100": CardSheet(67e12, 3.35e12, 132, 1.98e9, 90),
    "H200": CardSheet(67e12, 4.8e12, 132, 1.98e9, 90),
    "B200": CardSheet(80e12, 8.0e12, 148, 1.97e9, 100),
}
# Samples of a program's tile, and float32 multiply-adds of a multiprocessor in a cycle.
TILE, LANES = 16, 128
# Cycles from an operand in registers to the sum of a row across a warp, a barrier and tanh or σ: what a product of a
# tile costs beside its arithmetic. A guess from published latencies (4 an FMA, 25 a shuffle or shared load, 30 a
# barrier); the first measurement replaces it.
OVERHEAD = 250.0
REPLICAS = (1, 8, 64, 512, 4096)


def bytes_of_update(problem: Problem) -> int:
    """Bytes that an update by the fused kernels reads and writes.

    States: windows gathered (read, written), targets read, states written, read twice, their gradient written and read.
    Parameters: read forward and back, a sum of gradients a tile written and read, seven passes of AdamW and clipping.
    """
    states = problem.replicas * problem.batch * problem.steps * problem.dim
    parameters = problem.replicas * sum(i * o + o for i, o in products(problem))
    tiles = math.ceil(problem.batch / TILE)
    return 4 * (8 * states + parameters * (2 * tiles + 2 * tiles + 7))


def seconds_of_update(problem: Problem, card: CardSheet, resident: tuple[int, int]) -> dict[str, float]:
    """The three bounds of an update's time, in seconds, and their largest.

    Args:
        problem: sizes.   card: its data sheet.
        resident: programs of the forward and the backward kernel that share a multiprocessor.
    """
    tile, steps = sum(i * o for i, o in products(problem)) * TILE / LANES, len(products(problem))
    programs, cycles = problem.replicas * math.ceil(problem.batch / TILE), 0.0
    # A step is made once forward; on the way back it is made again, with two products for each of its own.
    for passes, most in zip((1, 3), resident, strict=True):
        beside = min(most, math.ceil(programs / card.multiprocessors))
        waves = math.ceil(programs / (card.multiprocessors * beside))
        # Programs side by side fill one another's waits, until the lanes are full.
        cycles += waves * problem.steps * passes * max(beside * tile, tile + OVERHEAD * steps)
    found = {
        "flops": flops_of_update(problem) / card.flops,
        "bytes": bytes_of_update(problem) / card.bytes,
        "chain": cycles / card.clock,
    }
    return found | {"seconds": max(found.values())}


def kernel_resources() -> dict[str, dict[int, list[Resources]]]:
    """Model -> capability -> resources of the forward and the backward kernel."""
    return {
        name: {
            capability: [resources(kernel, capability) for kernel in compiled_kernels(model, capability)]
            for capability in sorted({card.capability for card in CARDS.values()})
        }
        for name in ("ddl", "resnet")
        for model in [build(Problem(model=name, replicas=1))()]
    }


def predicted(taken: dict[str, dict[int, list[Resources]]]) -> list[dict[str, Any]]:
    """One row a model with kernels, number of replicas and card.

    Args:
        taken: as `kernel_resources` gives it.
    """
    rows = []
    for model, by_capability in taken.items():
        for replicas in REPLICAS:
            problem = Problem(model=model, replicas=replicas, device="cuda")
            for name, card in CARDS.items():
                forward, backward = (one.resident(card.capability) for one in by_capability[card.capability])
                found = seconds_of_update(problem, card, (forward, backward))
                bound = max(("flops", "bytes", "chain"), key=lambda key: found[key])
                rate = replicas / found["seconds"]
                rows.append({"model": model, "replicas": replicas, "card": name, **found, "bound": bound, "rate": rate})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Milliseconds of an update by card, and what bounds it."""
    cells: dict[tuple[str, int], dict[str, str]] = {}
    for row in rows:
        text = f"{1e3 * row['seconds']:.3g} ({row['bound']})"
        cells.setdefault((row["model"], row["replicas"]), {})[row["card"]] = text
    body = [[model, str(replicas), *(found[card] for card in CARDS)] for (model, replicas), found in cells.items()]
    return layout(["ms an update", "R", *CARDS], body)


def main(argv: list[str] | None = None) -> int:
    """Compute, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parents[1] / "results" / "gpu-predicted.json"
    parser.add_argument("--out", type=Path, default=default)
    out = parser.parse_args(argv).out
    taken = kernel_resources()
    rows = predicted(taken)
    kernels = [
        [
            f"{model}, {kind}",
            str(capability),
            str(r.registers),
            str(r.shared),
            str(r.spilled),
            str(r.resident(capability)),
        ]
        for model, by_capability in taken.items()
        for capability, pair in by_capability.items()
        for kind, r in zip(("forward", "backward"), pair, strict=True)
    ]
    head = ["kernel", "sm", "registers", "shared B", "spilled B", "resident"]
    text = f"predicted, not measured: nothing has run on a card so far\n\n{table(rows)}\n\n{layout(head, kernels)}\n"
    print(text)
    held = {"measured": False, "cards": {name: asdict(card) for name, card in CARDS.items()}, "rows": rows}
    held["kernels"] = {m: {str(c): [asdict(r) for r in pair] for c, pair in by.items()} for m, by in taken.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(held, indent=1) + "\n")
    out.with_suffix(".txt").write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
