"""Starting, continuing and repeating runs: Sacred's Experiment, the run store and the execution put together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddl_dyn import runs
from ddl_dyn.config.numerals import real
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.config.terminal import say
from ddl_dyn.experiments.execute import execute
from ddl_dyn.experiments.fingerprint import config_hash
from ddl_dyn.experiments.memory import check_memory
from ddl_dyn.experiments.outcome import Callbacks, RunOutcome
from ddl_dyn.experiments.own_series import keep_series
from ddl_dyn.experiments.progress import Account, Validation, account, throttled
from ddl_dyn.experiments.setup import make_setup
from ddl_dyn.experiments.tracking.sacred import make_experiment, medians
from ddl_dyn.runs import checkpoint
from ddl_dyn.runs.observer import RunStore
from ddl_dyn.runs.run import PORTRAITS_FILE
from ddl_dyn.runs.trust import digests
from ddl_dyn.runs.writer import StoreError, check_writable

# Between two writings of the training state; what a kill may cost.
CHECKPOINT_SECONDS = 10.0


def _say(text: str) -> None:
    # The present one: a worker's is silenced, so that many runs do not repeat what one of them has said.
    say(text, file=sys.stderr)


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Start of a run, apart from what it computes.

    Args:
        base: the runs folder.
        options: Sacred's options by their long flag.
        run_id: continue this run instead of making a new one.
        on_account: told how far the run is.
        on_validation: called at each validation of the run itself; what it raises ends the run.
        say: told in words what a person should know while the run goes on.
    """

    base: Path = Path("runs")
    options: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    on_account: Callable[[Account], None] | None = None
    on_validation: Callable[[Validation], None] | None = None
    say: Callable[[str], None] = _say

    @property
    def observed(self) -> bool:
        """True where anything is to be written."""
        return not self.options.get("--unobserved")


def make_store(launch: Launch, entry: Mapping[str, object]) -> RunStore | None:
    """The store of a run about to start, or None for an unobserved one. Writes nothing yet.

    Raises:
        StoreError: when the runs folder cannot be written, or the wanted id is taken or no id.
    """
    if not launch.observed:
        return None
    check_writable(launch.base)
    wanted = launch.options.get("--id")
    if wanted is not None:
        if not runs.RUN_ID.fullmatch(wanted):
            raise StoreError(f"--id must be a folder's name (letters, digits, '.', '_' and '-'), got {wanted!r}")
        if (launch.base / wanted).exists():
            raise StoreError(f"run {wanted!r} exists already in {launch.base}; choose another --id or leave it out")
    beat = beat_interval(launch.options.get("--beat-interval"))
    resume = launch.run_id is not None
    return RunStore(launch.base, entry=entry, run_id=launch.run_id or wanted, beat_interval=beat, resume=resume)


def beat_interval(text: str | None) -> float:
    """Seconds between heartbeats from the option's text.

    Raises:
        ValueError: when it is not a positive number: without heartbeats nothing printed would be kept.
    """
    if text is None:
        return 10.0
    try:
        seconds = real(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 < seconds < 1e6:
        raise ValueError(f"--beat-interval must be a positive number of seconds, got {text!r}")
    return seconds


def start(experiment: Any, launch: Launch, store: RunStore | None) -> str | None:
    """Let Sacred run the experiment's main command.

    Args:
        experiment: from `make_experiment`.   launch: where and how.   store: None for an unobserved run.
    Returns:
        The run's id, or None for an unobserved run.
    Raises:
        StoreError: when the run could not be written to its end.
    """
    experiment.observers = [] if store is None else [store, *_mirrors(launch, store)]
    options = {key: value for key, value in launch.options.items() if key not in ("--id", "--file_storage", "--store")}
    if store is not None:
        options["--beat-interval"] = str(store.entry["beat_interval"])
    try:
        experiment.run(meta_info={"config_updates": {}}, options=options)
    except Exception as error:
        if store is not None and store.path is not None:
            error.add_note(_left_behind(store.path))
        raise
    if store is None:
        return None
    if store.failure is not None:
        raise StoreError(f"run {store.directory.name} is incomplete: {store.failure}") from store.failure
    return store.directory.name


def _left_behind(folder: Path) -> str:
    """Remains of a run that failed: on a full disk perhaps nothing."""
    status, trace = runs.Run(folder).status, folder / "traceback.txt"
    if not (folder / "run.json").exists():
        return f"nothing of run {folder.name} could be kept"
    if status != runs.FAILED:
        return f"run {folder.name} could not be marked as FAILED; {folder} says {status}"
    return f"run {folder.name} is kept as FAILED" + (f"; see {trace}" if trace.is_file() else ", without its traceback")


def _mirrors(launch: Launch, store: RunStore) -> list[Any]:
    """The observer of a database beside the run store, where one is asked for."""
    url = launch.options.get("--store")
    if not url:
        return []
    from ddl_dyn.experiments.tracking.mongo import parse_address
    from ddl_dyn.experiments.tracking.mongo_observer import MongoMirror

    return [MongoMirror(parse_address(str(url)), lambda: store.directory, launch.say)]


def run(config: RunConfig, launch: Launch) -> str | None:
    """Train and evaluate one configuration and store it.

    Args:
        config: a resolved configuration (`resolve.resolve_run`).
        launch: where and how.
    Returns:
        The run's id, or None for an unobserved run.
    Raises:
        RunError: when the training state that is to be continued is damaged or not this configuration's.
        StoreError: when the run cannot be written.
        ValueError: when the configuration does not fit its task, or the run not into memory.
    """
    entry: dict[str, Any] = {
        "kind": "run",
        "task": config.task,
        "model": config.model,
        "seeds": config.seeds,
        "carry": config.model_args.get("carry"),
        "config_hash": config_hash(config),
        "code": digests(config.model_dump()),
        "tags": config.tags,
        "note": config.note,
    }
    check_memory([config])
    store = make_store(launch, entry)
    state = None
    if launch.run_id is not None:
        state = checkpoint.load_training(launch.base / launch.run_id, entry["config_hash"])
    setup = make_setup(config)

    def body(_run: object, _config: Mapping[str, object]) -> None:
        if store is not None:
            keep_series(store, config, setup.task)
        outcome = execute(setup, replace(_callbacks(_run, store, launch), state=state))
        if store is not None:
            keep(store, outcome)

    return start(make_experiment("run", config.model_dump(mode="json"), body), launch, store)


def _callbacks(sacred_run: Any, store: RunStore | None, launch: Launch) -> Callbacks:
    tell = throttled(launch.on_account) if launch.on_account is not None else None

    def on_data(digest: str, device: str) -> None:
        if store is not None:
            store.update(data_hash=digest, device=device)

    def on_epoch(progress: Validation) -> None:
        now = account(progress)
        if tell is not None:
            tell(now)
        if progress.trial:
            # Another schedule, other replicas: no part of the run's own history.
            return
        for name, value in medians(progress).items():
            sacred_run.log_scalar(name, value, progress.update)
        if store is not None:
            store.progress(now)
            store.record(
                {
                    "update": progress.update,
                    "horizon": progress.horizon,
                    "lr": progress.lr,
                    "seconds": progress.seconds,
                    "loss": progress.loss,
                    "val": progress.val,
                    "alive": progress.alive,
                }
            )
        if launch.on_validation is not None:
            launch.on_validation(progress)

    def on_checkpoint(state: Mapping[str, object]) -> None:
        assert store is not None
        checkpoint.save_training(store, state)

    def on_portrait(arrays: Mapping[str, NDArray[Any]]) -> None:
        assert store is not None
        store.save_with(PORTRAITS_FILE, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))

    return Callbacks(
        on_data=on_data,
        on_epoch=on_epoch,
        on_checkpoint=on_checkpoint if store is not None else None,
        on_portrait=on_portrait if store is not None else None,
        seconds=CHECKPOINT_SECONDS,
    )


def keep(store: RunStore, outcome: RunOutcome) -> None:
    """Store what a finished run leaves behind; the result last, as the sign that the rest is there."""
    store.save_arrays(outcome.arrays)
    checkpoint.save_weights(store, outcome.state)
    store.update(resolved=outcome.resolved)
    store.save_json("result.json", outcome.numbers)
    checkpoint.drop_training(store)
    (store.directory / PORTRAITS_FILE).unlink(missing_ok=True)
