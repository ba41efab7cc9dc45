"""Figures of the gates and spectra of a stack's layers.

Axes: R replicas, L layers, r directions, P grid points, T steps, B states.
"""

from __future__ import annotations

import numpy as np

from ddl_dyn import plots
from ddl_dyn.plots.style import Drawing
from ddl_dyn.results.figures.registry import figure
from ddl_dyn.results.figures.run_view import RunView


def _no_gates(view: RunView) -> str:
    if "gate_beta" not in view.arrays:
        return "no gates on a grid: not a DDL stack, or its map is driven by inputs"
    return "" if view.dim >= 2 else "a phase plane needs two components"


@figure(
    "gates",
    "gate β over the phase plane",
    alt="gate β over the phase plane, one panel per layer, with contours where the regime changes",
    unless=_no_gates,
    by_default=True,
)
def _gates(view: RunView) -> Drawing:
    # (L, P, r): each direction of a layer is a gate of its own.
    beta = np.moveaxis(view.arrays["gate_beta"][view.chosen], -1, 1)
    beta = beta.reshape(-1, beta.shape[-1])
    return plots.gate_map(
        view.square(view.arrays["portrait_grid"])[..., :2],
        np.stack([view.square(gate) for gate in beta]),
        state_names=view.names[:2],
        orbits=view.true[:4, :, :2],
        kind=view.kind,
        columns=1 if view.narrow else None,
        title=view.title,
        note=view.plane_note,
    )


def _no_spectra(view: RunView) -> str:
    both = {"eigen_operator", "eigen_jacobian"} <= set(view.arrays)
    return "" if both else "its layers have no operator of their own, or its map is driven by inputs"


@figure(
    "eigenvalues",
    "layer spectra on the unit circle",
    alt="eigenvalues of each layer against the unit circle",
    unless=_no_spectra,
    by_default=True,
)
def _eigenvalues(view: RunView) -> Drawing:
    return plots.layer_spectra_plane(
        view.arrays["eigen_operator"],
        view.arrays["eigen_jacobian"],
        model=view.model,
        stacked=view.narrow,
        **view.common,
    )


def _not_audited(view: RunView) -> str:
    audited = "audit_beta" in view.arrays
    return "" if audited else "no gates were audited: not a DDL stack, or its free runs did not stay finite"


@figure("gate_time", "gate β over depth and time", unless=_not_audited)
def _gate_time(view: RunView) -> Drawing:
    beta = view.arrays["audit_beta"][view.chosen]
    # (T, L, B, r): the median over initial states, each direction of a layer a row of its own.
    typical = np.moveaxis(np.median(beta, axis=2), -1, 2).reshape(len(beta), -1)
    note = f"Median over {beta.shape[2]} initial states, one replica. {view.note}"
    return plots.gate_over_depth_time(typical, title=view.title, note=note)


@figure("discrepancy", "share of the discrepancy that each rewrite spends", unless=_not_audited)
def _discrepancy(view: RunView) -> Drawing:
    spent, beta = view.arrays["audit_spent"], view.arrays["audit_beta"]
    # The mean over steps of a rewrite's share.
    each = spent.reshape(len(spent), -1, beta.shape[2] * beta.shape[4]).mean(axis=1)
    return plots.discrepancy_spent(
        {view.model: each},
        xlabel="rewrite",
        ylabel="share of its discrepancy spent",
        title=view.title,
        note=f"1 − rms e⁺ / rms e of each rewrite, mean over {beta.shape[1]} steps; its own k and v. {view.note}",
    )
