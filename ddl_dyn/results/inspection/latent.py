"""The latent map of a run off the manifold of lifted states, and its linear part far away.

Axes: R replicas, B states, T steps, D observed state, H latent state, d rows, K radii.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ddl_dyn import analysis
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.experiments.unsuitable import Unsuitable
from ddl_dyn.metrics.arrays import Array

# Initial states of the exponents; steps of the drift and of the traces; directions of the rays.
_ENSEMBLE, _DRIFT, _TRACED, _RAYS = 8, 200, 100, 16
# Distances along the rays, in lengths of a lifted state.
_RADII = (1.0, 10.0, 100.0, 1000.0)


def why_none(setup: Setup) -> str:
    """Reason why there is no latent map beside the observed one; empty where there is."""
    template = setup.replicas.template
    if setup.replicas.carry != "latent" or template.carried_dim <= template.state_dim:
        return "the observed state is carried; a latent map needs carry=latent and a lift"
    return setup.obstacle


def latent(setup: Setup, steps: int) -> dict[str, Any]:
    """Exponents along and across the manifold, drift from it, span of the directions, the linear part far away.

    Args:
        setup: of a run with carry=latent.   steps: averaged steps of the exponents, after a quarter as many.
    Returns:
        steps; exponents (R, H), on (R, D), off (R, H − D), per step; neutral (R), how many exponents are near zero or
        above; drift (R, T+1), median over the test states of ‖h − lift(read h)‖, infinite where most runs are lost;
        energies (R, d), None without directions k; radii (K), far (R, K, H), median moduli of the eigenvalues along the
        rays, and far_change (R).
    Raises:
        Unsuitable: when no latent state is carried.
    """
    reason = why_none(setup)
    if reason:
        raise Unsuitable(reason)
    z = setup.normalizer.normalize(setup.starts(_ENSEMBLE, late=True))
    found = analysis.latent_spectrum(setup.replicas, z, steps, transient=steps // 4, inputs=setup.held)
    drift = _drift(setup)
    rays = _rays(setup)
    far = analysis.far_field(setup.replicas, rays, _RADII, inputs=setup.held)
    energies = _energies(setup)
    return {
        "steps": steps,
        "exponents": found.exponents.tolist(),
        "on": found.on.tolist(),
        "off": found.off.tolist(),
        "neutral": found.neutral.tolist(),
        "drift": drift.tolist(),
        "energies": None if energies is None else energies.tolist(),
        "radii": far.radii.tolist(),
        "far": np.median(np.moveaxis(np.abs(far.eigenvalues), 0, 2), axis=1).tolist(),
        "far_change": np.median(far.change, axis=-1).tolist(),
    }


def _inputs(setup: Setup, count: int, steps: int) -> Array:
    return np.broadcast_to(setup.held, (count, steps, len(setup.held))).copy()


def _drift(setup: Setup) -> Array:
    z = setup.normalizer.normalize(setup.starts(_ENSEMBLE))
    each = analysis.manifold_distance(setup.replicas, z, _DRIFT, inputs=_inputs(setup, z.shape[-2], _DRIFT))
    return np.quantile(np.nan_to_num(each, nan=np.inf, posinf=np.inf), 0.5, axis=1, method="inverted_cdf")


def _energies(setup: Setup) -> Array | None:
    z = setup.normalizer.normalize(setup.starts(_ENSEMBLE))
    traces = analysis.trace_orbit(setup.replicas, z, _TRACED, _inputs(setup, z.shape[-2], _TRACED))
    return analysis.direction_span(traces).energies if {"k", "beta"} <= set(traces) else None


def _rays(setup: Setup) -> Array:
    """Directions of the latent space, as long as a lifted test state is in the median, (B, H)."""
    lifted = setup.embedded(setup.starts(_ENSEMBLE)).cpu().numpy()
    size = float(np.median(np.linalg.norm(lifted, axis=-1)))
    rays = np.random.default_rng(0).standard_normal((_RAYS, lifted.shape[-1]))
    return np.asarray(size * rays / np.linalg.norm(rays, axis=1, keepdims=True))
