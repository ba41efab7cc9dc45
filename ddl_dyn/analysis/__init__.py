"""What a map does, trained or exact: exponents, cycles, Jacobians, bifurcations, gates, and what theory predicts."""

from __future__ import annotations

from ddl_dyn.analysis.cycles import Cycle, Match, cycles, fixed_points, match_cycles, stability_of
from ddl_dyn.analysis.exact import from_task
from ddl_dyn.analysis.learned import from_replicas
from ddl_dyn.analysis.lyapunov import LyapunovSpectrum, kaplan_yorke_dimension, lyapunov_spectrum
from ddl_dyn.analysis.maps import DiscreteMap, as_map

__all__ = [
    "Cycle",
    "DiscreteMap",
    "LyapunovSpectrum",
    "Match",
    "as_map",
    "cycles",
    "fixed_points",
    "from_replicas",
    "from_task",
    "kaplan_yorke_dimension",
    "lyapunov_spectrum",
    "match_cycles",
    "stability_of",
]
