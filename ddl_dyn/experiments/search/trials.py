"""The trials of a search in Optuna's journal: proposed, done as runs, scored by validation. The one module with Optuna.

A trial belongs to the process that asked for it. What a killed process has left is asked for once more, and its run
goes on from its checkpoint. A process decides under a lock, so that several on one folder never do the same trial.

Axes: R replicas.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from ddl_dyn.experiments.cell import Job, do_cell
from ddl_dyn.experiments.fingerprint import config_hash
from ddl_dyn.experiments.progress import Validation
from ddl_dyn.experiments.run import Launch
from ddl_dyn.experiments.search.config import SearchPlan
from ddl_dyn.experiments.search.ranges import Choices, Range
from ddl_dyn.experiments.sweep.grid import ID_DIGITS
from ddl_dyn.runs import COMPLETED, RUNNING, Run, heartbeat
from ddl_dyn.runs.lock import RunLock
from ddl_dyn.runs.result import at

JOURNAL = "journal.log"
# Trials that must have ended, and share of the updates, before one is stopped early.
_BEFORE, _SHARE = 5, 1 / 3
_POLL_SECONDS = 0.05
# A trial of another machine whose run has not been begun after so long is taken for lost.
_BEGIN_SECONDS = 600.0


class Pruned(KeyboardInterrupt):
    """A trial that is stopped early; an interrupt, so that its run is closed as one and can be continued."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A trial that has ended.

    Args:
        number: of the trial.   state: complete, pruned or failed.   score: median validation error, infinite where one
            of the middle replicas diverged; NaN of a trial that failed.
        proposed: values by dotted key.   run_id: of its run.   error: why it failed.
    """

    number: int
    state: str
    score: float
    proposed: Mapping[str, Any]
    run_id: str
    error: str


class Search:
    """A search's folder, opened by one process.

    Args:
        plan: what is searched.   base: the runs folder; the search has one of its own in it, made where it is missing.
    """

    def __init__(self, plan: SearchPlan, base: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.plan, self.base, self.folder = plan, base, base / plan.search_id
        self.folder.mkdir(parents=True, exist_ok=True)
        self.study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(self.folder / JOURNAL))),
            study_name=plan.search_id,
            direction="minimize",
            load_if_exists=True,
        )
        self.spans = {key: _distribution(span) for key, span in plan.spans.items()}

    def finished(self) -> list[Finished]:
        """Trials that have ended, in the order of their numbers."""
        return [_finished(trial) for trial in self.study.get_trials(deepcopy=False) if _counts(trial)]

    def do_all(self, launch: Launch) -> None:
        """Do trials until as many as are wanted have ended or are under way elsewhere."""
        while (trial := self._ask()) is not None:
            self._do(trial, launch)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = RunLock(self.folder)
        while not lock.acquire():
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            lock.release()

    def _ask(self) -> optuna.Trial | None:
        """The next trial, marked as this process's; None where there are enough."""
        with self._locked():
            going = 0
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if self._lives(trial):
                    going += 1
                    continue
                self.study.tell(trial.number, state=TrialState.FAIL)
                if set(trial.params) == set(self.spans):
                    self.study.enqueue_trial(trial.params)
            place = len(self.finished()) + going
            if place >= self.plan.search.trials:
                return None
            # By place, not by number: what was lost and asked for again has two numbers.
            seed = int(np.random.SeedSequence([self.plan.search.seed, place]).generate_state(1)[0])
            self.study.sampler = optuna.samplers.TPESampler(seed=seed)
            found = self.study.ask(self.spans)
            found.set_user_attr("owner", heartbeat.process_identity())
            return found

    def _lives(self, trial: FrozenTrial) -> bool:
        """True while the process that asked for a trial works on it."""
        owner = trial.user_attrs.get("owner")
        if not isinstance(owner, Mapping):
            return False
        if owner["machine"] == heartbeat.machine():
            return heartbeat.process_lives(owner["pid"], owner["pid_start"])
        stored = Run(self.base / trial.user_attrs.get("run", ""))
        if (stored.path / "run.json").exists() and trial.user_attrs.get("run"):
            # Complete: its process is about to say so.
            return stored.status in (RUNNING, COMPLETED)
        began = None if trial.datetime_start is None else trial.datetime_start.isoformat()
        return heartbeat.seconds_since(began) < _BEGIN_SECONDS

    def _do(self, trial: optuna.Trial, launch: Launch) -> None:
        """Do a trial's run and say what came of it."""
        try:
            config = self.plan.config_of(trial.params)
            run_id = "c" + config_hash(config)[:ID_DIGITS]
            trial.set_user_attr("run", run_id)
            watch = _Watch(self, trial, Run(self.base / run_id), config.train.updates) if self.plan.prunes else None
            job = Job(run_id=run_id, config=config.model_dump(mode="json"))
            do_cell(job, replace(launch, on_validation=watch))
            self.study.tell(trial, score_of(Run(self.base / run_id)))
        except Pruned:
            self.study.tell(trial, state=TrialState.PRUNED)
        except Exception as error:
            trial.set_user_attr("error", f"{type(error).__name__}: {' '.join(str(error).split())}")
            self.study.tell(trial, state=TrialState.FAIL)


class _Watch:
    """Report of a trial's score so far at each validation; ends it where it lies behind the others."""

    def __init__(self, search: Search, trial: optuna.Trial, run: Run, updates: int) -> None:
        self.trial, self.best = trial, np.array([math.inf])
        search.study.pruner = optuna.pruners.MedianPruner(
            n_startup_trials=_BEFORE, n_warmup_steps=math.ceil(_SHARE * updates)
        )
        # Of an earlier attempt, whose validations are not done again.
        for record in run.metrics if (run.path / "metrics.jsonl").exists() else ():
            self._report(record["update"], record.get("val"))

    def __call__(self, progress: Validation) -> None:
        if self._report(progress.update, progress.val) and progress.update < progress.updates:
            raise Pruned

    def _report(self, update: int, errors: Any) -> bool:
        """True where the trial lies behind. Parameters that no update has touched are no score."""
        if not update:
            return False
        values = np.array([math.inf if item is None else item for item in errors], dtype=float)
        self.best = np.fmin(self.best, np.where(np.isnan(values), math.inf, values))
        self.trial.report(float(np.median(self.best)), update)
        return self.trial.should_prune()


def _distribution(span: Range) -> BaseDistribution:
    if isinstance(span, Choices):
        return CategoricalDistribution(span.names)
    if span.scale in ("log", "float"):
        return FloatDistribution(span.low, span.high, log=span.scale == "log")
    return IntDistribution(int(span.low), int(span.high), log=span.scale == "logint")


def score_of(run: Run) -> float:
    """Median over the replicas of the best validation error (R,); a replica that diverged counts as infinite.

    Raises:
        ValueError: when the run has none.
    """
    errors, diverged = (at(run.result, f"training.{name}") for name in ("best_val", "diverged"))
    if not isinstance(errors, list) or not errors:
        raise ValueError(f"run {run.id} holds no validation error to score it by")
    values = np.array([math.inf if item is None else float(item) for item in errors])
    lost = np.isnan(values) | np.asarray(diverged or [False] * values.size, dtype=bool)
    return float(np.median(np.where(lost, math.inf, values)))


def ranked(found: Iterable[Finished]) -> list[Finished]:
    """Complete trials, the best first."""
    return sorted((one for one in found if one.state == "complete"), key=lambda one: (one.score, one.number))


def _counts(trial: FrozenTrial) -> bool:
    """True for a trial that has ended by itself, not with its process."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or (
        trial.state == TrialState.FAIL and "error" in trial.user_attrs
    )


def _finished(trial: FrozenTrial) -> Finished:
    score = trial.value
    if trial.state == TrialState.PRUNED and trial.intermediate_values:
        score = trial.intermediate_values[max(trial.intermediate_values)]
    return Finished(
        number=trial.number,
        state={TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}.get(trial.state, "failed"),
        score=math.nan if score is None else score,
        proposed=trial.params,
        run_id=trial.user_attrs.get("run", ""),
        error=trial.user_attrs.get("error", ""),
    )
