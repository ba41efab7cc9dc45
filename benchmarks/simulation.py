"""Batched reference integration beside a loop of solve_ivp calls on the same work, at equal error.

Run: python benchmarks/simulation.py [--trajectories 64] [--samples 1000] [--skip-tests]

The component's own tests run first: a fast wrong answer is not worth a table. Both sides use DOP853 with rtol 1e-10 and
atol 1e-12 per trajectory; the error of each is measured against a solve at 1e-13 over the time that chaos leaves
comparable. Times are processor seconds of this one thread, the batch's the best of three.

Where the package dysts is installed (the extra `dysts`, in an environment of its own), its own generator is timed on
the systems that both have, from the same states, at the same parameters, sampling times, method and tolerances.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks import FlowTask, make_task
from ddl_dyn.tasks.integrators import ATOL, RTOL, integrate

SYSTEMS = ("lorenz63", "van_der_pol", "rossler")
# Names of the same systems there.
DYSTS = {"lorenz63": "Lorenz", "rossler": "Rossler", "chen": "Chen", "sprott_b": "SprottB"}
# Lyapunov times or periods over which errors are compared; longer ones would compare amplified rounding.
COMPARABLE = 5


def loop(task: FlowTask, x0: Array, times: Array) -> Array:
    """One solve_ivp call per trajectory.

    Args:
        task: a flow.   x0: (N, D).   times: (T+1,).
    Returns:
        (N, T+1, D).
    """
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


def by_dysts(task: FlowTask, x0: Array, times: Array) -> Array:
    """dysts' generator on the same initial states; its system is brought to the task's parameters.

    Args:
        task: a flow.   x0: (N, D).   times: (T+1,).
    Returns:
        (N, T+1, D).
    """
    import dysts.flows

    system: Any = getattr(dysts.flows, DYSTS[task.key()])()
    system.transform_params(lambda name, value, system: getattr(task, name))  # noqa: ARG005
    field = np.array([system.rhs(x, 0.0) for x in x0])
    if not np.allclose(field, task.vector_field(0.0, x0), rtol=1e-12, atol=1e-12):
        raise ValueError(f"dysts' {DYSTS[task.key()]} is another system than {task.key()}; leave it out of DYSTS")
    # It samples at intervals of the system's own dt and ignores the one it is given.
    system.dt = task.dt
    return system.make_trajectory(
        len(times), init_cond=x0, resample=False, method="DOP853", rtol=RTOL, atol=ATOL, postprocess=False
    )


def row(name: str, trajectories: int, samples: int, other: Callable[[FlowTask, Array, Array], Array]) -> str:
    """One line of a table: the batch beside another way to do the same work.

    Args:
        name: of the task.   trajectories: N.   samples: T + 1.   other: the other way.
    """
    task = make_task(name)
    assert isinstance(task, FlowTask)
    x0 = task.initial_states(trajectories, rng=np.random.default_rng(0), split="train")
    times = task.times(samples)
    batched, states = best_of(3, lambda: integrate(task.vector_field, x0, times))
    looped, alone = best_of(1, lambda: other(task, x0, times))
    early = times <= COMPARABLE * task.timescale
    truth = integrate(task.vector_field, x0, times[early], rtol=1e-13, atol=1e-15)
    worst = [np.abs(found[:, early] - truth).max() for found in (states, alone)]
    return (
        f"{name:14s} {trajectories:6d} {samples:7d} {looped:9.3f} {batched:9.3f} {looped / batched:8.1f} "
        f"{worst[1]:11.1e} {worst[0]:11.1e}"
    )


def table(
    label: str,
    systems: Iterable[str],
    other: Callable[[FlowTask, Array, Array], Array],
    args: argparse.Namespace,
) -> None:
    """Print one table.

    Args:
        label: of the other way.   systems: names of tasks.   other: the other way.   args: the options.
    """
    print(f"{'system':14s} {'trajs':>6s} {'samples':>7s} {label + ' s':>9s} {'batch s':>9s} {'ratio':>8s}", end=" ")
    print(f"{label + ' error':>11s} {'batch error':>11s}")
    for name in systems:
        print(row(name, args.trajectories, args.samples, other), flush=True)


def main() -> int:
    """Test, then measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trajectories", type=int, default=64)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--skip-tests", action="store_true", help="measure without testing first")
    args = parser.parse_args()
    if not args.skip_tests:
        tests = subprocess.run([sys.executable, "-m", "pytest", "-q", "tests/tasks/test_simulate.py"], check=False)
        if tests.returncode:
            print("the tests of the tasks fail; nothing measured")
            return 1
    table("loop", SYSTEMS, loop, args)
    if importlib.util.find_spec("dysts") is None:
        print("dysts is not installed (extra `dysts`): its generator is not compared")
        return 0
    with warnings.catch_warnings():
        # It says that numba is absent, which the times below show.
        warnings.simplefilter("ignore")
        table("dysts", DYSTS, by_dysts, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
