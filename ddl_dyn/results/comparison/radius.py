"""Errors of comparable runs against the radius of their starts, as panels of a figure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.plots.radius import RadiusPanel
from ddl_dyn.results.comparison.groups import Setting
from ddl_dyn.runs import Run
from ddl_dyn.runs.result import radius_scores

# Characters of a protocol in one line above a panel.
LINE = 36


def radius_panel(runs: Mapping[str, Run], horizon: str, title: str = "") -> RadiusPanel | None:
    """Panel of runs on one task over one horizon; None where none was tested at a radius.

    Args:
        runs: name in the figure -> finished run.   horizon: of `PRIMARY.horizons`.   title: above the number of steps.
    """
    found = {name: known for name, run in runs.items() if (known := radius_scores(run, horizon)) is not None}
    if not found:
        return None
    steps = " or ".join(str(n) for n in sorted({known.steps for known in found.values()}))
    return RadiusPanel(
        f"{title}\n{steps} steps" if title else f"{steps} steps",
        {name: (known.radii, known.values) for name, known in found.items()},
        {name: (known.radii, floor) for known in found.values() for name, floor in known.floors.items()},
    )


def radius_panels(found: Sequence[Setting]) -> list[RadiusPanel]:
    """One panel a task and protocol, over the short horizon; those of settings tested at no radius are left out."""
    panels = []
    for setting in found:
        runs = {entry.label: entry.run for entry in setting.entries}
        title = f"{setting.task.replace('_', ' ')}\n{textwrap.fill(setting.protocol, LINE)}"
        panel = radius_panel(runs, PRIMARY.horizons[0], title)
        if panel is not None:
            panels.append(panel)
    return panels
