"""The table of a comparison, made from finished runs only: on the screen, as CSV, as a figure, as a page.

Axes: R replicas.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ddl_dyn.files import write_text
from ddl_dyn.runs import COMPLETED, Run
from ddl_dyn.store import RunStore

SPLITS = ("test", "ood")
# Horizon names in a run's result and the configuration key that says how many steps they are.
HORIZONS = ("short", "long")
FIELDS = (
    "task", "protocol", "split", "horizon", "model", "median", "low", "high", "best", "replicas", "failed",
    "parameters", "seconds", "run",
)  # fmt: skip
FLOORS = ("persistence", "mean", "linear", "analogue")


def at(value: Any, path: str) -> Any:
    """The item under a dotted path of nested mappings, or None."""
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def scores(run: Run, split: str, horizon: str) -> np.ndarray | None:
    """(R,) NRMSE of each replica, infinite for one that failed; None where the run has no such test."""
    stored = at(run.result, f"{split}.nrmse_{horizon}")
    values = stored.get("values") if isinstance(stored, Mapping) else stored
    if not isinstance(values, (list, tuple)) or not values:
        return None
    found = np.array([math.inf if item is None else float(item) for item in values], dtype=np.float64)
    return np.where(np.isnan(found), math.inf, found)


def rows(members: Iterable[Run]) -> list[dict[str, Any]]:
    """One record per run, split and horizon: median NRMSE over replicas with its bootstrap interval.

    Args:
        members: runs; those that are not complete are left out.
    Returns:
        records with the keys of `FIELDS`; `best` marks a model whose interval lies below all others' of its group.
        Floors have one record per task and protocol, with no interval.
    """
    from ddl_dyn.metrics.statistics import Interval, median_interval, winner

    out: list[dict[str, Any]] = []
    groups: dict[tuple[str, str, str, str], dict[str, Interval]] = {}
    for run in members:
        if run.status != COMPLETED:
            continue
        task, model = str(run.config["task"]), str(run.config["model"])
        protocol = f"carry = {at(run.config, 'model_args.carry')}"
        for split in SPLITS:
            for horizon in HORIZONS:
                values = scores(run, split, horizon)
                if values is None:
                    continue
                steps = f"{at(run.config, f'eval.{horizon}')} steps"
                interval = median_interval(values, resamples=int(at(run.config, "eval.bootstrap") or 2000), seed=0)
                groups.setdefault((task, protocol, split, steps), {})[model] = interval
                common = {"task": task, "protocol": protocol, "split": split, "horizon": steps, "run": run.id}
                measured = {"median": interval.estimate, "low": interval.low, "high": interval.high}
                counts = {"replicas": len(values), "failed": int(np.isinf(values).sum())}
                cost = {"parameters": run.result.get("parameters"), "seconds": at(run.result, "training.seconds")}
                out.append({**common, "model": model, **measured, **counts, **cost, "best": False})
                out += _floors(run, common, horizon)
    for record in out:
        group = groups[(record["task"], record["protocol"], record["split"], record["horizon"])]
        record["best"] = len(group) > 1 and record["model"] == winner(group)
    return _unique(out)


def _floors(run: Run, common: Mapping[str, Any], horizon: str) -> list[dict[str, Any]]:
    found = []
    for name in FLOORS:
        value = at(run.result, f"floors.{name}.{common['split']}.nrmse_{horizon}")
        if isinstance(value, (int, float)):
            interval = {"median": float(value), "low": math.nan, "high": math.nan, "best": False}
            rest = {"replicas": 1, "failed": int(not math.isfinite(value)), "parameters": None, "seconds": None}
            found.append({**common, "model": name, **interval, **rest, "run": None})
    return found


def _unique(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    # Every run of a task carries the same floors; they are shown once, after the models.
    seen: set[tuple[Any, ...]] = set()
    models: list[dict[str, Any]] = []
    floors: list[dict[str, Any]] = []
    for record in records:
        key = tuple(record[name] for name in ("task", "protocol", "split", "horizon", "model"))
        if key in seen:
            continue
        seen.add(key)
        (floors if record["model"] in FLOORS else models).append(record)
    order = {name: place for place, name in enumerate(dict.fromkeys(record["task"] for record in models))}
    return sorted(models + floors, key=lambda record: (order.get(record["task"], len(order)), record["protocol"]))


def number(value: Any) -> str:
    """Three significant digits; `failed` for infinity, an empty cell for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and math.isinf(value):
        return "failed"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def as_csv(records: Sequence[Mapping[str, Any]]) -> str:
    """The records as CSV with a header, full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def as_table(records: Sequence[Mapping[str, Any]]) -> Any:
    """The records for a terminal of 80 columns: a block per task and protocol; `*` marks a winner."""
    from rich.console import Group
    from rich.text import Text

    horizons = list(dict.fromkeys((record["split"], record["horizon"]) for record in records))
    blocks: dict[tuple[str, str], dict[str, dict[tuple[str, str], Mapping[str, Any]]]] = {}
    for record in records:
        block = blocks.setdefault((record["task"], record["protocol"]), {})
        block.setdefault(record["model"], {})[(record["split"], record["horizon"])] = record
    parts = [Text("NRMSE of free runs: median over seeds, 95 % interval below; * separated from all others")]
    for (task, protocol), block in blocks.items():
        parts += [Text(), Text(f"{task}, {protocol}", style="bold"), _block(block, horizons)]
    return Group(*parts)


def _block(
    block: Mapping[str, Mapping[tuple[str, str], Mapping[str, Any]]], horizons: Sequence[tuple[str, str]]
) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("model", min_width=12, no_wrap=True)
    for split, horizon in horizons:
        place = "in" if split == "test" else "out of"
        table.add_column(f"{place} distr.\n{horizon}", justify="right", min_width=12, no_wrap=True)
    table.add_column("para-\nmeters", justify="right", no_wrap=True)
    for model, line in block.items():
        size = Text(number(next(iter(line.values()))["parameters"]))
        cells = [_cell(line.get(key)) for key in horizons]
        table.add_row(Text(model), *cells, size, style="dim" if model in FLOORS else "")
    return table


def _cell(record: Mapping[str, Any] | None) -> Any:
    from rich.text import Text

    if record is None:
        return Text("")
    low, high = number(record["low"]), number(record["high"])
    text = Text(("* " if record["best"] else "") + number(record["median"]), style="bold" if record["best"] else "")
    if low:
        text.append(f"\n{low}–{high}", style="dim")
    return text


def conclude(store: RunStore, run_ids: Sequence[str], failed: Sequence[str]) -> dict[str, Any]:
    """Make table, CSV, figure and page of a comparison in its own directory.

    Args:
        store: of the comparison.
        run_ids: its runs, in order.
        failed: one line for each run that failed.
    Returns:
        What is printed in short, for Sacred's result.
    """
    from rich.console import Console

    members = [Run(store.base / name) for name in run_ids]
    found = rows(members)
    store.save_json("result.json", {"rows": found, "failed": list(failed)})
    write_text(store.directory / "comparison.csv", as_csv(found))
    console = Console()
    if found:
        console.print(as_table(found))
    for line in failed:
        console.print(f"failed: {line}", markup=False)
    made = draw(store.directory, found, members) if found else []
    console.print(
        f"comparison {store.directory.name}: {', '.join(str(path) for path in made)}", markup=False, soft_wrap=True
    )
    return {"runs": len(run_ids), "failed": len(failed)}


def draw(folder: Path, found: Sequence[Mapping[str, Any]], members: Sequence[Run]) -> list[Path]:
    """Comparison figure and page; the paths of what was made."""
    from ddl_dyn import plots

    inside = [record for record in found if record["split"] == "test"]
    seeds = max((int(record["replicas"]) for record in inside), default=1)
    made = list(plots.save(plots.comparison(inside, seeds=seeds), folder / "figures" / "comparison"))
    return [folder / "comparison.csv", *made, *write_page(folder, members)]


def write_page(folder: Path, members: Sequence[Run]) -> list[Path]:
    """The comparison's self-contained page, by the report."""
    from ddl_dyn import report

    page = report.write_page(folder, [run.path for run in members])
    return [Path(page)]
