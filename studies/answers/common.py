"""Parts shared by the answers: printed names, scores of a cell, and parts of a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ddl_dyn.metrics.arrays import Array
from studies.cells import SHORT, Cell

TASKS = {
    "mirror": "mirror, d = 4",
    "twisted_mirror": "twisted mirror, τ = 2",
    "van_der_pol": "van der Pol",
    "lorenz63": "Lorenz 63",
    "henon": "Hénon",
    "s3": "S₃",
    "s4": "S₄",
    "bouncing_ball": "bouncing ball",
    "stuart_landau": "Stuart–Landau",
    "fitzhugh_nagumo": "FitzHugh–Nagumo",
    "hardening_duffing": "hardening Duffing",
    "rossler": "Rössler",
    "ikeda": "Ikeda",
    "duffing_map": "Duffing map",
}
TRAINING = "parameters; training"
NRMSE = f"NRMSE, {SHORT} steps"
# A task whose linear baseline is below this is no evidence about models that are not linear.
EVIDENCE = 0.1
LINEAR = (
    "A task marked linear is solved by a linear map (NRMSE below .1): its rows tell forms of one layer apart, and are "
    "no evidence on models of nonlinear dynamics."
)


def name(task: str) -> str:
    """The printed name of a task."""
    return TASKS.get(task, task)


def tasks(cells: Sequence[Cell]) -> list[str]:
    """Tasks of cells, in order."""
    return list(dict.fromkeys(cell.task for cell in cells))


def find(cells: Sequence[Cell], task: str, label: str, naming: Callable[[Cell], str]) -> Cell | None:
    """The cell of a task with a label."""
    return next((cell for cell in cells if cell.task == task and naming(cell) == label), None)


def by_cap(cells: Sequence[Cell]) -> tuple[Cell, Cell] | None:
    """The cell with β < 2 and that with β < 1, of cells that differ in the gate's cap alone; None without both."""
    found = {cell.option("gate_max"): cell for cell in cells}
    return (found[2.0], found[1.0]) if {1.0, 2.0} <= set(found) else None


def linear(cells: Sequence[Cell], task: str) -> dict[str, float]:
    """The linear baseline of a task as a level of a figure; empty where there is none."""
    known = [cell.line["linear"] for cell in cells if cell.task == task and cell.line["linear"] not in ("", "None")]
    return {"linear baseline": float(known[0])} if known else {}


def marked(cells: Sequence[Cell], task: str) -> str:
    """The printed name of a task, marked where a linear map solves it."""
    solved = any(value < EVIDENCE for value in linear(cells, task).values())
    return f"{name(task)} (linear)" if solved else name(task)


def error(cell: Cell) -> Array:
    """NRMSE over the short horizon; of words, the share of wrong states at the longest length."""
    right = accuracy(cell)
    return 1.0 - right if right.size else cell.scores()


def accuracy(cell: Cell) -> Array:
    """Share of right states at the longest words; empty where the task has none."""
    lengths = cell.lengths("accuracy")
    return cell.scores("accuracy", steps=lengths[-1]) if lengths else np.empty(0)


def share(cell: Cell) -> str:
    """Median number of rewrites a step with β > 1."""
    values = cell.trained("reversing")
    return f"{np.median(values):.2f}" if values.size and cell.line["model"] == "ddl" else ""


def training(cell: Cell) -> str:
    """Parameters; seeds that failed to train; whether the tuned rate still lies on the edge of the extended grid."""
    failed = cell.trained("failed_to_train")
    parts = [cell.line["parameters"]]
    parts += [f"{int(failed.sum())} of {failed.size} failed"] if failed.any() else []
    parts += ["rate on the edge"] if cell.line["edge"] == "True" else []
    return "; ".join(parts)


def folded(title: str, text: str) -> str:
    """A part of the page behind a title that opens it."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def rewrite_of(cell: Cell) -> str:
    """Model, and what sets it apart from others of its kind."""
    if cell.line["model"] == "ddl":
        return {"delta": "DDL", "write": "write-only", "untied": "untied gates", "erase": "erase-only"}[
            cell.option("rewrite")
        ]
    if cell.line["model"] == "resnet":
        kinds = [cell.option("branch"), cell.option("activation"), cell.option("shortcut")]
        special = [kind for kind in kinds if kind not in ("mlp", "tanh", "identity", None)]
        return " ".join(["ResNet", *special])
    return {"highway": "Highway", "neural_ode": "neural ODE", "lstm": "LSTM"}.get(
        cell.line["model"], cell.line["model"]
    )
