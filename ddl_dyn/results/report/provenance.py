"""What was asked, what failed, and how to make each number again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ddl_dyn.results.comparison.groups import SPLIT_NAMES, Setting, complete, flat_config, spoken
from ddl_dyn.runs import Run, RunError, flatten
from ddl_dyn.runs.result import at

from .document import DASH, Cell, Column, Section, Table, counted, joined, percent, shown
from .tables import place

HASH_CHARACTERS = 12
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def asked_table(found: Sequence[Setting]) -> Table:
    """One row a setting: models, seeds, updates, horizons, budget and data."""
    rows = []
    for setting in found:
        runs = [contestant.run for contestant in setting.contestants]
        first = runs[0]
        seeds = sorted({(int(run.config.get("seed", 0)), int(run.config.get("seeds", 1))) for run in runs})
        budget = dict.fromkeys(str(at(run.config, "budget.kind") or "none") for run in runs)
        rows.append(
            (
                Cell(setting.task),
                Cell(setting.protocol),
                Cell(", ".join(spoken(contestant.label) for contestant in setting.contestants)),
                Cell("; ".join(f"{start}–{start + n - 1}" if n > 1 else f"{start}" for start, n in seeds)),
                _number(at(first.config, "train.updates")),
                _number(at(first.config, "train.horizon")),
                Cell(_horizons(first)),
                Cell(", ".join("unmatched" if kind == "none" else f"equal {kind}" for kind in budget)),
                Cell(f"{_sizes(first)}; noise {shown(at(first.config, 'data.noise'))}"),
                Cell(str(first.entry.get("data_hash") or DASH)[:HASH_CHARACTERS]),
            )
        )
    columns = (
        Column("task"),
        Column("protocol", help="whether the observed or the latent state is carried from step to step, and the lift"),
        Column("models"),
        Column("seeds"),
        Column("updates", numeric=True),
        Column("training horizon", numeric=True, help="free-run steps of a training window"),
        Column("tested over", help="free-run steps"),
        Column("budget", help="whether models were given equal parameters or FLOPs"),
        Column("trajectories", help="used; a recorded series may give fewer or shorter ones than were asked for"),
        Column("data hash", help="the first digits of the SHA-256 digest of the data set"),
    )
    note = (
        "carry = observed: each step reads the observed state out and lifts it again, so that the learned map acts on "
        "the observed space. carry = latent: lifted once, the latent state runs free. The choice decides results, so "
        "models are compared only within one protocol, on one data set, after one training budget."
    )
    return Table("Settings", columns, tuple(rows), note)


def _sizes(run: Run) -> str:
    """How many trajectories of each split a run had, and of how many steps."""
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
    """The two horizons of the test, no longer than the free runs that the data allow."""
    limit = at(run.result, "data.splits.test.steps")
    steps = [at(run.config, f"eval.{name}") for name in ("short", "long")]
    if isinstance(limit, int):
        steps = [min(n, limit) if isinstance(n, int) else n for n in steps]
    return " and ".join(dict.fromkeys(map(shown, steps)))


def data_notes(found: Sequence[Setting]) -> list[str]:
    """How the request for data was met where it could not be met as it stood, one line a task."""
    said: dict[str, dict[str, None]] = {}
    for setting in found:
        for contestant in setting.contestants:
            notes = at(contestant.run.result, "data.notes")
            for note in notes if isinstance(notes, list) else []:
                said.setdefault(setting.task, {})[str(note)] = None
    return [f"Data of {task}: {'; '.join(notes)}." for task, notes in said.items()]


def _number(value: Any) -> Cell:
    return Cell(shown(value), float(value) if isinstance(value, (int, float)) else None)


def failures(runs: Sequence[Run], found: Sequence[Setting], reported: Sequence[str]) -> tuple[list[str], list[Table]]:
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
        heads = tuple(Column(name) for name in ("run", "task", "model", "status", "reason"))
        tables.append(Table("Runs without a result; they are in no table above", heads, tuple(lost)))
    rows = [row for setting in found for row in _failed_rows(setting)]
    if rows:
        columns = (
            *(Column(name) for name in ("task", "protocol", "model", "run", "where", "what")),
            Column("how many", numeric=True),
        )
        note = (
            "A replica whose free run fails within a horizon has an infinite error there and counts so in every median."
        )
        tables.append(Table("Failures within completed runs", columns, tuple(rows), note))
    sentences = list(extra)
    if not tables and not extra:
        sentences.append("Every run completed, no replica diverged in training, and every free run stayed finite.")
    return sentences, tables


def _lost(run: Run) -> tuple[Cell, ...]:
    try:
        entry = run.entry
    except RunError as error:
        return Cell(run.id), Cell(DASH), Cell(DASH), Cell("UNREADABLE"), Cell(str(error).replace(f"{run.path}/", ""))
    reason = str(entry.get("error") or ("it has no result" if run.status == "COMPLETED" else DASH))
    return (
        Cell(run.id),
        Cell(str(entry.get("task", DASH))),
        Cell(str(entry.get("model", DASH))),
        Cell(run.status),
        Cell(reason),
    )


def _failed_rows(setting: Setting) -> list[tuple[Cell, ...]]:
    rows = []
    for contestant in setting.contestants:
        head = (*place(setting, contestant.label), Cell(contestant.run.id))
        diverged = at(contestant.run.result, "training.diverged")
        if isinstance(diverged, list) and any(diverged):
            text = f"{sum(map(bool, diverged))} of {counted(len(diverged), 'replica')}"
            rows.append(
                (*head, Cell("training"), Cell("diverged; kept its best checkpoint"), Cell(text, float(sum(diverged))))
            )
        for split, name in SPLIT_NAMES.items():
            for key, what in (("diverged", "free runs left the finite range"), ("solver_failed", "the solver gave up")):
                shares = at(contestant.run.result, f"{split}.{key}")
                if isinstance(shares, list) and any(shares):
                    mean = sum(map(float, shares)) / len(shares)
                    hit = sum(share > 0 for share in shares)
                    text = f"{percent(mean)} of free runs, in {hit} of {counted(len(shares), 'replica')}"
                    rows.append((*head, Cell(name), Cell(what), Cell(text, mean)))
    return rows


def command(run: Run) -> str:
    """A command line that trains this run again from its whole configuration."""
    items = [f"{key}={_literal(value)}" for key, value in flat_config(run).items() if value not in ({}, [], "")]
    return shlex.join(["ddl-dyn", "run", "with", *items])


def _literal(value: Any) -> str:
    if isinstance(value, str):
        # Words stay bare as one would type them; what the parser could take for something else is quoted.
        return value if _WORD.fullmatch(value) and value not in ("None", "True", "False") else repr(value)
    return repr(tuple(value) if isinstance(value, list) else value)


def provenance(runs: Sequence[Run]) -> tuple[list[str], tuple[Table, ...], tuple[Section, ...]]:
    """Sentences on code and packages, a table of runs, and per run its command and configuration, folded."""
    readable = [run for run in runs if _readable(run)]
    rows = []
    for run in readable:
        git = run.entry.get("git") if isinstance(run.entry.get("git"), Mapping) else {}
        assert isinstance(git, Mapping)
        commit = str(git.get("commit") or DASH)[:HASH_CHARACTERS] + (" + changes" if git.get("dirty") else "")
        cells = [run.id, run.status, run.config.get("task"), run.config.get("model"), run.entry.get("start_time")]
        texts = [
            Cell(str(value or DASH).replace("T", " ")[:19] if i == 4 else str(value or DASH))
            for i, value in enumerate(cells)
        ]
        rows.append(
            (
                *texts,
                Cell(commit),
                Cell(str(run.entry.get("data_hash") or DASH)),
                Cell(str(run.entry.get("device") or DASH)),
            )
        )
    columns = tuple(
        Column(name)
        for name in ("run", "status", "task", "model", "started (UTC)", "commit", "data hash (SHA-256)", "device")
    )
    sentences = [f"Package versions: {text}." for text in dict.fromkeys(_versions(run) for run in readable) if text]
    commands = dict.fromkeys(str(run.entry.get("command_line")) for run in readable if run.entry.get("command_line"))
    parts = tuple(_origin(run) for run in readable)
    started = Section(
        "typed",
        "As it was started",
        text=(f"{counted(len(commands), 'command')} started these runs.",),
        code="\n".join(commands),
    )
    return sentences, (Table("Runs", columns, tuple(rows)),) if rows else (), ((started,) if commands else ()) + parts


def _readable(run: Run) -> bool:
    try:
        return bool(run.entry) and bool(run.config)
    except RunError:
        return False


def _versions(run: Run) -> str:
    stored = run.entry.get("versions")
    return joined(f"{k} {v}" for k, v in stored.items() if v) if isinstance(stored, Mapping) else ""


def _origin(run: Run) -> Section:
    title = f"Run {run.id}: {run.config.get('model')} on {run.config.get('task')}"
    resolved = at(run.entry, "resolved.model_args")
    decided = dict(flatten(resolved)) if isinstance(resolved, Mapping) else {}
    given = dict(flatten(run.config.get("model_args") or {}))
    changed = {key: value for key, value in decided.items() if given.get(key) != value}
    text = ["On the same machine this gives the same numbers again:"]
    if changed:
        text.append(f"Decided on the way: {joined(f'{key} = {value}' for key, value in changed.items())}.")
    configuration = json.dumps(run.config, indent=1, ensure_ascii=False, default=str)
    return Section(f"run-{run.id}", title, text=tuple(text), code=f"{command(run)}\n\n{configuration}")
