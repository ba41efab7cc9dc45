"""The single Delta update alone, beside the time in which the card copies as many bytes. Needs a GPU.

Run: python benchmarks/single_update.py [--gibibytes 2] [--repeats 50] [--out benchmarks/results/single_update.json]

X⁺ = X + β k (vᵀ − kᵀX) reads X (N, d, d_v), k (N, d), v (N, d_v) and β (N) once and writes X⁺ once. It makes a few
operations a number, so that memory bounds it: its roofline is that many bytes over the bandwidth of a copy, measured on
the same card in the same run. Three ways are timed: eager torch, torch.compile, and the rollout kernels' own
arithmetic on a tile. Each is first checked against float64.

All are timed in turn within every repeat, on data several times the size of a card's cache; the table shows medians and
the range of the middle half. Where torch finds no GPU it says so and exits with 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddl_dyn.models.delta import delta_update

# d × d_v: a point in the plane, the reference shape, the default, a wide state.
SHAPES = ((2, 1), (8, 2), (8, 4), (16, 16))
Update = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def bytes_moved(n: int, d: int, d_v: int) -> int:
    """Bytes that updates in float32 must read and write.

    Args:
        n: updates.   d: rows.   d_v: value channels.
    """
    return 4 * n * (2 * d * d_v + d + d_v + 1)


def operands(n: int, d: int, d_v: int, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random X, k of unit length, v and β in (0, 2).

    Args:
        n: updates.   d: rows.   d_v: value channels.   device: of the tensors.
    """
    g = torch.Generator(device).manual_seed(0)
    X, k, v = (torch.randn(n, *shape, generator=g, device=device) for shape in ((d, d_v), (d,), (d_v,)))
    return X, k / k.norm(dim=-1, keepdim=True), v, 2.0 * torch.rand(n, generator=g, device=device)


def check(update: Update, args: tuple[Tensor, ...]) -> None:
    """Raise where an update differs from float64 by more than its rounding."""
    few = tuple(a[:1000].contiguous() for a in args)
    found, truth = update(*few), delta_update(*(a.double() for a in few))
    # Sums of at most 16 products of order one in float32.
    torch.testing.assert_close(found.double(), truth, rtol=1e-5, atol=1e-5)


def time_in_turn(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each call on the device, all in turn within a repeat; the first three repeats are not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 3):
        for name, call in calls.items():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            end.record()
            end.synchronize()
            if repeat >= 3:
                times[name].append(start.elapsed_time(end))
    return times


def measure(d: int, d_v: int, gibibytes: float, repeats: int, ways: dict[str, Update]) -> list[dict[str, Any]]:
    """One row a way to update, and one for the copy that moves as many bytes.

    Args:
        d: rows.   d_v: value channels.   gibibytes: moved by one call.   repeats: samples.   ways: name -> update.
    """
    n = int(gibibytes * 2**30 / bytes_moved(1, d, d_v))
    args = operands(n, d, d_v, "cuda")
    for update in ways.values():
        check(update, args)
    source = torch.empty(bytes_moved(n, d, d_v) // 8, device="cuda")
    target = torch.empty_like(source)
    calls: dict[str, Callable[[], Any]] = {"copy": lambda: target.copy_(source)}
    calls |= {name: lambda update=update: update(*args) for name, update in ways.items()}  # type: ignore[misc]
    rows = []
    times = time_in_turn(calls, repeats)
    shortest = statistics.median(times["copy"])
    for name, ms in times.items():
        low, middle, high = statistics.quantiles(ms, n=4)
        rows.append(
            {
                "d": d, "d_v": d_v, "n": n, "way": name, "ms": middle, "low": low, "high": high,
                "TB_per_s": bytes_moved(n, d, d_v) / middle / 1e9, "of_copy": shortest / middle,
            }
        )  # fmt: skip
    return rows


def main() -> int:
    """Measure every shape and print the table; 1 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gibibytes", type=float, default=2.0, help="bytes moved by one call")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "single_update.json")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("single_update measures a GPU's memory bandwidth, and torch finds no GPU here: nothing measured")
        return 1
    from benchmarks.update_kernel import fused_update

    ways: dict[str, Update] = {"eager": delta_update, "compiled": torch.compile(delta_update), "kernel": fused_update}
    card = torch.cuda.get_device_name()
    rows = [row for d, d_v in SHAPES for row in measure(d, d_v, args.gibibytes, args.repeats, ways)]
    print(f"{card}, torch {torch.__version__}, {args.gibibytes:g} GiB a call")
    print(f"{'d':>3s} {'d_v':>3s} {'way':10s} {'ms':>8s} {'middle half':>17s} {'TB/s':>6s} {'of copy':>8s}")
    for row in rows:
        half = f"{row['low']:.3f} to {row['high']:.3f}"
        print(
            f"{row['d']:3d} {row['d_v']:3d} {row['way']:10s} {row['ms']:8.3f} {half:>17s} {row['TB_per_s']:6.2f} "
            f"{row['of_copy']:8.1%}"
        )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"card": card, "torch": torch.__version__, "rows": rows}, indent=1) + "\n")
    print(f"written to {args.out}")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    raise SystemExit(main())
