"""Time to list and to read a store of many runs, made by the store's own writer.

    python benchmarks/listing.py [--runs 10000] [--keep DIR]

Prints seconds to write the folders, for `ddl-dyn list` into a pipe (a process of its own, start included; first as
found and once more), for `runs.scan` with every status, for `runs.load_runs`, and kilobytes and files of one run; exits
with 1 when the second listing of 10,000 runs takes 2 s or more of processor time.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas  # noqa: F401  (not to be counted as reading)

from ddl_dyn import runs
from ddl_dyn.experiments.fingerprint import config_hash
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.runs.writer import RunWriter

LIMIT = 2.0
REPLICAS = 10


def make_store(base: Path, count: int) -> None:
    """Finished runs with the files that reading a store touches; arrays and checkpoints are not among them."""
    config = resolve_run({"task": "van_der_pol", "model": "ddl", "seeds": REPLICAS})
    values = config.model_dump(mode="json")
    floors = {"persistence": {"test": {"nrmse_short": 1.5, "nrmse_long": 2.5}}}
    for number in range(count):
        name = "c" + config_hash(config.model_copy(update={"seed": number}))[:15]
        process = {"pid": 4711, "pid_start": "12345", "machine": "host 3f0e6d1c-0000-4000-8000-000000000000 pid:[1]"}
        stamp = "2026-01-02T03:04:05.678+00:00"
        entry = {
            "kind": "run", "task": "van_der_pol", "model": "ddl", "seeds": REPLICAS, "carry": "observed", "tags": [],
            "note": "", "schema": runs.SCHEMA, "id": name, "comment": None, "status": runs.COMPLETED,
            "command_line": "ddl-dyn sweep with tasks=van_der_pol models=ddl seed=" + "0," * 50, "start_time": stamp,
            "stop_time": stamp, "heartbeat": stamp, "process": process, "config_hash": name * 4, "device": "cpu",
            "git": {"commit": "0" * 40, "branch": "main", "dirty": False, "remote": None},
            "versions": dict.fromkeys(("python", "torch", "numpy", "scipy", "sacred"), "1.2.3"),
            "progress": {"update": 1500, "updates": 1500, "loss": 1e-3, "alive": REPLICAS, "replicas": REPLICAS},
            "attempts": [{"start_time": stamp, "process": process, "stop_time": stamp, "status": "COMPLETED"}],
            "resolved": {"task": {"state_names": ["x", "v"], "kind": "flow"}, "model_args": values["model_args"]},
        }  # fmt: skip
        writer = RunWriter(base, entry=entry, run_id=name)
        writer.make()
        writer.save_json("config.json", {**values, "seed": number})
        scores = {f"nrmse_{horizon}": [0.1 + i for i in range(REPLICAS)] for horizon in ("short", "long")}
        result = {"test": scores, "ood": scores, "floors": floors, "parameters": 1000, "training": {"seconds": 12.5}}
        writer.save_json("result.json", result)
        writer.save_entry()
        writer.leave()


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Seconds on the clock and of processor time, those of child processes included."""
    before, start = _spent(), time.perf_counter()
    call()
    return time.perf_counter() - start, _spent() - before


def _spent() -> float:
    use = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in use)


def main() -> int:
    """Make the store, time the readers, print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--keep", metavar="DIR", help="make the store there, or use the one that is there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(arguments.keep or scratch)
        if not runs.ids(base):
            seconds, work = timed(lambda: make_store(base, arguments.runs))
            print(f"{arguments.runs} runs written in {seconds:.1f} s ({work:.1f} s of processor time)")
        command = [sys.executable, "-m", "ddl_dyn", "list", "--runs", str(base)]
        listing: Callable[[], Any] = lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True)  # noqa: E731
        readers: list[tuple[str, Callable[[], Any]]] = [("list, first", listing), ("list, again", listing)]
        readers += [("list --status RUNNING", lambda: subprocess.run([*command, "--status", "RUNNING"], check=True))]
        readers += [("scan and status", lambda: [run.status for run in runs.scan(base)])]
        readers += [("runs.load", lambda: runs.load_runs(base))]
        spent = {}
        for name, reader in readers:
            seconds, spent[name] = timed(reader)
            print(f"{name:24} {seconds:7.2f} s  ({spent[name]:.2f} s of processor time)")
        print(f"files in the first run: {sorted(os.listdir(base / runs.ids(base)[0]))}")
    # On a machine that others use, processor time says what the work costs.
    return int(arguments.runs <= 10_000 and spent["list, again"] >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
