"""Every task of the registry goes all the way through a run: data, training, free runs, errors, portrait."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddl_dyn.experiments.execute import execute
from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.setup import make_setup
from ddl_dyn.tasks import TASKS

# What a task needs besides its name.
SUNSPOTS = Path(__file__).parents[2] / "tasks" / "data" / "sunspots_yearly.csv"
NEEDS = {"observed": {"path": str(SUNSPOTS), "time_column": "year", "value_columns": ("sunspot_number",)}}
TINY = {
    "seeds": 2,
    "data": {"n_train": 8, "n_val": 4, "n_test": 4, "n_ood": 4, "steps": 20},
    "train": {"updates": 2, "horizon": 3, "batch": 4, "compile": "off"},
    "eval": {"short": 2, "long": 5},
    "model_args": {"hidden_dim": 8},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(TASKS) - {"dysts"}))
def test_a_run_on_every_task_ends_with_errors_and_arrays(name):
    config = resolve_run({"task": name, "task_args": NEEDS.get(name, {})} | TINY)
    outcome = execute(make_setup(config), Callbacks())
    test = outcome.numbers["test"]
    assert len(test["nrmse_short"]) == 2
    assert all(value >= 0 for value in test["nrmse_short"] + test["nrmse_long"])
    assert outcome.arrays["test_pred"].shape[0] == 2
    assert np.isfinite(outcome.arrays["test_true"]).all()
    assert outcome.numbers["theory"]["verdict"] != "no claim"
