"""The table, its targets, and the files of a measurement."""

from __future__ import annotations

import json
import math
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.throughput.cells import CONTESTANTS, Cell, Measured

LETTERS = {"suite": "a suite", "loop": "b loop", "jax": "c JAX", "torchode": "c' torchode", "roofline": "d roofline"}
PACKAGES = ("torch", "torchdiffeq", "jax", "jaxlib", "equinox", "optax", "diffrax", "torchode", "numpy")
# Lowest a/b and a/c by the number of replicas, and lowest a/d of DDL: what was set out to be reached on two cores.
OVER_LOOP = {8: 5.0, 32: 8.0}
OVER_JAX = {1: 1.0, 8: 1.3, 32: 3.0}
OF_ROOFLINE = {("ddl", 32): 1 / 3}
# Highest peak memory by JAX's, and longest first call in seconds.
MEMORY, FIRST_CALL = 1.3, 20.0


@dataclass(frozen=True)
class Target:
    """One ratio beside what it should be.

    Args:
        model, replicas: of the cell.   name: which ratio.   value: measured.   bound: wanted.
        at_least: whether the bound is the lowest value (or the highest).
    """

    model: str
    replicas: int
    name: str
    value: float
    bound: float
    at_least: bool = True

    @property
    def met(self) -> bool | None:
        """None where nothing was measured."""
        if math.isnan(self.value):
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def mark(self) -> str:
        """For a table."""
        return {None: "", True: "met", False: "MISSED"}[self.met]


def targets(cell: Cell) -> list[Target]:
    """All targets of a cell, met or not."""
    model, R = cell.problem.model, cell.problem.replicas
    found = []
    if R in OVER_LOOP:
        found.append(Target(model, R, "a/b", cell.ratio("suite", "loop"), OVER_LOOP[R]))
    if R in OVER_JAX:
        found.append(Target(model, R, "a/c", cell.ratio("suite", "jax"), OVER_JAX[R]))
    if (model, R) in OF_ROOFLINE:
        found.append(Target(model, R, "a/d", cell.ratio("suite", "roofline"), OF_ROOFLINE[model, R]))
    found.append(Target(model, R, "memory a/c", cell.memory_ratio("suite", "jax"), MEMORY, at_least=False))
    return found


def number(value: float) -> str:
    """Three significant digits, or nothing."""
    if math.isnan(value):
        return ""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def rate(measured: Measured | None) -> str:
    """Median and extremes of the samples."""
    if measured is None or not measured.rates:
        return "failed" if measured is not None and measured.failure else ""
    low, high = min(measured.rates), max(measured.rates)
    return f"{number(float(np.median(measured.rates)))} ({number(low)}–{number(high)})"


def layout(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *others = (text.ljust(w) if i == 0 else text.rjust(w) for i, (text, w) in enumerate(zip(row, widths)))  # noqa: B905
        return "  ".join((first, *others)).rstrip()

    return "\n".join((line(head), "  ".join("-" * w for w in widths), *map(line, rows)))


def rates_table(cells: Sequence[Cell]) -> str:
    """Updates × replicas per second of every contestant."""
    names = [name for name in CONTESTANTS if any(name in cell.found for cell in cells)]
    rows = [
        [cell.problem.model, str(cell.problem.replicas), str(cell.problem.threads)]
        + [rate(cell.found.get(name)) for name in names]
        for cell in cells
    ]
    return layout(["model", "R", "threads", *(LETTERS[name] for name in names)], rows)


def ratios_table(cells: Sequence[Cell]) -> str:
    """Ratios with the targets that they meet or miss, and memory."""
    rows = []
    for cell in cells:
        goals = {t.name: t for t in targets(cell)} if cell.problem.threads == 1 else {}
        row = [cell.problem.model, str(cell.problem.replicas), str(cell.problem.threads)]
        for name, other in (("a/b", "loop"), ("a/c", "jax"), ("a/c'", "torchode"), ("a/d", "roofline")):
            row += [number(cell.ratio("suite", other)), goals[name].mark if name in goals else ""]
        row += [number(cell.found[n].training) if n in cell.found else "" for n in ("suite", "loop", "jax")]
        row += [number(cell.memory_ratio("suite", "jax")), goals["memory a/c"].mark if goals else ""]
        rows.append(row)
    head = ["model", "R", "threads", "a/b", "", "a/c", "", "a/c'", "", "a/d", "", "a MiB", "b MiB", "c MiB"]
    return layout([*head, "a/c", ""], rows)


def compile_table(rows: Sequence[dict[str, Any]]) -> str:
    """Seconds of the first update, in a process that finds nothing compiled and in the next."""
    head = ["model", "R", "first call s", "", "next process s", "c JAX first call s"]
    shown = [
        [
            row["model"],
            str(row["replicas"]),
            number(row["cold"]),
            Target(row["model"], row["replicas"], "first call", row["cold"], FIRST_CALL, at_least=False).mark,
            number(row["cached"]),
            number(row["jax"]),
        ]
        for row in rows
    ]
    return layout(head, shown)


def processor() -> str:
    """The processor's name, or the machine's."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1) if found else platform.machine()


def machine(device: str) -> dict[str, Any]:
    """Description of the machine and of the packages."""
    card = ""
    if device == "cuda":
        import torch

        card = torch.cuda.get_device_name()
    held = {}
    for name in PACKAGES:
        try:
            held[name] = version(name)
        except PackageNotFoundError:
            held[name] = "absent"
    return {
        "device": card or processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
        "python": platform.python_version(),
        "packages": held,
    }


def slug(text: str) -> str:
    """For a file's name: "Intel(R) Xeon(R) Processor" -> "intel-xeon-processor"."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", text.lower())).strip("-")


def to_json(cells: Sequence[Cell], compiled: Sequence[dict[str, Any]], about: dict[str, Any]) -> str:
    """Everything measured, as JSON; numbers that are not finite as null.

    Args:
        cells: measured.   compiled: rows of `compile_table`.   about: the machine and the options.
    """
    plain = {
        **about,
        "compile": list(compiled),
        "cells": [
            {
                "problem": cell.problem.plain(),
                "clock": cell.clock,
                "contestants": {name: asdict(m) for name, m in cell.found.items()},
                "targets": [{**asdict(t), "met": t.met} for t in (targets(cell) if cell.problem.threads == 1 else [])],
            }
            for cell in cells
        ],
    }
    return json.dumps(_finite(plain), indent=1) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
