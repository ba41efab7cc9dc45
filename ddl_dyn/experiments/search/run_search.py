"""A search from its plan to the best settings: workers, a line for each trial that ends, a table at the end."""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ddl_dyn.config.formats import counted, number
from ddl_dyn.config.parsing import ConfigError, Typed, flatten, typed_text
from ddl_dyn.config.terminal import print_table, say
from ddl_dyn.experiments.cell import Job
from ddl_dyn.experiments.progress import Account
from ddl_dyn.experiments.run import Launch
from ddl_dyn.experiments.search.config import SearchPlan
from ddl_dyn.experiments.search.ranges import typed_values, typed_words
from ddl_dyn.experiments.search.trials import Finished, Search, ranked
from ddl_dyn.experiments.sweep.run_grid import PASSED_ON
from ddl_dyn.experiments.workers import Ended, run_all
from ddl_dyn.runs.writer import check_writable

# Options that a search cannot follow, with the reason.
_REFUSED = {
    "--unobserved": "it goes on from its runs on disk",
    "--id": "its id is made from its settings, so that the same one continues",
    "--name": "its trials are known by its id, which is their tag",
    "--print-config": "each trial has a configuration of its own",
    "--loglevel": "there is no log beside its lines",
}
# Trials in the table at the end, and seconds between two looks at the journal.
_ROWS, _LOOK_SECONDS = 10, 1.0


def run_search(plan: SearchPlan, launch: Launch, jobs: int) -> int:
    """Do the trials that are left, and say which settings were the best.

    Args:
        plan: from `resolve_search`.   launch: where and how.   jobs: trials side by side.
    Returns:
        0, or 1 when no trial has a score.
    Raises:
        ConfigError: for an option that a search cannot follow.
        StoreError: when the runs folder cannot be written.
    """
    return _done(plan, launch, jobs).conclude(launch.base)


def do_search(plan: SearchPlan, launch: Launch, jobs: int) -> list[Finished]:
    """Do the trials that are left, without a table at the end.

    Args:
        plan, launch, jobs: as for `run_search`.
    Returns:
        Every trial that has ended, in the order of their numbers.
    Raises:
        ConfigError, StoreError: as for `run_search`.
    """
    return _done(plan, launch, jobs).ended()


def _done(plan: SearchPlan, launch: Launch, jobs: int) -> _Report:
    for flag, reason in _REFUSED.items():
        if launch.options.get(flag):
            raise ConfigError([f"search takes no {flag}: {reason}; leave it out"])
    if jobs < 1:
        raise ConfigError([f"jobs must be a whole number of at least 1, got {jobs}"])
    check_writable(launch.base)
    report = _Report(plan, Search(plan, launch.base.absolute()))
    before = len(report.told)
    told = f", {before} of them done before" if before else ""
    say(f"search {plan.search_id}: {counted(plan.search.trials, 'trial')}{told}", file=sys.stderr)
    if before < plan.search.trials:
        work = [Job(run_id=plan.search_id, config={"plan": plan})] * min(jobs, plan.search.trials - before)
        options = {key: value for key, value in launch.options.items() if key in PASSED_ON}
        cells = Launch(base=launch.base.absolute(), options=options)
        try:
            run_all(work, cells, _do, jobs=len(work), on_account=report.look, on_end=report.end)
        except KeyboardInterrupt:
            say(f"search {plan.search_id}: stopped; the same command continues it", file=sys.stderr)
            raise
    return report


def _do(job: Job, launch: Launch) -> None:
    """Work of a worker process: trials until there are enough."""
    Search(job["config"]["plan"], launch.base).do_all(launch)


class _Report:
    """Words of a search on its way and at its end."""

    def __init__(self, plan: SearchPlan, search: Search) -> None:
        self.plan, self.search = plan, search
        self.told = {one.number for one in search.finished()}
        self.looked = -math.inf
        self.problems: list[str] = []

    def look(self, worker: int, now: Account) -> None:  # noqa: ARG002
        """Look for trials that have ended, if the last look is long enough ago."""
        if time.monotonic() - self.looked >= _LOOK_SECONDS:
            self.say_new()

    def end(self, ended: Ended) -> None:
        """Note how a worker ended, and say what it has done last."""
        self.say_new()
        if ended.error is not None:
            self.problems.append(ended.error)

    def say_new(self) -> None:
        """A line for each trial that has ended since the last look, whichever process did it."""
        self.looked = time.monotonic()
        found = self.search.finished()
        for one in found:
            if one.number not in self.told:
                self.told.add(one.number)
                far = f"{len(self.told)}/{self.plan.search.trials}"
                settings = " ".join(typed_words(self.plan.spans, one.proposed))
                say(f"{far} {_outcome(one)}{_best_so_far(found)}: {settings}", file=sys.stderr)

    def ended(self) -> list[Finished]:
        """Trials that have ended; processes that ended early are told of."""
        for problem in self.problems:
            say(f"a process of the search ended early: {problem}", file=sys.stderr)
        return self.search.finished()

    def conclude(self, base: Path) -> int:
        """The table of the best trials, and the command that runs the best settings; the exit code."""
        found = self.ended()
        best_first = ranked(found)
        counts = ", ".join(
            f"{sum(one.state == state for one in found)} {state}" for state in ("complete", "pruned", "failed")
        )
        say(f"search {self.plan.search_id}: {counts}; scored by the validation error, median over the seeds")
        if not best_first:
            for error in dict.fromkeys(one.error for one in found if one.error):
                say(f"failed: {error}")
            return 1
        _print_ranked(self.plan, best_first[:_ROWS])
        if len(best_first) > _ROWS:
            rest = _command(base, "list", "--tag", self.plan.search_id)
            say(f"and {len(best_first) - _ROWS} more; `{rest}` has their runs")
        best = [*_fixed_words(self.plan), *typed_words(self.plan.spans, best_first[0].proposed)]
        say(f"best: {_command(base, 'run', 'with', *best)}")
        return 1 if self.problems else 0


def _outcome(one: Finished) -> str:
    return f"failed ({one.error})" if one.error else number(one.score) + (" pruned" if one.state == "pruned" else "")


def _best_so_far(found: Sequence[Finished]) -> str:
    best_first = ranked(found)
    return f" (best {number(best_first[0].score)})" if best_first else ""


def _print_ranked(plan: SearchPlan, best_first: Sequence[Finished]) -> None:
    lines = []
    for one in best_first:
        values = map(str, typed_values(plan.spans, one.proposed).values())
        lines.append([number(one.score), *values, one.run_id])
    print_table(("score", *(key.rpartition(".")[2] for key in plan.spans), "run"), lines)


def _fixed_words(plan: SearchPlan) -> list[str]:
    return [
        f"{key}={value.text if isinstance(value, Typed) else typed_text(value)}" for key, value in flatten(plan.fixed)
    ]


def _command(base: Path, *words: str) -> str:
    return shlex.join(["ddl-dyn", *([] if base == Path("runs") else ["--runs", str(base)]), *words])
