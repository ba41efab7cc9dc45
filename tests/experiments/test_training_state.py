"""Training states that are not whole are refused in one line; portraits can be looked at while the map forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.experiments.setup import make_setup
from ddl_dyn.experiments.train import train
from ddl_dyn.runs import Run, RunError
from ddl_dyn.runs.writer import RunWriter
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


def test_portraits_of_the_first_replica_lie_with_the_run_while_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    save = RunWriter.save_with

    def look(self: RunWriter, name: str, write: Any) -> None:
        save(self, name, write)
        if name == "portraits.npz":
            seen.append(dict(Run(self.directory).portraits))

    monkeypatch.setattr(RunWriter, "save_with", look)
    done = Run(tmp_path / str(run(config(keep_portraits=3), Launch(base=tmp_path))))
    assert [one["kept_update"].tolist() for one in seen] == [[0], [0, 20], [0, 20, 40]]
    np.testing.assert_array_equal(seen[-1]["kept_step"], done.arrays["kept_step"][:, 0])
    np.testing.assert_array_equal(seen[-1]["portrait_grid"], done.arrays["portrait_grid"])
    # What the finished run's arrays hold is not kept twice.
    assert done.portraits == {}
