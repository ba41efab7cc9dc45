"""The command line with training replaced by something quick and predictable, for tests of everything around it.

`python -m tests.helpers.fake_runs run with …`.
FAKE_SECONDS is the time between two validations, FAKE_FAIL raises half way.
"""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace

import numpy as np
import torch

from ddl_dyn.experiments import run as running
from ddl_dyn.experiments.outcome import Callbacks, RunOutcome
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.results import report


def execute(setup: Setup, callbacks: Callbacks) -> RunOutcome:
    """Numbers that depend on the configuration's seed alone, one validation after another."""
    config = setup.config
    rng = np.random.default_rng(config.seed + len(config.model))
    if callbacks.on_data is not None:
        callbacks.on_data("c0ffee", "cpu")
    print(f"pretending to train {config.model}")
    # Of a learning rate other than the default: what a search is to find.
    distance = abs(np.log10(config.train.lr / type(config.train)().lr))
    first = 0 if callbacks.state is None else int(callbacks.state["update"])
    for update in range(first, config.train.updates + 1, config.train.validate_every):
        time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
        if os.environ.get("FAKE_FAIL") == config.model and update >= config.train.updates / 2:
            raise FloatingPointError("the pretence broke down")
        if os.environ.get("FAKE_DIE") == config.model and update >= config.train.updates / 2:
            os._exit(9)
        if callbacks.on_checkpoint is not None:
            callbacks.on_checkpoint({"update": update, "weights": torch.full((3,), float(update))})
        if callbacks.on_epoch is not None:
            alive = np.ones(config.seeds, dtype=bool)
            error = np.full(config.seeds, 1.0 / (1 + update))
            done = {"update": update, "updates": config.train.updates, "seconds": 0.01 * update}
            callbacks.on_epoch(
                SimpleNamespace(**done, loss=error, val=error + distance, alive=alive, horizon=5, lr=1e-3, trial=False)
            )
    scores = np.sort(rng.random(config.seeds)) + (config.model != "ddl") * 2.0
    split = {"nrmse_short": scores.tolist(), "nrmse_long": (2 * scores).tolist()}
    floors = {"persistence": {"test": {"nrmse_short": 1.5, "nrmse_long": 2.5}}}
    numbers = {"test": split, "ood": split, "floors": floors, "parameters": 10, "training": {"seconds": time.time()}}
    numbers["training"] |= {"best_val": [distance] * config.seeds, "diverged": [False] * config.seeds}
    arrays = {"test_pred": np.arange(6.0).reshape(2, 3) + config.seed}
    return RunOutcome(numbers=numbers, arrays=arrays, state={"w": torch.ones(2)}, resolved={"device": "cpu"})


def install() -> None:
    """Let this process pretend; a test does so by monkeypatch instead, which ends with it."""
    running.execute = execute
    if os.environ.get("FAKE_PAGE"):
        # The page is the report's own matter.
        report.write_page = lambda folder, *_, **__: folder / "index.html"


# The workers of a comparison import the main module under the second name.
if __name__ in ("__main__", "__mp_main__"):
    install()

if __name__ == "__main__":
    from ddl_dyn.cli.main import main

    sys.exit(main())
