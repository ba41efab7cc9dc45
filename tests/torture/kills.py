"""Kills at random: commands that are ended by SIGKILL at any moment and started again until they end by themselves.

What they leave is held against an undisturbed one bit for bit: weights, arrays, scores, tables and pages.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ddl_dyn import runs
from ddl_dyn.experiments.rerun import largest_difference
from ddl_dyn.runs.checkpoint import load_weights
from tests.helpers.commands import ROOT, environment

Rng = np.random.Generator
# Kills of one command; then it is left to end.
MOST, PATIENCE_S = 5, 600
DATA = [
    *(
        "seeds=2",
        "train.updates=400",
        "train.validate_every=20",
        "train.horizon=8",
        "train.batch=32",
        "data.n_train=16",
    ),
    *("data.n_val=4", "data.n_test=4", "data.n_ood=0", "data.steps=40", "eval.short=5", "eval.long=30"),
    *("train.device=cpu", "train.compile=off", "data.seeds=1", "eval.bootstrap=100", "data.radii=[]"),
]
CELLS = [*DATA, "tasks=van_der_pol", "models=ddl,mlp,resnet", "train.updates=60"]
WORDS = {
    "run": ["run", "with", *DATA, "task=van_der_pol", "model=ddl", "keep_portraits=3"],
    "compare": ["compare", "with", *CELLS, "train.lr_grid=[]", "jobs=2"],
    "sweep": ["sweep", "with", *CELLS, "train.lr_grid=[]", "jobs=2"],
    "ray": ["sweep", "with", *CELLS, "train.lr_grid=[]", "engine=ray", "jobs=2"],
    "report": ["report", "--out", "page.html"],
}
# What is measured of the machine, on a page.
_MEASURED = re.compile(r"\d[\d.,]*\s*(ms|s|min|h|MB|GB)\b")


@dataclasses.dataclass
class Tally:
    """Kills that hit a running command, commands that came to their end, and what differs then."""

    kills: int = 0
    ends: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)


def start(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """A command with real training and a checkpoint many times a second, in a group of its own."""
    full = [sys.executable, "-m", "tests.helpers.quick_checkpoints", *words]
    surroundings = environment(PYTHONPATH=str(ROOT), RAY_USAGE_STATS_ENABLED="0") | {"FAKE_PAGE": ""}
    with open(folder / "said", "wb") as said:
        return subprocess.Popen(
            full, cwd=folder, env=surroundings, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )


def described(folder: Path) -> list[runs.Run]:
    """Runs that say what they are."""
    return runs.scan(folder / "runs")


def next_words(kind: str, folder: Path) -> list[str]:
    """The command that goes on: a sweep and a report by the same one, a run and a comparison by resume."""
    own = {"run": "run", "compare": "compare"}.get(kind)
    if own:
        for run in described(folder):
            if run.kind == own and run.status != runs.COMPLETED:
                return ["resume", run.id]
    return WORDS[kind]


def disturb(kind: str, kills: int, rng: Rng, whole: Path, seconds: float, place: Path) -> Tally:
    """Kill a command and start it again, in folder after folder, until so many kills have hit it.

    Args:
        whole: folder of the undisturbed one, which took so many seconds.   place: where to.
    """
    tally, number = Tally(), 0
    while tally.kills < kills:
        folder = place / f"{kind}-{number}"
        number += 1
        folder.mkdir(parents=True)
        if kind == "report":
            shutil.copytree(whole / "runs", folder / "runs")
        hits = min(MOST, kills - tally.kills)
        while True:
            process = start(next_words(kind, folder), folder)
            wait = float(rng.uniform(0.2, 1.0)) * seconds if hits else PATIENCE_S
            try:
                code = process.wait(wait)
            except subprocess.TimeoutExpired:
                _kill(process, alone=bool(rng.random() < 0.5) and hits > 0)
                if not hits:
                    tally.faults.append(f"{folder}: has not ended after {PATIENCE_S} s")
                    return tally
                hits -= 1
                tally.kills += 1
                continue
            said = (folder / "said").read_text(errors="replace")
            if code != 0 or "Traceback" in said:
                tally.faults.append(f"{folder}: exit code {code} after kills: {said[-600:]}")
            break
        tally.ends += 1
        tally.faults += [f"{folder}: {text}" for text in differences(kind, whole, folder)]
    return tally


def _kill(process: subprocess.Popen[bytes], *, alone: bool) -> None:
    """SIGKILL to a command alone, whose workers find themselves orphans, or to all of them at once."""
    if alone:
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def differences(kind: str, whole: Path, broken: Path) -> Iterator[str]:
    """Everything in which a disturbed command's results are not those of the undisturbed one, in words."""
    first, second = ({_name(run): run for run in described(folder)} for folder in (whole, broken))
    if first.keys() != second.keys():
        yield f"runs {sorted(second)} instead of {sorted(first)}"
        return
    for name, run in second.items():
        other = first[name]
        if run.status != runs.COMPLETED:
            yield f"{run.id} is {run.status}: {run.entry.get('error')}"
        elif run.kind == "run":
            if run.result["test"] != other.result["test"]:
                yield f"{run.id}: other scores"
                continue
            for what, mine, theirs in (
                ("weights", _weights(run), _weights(other)),
                ("arrays", _numbers(run), _numbers(other)),
            ):
                where, delta, _ = largest_difference(mine, theirs)
                if delta != 0.0:
                    yield f"{run.id}: {what} differ by {delta} at {where}"
        elif run.kind == "compare" and _rows(run) != _rows(other):
            yield f"{run.id}: another table"
    for path in broken.rglob("*.tmp"):
        if ".cache" not in path.parts:
            yield f"left behind: {path.relative_to(broken)}"
    if kind == "report" and _page(whole) != _page(broken):
        yield "another page"


def _name(run: runs.Run) -> str:
    return run.kind if run.kind != "run" else str(run.entry["config_hash"])


def _weights(run: runs.Run) -> dict[str, Any]:
    return {name: value.numpy() for name, value in load_weights(run).items()}


def _numbers(run: runs.Run) -> dict[str, Any]:
    return {name: value for name, value in run.arrays.items() if value.dtype.kind in "biufc"}


def _rows(run: runs.Run) -> list[dict[str, object]]:
    return [{key: value for key, value in row.items() if key not in ("seconds", "run")} for row in run.result["rows"]]


def _page(folder: Path) -> str:
    return _MEASURED.sub("", (folder / "page.html").read_text())


@cache
def undisturbed(kind: str, place: Path) -> tuple[Path, float]:
    """Folder of a command that nobody disturbs, and the seconds that it took."""
    folder = place / f"{kind}-whole"
    folder.mkdir(parents=True)
    if kind == "report":
        shutil.copytree(undisturbed("sweep", place)[0] / "runs", folder / "runs")
    began = time.monotonic()
    process = start(WORDS[kind], folder)
    assert process.wait(PATIENCE_S) == 0, (folder / "said").read_text(errors="replace")[-2000:]
    return folder, time.monotonic() - began


def chaos(kind: str, kills: int, seed: int, place: Path) -> Tally:
    """So many kills of one kind of command."""
    whole, seconds = undisturbed(kind, place)
    return disturb(kind, kills, np.random.default_rng([seed, *kind.encode()]), whole, seconds, place)
