"""Analysis of maps, trained or exact: exponents, cycles, Jacobians, bifurcations, gates, predictions of theory."""

from __future__ import annotations

from ddl_dyn.analysis.bifurcation import Bifurcation, CycleBranch, continue_cycle
from ddl_dyn.analysis.cycles import Cycle, cycles, fixed_points, stability_of
from ddl_dyn.analysis.equilibria import equilibria
from ddl_dyn.analysis.exact import from_task
from ddl_dyn.analysis.gates import (
    DeltaAudit,
    Recovered,
    audit,
    mirror_angle,
    precision_card,
    recovered,
    rotation_of_pair,
    trace_orbit,
)
from ddl_dyn.analysis.geometry import (
    Orientation,
    basin_labels,
    basin_overlap,
    map_jacobian_error,
    map_orientation_agreement,
    map_symmetry_defect,
    orbit_invariant_drift,
    orientation,
)
from ddl_dyn.analysis.jacobians import (
    closed_form_jacobian,
    delta_layer_jacobian,
    depth_profile,
    frozen_operator,
    layer_maps,
    layer_spectra,
)
from ddl_dyn.analysis.latent import (
    DirectionSpan,
    FarField,
    LatentSpectrum,
    direction_span,
    far_field,
    latent_spectrum,
    manifold_distance,
)
from ddl_dyn.analysis.learned import from_replicas, learned_family
from ddl_dyn.analysis.limit_cycles import LimitCycle, limit_cycle
from ddl_dyn.analysis.lyapunov import LyapunovSpectrum, kaplan_yorke_dimension, lyapunov_spectrum
from ddl_dyn.analysis.maps import DiscreteMap
from ddl_dyn.analysis.matching import Match, match_cycles
from ddl_dyn.analysis.systems import as_map
from ddl_dyn.analysis.theory import Prediction, predict, predict_for

__all__ = [
    "Bifurcation",
    "Cycle",
    "CycleBranch",
    "DeltaAudit",
    "DirectionSpan",
    "DiscreteMap",
    "FarField",
    "LatentSpectrum",
    "LimitCycle",
    "LyapunovSpectrum",
    "Match",
    "Orientation",
    "Prediction",
    "Recovered",
    "as_map",
    "audit",
    "basin_labels",
    "basin_overlap",
    "closed_form_jacobian",
    "continue_cycle",
    "cycles",
    "delta_layer_jacobian",
    "depth_profile",
    "direction_span",
    "equilibria",
    "far_field",
    "fixed_points",
    "from_replicas",
    "from_task",
    "frozen_operator",
    "kaplan_yorke_dimension",
    "latent_spectrum",
    "layer_maps",
    "layer_spectra",
    "learned_family",
    "limit_cycle",
    "lyapunov_spectrum",
    "manifold_distance",
    "map_jacobian_error",
    "map_orientation_agreement",
    "map_symmetry_defect",
    "match_cycles",
    "mirror_angle",
    "orbit_invariant_drift",
    "orientation",
    "precision_card",
    "predict",
    "predict_for",
    "recovered",
    "rotation_of_pair",
    "stability_of",
    "trace_orbit",
]
