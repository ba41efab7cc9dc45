"""Figures of phase space: portraits, cobwebs, nullclines. Axes: R replicas, N trajectories, T steps, P grid points."""

from __future__ import annotations

from typing import Any

from ddl_dyn import plots
from ddl_dyn.plots.style import Drawing
from ddl_dyn.results.figures.registry import figure
from ddl_dyn.results.figures.run_view import RunView, heading


def _no_plane(view: RunView) -> str:
    if view.dim < 2:
        return view.codes or "a phase plane needs two components"
    # Two among many components that inputs drive show nothing of the motion.
    driven = view.dim > 3 and "portrait_grid" not in view.arrays
    return view.codes or ("a plane shows nothing of many components that inputs drive" if driven else "")


@figure(
    "portrait",
    "phase portrait with the step field and fixed points",
    alt="phase portrait: true trajectories, free runs and step field in the plane of the first two components",
    unless=_no_plane,
    by_default=True,
    together=True,
)
def _portrait(*views: RunView) -> Drawing:
    first = views[0]
    fields: dict[str, Any] = {}
    if all("portrait_step" in view.arrays for view in views):
        fields["grid"] = first.square(first.arrays["portrait_grid"])[..., :2]
        fields["step_model"] = {v.model: v.square(v.arrays["portrait_step"][v.chosen])[..., :2] for v in views}
        if "portrait_step_true" in first.arrays:
            fields["step_true"] = first.square(first.arrays["portrait_step_true"])[..., :2]
    if first.dim == 2:
        fields["fixed_points_true"] = first.fixed_points("_true")
        fields["fixed_points_model"] = {view.model: view.fixed_points() for view in views}
    return plots.phase_portrait(
        first.true[..., :2],
        {view.model: view.pred[..., :2] for view in views},
        state_names=first.names[:2],
        kind=first.kind,
        isotropic=bool(first.task.get("isotropic", False)),
        **heading(views, first.field_note),
        **fields,
    )


@figure(
    "portrait_3d",
    "phase portrait in three dimensions, as projections",
    alt="phase portrait in three dimensions, projected on the coordinate planes",
    unless=lambda view: view.codes or ("" if view.dim == 3 else f"the state has {view.dim} components, not three"),
    by_default=True,
    together=True,
    instead_of="portrait",
)
def _portrait_3d(*views: RunView) -> Drawing:
    first = views[0]
    return plots.phase_portrait_3d(
        first.true,
        {view.model: view.pred for view in views},
        fixed_points_true=first.fixed_points("_true"),
        fixed_points_model={view.model: view.fixed_points() for view in views},
        state_names=first.names,
        kind=first.kind,
        **heading(views, first.space_note),
    )


def _no_line_map(view: RunView) -> str:
    if view.dim != 1:
        return f"a cobweb is that of a map of one component, and the state has {view.dim}"
    return "" if "portrait_step_true" in view.arrays else "the true step is not known on a grid"


@figure(
    "cobweb",
    "cobweb of a one-dimensional map",
    alt="cobweb of the learned map beside the true one",
    unless=_no_line_map,
    by_default=True,
    together=True,
)
def _cobweb(*views: RunView) -> Drawing:
    first = views[0]
    grid = first.arrays["portrait_grid"][:, 0]

    def crossings(view: RunView, suffix: str = "") -> list[tuple[float, str]]:
        return [(float(point[0]), kind) for point, kind in view.fixed_points(suffix)]

    return plots.cobweb(
        grid,
        grid + first.arrays["portrait_step_true"][:, 0],
        {view.model: grid + view.arrays["portrait_step"][view.order, :, 0] for view in views},
        orbit_true=first.true[0, :, 0],
        orbit_model={view.model: view.pred[0, 0, :, 0] for view in views},
        fixed_points_true=crossings(first, "_true"),
        fixed_points_model={view.model: crossings(view) for view in views},
        state_name=first.names[0],
        **heading(views, first.field_note),
    )


def _no_nullclines(view: RunView) -> str:
    if view.dim != 2:
        return f"nullclines are curves of the plane, and the state has {view.dim} components"
    return "" if "portrait_step_true" in view.arrays else "the true step field is not known on a grid"


@figure("nullclines", "where each component stays put", unless=_no_nullclines)
def _nullclines(view: RunView) -> Drawing:
    return plots.nullclines(
        view.square(view.arrays["portrait_grid"]),
        view.square(view.arrays["portrait_step_true"]),
        view.square(view.arrays["portrait_step"][view.chosen]),
        model=view.model,
        fixed_points_true=view.fixed_points("_true"),
        fixed_points_model=view.fixed_points(),
        state_names=view.names,
        **view.common,
    )
