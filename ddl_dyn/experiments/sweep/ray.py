"""The cells of a sweep on a Ray cluster: all of them write into the one store, which every node must see.

Ray starts the tasks, spreads them over the nodes and starts those of a lost node again. What is done and what is not
is told by the store alone: a task that Ray starts a second time continues the run from its checkpoint.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ddl_dyn.config.files import SETTINGS_LIMIT, read_input
from ddl_dyn.experiments.cell import POLL_SECONDS, Job, do_cell
from ddl_dyn.experiments.interrupts import as_interrupts
from ddl_dyn.experiments.progress import Account
from ddl_dyn.experiments.run import Launch
from ddl_dyn.experiments.sweep.config import GridConfig
from ddl_dyn.experiments.workers import STOP_SECONDS, Ended, in_one_line, silence
from ddl_dyn.runs import RUNNING, Run

# Cells hand nothing over through Ray's memory; this is about the least that it takes.
OBJECT_STORE_BYTES = 100 * 1024 * 1024
RETRIES = 3
# Tasks handed to Ray per processor of the cluster: enough waiting for an autoscaler to see that there is more to do.
AHEAD = 3


def run_on_ray(
    jobs: Sequence[Job],
    launch: Launch,
    config: GridConfig,
    *,
    on_account: Callable[[int, Account], None],
    on_end: Callable[[Ended], None],
) -> list[Ended]:
    """Do every cell as a task of a Ray cluster.

    Args:
        jobs: what `cell.do_cell` takes.
        launch: where and how; the runs folder must be the same on every node.
        config: address, jobs, gpus and retries are used.   on_account, on_end: as for `run_all`.
    Returns:
        One `Ended` per cell, in order.
    Raises:
        ValueError: when the cluster cannot be reached.
        KeyboardInterrupt: passed on after the tasks have been told to stop and have closed their runs.
    """
    waiting = list(reversed(range(len(jobs))))
    ended: dict[int, Ended] = {}
    # A lost node makes Ray print pages; what became of its cells is in the store.
    with silence(), _cluster(config) as ray:
        retries = RETRIES if config.retries is None else config.retries
        task = ray.remote(num_cpus=1, num_gpus=config.gpus or 0, max_retries=retries)(_task)
        under_way: dict[object, int] = {}
        try:
            while len(ended) < len(jobs):
                limit = AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)
                while waiting and len(under_way) < limit:
                    number = waiting.pop()
                    where = (str(launch.base), os.getcwd())
                    reference = task.remote(jobs[number], dict(launch.options), where, bool(config.gpus))
                    under_way[reference] = number
                ready, _ = ray.wait(list(under_way), timeout=POLL_SECONDS)
                for reference in ready:
                    number = under_way.pop(reference)
                    ended[number] = Ended(number=number, error=_outcome(ray, reference))
                    on_end(ended[number])
                for number in under_way.values():
                    _tell(launch.base / jobs[number]["run_id"], number, on_account)
        except KeyboardInterrupt:
            for reference in under_way:
                ray.cancel(reference)
            if under_way:
                ray.wait(list(under_way), num_returns=len(under_way), timeout=STOP_SECONDS)
            raise
    return [ended[number] for number in range(len(jobs))]


@contextlib.contextmanager
def _cluster(config: GridConfig) -> Iterator[Any]:
    # Ray reports its use to its makers unless told otherwise.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if config.address is None or _on_loopback(config.address):
        # Ray's word for not replacing 127.0.0.1 by an address that other machines see, where no node would answer.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if config.address is None:
        # One node on the loopback: nothing listens for other machines.
        local: dict[str, Any] = {"include_dashboard": False, "_node_ip_address": "127.0.0.1", "num_cpus": config.jobs}
        ray.init(address="local", **local, object_store_memory=OBJECT_STORE_BYTES, **quiet)
    else:
        try:
            ray.init(address=config.address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"no Ray cluster at address={config.address}: {in_one_line(error)}; start one with "
                "`ray start --head`, or leave address out for one on this machine alone"
            ) from error
    try:
        # Ray has put its own handler in place of ours.
        with as_interrupts():
            yield ray
    finally:
        ray.shutdown()


def _on_loopback(address: str) -> bool:
    """True where a cluster's address, or that of the one last started here, is of this machine alone."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "")
        with contextlib.suppress(OSError):
            # Where `ray start` leaves it.
            place = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "ray" / "ray_current_cluster"
            address = address or read_input(place, SETTINGS_LIMIT).decode().strip()
    return address.startswith(("127.", "localhost", "[::1]"))


def _task(job: Job, options: Mapping[str, object], where: tuple[str, str], on_gpu: bool) -> str | None:
    """In a worker of the cluster: do a cell; None, or why it failed in one line."""
    base, folder = where
    # Files of data and of a user's classes are named relative to where the sweep was started.
    with contextlib.suppress(OSError):
        os.chdir(folder)
    if not on_gpu:
        # Ray leaves the devices of a task that asked for none as they are, and all cells would take the first.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with silence():
        try:
            do_cell(job, Launch(base=Path(base), options=options))
        except Exception as problem:
            return in_one_line(problem)
    return None


def _outcome(ray: Any, reference: Any) -> str | None:
    try:
        failure: str | None = ray.get(reference)
        return failure
    except ray.exceptions.RayError as error:
        return f"Ray lost it: {in_one_line(error)}"


def _tell(folder: Path, number: int, on_account: Callable[[int, Account], None]) -> None:
    """Pass on how far a run is, as its last heartbeat tells."""
    run = Run(folder)
    if (folder / "run.json").exists() and run.status == RUNNING and isinstance(run.entry.get("progress"), Mapping):
        on_account(number, run.entry["progress"])
