"""The command line with real training, checkpoints many times a second and no portrait of the trained map."""

from __future__ import annotations

import sys

from ddl_dyn.experiments import run as running
from ddl_dyn.experiments.evaluation import evaluate
from ddl_dyn.experiments.evaluation.phase_space import Description

running.CHECKPOINT_SECONDS = 0.1
# Not part of training, and much slower than this test's training.
evaluate.describe_map = lambda *_: Description()  # type: ignore[assignment]


if __name__ == "__main__":
    from ddl_dyn.cli.main import main

    sys.exit(main())
