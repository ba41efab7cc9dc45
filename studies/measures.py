"""Measures of a finished run's trained maps that a run does not compute itself; each (R,), a value a seed."""

from __future__ import annotations

import numpy as np

from ddl_dyn.analysis import from_replicas, from_task, orientation
from ddl_dyn.analysis.gates import trace_orbit
from ddl_dyn.analysis.latent import far_field, latent_spectrum, manifold_distance
from ddl_dyn.experiments.setup import Setup, restore_setup
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.runs import Run

# Starts and steps of the latent map's exponents, and steps after which its distance from the manifold is kept.
STARTS, STEPS, DISTANCES = 8, 400, (1, 20, 100)
# Test orbits and the places along each at which the sign of det J is taken.
ORBITS, PLACES = 64, 4
# Rays from the mean of the data, in standard deviations, on which the far field is taken.
RAYS, RADII = 32, (50.0, 100.0)


def trained_map(run: Run) -> dict[str, Array]:
    """Measures of a run by its protocol; empty where none is defined.

    carry = latent in a space larger than the state's: `neutral`, `largest_off`, `distance_1`, `distance_20`,
    `distance_100`.
    lift = identity: `reversed` (share of test states with det J < 0), `reversed_true`, `far_smallest` and `far_largest`
    (singular values of the Jacobian far from the data, medians over rays); of a Delta stack also `frozen_reversed` and
    `frozen_agrees` (share of states at which Π(1 − β) has the sign of the learned map's det J).
    """
    options = run.config["model_args"]
    latent, identity = options.get("carry") == "latent", options.get("lift") == "identity"
    # Words have no states between the codes, so no Jacobian that means anything.
    if "tracking" in run.result or not (latent or identity):
        return {}
    setup = restore_setup(run)
    # A memory beside the state, as a reservoir has, makes the map one of a larger space without a lift too.
    wider = setup.replicas.template.carried_dim > setup.task.state_dim
    found = _orientation(setup) if identity and not wider else {}
    if latent and wider:
        found = _off_manifold(setup)
    return {name: np.nan_to_num(values, nan=np.inf) for name, values in found.items()}


def _off_manifold(setup: Setup) -> dict[str, Array]:
    x0 = setup.normalizer.normalize(setup.data.test.states[:STARTS, 0])
    with np.errstate(over="ignore", invalid="ignore"):
        spectrum = latent_spectrum(setup.replicas, x0, STEPS, transient=100)
        distance = np.median(manifold_distance(setup.replicas, x0, max(DISTANCES)), axis=1)
    found = {"neutral": spectrum.neutral.astype(float), "largest_off": spectrum.off[:, 0]}
    return found | {f"distance_{steps}": distance[:, steps] for steps in DISTANCES}


def _orientation(setup: Setup) -> dict[str, Array]:
    states = setup.data.test.states[:ORBITS]
    states = states[:, np.linspace(0, states.shape[1] - 1, PLACES).astype(int)].reshape(-1, states.shape[-1])
    x = np.broadcast_to(setup.normalizer.normalize(states), (setup.replicas.size, *states.shape)).copy()
    learned = from_replicas(setup.replicas)
    signs = orientation(learned, x).signs
    true = float(orientation(from_task(setup.task), states).reversed_share)
    found = {"reversed": (signs < 0).mean(axis=-1), "reversed_true": np.full(len(signs), true)}
    gates = trace_orbit(setup.replicas, x, 1).get("beta")
    if gates is not None:
        frozen = np.sign(np.prod(1.0 - gates[:, 0].astype(np.float64), axis=(1, 3)))
        found |= {"frozen_reversed": (frozen < 0).mean(axis=-1), "frozen_agrees": (frozen == signs).mean(axis=-1)}
    rays = np.random.default_rng(0).normal(size=(RAYS, states.shape[-1]))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):
        values = far_field(learned, rays, RADII).singular_values[-1]
    ends = {"far_smallest": values.min(axis=-1), "far_largest": values.max(axis=-1)}
    return found | {name: np.median(each, axis=-1) for name, each in ends.items()}
