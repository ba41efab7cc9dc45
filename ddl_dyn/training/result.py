"""Results of training: progress at each validation, and the outcome.

Axes: R replicas, E validations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ddl_dyn.config.notebook import html_table


@dataclass(frozen=True)
class Progress:
    """Progress of training at a validation.

    Args:
        update, updates: number made and in all.   horizon, lr: in force.   seconds: since `fit` began.
        loss, val: (R,), mean training loss since the last validation; free-run error on the validation set.
        alive: (R,), False for a replica that diverged or stopped early.
        trial: whether it belongs to the first stage of tuning.
    """

    update: int
    updates: int
    horizon: int
    lr: float
    seconds: float
    loss: np.ndarray
    val: np.ndarray
    alive: np.ndarray
    trial: bool = False

    def to_plain(self) -> dict[str, Any]:
        """As lists and numbers, for a checkpoint that holds no code."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}

    @classmethod
    def from_plain(cls, row: dict[str, object]) -> Progress:
        """Back from `to_plain`."""
        plain: dict[str, Any] = {k: np.array(v) if isinstance(v, list) else v for k, v in row.items()}
        return cls(**plain)


@dataclass(frozen=True)
class FitResult:
    """Outcome of training; the replicas hold their best checkpoints.

    Args:
        history: list of `Progress`, one a validation.
        best_val: (R,), lowest validation error of a trained state.   best_update: (R,), where it was met.
        diverged: (R,), True where training met a number that is not finite; that replica stopped there.
        seconds: wall-clock time.   updates: made in all.   compiled: whether the step ran compiled.
        peak_memory_bytes: that training needed beyond what was in use before it (None: the system does not tell).
        last: name -> (R, …), parameters at the last validation at which each replica was still trained.
    """

    history: list[Progress]
    best_val: np.ndarray
    best_update: np.ndarray
    diverged: np.ndarray
    seconds: float
    updates: int
    compiled: bool
    peak_memory_bytes: int | None
    last: dict[str, Tensor]

    def __repr__(self) -> str:
        best = ", ".join(f"{value:.3g}" for value in self.best_val[:6]) + (", …" if len(self.best_val) > 6 else "")
        lost = f", {int(self.diverged.sum())} diverged" if self.diverged.any() else ""
        return f"FitResult({self.updates} updates in {self.seconds:.3g} s, best validation errors {best}{lost})"

    def _repr_html_(self) -> str:
        told = np.where(self.diverged, "diverged", np.where(self.untrained, "never better than untrained", ""))
        rows = [(r, f"{self.best_val[r]:.4g}", int(self.best_update[r]), told[r]) for r in range(len(self.best_val))]
        head = ("replica", "best validation error", "at update", "")
        return html_table(f"{self.updates} updates in {self.seconds:.3g} s", rows, head)

    @property
    def untrained(self) -> np.ndarray:
        """(R,), True for a replica of which no trained state has a finite validation error."""
        found: np.ndarray = (self.best_update == 0) & (self.updates > 0)
        return found

    @property
    def failed_to_train(self) -> np.ndarray:
        """(R,), True where no trained state has a lower validation error than the parameters that training began at."""
        return ~(self.best_val < self.history[0].val) & (self.updates > 0)
