"""What the gates do, and what theory had said.

Axes: R replicas, L layers, P points, r directions of a layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ddl_dyn.metrics.verdict import VERDICTS, verdicts
from ddl_dyn.results.comparison.groups import Setting, contests
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.result import at

from .document import DASH, Cell, Column, Table, percent, shown
from .tables import interval_text, place

# β below the first skips, up to the second it overwrites, above it the layer reverses orientation: det A = 1 − β < 0.
BORDERS = (0.5, 1.0)
REGIMES = ("skip (β < 0.5)", "overwrite (0.5 ≤ β ≤ 1)", "over-relaxed (β > 1)")
# Shortest free run on which a verdict means anything.
VERDICT_SAMPLES = 8


def occupancy(beta: np.ndarray) -> np.ndarray:
    """Shares of the points in the three regimes.

    Args:
        beta: (..., P).
    Returns:
        (..., 3), summing to 1 over the finite ones; NaN where none is finite.
    """
    known = np.isfinite(beta)
    masks = [beta < BORDERS[0], (beta >= BORDERS[0]) & (beta <= BORDERS[1]), beta > BORDERS[1]]
    with np.errstate(invalid="ignore"):
        return np.stack([mask.sum(axis=-1) for mask in masks], axis=-1) / known.sum(axis=-1)[..., None]


def gate_table(found: Sequence[Setting]) -> Table | None:
    """Occupancy of the three regimes by layer and direction of every gated run; None where no run has gates."""
    rows = []
    for setting in found:
        for contestant in setting.contestants:
            for where, beta in _gates(contestant.run):
                rows += [(*place(setting, contestant.label), Cell(where), *cells) for cells in _layers(beta)]
    if not rows:
        return None
    columns = (
        Column("task"),
        Column("protocol"),
        Column("model"),
        Column("at"),
        Column("layer"),
        Column("median β", numeric=True),
        Column("5–95 %", numeric=True, help="of the states and seeds"),
        Column("shares", help="mean over seeds"),
        *(
            Column(name, numeric=True, help="median share of the states over seeds [lowest, highest seed]")
            for name in REGIMES
        ),
    )
    note = (
        "All seeds. “States visited”: along free runs of the test set. “Portrait plane”: the first step from every "
        "point of the plane drawn above, however rarely it is visited. β = 0 leaves the state alone, β = 1 overwrites "
        "along k, β = 2 reflects; above 1 the layer's operator has a negative determinant, 1 − β."
    )
    return Table("Where the gates stand", columns, tuple(rows), note, legend=REGIMES)


def _gates(run: Run) -> Iterator[tuple[str, np.ndarray]]:
    """Stored gates as (R, L, P, r), with the states they belong to."""
    try:
        along, plane = (run.arrays.get(name) for name in ("audit_beta", "gate_beta"))
    except RunError:
        return
    if along is not None and along.ndim == 5 and along.size:
        moved = np.moveaxis(along.astype(float), 2, 1)
        yield "states visited", moved.reshape(*moved.shape[:2], -1, moved.shape[-1])
    if plane is not None and plane.ndim == 4 and plane.size:
        yield "portrait plane", plane.astype(float)


# Key in the result, heading, explanation; the largest over seeds where `largest`, else the median and range.
_LAWS = (
    ("reversing", "rewrites with β > 1", "per step, mean over the states visited", False),
    ("effective_reflections", "effective reflections", "Σ max(0, β − 1) per step: a full reflection counts 1", False),
    ("law_error", "max |e⁺ − (1 − β) e|", "how far the trained layers break the law of the discrepancy", True),
    ("length_error", "max |‖k‖ − 1|", "how far the directions are from unit length", True),
)


def law_table(found: Sequence[Setting]) -> Table | None:
    """Reflections per step and the laws of the Delta rewrite, checked on the trained layers; None without gates."""
    rows = []
    for setting in found:
        for contestant in setting.contestants:
            stored = at(contestant.run.result, "gates")
            if isinstance(stored, Mapping) and stored:
                cells = [_over_seeds(stored.get(key), largest=largest) for key, _, _, largest in _LAWS]
                rows.append((*place(setting, contestant.label), *cells))
    if not rows:
        return None
    columns = (
        *(Column(name) for name in ("task", "protocol", "model")),
        *(Column(title, numeric=True, help=text) for _, title, text, _ in _LAWS),
    )
    note = "Median over seeds [lowest, highest]; errors are the largest over all seeds, in the precision of training."
    return Table("What the layers do along free runs", columns, tuple(rows), note)


def _over_seeds(values: Any, *, largest: bool) -> Cell:
    if not isinstance(values, list) or not values or any(v is None for v in values):
        return Cell(DASH)
    seen = np.asarray(values, dtype=float)
    if largest:
        return Cell(shown(float(seen.max())), float(seen.max()))
    middle = float(np.median(seen))
    return Cell(interval_text(middle, float(seen.min()), float(seen.max())), middle)


def _layers(beta: np.ndarray) -> Iterator[tuple[Cell, ...]]:
    for l in range(beta.shape[1]):
        for r in range(beta.shape[3]):
            own = beta[:, l, :, r]
            known = own[np.isfinite(own)]
            name = f"{l + 1}" if beta.shape[3] == 1 else f"{l + 1}, direction {r + 1}"
            if not known.size:
                yield Cell(name), *[Cell(DASH)] * (3 + len(REGIMES))
                continue
            shares = occupancy(own)
            shares = shares[np.isfinite(shares).all(axis=-1)]
            low, middle, high = np.quantile(known, [0.05, 0.5, 0.95])
            yield (
                Cell(name, float(l + r / 100)),
                Cell(f"{middle:.2f}", float(middle)),
                Cell(f"{low:.2f}–{high:.2f}", float(high - low)),
                Cell("", float(shares.mean(axis=0)[2]), shares=tuple(float(v) for v in shares.mean(axis=0))),
                *(_share(shares[:, i]) for i in range(len(REGIMES))),
            )


def _share(values: np.ndarray) -> Cell:
    middle, low, high = float(np.median(values)), float(values.min()), float(values.max())
    return Cell(f"{percent(middle)} [{percent(low)}, {percent(high)}]", middle)


def verdict_table(found: Sequence[Setting]) -> Table | None:
    """What kind of motion each free run of the test set is, as shares; None where no predictions are stored."""
    rows, seen = [], set()
    judged = []
    for setting in found:
        for contestant in setting.contestants:
            shares = _verdict_shares(contestant.run)
            if shares is not None:
                judged.append((setting, contestant.label, shares))
                seen |= {name for name, share in shares.items() if share > 0}
    if not judged:
        return None
    kinds = [name for name in VERDICTS if name in seen]
    for setting, label, shares in judged:
        cells = [Cell(percent(shares[name]), shares[name], strong=False) for name in kinds]
        rows.append((*place(setting, label), *cells))
    columns = (
        *(Column(name) for name in ("task", "protocol", "model")),
        *(Column(name.replace("_", " "), numeric=True) for name in kinds),
    )
    note = (
        "Share of the free runs in distribution, all seeds and initial states together, to the end of the test. A "
        "chaotic motion whose test is shorter than some twenty returns may differ from the truth in kind by chance."
    )
    return Table("What kind of motion the free runs are", columns, tuple(rows), note)


def _verdict_shares(run: Any) -> dict[str, float] | None:
    try:
        pred, true, sigma = (run.arrays.get(name) for name in ("test_pred", "test_true", "sigma"))
        if pred is None or true is None or sigma is None or pred.ndim != 4 or pred.shape[-2] < VERDICT_SAMPLES:
            return None
        given = verdicts(pred, true[None], sigma)
    except (RunError, ValueError):
        return None
    return {name: float(np.mean(given == name)) for name in VERDICTS}


def theory_table(found: Sequence[Setting]) -> Table | None:
    """Predictions made before training beside what came out; None where no run holds any."""
    rows = []
    for setting in found:
        reached = {c.horizon: c for c in contests(setting) if c.split == "test"}
        for contestant in setting.contestants:
            stored = at(contestant.run.result, "theory")
            for entry in stored if isinstance(stored, list) else [stored]:
                if not isinstance(entry, Mapping) or "verdict" not in entry:
                    continue
                interval = reached["short"].intervals.get(contestant.label) if "short" in reached else None
                floor = reached["short"].best_floor() if "short" in reached else None
                outcome = DASH if interval is None else interval_text(*interval)
                if isinstance(entry.get("represented"), bool):
                    outcome = f"{'represented' if entry['represented'] else 'not represented'}: {outcome}"
                if interval is not None and floor is not None:
                    below = reached["short"].beats(contestant.label, floor[1])
                    outcome += f", {'below' if below else 'not clearly below'} the best floor ({shown(floor[1])})"
                failed = entry.get("failed") is True
                rows.append(
                    (
                        *place(setting, contestant.label),
                        Cell(str(entry["verdict"]) + (" (the prediction failed)" if failed else ""), strong=failed),
                        Cell(str(entry.get("scope") or DASH)),
                        Cell(outcome, interval.estimate if interval else None),
                        Cell(str(entry.get("reason") or DASH)),
                        Cell(str(entry.get("source") or DASH)),
                    )
                )
    if not rows:
        return None
    columns = tuple(
        Column(name)
        for name in (
            "task",
            "protocol",
            "model",
            "predicted",
            "for",
            "outcome (NRMSE, short horizon)",
            "reason",
            "source",
        )
    )
    return Table(
        "Can this class of models, with this lift, represent the task's map?",
        columns,
        tuple(rows),
        "“Impossible” holds for the space named; a lift to more dimensions can remove it. A map counts as represented "
        "when the median error over the short horizon is below a tenth of the training standard deviation; a possible "
        "map that is not represented was not learned with this budget, which refutes nothing.",
    )
