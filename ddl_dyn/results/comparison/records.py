"""Records of a comparison, made from finished runs only, and what is written from them: table, CSV, figure, page.

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

from ddl_dyn.metrics.registry import METRICS, PRIMARY
from ddl_dyn.results.comparison.groups import Comparison, Entry, data_sets, group_runs
from ddl_dyn.results.comparison.radius import radius_panels
from ddl_dyn.results.comparison.terminal import as_table, decisions, expectations
from ddl_dyn.results.comparison.verdicts import Contrast, contrasts, of_comparison, starred
from ddl_dyn.runs import Run
from ddl_dyn.runs.atomic_files import write_text
from ddl_dyn.runs.observer import RunStore
from ddl_dyn.runs.result import at

FIELDS = (
    "task", "protocol", "split", "horizon", "model", "median", "low", "high", "coverage", "seeds", "data_sets",
    "failed", "best", "first", "primary", "verdict", "ratio", "ratio_low", "ratio_high", "ratio_coverage", "p",
    "p_corrected", "family", "seeds_needed", "matched", "latent_dim", "parameters", "seconds", "run", "metric",
)  # fmt: skip


def comparison_rows(members: Iterable[Run]) -> list[dict[str, Any]]:
    """One record per entry, split and horizon: median primary error over replicas, and the first entry's verdict on it.

    Args:
        members: runs; those that are not complete are left out.
    Returns:
        records with the keys of `FIELDS`. `low`, `high`: bootstrap interval of the median, which covers at most
        `coverage`. `first`: the entry that `verdict`, `ratio` (of its median by this record's) and the p-values are
        on; None in its own records. `primary`: False for an exploratory comparison, whose p is not corrected.
        `best` marks a first entry that wins against every other at matched parameters. Floors have one record per
        comparison, with no interval.
    """
    out: list[dict[str, Any]] = []
    settings = group_runs(list(members))
    judged = contrasts(settings)
    for setting in settings:
        for comparison in setting.comparisons:
            place = {"task": setting.task, "protocol": setting.protocol, "split": comparison.split}
            place |= {"horizon": comparison.over, "metric": PRIMARY.heading}
            here = of_comparison(judged, comparison)
            for entry in setting.entries:
                if entry.label in comparison.values:
                    against = next((contrast for contrast in here if contrast.second is entry), None)
                    best = {"best": starred(here, comparison, entry.label)}
                    out.append(place | _model(comparison, entry) | best | _verdict(against))
            out += [place | _floor(name, value) for name, value in comparison.floors.items()]
    return out


def _model(comparison: Comparison, entry: Entry) -> dict[str, Any]:
    label, run = entry.label, entry.run
    values, interval = comparison.values[label], comparison.intervals[label]
    sets = len(set(data_sets(run, values.size)))
    return {
        "model": label,
        "median": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "coverage": comparison.coverages[label],
        "seeds": len(values),
        "data_sets": sets,
        "failed": int(np.isinf(values).sum()),
        "primary": comparison.primary,
        "run": run.id,
    } | {name: at(run.result, METRICS[name].path) for name in ("latent_dim", "parameters", "seconds")}


def _verdict(contrast: Contrast | None) -> dict[str, Any]:
    if contrast is None:
        return dict.fromkeys(_VERDICT)
    found = contrast.decision
    measured = (
        *(contrast.first.label, found.verdict, *found.ratio, found.coverage, found.pvalue, found.corrected),
        *(found.family if found.primary else None, found.seeds_needed, contrast.matched),
    )
    return dict(zip(_VERDICT, measured, strict=True))


_VERDICT = (
    "first", "verdict", "ratio", "ratio_low", "ratio_high", "ratio_coverage", "p", "p_corrected", "family",
    "seeds_needed", "matched",
)  # fmt: skip


def _floor(name: str, value: float) -> dict[str, Any]:
    measured = {"median": value, "low": math.nan, "high": math.nan, "coverage": None, "best": False}
    counts = {"seeds": 1, "data_sets": None, "failed": int(not math.isfinite(value))}
    nothing = dict.fromkeys(("run", "primary", "latent_dim", "parameters", "seconds"))
    return {"model": name} | nothing | measured | counts | _verdict(None)


def as_csv(records: Sequence[Mapping[str, Any]]) -> str:
    """The records as CSV with a header, full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def conclude(store: RunStore, run_ids: Sequence[str], failed: Sequence[str], *, jobs: int = 1) -> dict[str, Any]:
    """Make table, CSV, figure and page of a comparison in its own directory.

    Args:
        store: of the comparison.
        run_ids: its runs, in order.
        failed: one line for each run that failed.
        jobs: processes that draw the page.
    Returns:
        What is printed in short, for Sacred's result.
    """
    from rich.console import Console

    members = [Run(store.base / name) for name in run_ids]
    found = comparison_rows(members)
    store.save_json("result.json", {"rows": found, "failed": list(failed)})
    write_text(store.directory / "comparison.csv", as_csv(found))
    console = Console()
    grouped = group_runs(members)
    for part in (as_table(found), expectations(grouped), decisions(grouped)) if found else ():
        if part is not None:
            console.print(part)
    for line in failed:
        console.print(f"failed: {line}", markup=False)
    made = draw_comparison(store.directory, found, members, jobs=jobs) if found else []
    console.print(
        f"comparison {store.directory.name}: {', '.join(str(path) for path in made)}", markup=False, soft_wrap=True
    )
    return {"runs": len(run_ids), "failed": len(failed)}


def draw_comparison(
    folder: Path, found: Sequence[Mapping[str, Any]], members: Sequence[Run], *, jobs: int = 1
) -> list[Path]:
    """Comparison figures and page; the paths of what was made.

    Args:
        folder: of the comparison.   found: from `comparison_rows`.   members: its runs.   jobs: processes that draw.
    """
    from ddl_dyn import plots
    from ddl_dyn.results import report

    inside = [record for record in found if record["split"] == "test"]
    seeds = max((int(record["seeds"]) for record in inside), default=1)
    level = min((record["coverage"] for record in inside if record["coverage"] is not None), default=0.0)
    figure = plots.interval_chart(inside, level=level, seeds=seeds)
    made = list(plots.save(figure, folder / "figures" / "comparison"))
    panels = radius_panels(group_runs(list(members)))
    if panels:
        made += plots.save(plots.error_by_radius(panels), folder / "figures" / "comparison_radius")
    page = report.write_page(folder, [run.path for run in members], jobs=jobs)
    return [folder / "comparison.csv", *made, page]
