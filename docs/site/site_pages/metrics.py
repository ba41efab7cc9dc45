"""Pages of the metrics: the registry that tables are made from, and the definitions behind it."""

from __future__ import annotations

import importlib
import inspect
from typing import get_args

from ddl_dyn.metrics.registry import Group, Metric, in_group
from site_pages.entries import entry
from site_pages.markdown import code, docstring, escaped, table

TITLES: dict[Group, str] = {
    "error": "Error",
    "starts": "Error by initial state",
    "words": "Words",
    "motion": "Motion",
    "failure": "Failures",
    "gates": "Gates",
    "size": "Size",
    "cost": "Cost",
    "accuracy": "Further accuracy",
}
# Where a metric is a function of arrays: the one that defines it.
DEFINED = {
    "nrmse": "accuracy.nrmse",
    "start_median": "starts.start_errors",
    "start_beyond": "starts.start_errors",
    "token_error": "tracking.token_accuracy",
    "accuracy_trained": "tracking.token_accuracy",
    "accuracy_longest": "tracking.token_accuracy",
    "vpt": "accuracy.valid_prediction_time",
    "vpt_censored": "accuracy.valid_prediction_time",
    "period_error": "oscillation.period_error",
    "amplitude_error": "oscillation.amplitude_error",
    "smape": "accuracy.smape",
    "mase": "accuracy.mase",
    "phase_drift": "oscillation.phase_error",
    "turning_timing": "oscillation.turning_point_error",
}
# Modules whose public functions the two pages of definitions show.
DEFINITIONS = ("accuracy", "starts", "climate", "oscillation", "tracking", "structure", "verdict")
STATISTICS = ("statistics", "significance", "decisions", "windows")


def registry_page() -> str:
    """Every metric of the registry, a table a group."""
    parts = [
        "# Metrics\n\n"
        "Every number that a run is judged by, as terminal, page and files name it. `{split}` is `test` or `ood`, "
        "`{horizon}` is `short` or `long`: the keys of `eval.short` and `eval.long`. Functions of arrays are under "
        "[definitions](definitions.md), tests and intervals under [statistics](statistics.md); the "
        "[protocol](protocol.md) says how they are used."
    ]
    for group in get_args(Group):
        rows = [_row(name, metric) for name, metric in in_group(group)]
        parts.append(f"## {TITLES[group]}\n\n" + table(("metric", "good", "meaning", "key in result.json"), rows))
    return "\n\n".join(parts) + "\n"


def _row(name: str, metric: Metric) -> tuple[str, str, str, str]:
    path = DEFINED.get(name)
    title = f"[{escaped(metric.heading)}][ddl_dyn.metrics.{path}]" if path else escaped(metric.heading)
    said = metric.help or "–"
    if metric.over_seeds == "largest":
        said += "; of several seeds the largest"
    place = metric.path if metric.group != "accuracy" else f"{metric.path} (analysis.json)"
    return title, {"lower": "low", "higher": "high", "": "–"}[metric.better], escaped(said), code(place)


def _modules(title: str, introduction: str, names: tuple[str, ...]) -> str:
    parts = [f"# {title}", introduction]
    for name in names:
        module = importlib.import_module(f"ddl_dyn.metrics.{name}")
        head, _, rest = (inspect.getdoc(module) or "").partition("\n")
        parts += [f"## {name}", docstring(head), docstring(rest)]
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        parts += [entry(f"{module.__name__}.{key}") for key in own if not key.startswith("_")]
    return "\n\n".join(filter(None, parts)) + "\n"


def definitions_page() -> str:
    """The functions of arrays that metrics are."""
    return _modules(
        "Definitions of the metrics",
        "Arrays have any leading axes, as a rule replicas and trajectories, before times and components. A forecast "
        "that fails is infinitely wrong and is never dropped.",
        DEFINITIONS,
    )


def statistics_page() -> str:
    """The tests, corrections, intervals and decisions over replicas and tasks."""
    return _modules(
        "Statistics",
        "From the scores of replicas to intervals, tests and verdicts; the [protocol](protocol.md) says which is used "
        "where.",
        STATISTICS,
    )
