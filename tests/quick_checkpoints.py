"""The command line with real training, checkpoints many times a second and no portrait of the trained map."""

from __future__ import annotations

import sys

from ddl_dyn import evaluation, running
from ddl_dyn.portrait_data import Description

running.CHECKPOINT_SECONDS = 0.1
# Not part of training, and much slower than this test's training.
evaluation.describe_map = lambda *_: Description()  # type: ignore[assignment]


if __name__ == "__main__":
    from ddl_dyn.cli import main

    sys.exit(main())
