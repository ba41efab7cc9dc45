"""Tables of finished cells: one CSV of cells and one of scores a question, small enough to be kept with the code.

Questions share cells: each stands once, in the table of the question that ran it first, and is read for all. Where a
cell was run a second time, the second result stands in the tables `repeats` and in no comparison.

`cells.csv` has a line a cell: the first digits of the hash of its canonical configuration, the commit, its size, its
tuned learning rate and the configuration as JSON. `scores.csv` has a line a cell, seed, test set, radius and horizon. A
cell that stands in the tables is done: its configuration, completed with the defaults of settings that came later, is
the wanted one. Whether it still gives the same numbers is for `replay` to say.
"""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ddl_dyn.config.parsing import ConfigError
from ddl_dyn.experiments.fingerprint import config_hash
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.sweep.record import completed
from ddl_dyn.results.comparison.groups import replica_data_sets
from ddl_dyn.runs import Run
from ddl_dyn.runs.atomic_files import write_text
from ddl_dyn.runs.result import at, horizon_steps
from studies.measures import trained_map

CELLS = ("cell", "commit", "task", "model", "carry", "lift", "options", "parameters", "latent_dim", "lr", "edge",
         "compiled", "linear", "persistence", "config")  # fmt: skip
SCORES = ("cell", "seed", "data_set", "split", "radius", "steps", "measure", "value")
# Numbers of a run, one a seed, that are no error of a free run: name -> path in its result.
PER_SEED = {
    "reversing": "gates.reversing",
    "effective_reflections": "gates.effective_reflections",
    "longest_length": "tracking.longest_length",
}
# Accuracies over words: path of the values -> path of the words' length.
ACCURACIES = {
    "tracking.accuracy_trained": "tracking.trained_length",
    "tracking.accuracy_longest": "tracking.longest_tested",
}
# Digits of a cell's hash: 64 bits.
DIGITS = 16
# Tables whose answers read no measures of trained maps; exponents of a reservoir's 300 units would take minutes a cell.
WITHOUT_MAPS = ("q1", "q7", "models")
# What a second run of a cell gave.
REPEATS = "repeats"
ERRORS = ("nrmse", "start_median", "start_beyond")


def path_of(question: str, table: str, folder: Path) -> Path:
    """The file of a question's table (`cells` or `scores`)."""
    return folder / f"{question}_{table}.csv"


def read(question: str, table: str, folder: Path) -> list[dict[str, str]]:
    """Lines of a table; empty where it has not been written."""
    path = path_of(question, table, folder)
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def names(folder: Path) -> list[str]:
    """Questions that have tables."""
    found = (path.name.removesuffix("_cells.csv") for path in sorted(folder.glob("*_cells.csv")))
    return [name for name in found if name != REPEATS]


def done(folder: Path) -> set[str]:
    """Hashes of the cells that stand in a table, each of its configuration as it is read today."""
    lines = (line for name in names(folder) for line in read(name, "cells", folder))
    return {found for line in lines if (found := digest(line["config"]))}


@functools.cache
def digest(stored: str) -> str | None:
    """First digits of the hash of a stored configuration as it is read today; None where it no longer is one."""
    try:
        return config_hash(resolve_run(json.loads(stored)))[:DIGITS]
    except ConfigError:
        return None


def add(question: str, base: Path, wanted: Iterable[str], folder: Path) -> int:
    """Add the finished runs of a folder to a question's tables, but for cells that stand in a table already.

    Args:
        question: its name.   base: of the runs.   wanted: hashes of the question's cells.   folder: of the tables.
    Returns:
        Cells added.
    """
    known, wanted = done(folder), {each[:DIGITS] for each in wanted}
    cells, scores = read(question, "cells", folder), read(question, "scores", folder)
    count = 0
    for whole, run_id in completed(base).items():
        cell = whole[:DIGITS]
        if cell in wanted and cell not in known:
            run = Run(base / run_id)
            cells.append(_cell(cell, run))
            scores += _scores(cell, run, maps=question not in WITHOUT_MAPS)
            count += 1
    if count:
        _write(path_of(question, "cells", folder), CELLS, cells)
        _write(path_of(question, "scores", folder), SCORES, scores)
    return count


def _write(path: Path, names: tuple[str, ...], lines: Iterable[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())


def _cell(cell: str, run: Run) -> dict[str, Any]:
    config, result = run.config, run.result
    arguments = config["model_args"]
    options = {key: value for key, value in arguments.items() if key not in ("carry", "lift", "hidden_dim")}
    return {
        "cell": cell,
        "commit": at(run.entry, "git.commit") or "",
        "task": config["task"],
        "model": config["model"],
        "carry": arguments.get("carry", ""),
        "lift": arguments.get("lift", ""),
        "options": json.dumps(options, sort_keys=True),
        "parameters": result["parameters"],
        "latent_dim": result["latent_dim"],
        "lr": at(result, "tuning.lr") or config["train"]["lr"],
        "edge": bool(at(result, "tuning.edge")),
        "compiled": result["training"]["compiled"],
        "linear": at(result, "floors.linear.test.nrmse_short"),
        "persistence": at(result, "floors.persistence.test.nrmse_short"),
        "config": json.dumps(config, sort_keys=True),
    }


def _scores(cell: str, run: Run, *, maps: bool) -> Iterator[dict[str, Any]]:
    config, result = run.config, run.result
    count = int(config["seeds"])
    sets = replica_data_sets(run, count)

    def lines(values: Any, **place: Any) -> Iterator[dict[str, Any]]:
        for r in range(count) if isinstance(values, list) and len(values) == count else ():
            value = values[r]
            if value is not None:
                seed = int(config["seed"]) + r
                yield {"cell": cell, "seed": seed, "data_set": sets[r], **place, "value": float(value)}

    nowhere = {"split": "test", "radius": "", "steps": ""}
    for split in ("test", "ood"):
        # Horizons that are the same number of steps are one.
        shown = {horizon_steps(run, split, horizon): horizon for horizon in ("short", "long")}
        for steps, horizon in shown.items():
            place = {"split": split, "radius": "", "steps": steps}
            for name in ERRORS:
                yield from lines(at(result, f"{split}.{name}_{horizon}"), measure=name, **place)
    for radius, each in (result.get("radii") or {}).items():
        for steps, horizon in {each["steps"][horizon]: horizon for horizon in ("short", "long")}.items():
            place = {"split": "radius", "radius": radius, "steps": steps}
            for name in ERRORS:
                yield from lines(each.get(f"{name}_{horizon}"), measure=name, **place)
    for name, path in PER_SEED.items():
        yield from lines(at(result, path), measure=name, **nowhere)
    for path, length in ACCURACIES.items():
        yield from lines(at(result, path), measure="accuracy", **nowhere | {"steps": at(result, length)})
    yield from lines(at(result, "training.failed_to_train"), measure="failed_to_train", **nowhere)
    for name, found in trained_map(run).items() if maps else ():
        yield from lines(found.tolist(), measure=name, **nowhere)
