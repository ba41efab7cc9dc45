"""A search as Python and notebooks use it: its trials as a table, and the best one's run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ddl_dyn.config.formats import counted, number
from ddl_dyn.config.notebook import html_table
from ddl_dyn.results.opened import OpenRun
from ddl_dyn.runs import RunError

if TYPE_CHECKING:
    import pandas as pd

    from ddl_dyn.experiments.search.config import SearchPlan
    from ddl_dyn.experiments.search.trials import Finished

_ROWS = 10


@dataclass(frozen=True, repr=False)
class Searched:
    """A search that has been done.

    Args:
        plan: what was searched.   trials: those that have ended, in the order of their numbers.
        runs: the runs folder.   trust: files of code that may be executed for its runs.
    """

    plan: SearchPlan
    trials: tuple[Finished, ...]
    runs: Path
    trust: tuple[str, ...] = ()

    def __repr__(self) -> str:
        states = ", ".join(
            f"{count} {state}"
            for state in ("complete", "pruned", "failed")
            if (count := sum(one.state == state for one in self.trials))
        )
        best = ""
        if ranked := self._ranked():
            settings = " ".join(f"{key}={value}" for key, value in self._values(ranked[0]).items())
            best = f"; best {number(ranked[0].score)} at {settings}"
        return f"{self.plan.search_id}: {counted(len(self.trials), 'trial')} ({states or 'none has ended'}){best}"

    def _repr_html_(self) -> str:
        rows = [[number(one.score), *self._values(one).values(), one.run_id] for one in self._ranked()[:_ROWS]]
        return html_table(repr(self), rows, ["score", *self.plan.spans, "run"])

    @property
    def table(self) -> pd.DataFrame:
        """A row a trial, the best first: number, state, score (median validation error), settings, run, error."""
        import pandas as pd

        order = {"complete": 0, "pruned": 1, "failed": 2}
        rows = [
            {"number": one.number, "state": one.state, "score": one.score}
            | self._values(one)
            | {"run": one.run_id, "error": one.error}
            for one in sorted(self.trials, key=lambda one: (order[one.state], one.score, one.number))
        ]
        return pd.DataFrame(rows, columns=["number", "state", "score", *self.plan.spans, "run", "error"])

    @property
    def best(self) -> OpenRun:
        """The run with the lowest validation error; RunError where no trial has come to its end."""
        if not (ranked := self._ranked()):
            errors = "; ".join(dict.fromkeys(one.error for one in self.trials if one.error))
            raise RunError(f"{self.plan.search_id}: no trial is complete{': ' + errors if errors else ''}")
        return OpenRun(self.runs / ranked[0].run_id, self.trust)

    def _ranked(self) -> list[Finished]:
        from ddl_dyn.experiments.search.trials import ranked

        return ranked(self.trials)

    def _values(self, one: Finished) -> dict[str, object]:
        from ddl_dyn.experiments.search.ranges import typed_values

        return typed_values(self.plan.spans, one.proposed)
