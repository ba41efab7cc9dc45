"""`ddl-dyn show`: one run in full, the settings that are its own first.

Axes: R replicas.
"""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ddl_dyn.cli.declared import UNKNOWN, model_options, task_parameters
from ddl_dyn.config.formats import counted
from ddl_dyn.config.parsing import flatten, typed_text
from ddl_dyn.config.sections import LR_GRID, SEEDS, RunConfig
from ddl_dyn.config.terminal import clean, say
from ddl_dyn.experiments.progress import duration, sentence
from ddl_dyn.experiments.sweep.config import CompareConfig, SweepConfig
from ddl_dyn.metrics.registry import METRICS, Metric
from ddl_dyn.results.score_lines import result_lines
from ddl_dyn.runs import COMPLETED, Run, RunError
from ddl_dyn.runs.heartbeat import seconds_since
from ddl_dyn.runs.result import SPLIT_NAMES, at
from ddl_dyn.runs.run import FIGURES_FOLDER

# Groups of metrics beside the errors, which the scores say with their intervals.
GROUPS = ("motion", "failure", "gates", "size", "cost")
# Of the column of names, at least.
_COLUMN = 12
Pairs = list[tuple[str, str]]


class Part(NamedTuple):
    """A titled part of the page: names with texts, laid out beside each other."""

    title: str
    pairs: Pairs


def show(run: Run) -> None:
    """Print everything about a run, comparison or sweep, as wide as the terminal.

    Raises:
        RunError: when run.json cannot be read.
    """
    width = shutil.get_terminal_size().columns
    for number, part in enumerate(parts(run)):
        if number:
            say("")
        say(part.title)
        indent = 2 if number else 0
        longest = max((len(name) for name, _ in part.pairs), default=0)
        left = max(_COLUMN, longest + 2) if longest else 0
        for name, text in part.pairs:
            say(_beside(" " * indent + clean(name), clean(text), indent + left, width))


def _beside(name: str, text: str, left: int, width: int) -> str:
    """A text to the right of a name, its further lines below one another; a path is never broken."""
    room = max(width, left + 20)
    lines = textwrap.wrap(text, room - left, break_long_words=False, break_on_hyphens=False) or [""]
    return "\n".join(f"{name if not i else '':{left}}{line}".rstrip() for i, line in enumerate(lines))


def parts(run: Run) -> Iterator[Part]:
    """The parts of the page; those that a run has nothing for are left out."""
    yield Part(f"{run.kind} {run.id} {run.status}: {run.path}", _state(run))
    try:
        changed, rest = settings_of(run)
    except RunError as error:
        yield Part("settings", [("", f"cannot be read: {error}")])
    else:
        yield Part("task, model and settings that differ from the defaults", changed)
        yield Part("all other settings, at their defaults", rest)
    if run.kind == "run":
        if scores := result_lines(run):
            yield Part("scores, medians over the seeds", [("", line.strip()) for line in scores])
        if numbers := metrics(run):
            yield Part("metrics, medians over the seeds", numbers)
    if run.kind == "run" and run.status == COMPLETED:
        none = [("", f"none yet; `ddl-dyn portrait {run.id}` draws them")]
        yield Part("figures", _figures(run) or none)
    yield Part("record", _record(run))


def _state(run: Run) -> Pairs:
    entry = run.entry
    pairs = []
    if isinstance(entry.get("progress"), Mapping) and run.status != COMPLETED:
        try:
            pairs.append(("progress", sentence(entry["progress"])))
        except (KeyError, TypeError, ValueError):
            pairs.append(("progress", "unreadable"))
    if entry.get("heartbeat") and run.status != COMPLETED:
        age = seconds_since(entry["heartbeat"])
        pairs.append(("heartbeat", f"{duration(age)} ago" if math.isfinite(age) else "never"))
    for name in ("error", "comment", "note", "tags"):
        if entry.get(name):
            value = entry[name]
            pairs.append((name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)))
    if run.members:
        pairs.append(("runs", ", ".join(run.members)))
    return pairs


def settings_of(run: Run) -> tuple[Pairs, Pairs]:
    """Settings of a run that differ from the defaults, each with its default, and the others by section.

    Raises:
        RunError: when the configuration cannot be read.
    """
    stored, defaults = dict(flatten(run.config)), _defaults(run)
    # Task and model say more than that they are the default.
    always = {name: str(stored[name]) for name in ("task", "model") if name in stored}
    own = {key: value for key, value in stored.items() if key not in always and defaults.get(key, UNKNOWN) != value}
    changed = [(key, typed_text(value) + _was(defaults.get(key, UNKNOWN))) for key, value in own.items()]
    rest: dict[str, list[str]] = {}
    for key, value in stored.items():
        if key not in own and key not in always:
            section, _, name = key.rpartition(".")
            rest.setdefault(section, []).append(f"{name}={typed_text(value)}")
    return [*always.items(), *changed], [(section, " ".join(items)) for section, items in rest.items()]


def _defaults(run: Run) -> dict[str, Any]:
    """Defaults by dotted key, as a stored configuration has them."""
    if run.kind == "compare":
        return dict(flatten(CompareConfig().model_dump(mode="json")))
    found = dict(flatten(RunConfig().model_dump(mode="json")))
    if run.kind == "sweep":
        # Those that its cells take where none are given.
        own = {"seeds": SEEDS, "train.lr_grid": list(LR_GRID)}
        return found | own | dict(flatten(SweepConfig().model_dump(mode="json")))
    for section, declared in (("model", model_options), ("task", task_parameters)):
        options = declared(str(run.config.get(section)))
        found |= {f"{section}_args.{name}": field.default for name, field in options.items()}
    # What None means in a single run.
    return found | {"data.seeds": 1}


def _was(default: object) -> str:
    return "" if default is UNKNOWN else f"  (default {typed_text(default)})"


def metrics(run: Run) -> Pairs:
    """Metrics of a finished run beside its errors: the median over the seeds, or the largest where that is the metric.

    Those of a split come in one line for both splits.
    """
    pairs = []
    for metric in (metric for metric in METRICS.values() if metric.group in GROUPS):
        places = SPLIT_NAMES if "{split}" in metric.path else {"": ""}
        told = {where: _over_seeds(at(run.result, metric.found_at(split=key)), metric) for key, where in places.items()}
        found = [f"{text} {where}".strip() for where, text in told.items() if text]
        if found:
            pairs.append((metric.heading, ", ".join(found)))
    return pairs


def _over_seeds(stored: object, metric: Metric) -> str:
    """One number of a metric's stored values, R or one; empty where there is none."""
    values = stored if isinstance(stored, Sequence) and not isinstance(stored, str) else [stored]
    numbers = [float(item) for item in values if isinstance(item, (int, float)) and not math.isnan(item)]
    if not numbers:
        return ""
    if len(values) == 1 and isinstance(stored, int) and metric.scale == 1.0:
        return f"{stored:,}"
    value = max(numbers) if metric.over_seeds == "largest" else float(np.median(numbers))
    none = len(values) - len(numbers)
    return metric.text(value) + (f" ({counted(none, 'seed')} without)" if none else "")


def _figures(run: Run) -> Pairs:
    """Figures by name, with the path of each file."""
    folder = run.path / FIGURES_FOLDER
    found: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_file() and not path.name.startswith("."):
            found.setdefault(path.stem, []).append(str(path))
    return [(name, " ".join(paths)) for name, paths in found.items()]


def _record(run: Run) -> Pairs:
    entry = run.entry
    pairs = [("command", str(entry.get("command_line", "")))]
    facts = [name for name in ("start_time", "stop_time", "device", "data_hash") if entry.get(name)]
    pairs += [(name.replace("_", " "), str(entry[name])) for name in facts]
    for name in ("host", "git", "versions"):
        stored = entry.get(name)
        known = flatten(stored) if isinstance(stored, Mapping) else ()
        text = ", ".join(f"{key} {_plain(value)}" for key, value in known if value is not None)
        pairs += [(name, text)] if text else []
    pairs.append(("attempts", str(len(entry.get("attempts", [])))))
    inside = (path for path in run.path.rglob("*") if path.is_file() and not path.name.startswith("."))
    files = sorted(str(path.relative_to(run.path)) for path in inside)
    pairs.append(("files", ", ".join(name for name in files if not name.startswith(f"{FIGURES_FOLDER}/"))))
    return pairs


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
