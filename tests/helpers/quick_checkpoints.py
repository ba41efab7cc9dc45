"""The command line with real training, checkpoints many times a second and no portrait of the trained map.

With `HOLD` in the environment, the path of a file that holds a number, training waits for a larger one: a run when it
has made so many updates, or with `HOLD_RUNS=1` the last update of a run when so many runs of the folder are complete.
Whoever kills such a process finds it under way, however fast the machine is.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from ddl_dyn import runs
from ddl_dyn.experiments import run as running
from ddl_dyn.experiments.evaluation import evaluate
from ddl_dyn.experiments.evaluation.phase_space import Description
from ddl_dyn.training.trainer import Trainer

running.CHECKPOINT_SECONDS = 0.1
# Not part of training, and much slower than this test's training.
evaluate.describe_map = lambda *_: Description({}, {})  # type: ignore[assignment]


def _wait(trainer: Trainer, gate: Path) -> None:
    """Hold training back until the number in the file allows it to go on."""

    def reached() -> bool:
        allowed = int(gate.read_text())
        if "HOLD_RUNS" not in os.environ:
            return trainer.update >= allowed
        complete = sum(run.status == "COMPLETED" for run in runs.scan(gate.parent / "broken"))
        return trainer.update >= trainer.updates and complete >= allowed

    while reached():
        time.sleep(0.02)


if "HOLD" in os.environ:
    validate = Trainer.validate

    def held(self: Trainer, seconds: float):  # type: ignore[no-untyped-def]
        _wait(self, Path(os.environ["HOLD"]))
        return validate(self, seconds)

    Trainer.validate = held  # type: ignore[method-assign]


if __name__ == "__main__":
    from ddl_dyn.cli.main import main

    sys.exit(main())
