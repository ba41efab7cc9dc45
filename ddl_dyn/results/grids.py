"""Comparisons, sweeps and searches started from Python by the words of the command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ddl_dyn.results.opened import OpenRun
from ddl_dyn.results.searched import Searched
from ddl_dyn.runs.trust import check_settings, trusting


def compare(*items: str, runs: str | os.PathLike[str] = "runs", trust: Sequence[str] = (), **settings: Any) -> OpenRun:
    """Train several models on several tasks, paired by data and seeds, and compare them, as `ddl-dyn compare` does.

    Args:
        items: `key=value` as after `with` on the command line, and names of files of settings.
        runs: the runs folder; what is complete there is not run again.
        trust: files of code, named in a file of settings alone, that may be executed.
        settings: the same keys as Python has them, sections as dicts: `tasks=["henon"], train={"updates": 500}`.
    Returns:
        The comparison; where a run failed its status is FAILED, and the same call does what is left.
    Raises:
        ConfigError: with everything that is wrong with the settings.
        StoreError: when runs cannot be written.
    Example:
        >>> small = {"n_train": 8, "n_val": 4, "n_test": 4, "n_ood": 0, "steps": 20, "radii": []}
        >>> found = compare("models=linear,mean", tasks=["henon"], seeds=2, data=small, eval={"short": 5, "long": 10})
        >>> found
        Run 2: compare of 2 runs (COMPLETED)
        >>> found.table[["model", "split", "horizon"]].head(2).values.tolist()
        [['linear', 'test', '5 steps'], ['mean', 'test', '5 steps']]
    """
    from ddl_dyn.experiments.sweep.grid import resolve_compare
    from ddl_dyn.results.comparison.records import conclude

    def quietly(*given: Any, **how: Any) -> dict[str, Any]:
        # Its terminal's table is for a terminal; the object has it.
        with contextlib.redirect_stdout(io.StringIO()):
            return conclude(*given, **how)

    return _do(resolve_compare, items, settings, Path(runs), trust, quietly)


def sweep(*items: str, runs: str | os.PathLike[str] = "runs", trust: Sequence[str] = (), **settings: Any) -> OpenRun:
    """Train a grid of configurations, each once, as `ddl-dyn sweep` does: a list spans the grid.

    Args:
        items, runs, trust, settings: as for `compare`.
    Returns:
        The sweep; where a run failed its status is FAILED, and the same call does what is left.
    Raises:
        ConfigError: with everything that is wrong with the settings.
        StoreError: when runs cannot be written.
    Example:
        >>> small = {"n_train": 8, "n_val": 4, "n_test": 4, "n_ood": 0, "steps": 20, "radii": [[]]}
        >>> found = sweep("models=linear", tasks=["henon"], seeds=2, data=small, eval={"short": 5, "long": [10, 20]})
        >>> found.kind, len(found.members), found.status
        ('sweep', 2, 'COMPLETED')
    """
    from ddl_dyn.experiments.sweep.grid import resolve_sweep

    return _do(resolve_sweep, items, settings, Path(runs), trust, None)


def search(
    *items: str, jobs: int = 1, runs: str | os.PathLike[str] = "runs", trust: Sequence[str] = (), **settings: Any
) -> Searched:
    """Look for the settings of one model on one task with the lowest validation error, as `ddl-dyn search` does.

    Args:
        items, runs, trust, settings: as for `compare`; a setting of `train` or `model_args` is a range if it is a text
            such as `"log(1e-4,1e-1)"`, `"int(1,4)"` or `"linear|tanh"`.
        jobs: trials side by side.
    Returns:
        The trials that have ended and the best one's run; the same call goes on where a search was stopped.
    Raises:
        ConfigError: with everything that is wrong with the settings, or where Optuna is not installed.
        StoreError: when runs cannot be written.
    Example:
        >>> small = {"n_train": 8, "n_val": 4, "n_test": 4, "n_ood": 0, "steps": 20, "radii": []}
        >>> short = {"lr": "log(1e-3,1e-1)", "updates": 5, "validate_every": 5, "horizon": 5}
        >>> found = search("task=henon", "search.trials=2", data=small, train=short, eval={"short": 5, "long": 10})
        >>> len(found.table), found.best.status
        (2, 'COMPLETED')
    """
    from ddl_dyn.experiments.run import Launch
    from ddl_dyn.experiments.search.config import resolve_search
    from ddl_dyn.experiments.search.run_search import do_search

    base = Path(runs)
    with _settings(items, settings, trust) as given:
        plan = resolve_search(given)
        ended = do_search(plan, Launch(base=base), jobs)
    return Searched(plan, tuple(ended), base, tuple(trust))


def _do(
    resolve: Any, items: Sequence[str], settings: Mapping[str, Any], runs: Path, trust: Sequence[str], conclude: Any
) -> OpenRun:
    from ddl_dyn.experiments.run import Launch
    from ddl_dyn.experiments.sweep.run_grid import do_grid

    with _settings(items, settings, trust) as given:
        config, cells = resolve(given)
        outcome = do_grid(config, cells, Launch(base=runs), conclude)
    return OpenRun(runs / outcome.run_id, tuple(trust))


@contextlib.contextmanager
def _settings(items: Sequence[str], settings: Mapping[str, Any], trust: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Nested settings of a call, checked for code; within the block worker processes may start."""
    from ddl_dyn.config.parsing import merged, parse_updates

    given = merged(parse_updates(items), settings)
    with trusting(trust), _script_unseen():
        # What stands in the call has been typed by the caller.
        check_settings(given, [*items, f"settings={json.dumps(settings, default=str)}"])
        yield given


@contextlib.contextmanager
def _script_unseen() -> Iterator[None]:
    """Within the block worker processes start without the caller's script, whose lines each of them would run again."""
    main = sys.modules["__main__"]
    spec, file = main.__spec__, getattr(main, "__file__", None)
    main.__spec__ = None
    if file is not None:
        del main.__file__
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file
