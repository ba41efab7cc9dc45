"""Filters of `ddl-dyn list`, from its options and from the text of `report --query`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

# What a list may be narrowed by, and the column of the list it is.
FILTERS = {"status": "status", "task": "task", "model": "model", "kind": "kind", "tag": "tags"}


def filters_of(given: Mapping[str, str]) -> dict[str, str]:
    """Column -> wanted values, from name -> values with commas.

    Raises:
        ValueError: for a status that there is not.
    """
    from ddl_dyn.runs import STATUSES

    filters = {FILTERS[name]: value for name, value in given.items()}
    if "status" in filters:
        filters["status"] = filters["status"].upper()
        for status in filters["status"].split(","):
            if status not in STATUSES:
                raise ValueError(f"unknown status {status!r}; there are {', '.join(STATUSES)}")
    return filters


def parse_query(text: str) -> dict[str, str]:
    """`task=henon,lorenz63 model=ddl` as filters; what names no status or kind means completed single runs.

    Raises:
        ValueError: for what is no filter.
    """
    given = {"status": "COMPLETED", "kind": "run"}
    try:
        items = shlex.split(text)
    except ValueError:
        items = [text]
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not value or name not in FILTERS:
            names = ", ".join(FILTERS)
            raise ValueError(f"--query takes NAME=VALUE[,VALUE] with NAME one of {names}, got {item!r}")
        given[name] = value
    return filters_of(given)
