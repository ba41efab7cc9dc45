"""Speed of a card: updates × replicas a second by the number of replicas, memory, and the two measured roofs.

Axes: R replicas, B batch, T steps, D state.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.throughput.loop import Loop
from benchmarks.throughput.problem import AFFINE, Data, Problem, build, suite_name, trajectories
from benchmarks.throughput.roofline import products
from benchmarks.throughput.suite import Suite
from benchmarks.throughput.worker import Finished
from ddl_dyn import Replicas


def wait(device: str) -> None:
    """Until the device has finished."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_each(call: Callable[[], object], device: str, at_least: float) -> float:
    """Median seconds of a call over five samples of at least so many seconds in all, after one to warm up."""
    call()
    wait(device)
    found = []
    began = time.perf_counter()
    while len(found) < 5 or time.perf_counter() - began < at_least:
        start = time.perf_counter()
        call()
        wait(device)
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def roofs(device: str, *, size: int, mebibytes: int) -> dict[str, float]:
    """Measured peaks: products in float32 (no TF32) and float64 in FLOP/s, and bytes/s of a copy, read and written.

    Args:
        device: "cuda" or "cpu".   size: rows of the square matrices.   mebibytes: copied.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    found = {}
    for dtype in (torch.float32, torch.float64):
        a = torch.randn(size, size, dtype=dtype, device=device)
        out = torch.empty_like(a)
        found[f"flops_{str(dtype).removeprefix('torch.')}"] = (
            2
            * size**3
            / seconds_each(
                lambda a=a, out=out: torch.mm(a, a, out=out),
                device,
                0.2,  # type: ignore[misc]
            )
        )
    source = torch.zeros(mebibytes * 2**18, device=device)
    target = torch.empty_like(source)
    found["bytes"] = 2 * source.nbytes / seconds_each(lambda: target.copy_(source), device, 0.2)
    return found


def flops_of_update(problem: Problem) -> int:
    """FLOPs in the products of one update: forward, and backward by weights and by inputs."""
    return 3 * 2 * problem.replicas * problem.batch * problem.steps * sum(i * o for i, o in products(problem))


def contestant(name: str, problem: Problem) -> Any:
    """The suite, the plain loop or JAX on a problem, in this process."""
    replicas = Replicas(build(problem), range(problem.replicas))
    held = replicas.state_dict()
    weights = {
        f"{part}.{kind}": held[suite_name(problem, f"{part}.{kind}")].numpy()
        for part in AFFINE[problem.key]
        for kind in ("weight", "bias")
    }
    states = trajectories(problem).astype(problem.dtype)
    data = Data(weights, states, states[:0], states[:0])
    if name == "jax":
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        from benchmarks.throughput.jax_peer import Jax

        return Jax(problem, data)
    return {"suite": Suite, "loop": Loop}[name](problem, data)


def throughput(name: str, problem: Problem, seconds: float, warm: int) -> dict[str, Any]:
    """Updates × replicas a second of one contestant, seconds of its first update, and MiB that it needed at most.

    Args:
        name: "suite", "loop" or "jax".   problem: sizes.   seconds: timed.   warm: updates before that.
    """
    one = contestant(name, problem)
    if problem.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    began, marks = time.perf_counter(), []

    def after_update() -> None:
        if len(marks) <= warm:
            one.wait()
        marks.append(time.perf_counter())
        if len(marks) > warm + 1 and marks[-1] - marks[warm] > seconds:
            one.wait()
            marks[-1] = time.perf_counter()
            raise Finished

    with contextlib.suppress(Finished):
        one.train(after_update)
    rate = (len(marks) - 1 - warm) * one.per_update / (marks[-1] - marks[warm])
    counted = problem.device == "cuda" and name != "jax"
    return {
        "contestant": name,
        "model": problem.model,
        "replicas": problem.replicas,
        "rate": rate,
        "first": marks[0] - began,
        "mebibytes": torch.cuda.max_memory_allocated() / 2**20 if counted else None,
        "flops": rate * flops_of_update(problem) / problem.replicas,
    }
