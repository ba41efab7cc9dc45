"""Figures: the only matplotlib in the suite. Every function takes arrays and returns a Figure; `save` writes it."""

from __future__ import annotations

from .compare import comparison
from .gates import eigenvalues, gate_map
from .maps import cobweb
from .portrait import phase_portrait
from .portrait3d import phase_portrait_3d
from .series import error_growth, trajectories
from .style import MODEL_STYLES, ModelStyle, model_style, save
from .training import training_curves

__all__ = [
    "MODEL_STYLES",
    "ModelStyle",
    "cobweb",
    "comparison",
    "eigenvalues",
    "error_growth",
    "gate_map",
    "model_style",
    "phase_portrait",
    "phase_portrait_3d",
    "save",
    "training_curves",
    "trajectories",
]
