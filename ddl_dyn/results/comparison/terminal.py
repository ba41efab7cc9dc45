"""A comparison in the terminal: its table, the theory beside the outcome, the learning rates that tuning kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ddl_dyn.config.formats import DASH, number
from ddl_dyn.config.terminal import clean
from ddl_dyn.metrics.registry import METRICS, PRIMARY
from ddl_dyn.results.comparison.groups import Setting
from ddl_dyn.results.comparison.verdicts import (
    FAMILY,
    NO_EVIDENCE_SAYS,
    coverage_words,
    few_words,
    seed_words,
    verdict_words,
    window_words,
)
from ddl_dyn.runs.result import FLOORS, SPLIT_NAMES, at
from ddl_dyn.runs.stored_result import Theory, Tuning

# Of a column of errors: 80 columns hold four.
_WIDTH = 11


def as_table(records: Sequence[Mapping[str, Any]]) -> Any:
    """The records for a terminal of 80 columns: a block per task and protocol, and under it the primary verdicts."""
    from rich.console import Group
    from rich.text import Text

    blocks: dict[tuple[str, str], list[Mapping[str, object]]] = {}
    for record in records:
        blocks.setdefault((record["task"], record["protocol"]), []).append(record)
    parts = [Text(_head(records))]
    for (task, protocol), block in blocks.items():
        parts += [Text(), Text(clean(_title(task, protocol, block)), style="bold"), _block(block)]
        parts += [Text(clean(_told(record))) for record in block if record["primary"] and record["verdict"]]
        parts += [Text(clean(line)) for line in _over_windows(block)]
    if any(record["few_starts"] for record in records):
        parts += [Text(), Text(few_words("!"))]
    return Group(*parts)


def _title(task: str, protocol: str, block: Sequence[Mapping[str, Any]]) -> str:
    """Task and protocol; the error where it is not the usual one, and the mark of a task that shows nothing."""
    metric = block[0]["metric"]
    return ", ".join(filter(None, [task, protocol, metric if metric != PRIMARY.heading else "", block[0]["evidence"]]))


def _over_windows(block: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each entry on a recorded series: what its interval is over the windows that all seeds share."""
    lines: dict[str, list[str]] = {}
    for record in block:
        if record["windows"]:
            told = f"{record['horizon']}: {window_words(record['windows'], PRIMARY)}"
            lines.setdefault(record["model"], []).append(told)
    return [f"{model}, interval over windows (shared by all seeds), {'; '.join(told)}" for model, told in lines.items()]


def _head(records: Sequence[Mapping[str, Any]]) -> str:
    models = [record for record in records if record["run"] is not None]
    covered = coverage_words(record["coverage"] for record in models)
    seeds = seed_words((record["seeds"], record["data_sets"]) for record in models)
    below = f", its {covered} interval below" if covered else ""
    errors = dict.fromkeys(record["metric"] for record in records)
    head = f"{' or '.join(errors)} of free runs: median over {seeds}{below}"
    if any(record["start_median"] is not None for record in records):
        head += (
            f"\nThe primary score is {PRIMARY.title} pooled over starts; in the last line of a cell its "
            f"{METRICS['start_median'].title}, and {METRICS['start_beyond'].title}"
        )
    family = {record["family"] for record in models if record["family"]}
    if not family:
        return head
    over = "this one" if max(family) == 1 else f"these {max(family)}"
    return (
        f"{head}\nVerdicts: {FAMILY}; p corrected by Holm over {over}. "
        "Every other column is exploratory.\n* wins against every other, parameters matched"
    ) + (f"\n{NO_EVIDENCE_SAYS}" if any(record["evidence"] for record in records) else "")


def _told(record: Mapping[str, Any]) -> str:
    """One primary verdict in words."""
    verdict = verdict_words(
        record["verdict"], matched=record["matched"], seeds_needed=record["seeds_needed"], evidence=record["evidence"]
    )
    ratio, low, high = (number(record[name]) for name in ("ratio", "ratio_low", "ratio_high"))
    bounds = f" [{low}, {high}] ({coverage_words([record['ratio_coverage']])})" if low and high else ""
    against = f"{record['first']} against {record['model']}"
    return f"{against}: {verdict}; ratio {ratio or DASH}{bounds}, corrected p {number(record['p_corrected'])}"


def _block(records: Sequence[Mapping[str, Any]]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    block: dict[str, dict[tuple[str, str], Mapping[str, object]]] = {}
    for record in records:
        block.setdefault(record["model"], {})[(record["split"], record["horizon"])] = record
    horizons = list(dict.fromkeys(key for line in block.values() for key in line))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("model", min_width=12, no_wrap=True)
    for split, horizon in horizons:
        place = SPLIT_NAMES[split].replace(" distribution", "\ndistr.")
        table.add_column(f"{place},\n{horizon}", justify="right", min_width=_WIDTH, no_wrap=True)
    latent, size = METRICS["latent_dim"], METRICS["parameters"]
    table.add_column(latent.heading, justify="right", no_wrap=True)
    table.add_column(size.heading.replace("parameters", "para-\nmeters"), justify="right", no_wrap=True)
    for model, line in block.items():
        cells = [_cell(line.get(key)) for key in horizons]
        one = next(iter(line.values()))
        sizes = Text(latent.text(one["latent_dim"])), Text(size.text(one["parameters"]))
        table.add_row(Text(clean(model)), *cells, *sizes, style="dim" if model in FLOORS else "")
    return table


def _cell(record: Mapping[str, object] | None) -> Any:
    from rich.text import Text

    if record is None:
        return Text("")
    low, median, high = (_short(record[name]) for name in ("low", "median", "high"))
    marks = "* " if record["best"] else "", "!" if record["few_starts"] else ""
    text = Text(f"{marks[0]}{median}{marks[1]}", style="bold" if record["best"] else "")
    if low:
        text.append(f"\n{low}–{high}", style="dim")
    if record["start_median"] is not None:
        beyond = METRICS["start_beyond"].text(record["start_beyond"])
        middle = _short(record["start_median"])
        text.append(f"\n{middle},{' ' if len(middle + beyond) <= _WIDTH - 2 else chr(10)}{beyond}", style="dim")
    return text


def _short(value: object) -> str:
    """Without the zero before the point: 80 columns hold four horizons."""
    text = PRIMARY.text(value)
    return text[1:] if text.startswith("0.") else text


def expectations(found: Sequence[Setting]) -> Any:
    """Theoretical prediction for each entry beside the outcome, failed ones marked; None if none is stored."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = []
    for setting in found:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for title in ("model", "theory says", "outcome"):
            table.add_column(title)
        errors = {c.horizon: c.intervals for c in setting.comparisons if c.split == "test"}.get("short", {})
        for entry in setting.entries:
            stored: Theory | None = at(entry.run.result, "theory")
            if not isinstance(stored, Mapping) or "verdict" not in stored:
                continue
            outcome = Text("represented" if stored.get("represented") else "not represented")
            if entry.label in errors:
                outcome.append(f" ({PRIMARY.text(errors[entry.label].estimate)})")
            if stored.get("failed"):
                outcome.append("  the prediction failed", style="bold")
            table.add_row(Text(clean(entry.label)), Text(clean(stored["verdict"])), outcome)
        if table.row_count:
            parts += [Text(), Text(clean(f"{setting.task}, {setting.protocol}"), style="bold"), table]
    if not parts:
        return None
    head = "Can it represent the map? Theory beside outcome: represented means a median below .1 at the short horizon"
    return Group(Text(head), *parts)


def decisions(found: Sequence[Setting]) -> Any:
    """The learning rates that tuning kept, one line a setting; None where nothing was tuned."""
    from rich.console import Group
    from rich.text import Text

    lines = []
    for setting in found:
        kept = []
        for entry in setting.entries:
            tuning: Tuning | None = at(entry.run.result, "tuning")
            if tuning is None:
                continue
            rates = [row["lr"] for row in tuning["grid"]]
            edge = "*" if len(rates) > 1 and tuning["lr"] in (min(rates), max(rates)) else ""
            kept.append(f"{entry.label} {tuning['lr']:.3g}{edge}")
        if kept:
            lines.append(Text(clean(f"{setting.task}, {setting.protocol}: {', '.join(kept)}")))
    if not lines:
        return None
    return Group(Text("Learning rates that tuning kept on validation (* at the edge of the grid)"), *lines, Text())
