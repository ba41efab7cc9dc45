"""Tables of observations at random: good CSV files, each spoiled in a few places, trained with for a moment."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ddl_dyn.runs import Run
from tests.torture.harness import call, faults, one_line, tree

Rng = np.random.Generator
_NUMBER = re.compile(rb"[ \t]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t]*")
CELLS = (
    *(b"", b" ", b"nan", b"inf", b"-inf", b"1e400", b"1e-400", b"1e200", b"1e-310", b"NA", b"null", b"x", b"1_000"),
    *("٣".encode(), "１".encode(), b"1,5", b'"1,5"', b'"', b'""', b"0x10", b"1e", b"2020-01-01", b"12:30", b"\x00"),
    *(b"\xff\xfe", b"=1+1", b"1 000", b"--1", b"9" * 500, b"\x1b[2J", "\u202e".encode(), b"1;2", b"a" * 3000, b"-0.0"),
)
LINES = (b"", b",,,", b"#comment", b"\x00\x00", b'"open', b"t,x", b"1", b"," * 300, b"\r", b"1,2,3,4,5,6,7,8,9")
OPTIONS = (
    *("task_args.time_column=t", "task_args.time_column=x", "task_args.time_column=nowhere", "task_args.time_column="),
    *(
        "task_args.value_columns=x",
        "task_args.value_columns=x,y",
        "task_args.value_columns=[]",
        "task_args.id_column=id",
    ),
    *("task_args.value_columns=x,x", "task_args.id_column=x", "task_args.delay=1", "task_args.delay=0"),
    *("task_args.delay=10000", "task_args.dimension=1", "task_args.dimension=3", "task_args.dimension=1000"),
    *("task_args.train_fraction=0.5", "task_args.train_fraction=1e-9", "task_args.val_fraction=0.9", "task_args.dt=1"),
    *("task_args.dt=0.1", "data.steps=100000", "data.n_train=100000", "task_args.path=.", "task_args.path=nowhere.csv"),
)
TINY = [
    *("seeds=1", "train.updates=1", "train.validate_every=1", "train.horizon=2", "train.batch=4", "data.n_train=4"),
    *("data.n_val=2", "data.n_test=2", "data.n_ood=0", "data.steps=6", "eval.short=2", "eval.long=4"),
    *("train.compile=off", "eval.bootstrap=100"),
]


def good(rng: Rng) -> bytes:
    """A table that can be learned: one or two columns, one or several trajectories, some with other line ends."""
    rows, dt = int(rng.integers(60, 160)), float(rng.choice([1.0, 0.1, 1e-3, 3600.0]))
    t = np.arange(rows) * dt
    x, y = np.sin(0.3 * np.arange(rows)), rng.standard_normal(rows)
    kind = int(rng.integers(4))
    if kind == 0:
        lines = ["t,x", *(f"{a:.12g},{b:.6f}" for a, b in zip(t, x, strict=True))]
    elif kind == 1:
        lines = ["t,x,y", *(f"{a:.12g},{b:.6f},{c:.6e}" for a, b, c in zip(t, x, y, strict=True))]
    elif kind == 2:
        half = rows // 2
        lines = ["t,id,x", *(f"{t[i % half]:.12g},{i // half},{x[i]}" for i in range(2 * half))]
    else:
        lines = ['"t","x y"', *(f'"{a:.12g}","{b:.3f}"' for a, b in zip(t, x, strict=True))]
    end = str(rng.choice(["\n", "\r\n"]))
    return (b"\xef\xbb\xbf" if rng.random() < 0.1 else b"") + (end.join(lines) + end).encode()


def _place(rng: Rng, items: list[bytes]) -> int:
    return int(rng.integers(len(items))) if items else 0


def spoil(rng: Rng, data: bytes) -> bytes:
    """One change of a table."""
    lines = data.split(b"\n")
    at = _place(rng, lines)
    changes: list[Callable[[], bytes]] = [
        lambda: data[: int(rng.integers(len(data) + 1))],
        lambda: b"\n".join(lines[:at] + lines[at + 1 :]),
        lambda: b"\n".join([*lines[:at], lines[at], *lines[at:]]),
        lambda: b"\n".join([*lines[:at], LINES[int(rng.integers(len(LINES)))], *lines[at:]]),
        lambda: data.replace(b",", bytes(rng.choice([b";", b"\t", b"|", b" "])), int(rng.choice([-1, 1]))),
        lambda: data.replace(b"\n", bytes(rng.choice([b"\r", b"\r\n", b"\n\n"]))),
        lambda: _flipped(rng, data),
        lambda: _cell(rng, lines, at),
        lambda: _cell(rng, lines, at),
        lambda: _cell(rng, lines, 0),
        lambda: _swapped(rng, lines),
        lambda: data * 2,
        lambda: data.decode("utf-8", "replace").encode(str(rng.choice(["utf-16", "utf-32", "utf-8"]))),
    ]
    return changes[int(rng.integers(len(changes)))]()


def _flipped(rng: Rng, data: bytes) -> bytes:
    changed = bytearray(data)
    for at in rng.integers(0, max(len(data), 1), int(rng.integers(1, 4))):
        if changed:
            changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _cell(rng: Rng, lines: list[bytes], at: int) -> bytes:
    cells = lines[at].split(b",")
    cells[_place(rng, cells)] = CELLS[int(rng.integers(len(CELLS)))]
    return b"\n".join([*lines[:at], b",".join(cells), *lines[at + 1 :]])


def _swapped(rng: Rng, lines: list[bytes]) -> bytes:
    i, j = (_place(rng, lines) for _ in range(2))
    changed = list(lines)
    changed[i], changed[j] = lines[j], lines[i]
    return b"\n".join(changed)


def make(seed: int, number: int) -> tuple[bytes, list[str]]:
    """Table and words of a command of that number; one in ten is left good."""
    rng = np.random.default_rng([seed, number])
    data = good(rng)
    for _ in range(0 if rng.random() < 0.1 else int(rng.integers(1, 4))):
        data = spoil(rng, data)
    options = [str(word) for word in rng.choice(OPTIONS, int(rng.integers(1, 3)))] if rng.random() < 0.4 else []
    # Two values of one key would be the last one's.
    given = {word.partition("=")[0]: word for word in [*TINY, "task_args.path=table.csv", *options]}
    model = str(rng.choice(["ddl", "mlp", "analogue", "persistence", "mean", "esn", "linear"]))
    return data, ["run", "with", "task=observed", f"model={model}", *given.values()]


def rows_of_numbers(data: bytes) -> str:
    """Reason why a table has no even rows, by a reading that knows nothing of the suite's; empty where it has."""
    text = data.removeprefix(b"\xef\xbb\xbf")
    try:
        rows = [row for row in csv.reader(io.StringIO(text.decode(), newline="")) if any(c.strip() for c in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        return f"no CSV: {error}"
    if len(rows) < 3:
        return "fewer than two rows"
    width = len(rows[0])
    if len({name.strip() for name in rows[0]}) < width:
        return "a column's name stands there twice"
    for row in rows[1:]:
        if len(row) != width:
            return f"a row of {len(row)} cells below {width} names"
    return ""


def odd_cell(data: bytes, names: list[str]) -> str:
    """A cell of the named columns that is no finite number; empty where there is none."""
    header, *rows = csv.reader(io.StringIO(data.removeprefix(b"\xef\xbb\xbf").decode(), newline=""))
    for row in rows:
        cells = dict(zip(map(str.strip, header), row, strict=False)) if any(map(str.strip, row)) else {}
        for name, cell in cells.items():
            if name in names and not (_NUMBER.fullmatch(cell.encode()) and math.isfinite(float(cell))):
                return f"{name} = {cell!r}"
    return ""


def judge(seed: int, number: int, folder: Path) -> list[str]:
    """Faults of one case."""
    data, words = make(seed, number)
    (folder / "table.csv").write_bytes(data)
    before = tree(folder)
    said = call(words)
    found = faults(said)
    if said.code == 0:
        run = Run(folder / "runs" / "1")
        if run.status != "COMPLETED":
            found.append(f"exit code 0 of a run that is {run.status}")
        if reason := rows_of_numbers(data):
            found.append(f"taken: {reason}")
        else:
            names = [str(name).partition("[")[0] for name in run.entry["resolved"]["task"]["state_names"]]
            if cell := odd_cell(data, names):
                found.append(f"taken: {cell}")
    elif said.code in (1, 2):
        if (folder / "runs" / "1" / "run.json").exists():
            found.append(f"began and failed: {Run(folder / 'runs' / '1').entry.get('error')}")
        else:
            found += one_line(said) + ["written by a command that was refused"] * (tree(folder) != before)
    return [*found, f"{words} {data[:300]!r}", said.err[-1500:]] if found else []
