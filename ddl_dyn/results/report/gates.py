"""Tables of gates, of the kinds of motion learned, and of theory beside results.

Axes: R replicas, L layers, P points, r directions of a layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ddl_dyn.config.formats import DASH, bracketed, percent
from ddl_dyn.config.labels import REGIMES
from ddl_dyn.metrics.registry import PRIMARY, Metric, in_group
from ddl_dyn.metrics.verdict import VERDICTS, verdicts
from ddl_dyn.results.comparison.groups import Setting
from ddl_dyn.results.report.document import ReportTable, TableCell, TableColumn, text_cells, text_columns
from ddl_dyn.results.report.tables import PLACE, metric_column, place, quoted
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.result import at

# β below the first skips, up to the second it overwrites, above it the layer reverses orientation: det A = 1 − β < 0.
BORDERS = (0.5, 1.0)
_RANGES = (f"β < {BORDERS[0]:g}", f"{BORDERS[0]:g} ≤ β ≤ {BORDERS[1]:g}", f"β > {BORDERS[1]:g}")
_HEADINGS = tuple(f"{name.replace('_', '-')} ({span})" for name, span in zip(REGIMES, _RANGES, strict=True))
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
        shares: np.ndarray = np.stack([mask.sum(axis=-1) for mask in masks], axis=-1) / known.sum(axis=-1)[..., None]
        return shares


def gate_table(found: Sequence[Setting]) -> ReportTable | None:
    """Occupancy of the three regimes by layer and direction of every gated run; None where no run has gates."""
    rows = []
    for setting in found:
        for entry in setting.entries:
            for where, beta in _gates(entry.run):
                rows += [(*place(setting, entry.label), TableCell(where), *cells) for cells in _layers(beta)]
    if not rows:
        return None
    columns = (
        *PLACE,
        *text_columns("at", "layer"),
        TableColumn("median β", numeric=True),
        TableColumn("5–95 %", numeric=True, help="of the states and seeds"),
        TableColumn("shares", help="mean over seeds of each seed's shares, as in the next columns"),
        *(TableColumn(name, numeric=True, help="of the states, mean over seeds [least, most]") for name in _HEADINGS),
    )
    note = (
        "All seeds. “States visited”: along free runs of the test set. “Portrait plane”: the first step from every "
        "point of the plane drawn above, however rarely it is visited. β = 0 leaves the state alone, β = 1 overwrites "
        "along k, β = 2 reflects; above 1 the layer's operator has a negative determinant, 1 − β."
    )
    return ReportTable("Where the gates stand", columns, tuple(rows), note, legend=_HEADINGS)


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


def law_table(found: Sequence[Setting]) -> ReportTable | None:
    """Reflections per step and the laws of the Delta rewrite, checked on the trained layers; None without gates."""
    metrics = [metric for _, metric in in_group("gates")]
    rows = []
    for setting in found:
        for entry in setting.entries:
            if at(entry.run.result, "gates"):
                cells = [_over_seeds(at(entry.run.result, metric.path), metric) for metric in metrics]
                rows.append((*place(setting, entry.label), *cells))
    if not rows:
        return None
    columns = (*PLACE, *map(metric_column, metrics))
    note = "Median over seeds [lowest, highest]; errors are the largest over all seeds, in the precision of training."
    return ReportTable("What the layers do along free runs", columns, tuple(rows), note)


def _over_seeds(values: object, metric: Metric) -> TableCell:
    if not isinstance(values, list) or not values or any(v is None for v in values):
        return TableCell(DASH)
    seen = np.asarray(values, dtype=float)
    if metric.over_seeds == "largest":
        return TableCell(metric.page(float(seen.max())), float(seen.max()))
    middle = float(np.median(seen))
    return TableCell(bracketed(middle, float(seen.min()), float(seen.max()), metric.digits), middle)


def _layers(beta: np.ndarray) -> Iterator[tuple[TableCell, ...]]:
    for l in range(beta.shape[1]):
        for r in range(beta.shape[3]):
            own = beta[:, l, :, r]
            known = own[np.isfinite(own)]
            name = f"{l + 1}" if beta.shape[3] == 1 else f"{l + 1}, direction {r + 1}"
            if not known.size:
                yield TableCell(name), *[TableCell(DASH)] * (3 + len(_HEADINGS))
                continue
            shares = occupancy(own)
            shares = shares[np.isfinite(shares).all(axis=-1)]
            typical = shares.mean(axis=0)
            low, middle, high = np.quantile(known, [0.05, 0.5, 0.95])
            yield (
                TableCell(name, float(l + r / 100)),
                TableCell(f"{middle:.2f}", float(middle)),
                TableCell(f"{low:.2f}–{high:.2f}", float(high - low)),
                TableCell("", float(typical[2]), shares=tuple(map(float, typical))),
                *map(_share, typical, shares.min(axis=0), shares.max(axis=0)),
            )


def _share(mean: float, least: float, most: float) -> TableCell:
    return TableCell(f"{percent(mean)} [{percent(least)}, {percent(most)}]", float(mean))


def verdict_table(found: Sequence[Setting]) -> ReportTable | None:
    """Shares of the kinds of motion among free runs of the test set; None if no predictions are stored."""
    rows, seen = [], set()
    judged = []
    for setting in found:
        for entry in setting.entries:
            shares = _verdict_shares(entry.run)
            if shares is not None:
                judged.append((setting, entry.label, shares))
                seen |= {name for name, share in shares.items() if share > 0}
    if not judged:
        return None
    kinds = [name for name in VERDICTS if name in seen]
    for setting, label, shares in judged:
        cells = [TableCell(percent(shares[name]), shares[name]) for name in kinds]
        rows.append((*place(setting, label), *cells))
    columns = (*PLACE, *(TableColumn(name.replace("_", " "), numeric=True) for name in kinds))
    note = (
        "Share of the free runs in distribution, all seeds and initial states together, to the end of the test. A "
        "chaotic motion whose test is shorter than some twenty returns may differ from the truth in kind by chance."
    )
    return ReportTable("What kind of motion the free runs are", columns, tuple(rows), note)


def _verdict_shares(run: Any) -> dict[str, float] | None:
    try:
        pred, true, sigma = (run.arrays.get(name) for name in ("test_pred", "test_true", "sigma"))
        if pred is None or true is None or sigma is None or pred.ndim != 4 or pred.shape[-2] < VERDICT_SAMPLES:
            return None
        given = verdicts(pred, true[None], sigma)
    except (RunError, ValueError):
        return None
    return {name: float(np.mean(given == name)) for name in VERDICTS}


def theory_table(found: Sequence[Setting]) -> ReportTable | None:
    """Predictions made before training beside what came out; None where no run holds any."""
    rows = []
    for setting in found:
        reached = {c.horizon: c for c in setting.comparisons if c.split == "test"}.get("short")
        for entry in setting.entries:
            stored = at(entry.run.result, "theory")
            for told in stored if isinstance(stored, list) else [stored]:
                if not isinstance(told, Mapping) or "verdict" not in told:
                    continue
                interval = reached.intervals.get(entry.label) if reached else None
                floor = reached.best_floor() if reached else None
                outcome = DASH if interval is None else quoted(interval)
                if isinstance(told.get("represented"), bool):
                    outcome = f"{'represented' if told['represented'] else 'not represented'}: {outcome}"
                if reached and interval is not None and floor is not None:
                    below = "below" if reached.beats(entry.label, floor[1]) else "not clearly below"
                    outcome += f", {below} the best floor ({PRIMARY.page(floor[1])})"
                failed = told.get("failed") is True
                rows.append(
                    (
                        *place(setting, entry.label),
                        TableCell(str(told["verdict"]) + (" (the prediction failed)" if failed else ""), strong=failed),
                        *text_cells(told.get("scope")),
                        TableCell(outcome, interval.estimate if interval else None),
                        *text_cells(told.get("reason"), told.get("source")),
                    )
                )
    if not rows:
        return None
    outcome = f"outcome ({PRIMARY.title}, short horizon)"
    columns = (*PLACE, *text_columns("predicted", "for", outcome, "reason", "source"))
    return ReportTable(
        "Can this class of models, with this lift, represent the task's map?",
        columns,
        tuple(rows),
        "“Impossible” holds for the space named; a lift to more dimensions can remove it. A map counts as represented "
        "when the median error over the short horizon is below a tenth of the training standard deviation; a possible "
        "map that is not represented was not learned with this budget, which refutes nothing.",
    )
