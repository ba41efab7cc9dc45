"""An analysis as a compact table: each quantity with its true and its trained value. Axes: R replicas, D components."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ddl_dyn.config.formats import DASH, number, percent
from ddl_dyn.config.labels import REGIMES
from ddl_dyn.config.terminal import clean
from ddl_dyn.metrics.registry import METRICS, PRIMARY, in_group

Row = tuple[str, str, str]


def _text(value: object) -> str:
    return number(value, 4, missing=DASH, infinite="inf").replace("-", "−")


def listed(values: Sequence[object]) -> str:
    """Several numbers, such as a spectrum."""
    return ", ".join(_text(v) for v in values)


def over_seeds(values: Sequence[Any]) -> str:
    """The typical replica and the extremes: median [lowest, highest], failures (NaN) counted apart."""
    known = sorted(float(v) for v in values if v is not None and not math.isnan(v))
    if not known:
        return DASH
    middle, failed = known[(len(known) - 1) // 2], len(values) - len(known)
    shown = [_text(v) for v in (middle, known[0], known[-1])]
    text = shown[0] if len(set(shown)) == 1 else f"{shown[0]} [{shown[1]}, {shown[2]}]"
    return f"{text}, {failed} of {len(values)} none" if failed else text


def uncertain(values: Sequence[float], errors: Sequence[float]) -> str:
    """Numbers with their standard errors, where these show in the digits printed."""
    return ", ".join(
        f"{_text(v)} ± {e:.1g}" if not math.isnan(e) and e > 1e-6 * max(abs(v), 1e-3) else _text(v)
        for v, e in zip(values, errors, strict=True)
    )


def spectrum_rows(part: dict[str, Any], found: dict[str, Any]) -> Iterator[Row]:
    """Rows of the Lyapunov exponents, their sum and the Kaplan–Yorke dimension."""
    ours, theirs, r = part["trained"], part["true"], found["chosen"]
    count = len(ours["exponents"][r])
    for i in range(min(count, 6)):
        true = "" if theirs is None else uncertain(theirs["exponents"][i : i + 1], theirs["standard_error"][i : i + 1])
        yield f"λ{i + 1} [1/{found['time_unit']}]", true, over_seeds([row[i] for row in ours["exponents"]])
    yield "Σλ", "" if theirs is None else _text(theirs["sum"]), over_seeds(ours["sum"])
    yield "D_KY", "" if theirs is None else _text(theirs["kaplan_yorke"]), over_seeds(ours["kaplan_yorke"])


def latent_rows(part: dict[str, Any], found: dict[str, Any]) -> Iterator[Row]:  # noqa: ARG001
    """Rows of the latent map: exponents across the manifold, neutral directions, drift, span of k, the far field."""
    for name, key in (("largest exponent along the manifold", "on"), ("largest exponent across it", "off")):
        yield f"{name} [1/step]", "", over_seeds([max(row, default=math.nan) for row in part[key]])
    yield "neutral directions", "", over_seeds(part["neutral"])
    yield (
        f"drift from the manifold after {len(part['drift'][0]) - 1} steps",
        "0",
        over_seeds([row[-1] for row in part["drift"]]),
    )
    if part["energies"] is not None:
        yield "dimension that k spans", "", over_seeds([1 / sum(e * e for e in row) for row in part["energies"]])
    yield "largest |eigenvalue| far away", "", over_seeds([max(row[-1]) for row in part["far"]])


def cycles_rows(part: dict[str, Any], found: dict[str, Any]) -> Iterator[Row]:
    """Rows of the fixed points and n-cycles, with recall, precision and multipliers."""
    r = found["chosen"]
    for period, one in part["periods"].items():
        what = "fixed points" if period == "1" else f"{period}-cycles"
        if not one["true"] and not any(one["trained"]) and not one["continuum"]:
            continue
        true = "a continuum" if one["continuum"] else str(len(one["true"]))
        yield what, true, over_seeds([len(each) for each in one["trained"]])
        if one["true"]:
            yield "  found, of the true", "1", over_seeds(one["recall"])
            yield "  true, of the found", "1", over_seeds(one["precision"])
        for true_one in one["true"][:3]:
            near = _nearest(true_one, one["trained"][r])
            yield f"  {_cycle(true_one)}", _multipliers(true_one), DASH if near is None else _cycle_with(near)


def _nearest(one: dict[str, Any], candidates: list[dict[str, Any]]) -> dict[str, Any] | None:
    def distance(other: dict[str, Any]) -> float:
        return min(math.dist(one["points"][0], point) for point in other["points"])

    return min(candidates, key=distance, default=None)


def _cycle(one: dict[str, Any]) -> str:
    point = one["points"][0]
    return f"({listed(point[:3])}{', …' if len(point) > 3 else ''}) {one['stability']}"


def _cycle_with(one: dict[str, Any]) -> str:
    return f"{_cycle(one)}; {_multipliers(one)}"


def _multipliers(one: dict[str, Any]) -> str:
    real, pairs = [], []
    for a, b in one["multipliers"][:4]:
        if abs(b) < 1e-12:
            real.append(_text(a))
        elif b > 0:
            pairs.append(f"{_text(a)} ± {_text(b)}i")
    return "m = " + ", ".join(pairs + real)


def limit_cycle_rows(part: dict[str, Any], found: dict[str, Any]) -> Iterator[Row]:
    """Rows of the limit cycle: period, amplitudes, multipliers."""
    true, ours = part["true"], part["trained"]
    yield "limit cycle: share of orbits", "1", over_seeds(ours["closed"])
    yield f"  period [{found['time_unit']}]", _text(true["period"]), over_seeds(ours["period"])
    for i, value in enumerate(true["amplitude"]):
        yield f"  amplitude {i + 1}", _text(value), over_seeds([row[i] for row in ours["amplitude"]])
    for i, value in enumerate(true["multipliers"]):
        yield f"  Floquet |m{i + 1}|", _text(value), over_seeds([row[i] for row in ours["multipliers"]])


def local_rows(part: dict[str, Any], found: dict[str, Any]) -> Iterator[Row]:  # noqa: ARG001
    """Rows of the local errors: Jacobian and orientation."""
    yield (
        "turned over (det J < 0), of the orbit",
        _text(part["reversed_share_true"]),
        over_seeds(part["reversed_share"]),
    )
    if "reversed_box" in part:
        yield "  and of the box", _text(part["reversed_box_true"]), over_seeds(part["reversed_box"])
    yield "orientation agreement", "1", over_seeds(part["orientation_agreement"])
    yield "Jacobian error, relative", "0", over_seeds(part["jacobian_error"])


def symmetries_rows(part: dict[str, Any], found: dict[str, Any]) -> Iterator[Row]:  # noqa: ARG001
    """Rows of the defects of the symmetries."""
    for name, values in part.items():
        yield f"symmetry defect, {name} [σ]", "0", over_seeds(values)


def accuracy_rows(part: dict[str, Any], found: dict[str, Any]) -> Iterator[Row]:  # noqa: ARG001
    """Rows of the forecast errors."""
    for name, metric in in_group("accuracy"):
        if any(value is not None and not math.isnan(value) for value in part[name]):
            yield metric.heading, "0", over_seeds(part[name])


def tracking_rows(part: dict[str, Any], found: dict[str, Any]) -> Iterator[Row]:  # noqa: ARG001
    """Rows of the accuracy on words."""
    for key, length in (("accuracy_trained", part["trained_length"]), ("accuracy_longest", part["longest_tested"])):
        yield f"{METRICS[key].title} at {length} (chance {_text(part['chance'])})", "1", over_seeds(part[key])
    yield f"  right throughout {part['longest_tested']}", "1", over_seeds(part["sequence_longest"])
    yield "  longest length with ≥ 0.99", f"≥ {part['longest_tested']}", over_seeds(part["longest_length"])


def invariants_rows(part: dict[str, Any], found: dict[str, Any]) -> Iterator[Row]:  # noqa: ARG001
    """Rows of the drift of the conserved quantities."""
    for name, values in part.items():
        yield f"drift of {name}", "0", over_seeds(values)


def climate_rows(part: dict[str, Any], found: dict[str, Any]) -> Iterator[Row]:  # noqa: ARG001
    """Rows of the distances between long runs, with their noise floors."""
    for key, label in (("d_stsp", "D_stsp"), ("d_h", "D_H")):
        floor = part[f"{key}_floor"]
        yield label, f"floor {_text(floor['mean'])} ± {floor['std']:.1g}", over_seeds(part[key])


def verdicts_rows(part: list[dict[str, float]], found: dict[str, Any]) -> Iterator[Row]:  # noqa: ARG001
    """Rows of the shares of the kinds of motion."""
    for name in part[0]:
        shares = [each[name] for each in part]
        if any(shares):
            yield f"runs judged {name.replace('_', ' ')}", "", over_seeds(shares)


def survival_rows(part: dict[str, object], found: dict[str, object]) -> Iterator[Row]:  # noqa: ARG001
    """Rows of the valid prediction times."""
    for threshold, one in part.items():
        if isinstance(one, dict):
            lost = f", {percent(one['censored'])} outlive the runs" if one["censored"] else ""
            text = f"{_text(one['restricted_mean'])}{lost}"
            yield f"valid time, {PRIMARY.title} ≤ {threshold} [time scales]", f"≤ {_text(part['horizon'])}", text


def constants_rows(part: dict[str, Any], found: dict[str, Any]) -> Iterator[Row]:  # noqa: ARG001
    """Rows of the constants of the trained map."""
    for name, one in part.items():
        yield name, _text(one["truth"]), over_seeds(one["values"])


def laws_rows(part: dict[str, Any], found: dict[str, Any]) -> Iterator[Row]:  # noqa: ARG001
    """Rows of the identities of Delta layers and of the gates' regimes."""
    yield METRICS["law_error"].title, "0", over_seeds(part["law_error"])
    if "jacobian_gap" in part:
        yield "closed-form Jacobian − autograd", "0", over_seeds(part["jacobian_gap"])
    for i, regime in enumerate(REGIMES):
        shares = [sum(layer[i] for layer in each) / len(each) for each in part["occupancy"]]
        yield f"gates: {regime.replace('_', '-')}", "", over_seeds(shares)
    yield f"{METRICS['effective_reflections'].title} a step", "", over_seeds(part["effective_reflections"])
    if "mirror_angle" in part:
        yield "angle between mirrors [rad]", "", over_seeds(part["mirror_angle"])
        yield "  rotation that they make [rad]", "", over_seeds(part["rotation_angle"])


def print_analysis(found: dict[str, Any], rows: Iterable[Row]) -> None:
    """Print an analysis: the table of its rows, the precision card in one line, and what was left out."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    count = len(found["seeds"])
    seeds = f"median [lowest, highest] of {count} seeds" if count > 1 else "one seed"
    title = escape(clean(f"{found['model']} on {found['task']} (run {found['run']})"))
    table = Table(title=title, title_justify="left", box=None)
    for heading in ("", "true", f"trained, {seeds}"):
        table.add_column(escape(heading), overflow="fold")
    for row in rows:
        table.add_row(*(escape(clean(cell)) for cell in row))
    console.print(table)
    card = (f"{one['dtype']} 1 − {1 - one['largest']:.1e}" for one in map(_plain, found.get("precision", ())))
    console.print(f"largest |1 − β| below 1: {'; '.join(card)}", highlight=False)
    for name, reason in found["skipped"].items():
        console.print(clean(f"without {name}: {reason}"), highlight=False, markup=False)


def _plain(row: object) -> dict[str, Any]:
    return row if isinstance(row, dict) else vars(row)
