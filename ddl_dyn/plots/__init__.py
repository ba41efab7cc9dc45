"""Figures: the only matplotlib in the suite. Every function takes arrays and returns a Figure; `save` writes it."""

from __future__ import annotations

from .animation import orbit_animation
from .cobweb import cobweb
from .compare import interval_chart
from .defects import drift_curves, law_defects, perturbation_growth
from .depth import discrepancy_spent, gate_over_depth_time, signal_propagation, state_through_depth
from .forming import field_forming, map_forming
from .gates import gate_map, layer_spectra_plane
from .plane import basin_map, direction_field, nullclines, poincare_section
from .portrait import phase_portrait
from .portrait3d import phase_portrait_3d
from .radius import error_by_radius
from .ranking import ranking, survival_curves
from .series import error_growth, trajectories
from .spectra import bifurcation_diagram, power_spectra, recurrence_plot, return_map
from .style import MODEL_STYLES, ModelStyle, model_style, save
from .thumbnail import task_portrait
from .tracking import tracking_accuracy
from .training import training_curves

__all__ = [
    "MODEL_STYLES",
    "ModelStyle",
    "basin_map",
    "bifurcation_diagram",
    "cobweb",
    "direction_field",
    "discrepancy_spent",
    "drift_curves",
    "error_by_radius",
    "error_growth",
    "field_forming",
    "gate_map",
    "gate_over_depth_time",
    "interval_chart",
    "law_defects",
    "layer_spectra_plane",
    "map_forming",
    "model_style",
    "nullclines",
    "orbit_animation",
    "perturbation_growth",
    "phase_portrait",
    "phase_portrait_3d",
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
