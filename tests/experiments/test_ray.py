"""A sweep on a real Ray cluster of two nodes on the loopback, one of which is lost half way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ddl_dyn import runs
from tests.helpers.commands import ROOT, environment, wait_for

pytest.importorskip("ray", reason="Ray is not installed")

CELLS = [
    *("tasks=logistic", "models=mlp,resnet", "model_args.layers=1,2", "seeds=2", "train.updates=400"),
    *("train.validate_every=20", "train.horizon=5", "train.device=cpu", "train.compile=off", "data.n_train=16"),
    *("data.n_val=4", "data.n_test=4", "data.n_ood=0", "data.steps=40", "eval.short=5", "eval.long=20"),
]
LOOPBACK = {"node_ip_address": "127.0.0.1", "include_dashboard": False, "object_store_memory": 100 * 1024 * 1024}


def sweep(base: Path, *items: str, command: str = "sweep") -> subprocess.Popen[str]:
    full = [sys.executable, "-m", "ddl_dyn", command, "with", *CELLS, *items]
    return subprocess.Popen(
        [*full, "--beat-interval", "1", "--runs", str(base)],
        cwd=ROOT,
        env=environment(RAY_USAGE_STATS_ENABLED="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in environment(RAY_USAGE_STATS_ENABLED="0").items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    handler = signal.getsignal(signal.SIGTERM)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **LOOPBACK})
    yield made
    made.shutdown()
    # A node that is started from Python puts a handler of its own in place and leaves it there.
    signal.signal(signal.SIGTERM, handler)


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def cells_of(base: Path, raylet: int) -> list[str]:
    """Runs under way, with something trained, in the workers of one node."""
    return [
        run.id
        for run in runs.scan(base)
        if run.id.startswith("c")
        and run.status == "RUNNING"
        and parent(run.entry["process"]["pid"]) == raylet
        and len(run.metrics) > 2
    ]


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="tells the nodes apart by /proc")
def test_a_lost_node_loses_no_cell_and_no_cell_is_run_twice(tmp_path: Path, cluster: Any) -> None:
    doomed = cluster.add_node(num_cpus=1, **LOOPBACK)
    (raylet,) = (info.process.pid for info in doomed.all_processes["raylet"])
    driver = sweep(tmp_path, "engine=ray", f"address={cluster.address}", "retries=2")
    try:
        wait_for(lambda: cells_of(tmp_path, raylet) or driver.poll() is not None, 300)
        lost = cells_of(tmp_path, raylet)
        cluster.remove_node(doomed, allow_graceful=False)
        said, _ = driver.communicate(timeout=400)
    finally:
        driver.kill()
    assert driver.returncode == 0, said
    assert "4 cells: 4 done, 0 reused, 0 failed" in said
    # Ray's own pages about the lost node stay out of it.
    assert "raylet" not in said
    assert len(lost) == 1, said
    stored = {run.id: run for run in runs.scan(tmp_path) if run.kind == "run"}
    assert len(stored) == len({run.entry["config_hash"] for run in stored.values()}) == 4
    assert {run.status for run in stored.values()} == {"COMPLETED"}
    attempts = {name: len(run.entry["attempts"]) for name, run in stored.items()}
    assert attempts == {name: 2 if name in lost else 1 for name in stored}
    assert [record["update"] for record in stored[lost[0]].metrics] == list(range(0, 401, 20))
    assert sorted(runs.find_run("sweep", tmp_path).members) == sorted(stored)
    again = sweep(tmp_path)
    assert "4 cells: 0 done, 4 reused, 0 failed" in again.communicate(timeout=200)[0]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "words"), [("sweep", "1 cell: 1 done"), ("compare", "comparison 1: ")])
def test_the_embedded_cluster_listens_to_this_machine_alone(tmp_path: Path, command: str, words: str) -> None:
    driver = sweep(tmp_path, "engine=ray", "jobs=1", "models=mlp", "model_args.layers=1", command=command)
    try:
        wait_for(lambda: any(run.status == "RUNNING" and run.kind == "run" for run in runs.scan(tmp_path)), 300)
        family = descendants(driver.pid)
        addresses = listening(family)
        said, _ = driver.communicate(timeout=400)
    finally:
        driver.kill()
    assert driver.returncode == 0, said
    assert words in said
    assert {run.status for run in runs.scan(tmp_path)} == {"COMPLETED"}
    assert addresses, "a Ray cluster listens somewhere"
    assert addresses == {"127.0.0.1"}


def descendants(pid: int) -> set[int]:
    found, before = {pid}, 0
    while len(found) != before:
        before = len(found)
        found |= {
            int(path.name)
            for path in Path("/proc").iterdir()
            if path.name.isdigit() and parent(int(path.name)) in found
        }
    return found


def listening(pids: set[int]) -> set[str]:
    """Addresses that processes listen on, from the kernel's tables."""
    import ipaddress

    sockets = set()
    for pid in pids:
        for path in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(os.readlink(path))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                raw = bytes.fromhex(fields[1].partition(":")[0])
                words = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
                address = ipaddress.ip_address(words)
                mapped = getattr(address, "ipv4_mapped", None)
                found.add(str(mapped or address))
    return found
