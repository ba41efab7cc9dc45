"""Stored runs as one table: a row a run, or a row a run and seed.

Axes: R replicas.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ddl_dyn.config.parsing import flatten
from ddl_dyn.runs.reading import RunError
from ddl_dyn.runs.run import UNREADABLE, Run, scan

if TYPE_CHECKING:
    import pandas as pd

_FIRST = ("id", "status", "task", "model", "seeds", "kind")


def row(run: Run) -> dict[str, Any]:
    """One run as a flat record: id, status, kind, task, model, seeds, times, config.* and result.*."""
    record: dict[str, Any] = {"id": run.id, "status": run.status}
    try:
        entry, config, result = run.entry, run.config, run.result
    except RunError:
        record["status"] = UNREADABLE
        return record
    record |= {key: config.get(key, entry.get(key)) for key in ("task", "model", "seeds")}
    record["kind"] = entry.get("kind", "run")
    record |= {key: entry.get(key) for key in ("start_time", "stop_time", "name", "comment", "device", "data_hash")}
    record |= {"tags": entry.get("tags") or [], "note": entry.get("note") or ""}
    record |= {f"config.{key}": value for key, value in flatten(config) if key not in ("tags", "note")}
    record |= {f"result.{key}": value for key, value in flatten(result)}
    return record


def rows_of_seeds(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A run's record once for each of its seeds, with that seed's own results.

    Args:
        record: from `row`.
    Returns:
        records with `seed` added and, of the results that hold a value a replica, that replica's; one record with
        seed None where it is not known how many seeds a run has.
    """
    count, first = record.get("seeds"), record.get("config.seed", 0)
    if not isinstance(count, int):
        yield {**record, "seed": None}
        return
    # Lists of the data, such as its notes, are of the run as a whole.
    split = {
        name
        for name, value in record.items()
        if name.startswith("result.") and not name.startswith("result.data.")
        if isinstance(value, list) and len(value) == count
    }
    for r in range(count):
        yield {**{name: value[r] if name in split else value for name, value in record.items()}, "seed": first + r}


def load_runs(
    runs: str | os.PathLike[str] = "runs", *, kind: str | None = "run", by: Literal["run", "seed"] = "run"
) -> pd.DataFrame:
    """Runs of a folder as a table.

    Args:
        runs: the runs folder, or one run's folder.
        kind: `run` leaves comparisons out, `compare` keeps only those, None keeps both.
        by: a row a run, in which a value per replica is a list of R; or a row a run and seed, in which it is a number.
    Returns:
        columns id, status, task, model, seeds, kind (by seed: seed), times, config.* and result.*; what a run does not
        have is NaN. Damaged runs keep their row, with status UNREADABLE.
    Raises:
        ValueError: when `by` is neither.
        RunError: when `runs` exists and is not a folder.
    Example:
        >>> load_runs("runs")[["id", "status", "config.model_args.carry"]].values.tolist()
        [['1', 'COMPLETED', 'latent']]
        >>> load_runs("runs", by="seed")[["id", "seed", "result.test.nrmse_short"]].values.tolist()
        [['1', 0, 0.5], ['1', 1, inf]]
    """
    import pandas as pd

    if by not in ("run", "seed"):
        raise ValueError(f"by must be run or seed, got {by!r}")
    base = Path(runs)
    found = [Run(base)] if (base / "run.json").is_file() else scan(base)
    rows = [row(run) for run in found]
    if kind is not None:
        rows = [record for record in rows if record.get("kind", kind) == kind]
    first = [*_FIRST, "seed"] if by == "seed" else [*_FIRST]
    if by == "seed":
        rows = [each for record in rows for each in rows_of_seeds(record)]
    table = pd.DataFrame(rows)
    return table.reindex(columns=[*first, *(name for name in table.columns if name not in first)])
