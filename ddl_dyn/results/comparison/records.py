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

from ddl_dyn.config.files import inner_folder
from ddl_dyn.config.formats import cell
from ddl_dyn.config.terminal import clean
from ddl_dyn.metrics.registry import METRICS, PRIMARY
from ddl_dyn.results.comparison.groups import Comparison, Entry, group_runs, replica_data_sets
from ddl_dyn.results.comparison.radius import radius_panels
from ddl_dyn.results.comparison.terminal import as_table, decisions, expectations
from ddl_dyn.results.comparison.verdicts import Contrast, contrasts, evidence_words, of_comparison, starred
from ddl_dyn.runs import Run
from ddl_dyn.runs.atomic_files import write_text
from ddl_dyn.runs.observer import RunStore
from ddl_dyn.runs.result import at
from ddl_dyn.runs.run import FIGURES_FOLDER
from ddl_dyn.runs.stored_result import ComparisonResult

FIELDS = (
    "task", "protocol", "split", "horizon", "model", "median", "low", "high", "coverage", "seeds", "data_sets",
    "start_median", "start_beyond", "few_starts", "windows_low", "windows_high", "windows_block", "evidence",
    "failed", "best", "first", "primary", "verdict", "ratio", "ratio_low", "ratio_high", "ratio_coverage", "p",
    "p_corrected", "family", "seeds_needed", "matched", "latent_dim", "parameters", "seconds", "run", "metric",
)  # fmt: skip


def comparison_rows(members: Iterable[Run]) -> list[dict[str, Any]]:
    """One record per entry, split and horizon: median primary error over replicas, and the first entry's verdict on it.

    Args:
        members: runs; those that are not complete are left out.
    Returns:
        records with the keys of `FIELDS`, and `windows` (the interval over them as the run stores it). `low`, `high`:
        bootstrap interval of the median, which covers at most `coverage`. `first`: the entry that `verdict`, `ratio`
        (of its median by this record's) and the p-values are on; None in its own records. `primary`: False for an
        exploratory comparison, whose p is not corrected. `best` marks a first entry that wins against every other at
        matched parameters. `start_median`, `start_beyond`: median over starts, and share of starts beyond the
        threshold; `few_starts` where the former and the pooled error are more than a factor of three apart.
        `windows_low`, `windows_high`: interval over blocks of `windows_block` overlapping windows of a recorded series,
        None where there are not two blocks or no series. `evidence`: of the task, from `evidence_words`. Floors have
        one record per comparison, with no interval.
    """
    out: list[dict[str, object]] = []
    settings = group_runs(list(members))
    judged = contrasts(settings)
    for setting in settings:
        for comparison in setting.comparisons:
            place = {"task": setting.task, "protocol": setting.protocol, "split": comparison.split}
            place |= {"horizon": comparison.over, "metric": setting.metric.heading, "evidence": evidence_words(setting)}
            here = of_comparison(judged, comparison)
            for entry in setting.entries:
                if entry.label in comparison.values:
                    against = next((contrast for contrast in here if contrast.second is entry), None)
                    best = {"best": starred(here, comparison, entry.label)}
                    out.append(place | _model(comparison, entry) | best | _verdict(against))
            out += [place | _floor(comparison, name) for name in comparison.floors]
    return out


def _model(comparison: Comparison, entry: Entry) -> dict[str, Any]:
    label, run = entry.label, entry.run
    values, interval = comparison.values[label], comparison.intervals[label]
    sets = len(set(replica_data_sets(run, values.size)))
    windows: Mapping[str, object] = comparison.windows[label] or {}
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
        **_starts(comparison, label),
        **dict(zip(_WINDOWS, (*(windows.get(name) for name in ("low", "high", "block")), windows), strict=True)),
    } | {name: at(run.result, METRICS[name].path) for name in ("latent_dim", "parameters", "seconds")}


def _starts(comparison: Comparison, name: str) -> dict[str, Any]:
    median, beyond = comparison.starts[name]
    return {"start_median": median, "start_beyond": beyond, "few_starts": comparison.few_starts(name)}


_WINDOWS = ("windows_low", "windows_high", "windows_block", "windows")


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


def _floor(comparison: Comparison, name: str) -> dict[str, Any]:
    value = comparison.floors[name]
    measured = {"median": value, "low": math.nan, "high": math.nan, "coverage": None, "best": False}
    counts = {"seeds": 1, "data_sets": None, "failed": int(not math.isfinite(value))}
    nothing = dict.fromkeys(("run", "primary", "latent_dim", "parameters", "seconds", *_WINDOWS))
    return {"model": name} | nothing | measured | counts | _starts(comparison, name) | _verdict(None)


def as_csv(records: Sequence[Mapping[str, object]]) -> str:
    """The records as CSV with a header, full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in record.items()} for record in records)
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
    result: ComparisonResult = {"rows": found, "failed": list(failed)}
    store.save_json("result.json", result)
    write_text(store.directory / "comparison.csv", as_csv(found))
    console = Console()
    grouped = group_runs(members)
    for part in (as_table(found), expectations(grouped), decisions(grouped)) if found else ():
        if part is not None:
            console.print(part)
    for line in failed:
        console.print(clean(f"failed: {line}"), markup=False)
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
    Raises:
        FileError: when the comparison's folder of figures is a link or no folder.
    """
    from ddl_dyn import plots
    from ddl_dyn.results import report

    inside = [record for record in found if record["split"] == "test"]
    seeds = max((int(record["seeds"]) for record in inside), default=1)
    level = min((record["coverage"] for record in inside if record["coverage"] is not None), default=0.0)
    figures, made = inner_folder(folder, FIGURES_FOLDER), list[Path]()
    for metric in dict.fromkeys(setting.metric for setting in group_runs(members)):
        own = [record for record in inside if record["metric"] == metric.heading]
        figure = plots.interval_chart(own, level=level, seeds=seeds, metric=metric)
        name = "comparison" if metric is PRIMARY else f"comparison_{metric.title.replace(' ', '_')}"
        made += plots.save(figure, figures / name)
    panels = radius_panels(group_runs(list(members)))
    if panels:
        made += plots.save(plots.error_by_radius(panels), figures / "comparison_radius")
    page = report.write_page(folder, [run.path for run in members], jobs=jobs)
    return [folder / "comparison.csv", *made, page]
