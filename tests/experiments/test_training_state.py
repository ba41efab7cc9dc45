"""A training state that is not whole is refused in one line before anything is trained."""

from __future__ import annotations

from typing import Any

import pytest

from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.setup import make_setup
from ddl_dyn.experiments.train import train
from ddl_dyn.runs import RunError
from tests.helpers.commands import config


def test_each_part_of_a_state_is_needed() -> None:
    setup = make_setup(config(keep_portraits=2))
    kept: list[dict[str, Any]] = []
    train(setup, Callbacks(on_checkpoint=lambda state: kept.append(dict(state)), seconds=0.0))
    whole = kept[0]
    assert whole["update"] == 1
    for name in whole:
        part = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(RunError, match=f"holds no {name}; delete resume.pt"):
            train(setup, Callbacks(state=part))
    done = train(make_setup(config(keep_portraits=2)), Callbacks(state=whole))
    assert done.result.updates == 40
