"""Figures: the only matplotlib in the suite. Every function takes arrays and returns a Figure; `save` writes it."""

from __future__ import annotations

from ddl_dyn.plots.animation import orbit_animation
from ddl_dyn.plots.cobweb import cobweb
from ddl_dyn.plots.compare import interval_chart
from ddl_dyn.plots.defects import drift_curves, law_defects, perturbation_growth
from ddl_dyn.plots.depth import discrepancy_spent, gate_over_depth_time, signal_propagation, state_through_depth
from ddl_dyn.plots.forming import field_forming, map_forming
from ddl_dyn.plots.gates import gate_map, layer_spectra_plane
from ddl_dyn.plots.latent import latent_map
from ddl_dyn.plots.panel import course_panel, plane_panel
from ddl_dyn.plots.plane import basin_map, direction_field, nullclines, poincare_section
from ddl_dyn.plots.portrait import phase_portrait
from ddl_dyn.plots.portrait3d import attractor_3d, phase_portrait_3d
from ddl_dyn.plots.radius import error_by_radius
from ddl_dyn.plots.ranking import ranking, survival_curves
from ddl_dyn.plots.series import error_growth, trajectories
from ddl_dyn.plots.spectra import bifurcation_diagram, power_spectra, recurrence_plot, return_map
from ddl_dyn.plots.style import MODEL_STYLES, ModelStyle, model_style, save
from ddl_dyn.plots.thumbnail import task_portrait
from ddl_dyn.plots.tracking import tracking_accuracy
from ddl_dyn.plots.training import training_curves

__all__ = [
    "MODEL_STYLES",
    "ModelStyle",
    "attractor_3d",
    "basin_map",
    "bifurcation_diagram",
    "cobweb",
    "course_panel",
    "direction_field",
    "discrepancy_spent",
    "drift_curves",
    "error_by_radius",
    "error_growth",
    "field_forming",
    "gate_map",
    "gate_over_depth_time",
    "interval_chart",
    "latent_map",
    "law_defects",
    "layer_spectra_plane",
    "map_forming",
    "model_style",
    "nullclines",
    "orbit_animation",
    "perturbation_growth",
    "phase_portrait",
    "phase_portrait_3d",
    "plane_panel",
    "poincare_section",
    "power_spectra",
    "ranking",
    "recurrence_plot",
    "return_map",
    "save",
    "signal_propagation",
    "state_through_depth",
    "survival_curves",
    "task_portrait",
    "tracking_accuracy",
    "training_curves",
    "trajectories",
]
