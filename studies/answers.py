"""Answers to the questions of the study: which cells each compares, its figure and its tables.

The comparisons of a question are fixed here, and p is corrected over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import spearmanr

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.sweep import Panel, scatter, scores_against
from studies.cells import SHORT, Cell
from studies.report import LONG, compare, draw, median_text, table, verdict_table

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
}
NRMSE = f"NRMSE, {SHORT} steps"


def name(task: str) -> str:
    """The printed name of a task."""
    return TASKS.get(task, task)


def tasks(cells: Sequence[Cell]) -> list[str]:
    """Tasks of cells, in order."""
    return list(dict.fromkeys(cell.task for cell in cells))


def find(cells: Sequence[Cell], task: str, label: str, naming: Callable[[Cell], str]) -> Cell | None:
    """The cell of a task with a label."""
    return next((cell for cell in cells if cell.task == task and naming(cell) == label), None)


def linear(cells: Sequence[Cell], task: str) -> dict[str, float]:
    """The linear baseline of a task as a level of a figure; empty where there is none."""
    known = [cell.line["linear"] for cell in cells if cell.task == task and cell.line["linear"] not in ("", "None")]
    return {"linear baseline": float(known[0])} if known else {}


def error(cell: Cell) -> Array:
    """NRMSE over the short horizon; of words, the share of wrong states at the longest length."""
    accuracy = cell.scores("accuracy_longest", steps="")
    return 1.0 - accuracy if accuracy.size else cell.scores()


def accuracy(cell: Cell) -> Array:
    """Share of right states at the longest length."""
    return cell.scores("accuracy_longest", steps="")


def value_of(cell: Cell) -> str:
    """Source of a Delta layer's v."""
    if cell.line["model"] != "ddl" or cell.option("gate") == "fixed":
        return "ResNet" if cell.line["model"] == "resnet" else "β = 1"
    if cell.option("rewrite") == "erase":
        return "v = 0"
    return "v constant" if cell.option("value") == "constant" else "v of the state"


def question_3(cells: Sequence[Cell]) -> str:
    """Error against the gate's cap, by where v comes from."""
    swept = [cell for cell in cells if value_of(cell).startswith("v ")]
    panels: list[Panel] = []
    words: list[Panel] = []
    for task in tasks(swept):
        lines: dict[str, dict[float, Array]] = {}
        for cell in (c for c in swept if c.task == task):
            score = accuracy(cell) if accuracy(cell).size else error(cell)
            lines.setdefault(value_of(cell), {})[float(cell.option("gate_max"))] = score
        levels = linear(cells, task)
        control = find(cells, task, "ResNet", value_of)
        levels |= {"ResNet": float(np.median(error(control)))} if control else {}
        (words if task == "s3" else panels).append(Panel(title=name(task), lines=lines, levels=levels))
    pictures = []
    if panels:
        figure = scores_against(panels, axis="largest β that the gate allows", score=NRMSE)
        pictures.append(draw(figure, "q3", "Error against the largest β, for v of the state, constant and zero"))
    if words:
        figure = scores_against(words, axis="largest β that the gate allows", score="accuracy, 256 tokens", log_y=False)
        pictures.append(draw(figure, "q3_words", "Accuracy on words of S₃ against the largest β"))
    pairs = []
    for task in tasks(swept):
        for value in ("v of the state", "v constant", "v = 0"):
            two, one = (
                next((c for c in swept if (c.task, value_of(c), c.option("gate_max")) == (task, value, cap)), None)
                for cap in (2.0, 1.0)
            )
            if two and one:
                pairs.append((f"{name(task)}, {value}: β < 2 against β < 1", two, one))
    rows = [
        [name(c.task), value_of(c), f"{c.option('gate_max'):g}", median_text(c, error(c)), share(c)] for c in swept
    ] + [[name(c.task), value_of(c), "", median_text(c, error(c)), share(c)] for c in cells if c not in swept]
    note = "Error is the NRMSE over 20 steps; of S₃, the share of wrong states at 256 tokens."
    header = ["task", "v", "largest β", "error", "rewrites with β > 1 a step"]
    return "\n\n".join(
        [*pictures, verdict_table(compare(pairs, error)), note, folded("Every cell", table(header, rows))]
    )


def share(cell: Cell) -> str:
    """Median number of rewrites a step with β > 1."""
    values = cell.scores("reversing", steps="")
    return f"{np.median(values):.2f}" if values.size and cell.line["model"] == "ddl" else ""


def folded(title: str, text: str) -> str:
    """A part of the page behind a title that opens it."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def question_4(cells: Sequence[Cell]) -> str:
    """Accuracy against the number of reflections a token."""
    driven = [c for c in cells if c.option("generator") == "input"]
    cap = {2.0: "token-driven k, β < 2", 1.0: "token-driven k, β < 1"}
    panels, pairs = [], []
    for task in tasks(cells):
        lines: dict[str, dict[float, Array]] = {}
        for cell in (c for c in driven if c.task == task):
            lines.setdefault(cap[cell.option("gate_max")], {})[float(cell.option("layers"))] = accuracy(cell)
        others = [c for c in cells if c.task == task and c not in driven]
        levels = {control(c): float(np.median(accuracy(c))) for c in others}
        panels.append(Panel(title=name(task), lines=lines, levels=levels))
        for layers in (1, 2, 3, 4):
            two, one = (
                next(
                    (c for c in driven if (c.task, c.option("layers"), c.option("gate_max")) == (task, layers, g)), None
                )
                for g in (2.0, 1.0)
            )
            if two and one:
                pairs.append((f"{name(task)}, {layers} reflections: β < 2 against β < 1", two, one))
    figure = scores_against(
        panels, axis="reflections a token", score="accuracy at the longest words", log_y=False,
        note="Trained on 20 tokens; dotted lines: other models, two layers a token",
    )  # fmt: skip
    rows = [
        [name(c.task), cap[c.option("gate_max")] if c in driven else control(c), str(c.option("layers")),
         median_text(c, accuracy(c), 3), median_text(c, c.scores("accuracy_trained", steps=""), 3)]
        for c in cells
    ]  # fmt: skip
    header = ["task", "model", "layers", "accuracy, longest words", "accuracy, 20 tokens"]
    picture = draw(figure, "q4", "Accuracy against the number of reflections a token")
    return "\n\n".join([picture, verdict_table(compare(pairs, error)), folded("Every cell", table(header, rows))])


def control(cell: Cell) -> str:
    """The printed name of a control."""
    names = {"ddl": "DDL, state-driven", "resnet": "ResNet", "lstm": "LSTM", "highway": "signed Highway"}
    return names[cell.line["model"]]


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
    return {"highway": "Highway", "neural_ode": "neural ODE"}.get(cell.line["model"], cell.line["model"])


def question_6(cells: Sequence[Cell]) -> str:
    """Error of free latent runs against re-encoding; drift against neutral directions."""
    delta = [c for c in cells if c.line["model"] == "ddl"]
    panels, pairs = [], []
    for task in tasks(cells):
        lines: dict[str, dict[float, Array]] = {}
        for cell in (c for c in delta if c.task == task):
            lines.setdefault(rewrite_of(cell), {})[float(cell.option("reencode") or 0.0)] = cell.scores(steps=LONG)
        others = [c for c in cells if c.task == task and c not in delta]
        levels = {rewrite_of(c): float(np.median(c.scores(steps=LONG))) for c in others}
        panels.append(Panel(title=name(task), lines=lines, levels=levels))
        here = {float(c.option("reencode") or 0.0): c for c in delta if c.task == task and rewrite_of(c) == "DDL"}
        resnet = find(cells, task, "ResNet", rewrite_of)
        if resnet and 0.1 in here:
            pairs.append((f"{name(task)}: DDL re-encoded by .1 against ResNet", here[0.1], resnet))
        if {0.0, 0.1} <= set(here):
            pairs.append((f"{name(task)}: DDL re-encoded by .1 against free", here[0.1], here[0.0]))
    figure = scores_against(
        panels, axis="re-encoding μ", score=f"NRMSE, {LONG} steps", note="Dotted: other models, free"
    )
    free = [c for c in cells if not c.option("reencode") and c.scores("neutral", steps="").size]
    points: dict[str, tuple[list[float], list[float]]] = {}
    for cell in free:
        x, y = points.setdefault(rewrite_of(cell), ([], []))
        x.append(float(np.median(cell.scores("neutral", steps=""))))
        y.append(float(np.median(cell.scores("distance_100", steps=""))))
    every = [np.concatenate([np.array(p[i]) for p in points.values()]) for i in (0, 1)]
    rho = float(spearmanr(*every).statistic)
    second = scatter(points, x="exponents above −.005 a step (of 8)", y="distance from the manifold, 100 steps")
    pictures = [
        draw(figure, "q6", "Error at 100 steps against re-encoding"),
        draw(second, "q6_neutral", "Distance from the manifold against neutral exponents"),
    ]
    rows = [
        [name(c.task), rewrite_of(c), f"{c.option('reencode') or 0:g}", median_text(c, c.scores()),
         median_text(c, c.scores(steps=LONG)), median_text(c, c.scores("neutral", steps="")),
         median_text(c, c.scores("distance_100", steps=""))]
        for c in cells
    ]  # fmt: skip
    header = ["task", "model", "μ", NRMSE, f"NRMSE, {LONG} steps", "neutral exponents", "distance, 100 steps"]
    found = verdict_table(compare(pairs, lambda cell: cell.scores(steps=LONG)))
    correlation = (
        f"Rank correlation of neutral exponents with the distance at 100 steps, over {len(every[0])} cells: {rho:.2f}."
    )
    return "\n\n".join([*pictures, correlation, found, folded("Every cell", table(header, rows))])


def question_2(cells: Sequence[Cell]) -> str:
    """Error against the number of training trajectories; Delta against write-only and bilinear branches."""
    panels, pairs = [], []
    for task in tasks(cells):
        lines: dict[str, dict[float, Array]] = {}
        for cell in (c for c in cells if c.task == task):
            lines.setdefault(rewrite_of(cell), {})[float(cell.config["data"]["n_train"])] = error(cell)
        panels.append(Panel(title=name(task), lines=lines, levels={}))
        for count in sorted({c.config["data"]["n_train"] for c in cells}):
            here = {rewrite_of(c): c for c in cells if c.task == task and c.config["data"]["n_train"] == count}
            pairs += [
                (f"{name(task)}, n = {count}: DDL against {other}", here["DDL"], here[other])
                for other in ("write-only", "ResNet bilinear")
                if {"DDL", other} <= set(here)
            ]
    figure = scores_against(panels, axis="training trajectories", score=NRMSE, log_x=True)
    rows = [
        [name(c.task), str(c.config["data"]["n_train"]), rewrite_of(c), median_text(c, error(c)), share(c)]
        for c in cells
    ]
    header = ["task", "n", "model", NRMSE, "rewrites with β > 1 a step"]
    picture = draw(figure, "q2", "Error against the number of training trajectories")
    return "\n\n".join([picture, verdict_table(compare(pairs, error)), folded("Every cell", table(header, rows))])


def question_5(cells: Sequence[Cell]) -> str:
    """Error against the radius of the starts."""
    radii = sorted({place[1] for c in cells for place in c.values if place[0] == "radius"}, key=float)

    def at(cell: Cell, radius: str) -> Array:
        return cell.scores(split="radius", radius=radius)

    panels, pairs = [], []
    for task in tasks(cells):
        here = {rewrite_of(c): c for c in cells if c.task == task}
        lines = {
            label: {1.0: cell.scores()} | {float(r): at(cell, r) for r in radii if at(cell, r).size}
            for label, cell in here.items()
        }
        panels.append(Panel(title=name(task), lines=lines))
        far = "4.0" if "4.0" in radii else radii[-1] if radii else ""
        pairs += [
            (f"{name(task)}, radius {float(far):g}: DDL against {other}", here["DDL"], here[other])
            for other in ("ResNet", "write-only", "ResNet relu affine")
            if far and {"DDL", other} <= set(here) and at(here["DDL"], far).size
        ]
    figure = scores_against(panels, axis="radius of the starts (1: training)", score=NRMSE, log_x=True)
    rows = [
        [name(c.task), rewrite_of(c), median_text(c, c.scores()), *(median_text(c, at(c, r)) for r in radii)]
        for c in cells
    ]
    header = ["task", "model", "radius 1", *(f"radius {float(r):g}" for r in radii)]
    picture = draw(figure, "q5", "Error against the radius of the starts")
    found = verdict_table(compare(pairs, lambda cell: at(cell, far)))
    return "\n\n".join([picture, found, folded("Every cell", table(header, rows))])


ANSWERS = {"q2": question_2, "q3": question_3, "q4": question_4, "q5": question_5, "q6": question_6}
