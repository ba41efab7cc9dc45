"""Run folders at random: a store of runs, spoiled in a few places, and every command that reads.

The store is made once a process by the suite itself: a complete run, an interrupted one with its checkpoint, a sweep
and a comparison with their cells.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddl_dyn.runs import Run
from tests.torture.harness import call, faults, one_line, tree

Rng = np.random.Generator
SECRET = "a secret of the user that no command may show or change"
TINY = [
    *("seeds=2", "train.updates=4", "train.validate_every=1", "train.horizon=2", "train.batch=4", "data.n_train=4"),
    *("data.n_val=2", "data.n_test=2", "data.n_ood=2", "data.steps=8", "eval.short=2", "eval.long=4"),
    *("eval.bootstrap=100", "data.radii=[2.0]"),
]
RUN = [*TINY, "task=van_der_pol", "model=ddl", "train.compile=off"]
GRID = [*TINY, "tasks=van_der_pol", "models=mlp,resnet", "train.compile=off", "data.seeds=1", "jobs=1"]
# Share of the cases after which one of the costly commands is called.
COSTLY_SHARE = 0.12
# Number of the first case whose store holds a sweep and a comparison, which take long to make.
WITH_GRIDS = 100
# {} stands for one of the store's runs.
CHEAP = (
    *("list", "list --json", "list --status completed --sort started", "show {}", "show {} --output", "diff {} {}"),
    *("watch --once", "watch {} --once", "missing", "missing {}", "export", "export --format latex", "show last"),
    *("tag {} good", "note {} seen", "portrait {} --what list"),
)
COSTLY = (
    *("report --out page.html", "report {} --out page.html", "report {} --markdown --out page.md", "portrait {}"),
    *(
        "portrait {} --what eigenvalues",
        "portrait {} --what portrait,gates",
        "analyse {} --steps 40",
        "resume {}",
        "resume {}",
        "replay {}",
    ),
)
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 1e308, float("nan"), 10**30, "", "x", "RUNNING", "\x1b[2J\u202e", "../../outside/secret"),
    *(
        [],
        {},
        [1, 2],
        [[]],
        {"a": {"b": 1}},
        "a" * 5000,
        [None] * 3,
        "1e400",
        ["../../outside"],
        "/dev/zero",
        "evil.py:E",
    ),
)


@functools.cache
def store(*, grids: bool) -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    """The store that cases have copies of, with a sweep and a comparison or without."""
    from ddl_dyn.experiments import run as running
    from ddl_dyn.experiments.evaluation import evaluate
    from ddl_dyn.experiments.evaluation.phase_space import Description
    from ddl_dyn.experiments.outcome import Callbacks, RunOutcome
    from ddl_dyn.experiments.sweep import run_grid
    from ddl_dyn.experiments.workers import Ended

    folder = tempfile.TemporaryDirectory(prefix="torture_store_")
    base = Path(folder.name) / "runs"
    real = running.execute

    def stopped(setup: Any, callbacks: Callbacks) -> RunOutcome:
        def on_epoch(progress: Any) -> None:
            assert callbacks.on_epoch is not None
            callbacks.on_epoch(progress)
            if progress.update >= 2:
                raise KeyboardInterrupt

        return real(setup, replace(callbacks, on_epoch=on_epoch))

    def serial(work: Sequence[Any], launch: Any, do: Callable[..., object], **_: object) -> list[Ended]:
        for job in work:
            do(job, launch)
        return [Ended(number=number, error=None) for number in range(len(work))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(run_grid, "run_all", serial)
        if not grids:
            # The portrait of the trained map takes longer than all else of so small a run.
            patch.setattr(evaluate, "describe_map", lambda *_: Description({}, {}))
        made = [call(["run", "with", *RUN, "--runs", str(base)])]
        patch.setattr(running, "execute", stopped)
        made.append(call(["run", "with", *RUN, "seed=7", "--runs", str(base)]))
        patch.setattr(running, "execute", real)
        if grids:
            made.append(call(["portrait", "1", "--what", "portrait,error", "--runs", str(base)]))
            made.append(call(["sweep", "with", *GRID, "--runs", str(base)]))
            made.append(call(["compare", "with", *GRID, "train.lr_grid=[]", "--runs", str(base)]))
    codes = [said.code for said in made]
    assert codes == [0, 130, 0, 0, 0][: len(made)], [said.err[-800:] for said in made]
    return base, folder


def _links(path: Path, outside: Path) -> list[Callable[[], object]]:
    return [
        lambda: path.symlink_to(outside / "secret"),
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to(outside / "nothing"),
        lambda: path.symlink_to(outside, target_is_directory=True),
        lambda: path.symlink_to(path.name),
        lambda: os.mkfifo(path),
        path.mkdir,
        lambda: _socket(path),
        lambda: None,
        path.touch,
        lambda: _sparse(path),
    ]


def _socket(path: Path) -> None:
    place = os.getcwd()
    # The address of a socket is short.
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(place)


def _sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(20 << 30)


def _bytes(rng: Rng, data: bytes) -> bytes:
    kind = int(rng.integers(5))
    at = int(rng.integers(len(data) + 1))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + rng.bytes(int(rng.integers(1, 50))) + data[at:]
    if kind == 2:
        return data[:at] + b"\0" * (len(data) - at)
    if kind == 3:
        return rng.bytes(len(data))
    changed = bytearray(data)
    for place in rng.integers(0, max(len(data), 1), int(rng.integers(1, 6))):
        if changed:
            changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _tree_of(rng: Rng, value: Any) -> Any:
    """Nested values with one of their parts replaced, removed or added."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = list(value)[int(rng.integers(len(value)))]
        if rng.random() < 0.1:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: _tree_of(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.5:
        at = int(rng.integers(len(value)))
        return [*value[:at], _tree_of(rng, value[at]), *value[at + 1 :]]
    return VALUES[int(rng.integers(len(VALUES)))]


def _json(rng: Rng, path: Path) -> None:
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    at = int(rng.integers(len(lines))) if lines else 0
    text = json.dumps(_tree_of(rng, json.loads(lines[at]))) if lines else "[" * 10_000
    path.write_text("\n".join([*lines[:at], text, *lines[at + 1 :]]), encoding="utf-8", errors="replace")


def _arrays(rng: Rng, path: Path) -> None:
    with np.load(path) as stored:
        arrays = dict(stored)
    name = list(arrays)[int(rng.integers(len(arrays)))]
    array = arrays[name]
    new: list[Any] = [
        array.ravel()[:0],
        array[None],
        np.asarray(0.0),
        np.asarray(["text"] * 3),
        np.asarray([None, {}], dtype=object),
        array.astype(complex),
        np.full(array.shape, np.nan),
        np.full(array.shape, np.inf),
        np.zeros((0, 3, 0)),
        np.full(array.shape, 1e300),
    ]
    arrays[name] = new[int(rng.integers(len(new)))]
    if rng.random() < 0.2:
        del arrays[name]
    np.savez_compressed(path, **arrays)


def spoil(rng: Rng, base: Path, outside: Path) -> str:
    """One change of a store, in words."""
    paths = sorted(path for path in base.rglob("*") if not path.is_symlink() and (path.is_file() or path.is_dir()))
    # A file in two is one that all commands look at.
    chosen = [path for path in paths if path.suffix in (".json", ".npz", ".pt", ".csv", ".jsonl")]
    paths = chosen if chosen and rng.random() < 0.7 else paths
    path = paths[int(rng.integers(len(paths)))]
    words, kind = f"{path.relative_to(base)}", rng.random()
    if path.is_dir() or kind < 0.25:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        which = int(rng.integers(11))
        _links(path, outside)[which]()
        return f"{words}: replaced by kind {which}"
    if path.suffix in (".json", ".jsonl") and kind < 0.7:
        _json(rng, path)
        return f"{words}: other values"
    if path.suffix == ".npz" and kind < 0.7:
        _arrays(rng, path)
        return f"{words}: other arrays"
    path.write_bytes(_bytes(rng, path.read_bytes()))
    return f"{words}: other bytes"


def judge(seed: int, number: int, folder: Path) -> list[str]:
    """Faults of one case."""
    rng = np.random.default_rng([seed, number])
    whole, _ = store(grids=number >= WITH_GRIDS)
    base, outside = folder / "runs", folder / "outside"
    shutil.copytree(whole, base)
    outside.mkdir()
    (outside / "secret").write_text(SECRET)
    (folder / "evil.py").write_text(f"open({str(outside / 'executed')!r}, 'w').close()\n")
    kept = tree(outside)
    did = [_try(rng, base, outside) for _ in range(int(rng.integers(1, 3)))]
    names = [path.name for path in whole.iterdir() if path.is_dir()]
    # Checkpoints hold their digest: what was changed is not calculated with.
    changed = {name for name in names if _content(base / name) != _content(whole / name)}
    found: list[str] = []
    for words in _commands(rng, names):
        before = tree(folder)
        said = call(words)
        told = faults(said)
        if said.code in (1, 2) and words[0] not in ("resume", "missing", "list"):
            told += one_line(replace(said, out="") if words[0] in ("show", "portrait") else said)
            told += _written(before, tree(folder))
        if said.code == 0 and words[0] == "analyse" and words[1] in changed:
            told.append("calculated with a changed checkpoint")
        if said.code == 0 and words[0] == "resume" and Run(base / words[1]).status != "COMPLETED":
            told.append(f"exit code 0, and the run is {Run(base / words[1]).status}")
        if SECRET in said.out + said.err:
            told.append("the secret is shown")
        if tree(outside) != kept or (outside / "secret").read_text() != SECRET:
            told.append("something outside was changed")
        if told:
            found += [*told, f"{' '.join(words)} after {did}", said.err[-1500:]]
    return [*found, *_leaked(folder, outside)]


def _try(rng: Rng, base: Path, outside: Path) -> str:
    try:
        return spoil(rng, base, outside)
    except (ValueError, OSError) as error:
        # What the change before has left cannot be changed once more.
        return f"nothing: {type(error).__name__}"


def _content(folder: Path) -> bytes:
    path = folder / "checkpoint.pt"
    return path.read_bytes() if path.is_file() and path.stat().st_size < 1 << 28 else b""


def _commands(rng: Rng, names: Sequence[str]) -> list[list[str]]:
    costly = list(rng.choice(COSTLY, 1)) if rng.random() < COSTLY_SHARE else []
    chosen = [*rng.choice(CHEAP, 6, replace=False), *costly]
    # The complete run has every file, the sweep's own have fewer readers.
    often = [*names, "1", "1", "1", "2", "2"]
    return [[str(rng.choice(often)) if word == "{}" else word for word in str(text).split()] for text in chosen]


def _written(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    names = {name for name in before | after if before.get(name) != after.get(name)}
    names = {name for name in names if not name.endswith(".index.jsonl")}
    return [f"refused, and written: {sorted(names)[:4]}"] if names else []


def _leaked(folder: Path, outside: Path) -> list[str]:
    """Files made by a command that hold the secret."""
    found = []
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_file() or outside in path.parents or path.stat().st_size > 1 << 26:
            continue
        if SECRET.encode() in path.read_bytes():
            found.append(f"the secret stands in {path.relative_to(folder)}")
    return found
