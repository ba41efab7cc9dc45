"""A child that judges cases: `python -m tests.torture.child SUITE SEED FIRST COUNT`."""

from __future__ import annotations

import sys

from tests.torture import folders, harness, settings, tables

SUITES = {"settings": settings.judge, "tables": tables.judge, "folders": folders.judge}

if __name__ == "__main__":
    name, *numbers = sys.argv[1:]
    harness.serve(SUITES[name], *map(int, numbers))
