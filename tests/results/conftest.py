"""The printed form of metrics that the tests of this room expect, whatever the registry says today, and a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ddl_dyn.metrics.registry import METRICS, PRIMARY
from tests.helpers.browser import Browser


@pytest.fixture(autouse=True)
def printed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Titles and digits as in the expected texts: how a metric is shown is changed in the registry alone."""
    monkeypatch.setitem(vars(PRIMARY), "title", "NRMSE")
    monkeypatch.setitem(vars(METRICS["vpt"]), "title", "valid prediction time")
    for metric in METRICS.values():
        monkeypatch.setitem(vars(metric), "digits", 4 if metric.group == "accuracy" else 3)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser with no page open, for the tests of one file."""
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()
