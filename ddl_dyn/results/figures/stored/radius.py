"""Figure of errors against the radius of the starts."""

from __future__ import annotations

from ddl_dyn import plots
from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.plots.style import Drawing
from ddl_dyn.results.comparison.radius import radius_panel
from ddl_dyn.results.figures.registry import figure
from ddl_dyn.results.figures.run_view import RunView, heading
from ddl_dyn.runs.result import radius_scores


def _no_radius(view: RunView) -> str:
    """Reason for a run without errors at radii; empty for one that has them."""
    if view.codes:
        return view.codes
    known = radius_scores(view.run, PRIMARY.horizons[0])
    return "" if known else "it was tested at no multiple of the training radius (data.radii, or the task has none)"


@figure(
    "radius",
    "error against the radius of the starts, beyond the training support, with floors",
    alt="error of the free runs against the radius of their starts",
    unless=_no_radius,
    by_default=True,
    together=True,
)
def _radius(*views: RunView) -> Drawing:
    own = heading(views)
    runs = {view.model: view.run for view in views}
    panels = (radius_panel(runs, horizon) for horizon in PRIMARY.horizons)
    return plots.error_by_radius(
        [panel for panel in panels if panel is not None],
        title=own["title"],
        note=own["note"] if len(views) == 1 else "",
    )
