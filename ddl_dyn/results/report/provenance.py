"""Settings, failures and provenance: what was asked, what went wrong, and how to make each number again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence

from ddl_dyn.config.formats import counted, decimal, joined
from ddl_dyn.config.parsing import flatten
from ddl_dyn.metrics.registry import PRIMARY, in_group
from ddl_dyn.results.comparison.groups import Setting, complete, flat_config, spoken
from ddl_dyn.results.report.document import ReportSection, ReportTable, TableCell, TableColumn, text_cells, text_columns
from ddl_dyn.results.report.tables import PLACE, place
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.result import SPLIT_NAMES, at, horizon_steps

HASH_CHARACTERS = 12
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def asked_table(found: Sequence[Setting]) -> ReportTable:
    """One row a setting: models, seeds, updates, horizons, budget and data."""
    rows = []
    for setting in found:
        runs = [entry.run for entry in setting.entries]
        first = runs[0]
        seeds = sorted({(int(run.config.get("seed", 0)), int(run.config.get("seeds", 1))) for run in runs})
        budget = dict.fromkeys(str(at(run.config, "budget.kind") or "none") for run in runs)
        rows.append(
            (
                *text_cells(
                    setting.task,
                    setting.protocol,
                    ", ".join(spoken(entry.label) for entry in setting.entries),
                    "; ".join(f"{start}–{start + n - 1}" if n > 1 else f"{start}" for start, n in seeds),
                ),
                _number(at(first.config, "train.updates")),
                _number(at(first.config, "train.horizon")),
                *text_cells(
                    _horizons(first),
                    ", ".join("unmatched" if kind == "none" else f"equal {kind}" for kind in budget),
                    f"{_sizes(first)}; noise {decimal(at(first.config, 'data.noise'))}",
                    str(first.entry.get("data_hash") or "")[:HASH_CHARACTERS],
                ),
            )
        )
    columns = (
        TableColumn("task"),
        TableColumn(
            "protocol", help="whether the observed or the latent state is carried from step to step, and the lift"
        ),
        *text_columns("models", "seeds"),
        TableColumn("updates", numeric=True),
        TableColumn("training horizon", numeric=True, help="free-run steps of a training window"),
        TableColumn("tested over", help="free-run steps"),
        TableColumn("budget", help="whether models were given equal parameters or FLOPs"),
        TableColumn("trajectories", help="used; a recorded series may give fewer or shorter ones than were asked for"),
        TableColumn("data hash", help="the first digits of the SHA-256 digest of the data set"),
    )
    note = (
        "carry = observed: each step reads the observed state out and lifts it again, so that the learned map acts on "
        "the observed space. carry = latent: lifted once, the latent state runs free. The choice decides results, so "
        "models are compared only within one protocol, on one data set, after one training budget."
    )
    return ReportTable("Settings", columns, tuple(rows), note)


def _sizes(run: Run) -> str:
    """Number of trajectories of each split of a run, and their steps."""
    splits = at(run.result, "data.splits")
    used = {
        name: (at(splits, f"{name}.trajectories"), at(splits, f"{name}.steps"))
        for name in ("train", "val", "test", "ood")
        if isinstance(splits, Mapping) and name in splits
    }
    if len({steps for _, steps in used.values()}) == 1:
        counts = ", ".join(f"{count} {name}" for name, (count, _) in used.items())
        return f"{counts}, of {next(iter(used.values()))[1]} steps"
    if used:
        return ", ".join(f"{count} {name} of {steps} steps" for name, (count, steps) in used.items())
    return ", ".join(f"{at(run.config, f'data.n_{name}')} {name}" for name in ("train", "val", "test", "ood"))


def _horizons(run: Run) -> str:
    """The horizons of the test as they were run."""
    return " and ".join(dict.fromkeys(decimal(horizon_steps(run, "test", name)) for name in PRIMARY.horizons))


def data_notes(found: Sequence[Setting]) -> list[str]:
    """Departures of the data from the request, one line a task."""
    said: dict[str, dict[str, None]] = {}
    for setting in found:
        for entry in setting.entries:
            notes = at(entry.run.result, "data.notes")
            for note in notes if isinstance(notes, list) else []:
                said.setdefault(setting.task, {})[str(note)] = None
    return [f"Data of {task}: {'; '.join(notes)}." for task, notes in said.items()]


def _number(value: object) -> TableCell:
    return TableCell(decimal(value), float(value) if isinstance(value, (int, float)) else None)


def failures(
    runs: Sequence[Run], found: Sequence[Setting], reported: Sequence[str]
) -> tuple[list[str], list[ReportTable]]:
    """Runs that did not complete, replicas that diverged in training, free runs that left the finite range.

    Args:
        runs: all runs asked for.   reported: one line for each run that failed, as the comparison noted it.
    """
    whole = {run.path for run in complete(runs)}
    lost = [_lost(run) for run in runs if run.path not in whole]
    known = {row[-1].text for row in lost}
    extra = [line for line in reported if not any(reason and reason in line for reason in known)]
    tables = []
    if lost:
        heads = text_columns("run", "task", "model", "status", "reason")
        tables.append(ReportTable("Runs without a result; they are in no table above", heads, tuple(lost)))
    rows = [row for setting in found for row in _failed_rows(setting)]
    if rows:
        columns = (
            *PLACE,
            *text_columns("run", "where", "what"),
            TableColumn("how many", numeric=True),
        )
        note = (
            "A replica whose free run fails within a horizon has an infinite error there and counts so in every median."
        )
        tables.append(ReportTable("Failures within completed runs", columns, tuple(rows), note))
    sentences = list(extra)
    if not tables and not extra:
        sentences.append("Every run completed, no replica diverged in training, and every free run stayed finite.")
    return sentences, tables


def _lost(run: Run) -> tuple[TableCell, ...]:
    try:
        stored = run.entry
    except RunError as error:
        return text_cells(run.id, "", "", "UNREADABLE", str(error).replace(f"{run.path}/", ""))
    reason = stored.get("error") or ("it has no result" if run.status == "COMPLETED" else "")
    return text_cells(run.id, stored.get("task"), stored.get("model"), run.status, reason)


def _failed_rows(setting: Setting) -> list[tuple[TableCell, ...]]:
    rows = []
    for entry in setting.entries:
        head = (*place(setting, entry.label), TableCell(entry.run.id))
        diverged = at(entry.run.result, "training.diverged")
        if isinstance(diverged, list) and any(diverged):
            text = f"{sum(map(bool, diverged))} of {counted(len(diverged), 'replica')}"
            what = text_cells("training", "diverged; kept its best checkpoint")
            rows.append((*head, *what, TableCell(text, float(sum(diverged)))))
        for split, name in SPLIT_NAMES.items():
            for _, metric in in_group("failure"):
                shares = at(entry.run.result, metric.found_at(split=split))
                if isinstance(shares, list) and any(shares):
                    mean = sum(map(float, shares)) / len(shares)
                    hit = sum(share > 0 for share in shares)
                    text = f"{metric.page(mean)} of free runs, in {hit} of {counted(len(shares), 'replica')}"
                    rows.append((*head, *text_cells(name, metric.title), TableCell(text, mean)))
    return rows


def command(run: Run) -> str:
    """A command line that trains this run again from its whole configuration."""
    items = [f"{key}={_literal(value)}" for key, value in flat_config(run).items() if value not in ({}, [], "")]
    return shlex.join(["ddl-dyn", "run", "with", *items])


def _literal(value: object) -> str:
    if isinstance(value, str):
        # Words stay bare as one would type them; what the parser could take for something else is quoted.
        return value if _WORD.fullmatch(value) and value not in ("None", "True", "False") else repr(value)
    return repr(tuple(value) if isinstance(value, list) else value)


def provenance(runs: Sequence[Run]) -> tuple[list[str], tuple[ReportTable, ...], tuple[ReportSection, ...]]:
    """Sentences on code and packages, a table of runs, and per run its command and configuration, folded."""
    readable = [run for run in runs if _readable(run)]
    rows = []
    for run in readable:
        commit = str(at(run.entry, "git.commit") or "")[:HASH_CHARACTERS]
        changed = " + changes" if at(run.entry, "git.dirty") else ""
        started = str(run.entry.get("start_time") or "").replace("T", " ")[:19]
        known = (run.config.get("task"), run.config.get("model"), started, commit + changed)
        rows.append(text_cells(run.id, run.status, *known, run.entry.get("data_hash"), run.entry.get("device")))
    columns = text_columns("run", "status", "task", "model", "started (UTC)", "commit", "data hash (SHA-256)", "device")
    sentences = [f"Package versions: {text}." for text in dict.fromkeys(_versions(run) for run in readable) if text]
    commands = dict.fromkeys(str(run.entry.get("command_line")) for run in readable if run.entry.get("command_line"))
    parts = tuple(_origin(run) for run in readable)
    typed = ReportSection(
        "typed",
        "As it was started",
        text=(f"{counted(len(commands), 'command')} started these runs.",),
        code="\n".join(commands),
    )

    table = (ReportTable("Runs", columns, tuple(rows)),) if rows else ()
    return sentences, table, ((typed,) if commands else ()) + parts


def _readable(run: Run) -> bool:
    try:
        return bool(run.entry) and bool(run.config)
    except RunError:
        return False


def _versions(run: Run) -> str:
    stored = run.entry.get("versions")
    return joined(f"{k} {v}" for k, v in stored.items() if v) if isinstance(stored, Mapping) else ""


def _origin(run: Run) -> ReportSection:
    title = f"Run {run.id}: {run.config.get('model')} on {run.config.get('task')}"
    resolved = at(run.entry, "resolved.model_args")
    decided = dict(flatten(resolved)) if isinstance(resolved, Mapping) else {}
    given = dict(flatten(run.config.get("model_args") or {}))
    changed = {key: value for key, value in decided.items() if given.get(key) != value}
    text = ["On the same machine this gives the same numbers again:"]
    if changed:
        text.append(f"Decided on the way: {joined(f'{key} = {value}' for key, value in changed.items())}.")
    configuration = json.dumps(run.config, indent=1, ensure_ascii=False, default=str)
    return ReportSection(f"run-{run.id}", title, text=tuple(text), code=f"{command(run)}\n\n{configuration}")
