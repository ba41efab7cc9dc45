"""The printed form of metrics that the tests of this room expect, whatever the registry says today."""

from __future__ import annotations

import pytest

from ddl_dyn.metrics.registry import METRICS, PRIMARY


@pytest.fixture(autouse=True)
def printed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Titles and digits as in the expected texts: how a metric is shown is changed in the registry alone."""
    monkeypatch.setitem(vars(PRIMARY), "title", "NRMSE")
    monkeypatch.setitem(vars(METRICS["vpt"]), "title", "valid prediction time")
    for metric in METRICS.values():
        monkeypatch.setitem(vars(metric), "digits", 4 if metric.group == "accuracy" else 3)
