"""Batched reference integration beside a loop of solve_ivp calls on the same work, at equal error.

Run: python benchmarks/simulation.py [--trajectories 64] [--samples 1000] [--skip-tests]

The component's own tests run first: a fast wrong answer is not worth a table. Both sides use DOP853 with rtol 1e-10 and
atol 1e-12 per trajectory; the error of each is measured against a solve at 1e-13 over the time that chaos leaves
comparable. Times are processor
seconds of this one thread, the batch's the best of three.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp

from tasks import FlowTask, make_task
from tasks.base import Array
from tasks.simulate import ATOL, RTOL, integrate

SYSTEMS = ("lorenz63", "van_der_pol", "rossler")
# Lyapunov times or periods over which errors are compared; longer ones would compare amplified rounding.
COMPARABLE = 5


def loop(task: FlowTask, x0: Array, times: Array) -> Array:
    """One solve_ivp call per trajectory."""
    span = (times[0], times[-1])
    solved = [
        solve_ivp(task.vector_field, span, x, method="DOP853", t_eval=times, rtol=RTOL, atol=ATOL).y.T for x in x0
    ]
    return np.stack(solved)


def best_of(repeats: int, call: Callable[[], Array]) -> tuple[float, Array]:
    """Shortest processor time in seconds, and the last result."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = call()
        times.append(time.process_time() - start)
    return min(times), result


def row(name: str, trajectories: int, samples: int) -> str:
    """One line of the table."""
    task = make_task(name)
    assert isinstance(task, FlowTask)
    x0 = task.initial_states(trajectories, rng=np.random.default_rng(0), split="train")
    times = task.times(samples)
    batched, states = best_of(3, lambda: integrate(task.vector_field, x0, times))
    looped, alone = best_of(1, lambda: loop(task, x0, times))
    early = times <= COMPARABLE * task.timescale
    truth = integrate(task.vector_field, x0, times[early], rtol=1e-13, atol=1e-15)
    worst = [np.abs(found[:, early] - truth).max() for found in (states, alone)]
    return (
        f"{name:14s} {trajectories:6d} {samples:7d} {looped:9.3f} {batched:9.3f} {looped / batched:8.1f} "
        f"{worst[1]:11.1e} {worst[0]:11.1e}"
    )


def main() -> int:
    """Test, then measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trajectories", type=int, default=64)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--skip-tests", action="store_true", help="measure without testing first")
    args = parser.parse_args()
    if not args.skip_tests:
        tests = subprocess.run([sys.executable, "-m", "pytest", "-q", "tests/test_tasks_simulate.py"], check=False)
        if tests.returncode:
            print("the tests of tasks.simulate fail; nothing measured")
            return 1
    print(f"{'system':14s} {'trajs':>6s} {'samples':>7s} {'loop s':>9s} {'batch s':>9s} {'ratio':>8s}", end=" ")
    print(f"{'loop error':>11s} {'batch error':>11s}")
    for name in SYSTEMS:
        print(row(name, args.trajectories, args.samples), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
