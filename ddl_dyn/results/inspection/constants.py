"""Physical constants read from trained stacks, and the checks that every Delta layer must pass.

A gate is a property of the map only where k, β and v are constant; a constant read from the map itself (a determinant,
an eigenvalue, an energy ratio) holds whatever the layers do. Both are given where both mean something.

Axes: R replicas, B states, L layers, D observed state, r directions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ddl_dyn import analysis
from ddl_dyn.experiments.evaluation.probes import gate_audit
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.experiments.unsuitable import Unsuitable
from ddl_dyn.metrics.arrays import Array

# States at which constants are read, and at which the closed-form Jacobian is checked.
_PLACES, CHECKED = 256, 8


def laws(setup: Setup) -> dict[str, Any]:
    """Identities that hold for every Delta layer, trained or not.

    Returns:
        law_error (per replica, max |e_post − (1 − β) e_pre| in the precision of training), occupancy,
        effective_reflections, mirror_angle and rotation_angle as `probes.gate_audit` has them and, where layers
        have one direction and one value channel, jacobian_gap (per replica, largest difference of the closed-form layer
        Jacobian and autograd's, relative to its largest entry, in float64).
    Raises:
        Unsuitable: when the model has no gates, or its free runs leave the finite range.
    """
    numbers, _ = gate_audit(setup)
    if not numbers:
        raise Unsuitable("no gates to audit: not a DDL stack, or its free runs leave the finite range")
    kept = ("law_error", "occupancy", "effective_reflections", "mirror_angle", "rotation_angle")
    out: dict[str, object] = {name: value for name, value in numbers.items() if name in kept}
    model = setup.replicas.template
    plain = getattr(model.config, "rewrite", "") == "delta" and getattr(model.config, "directions", 0) == 1
    if plain and getattr(model, "value_dim", 0) == 1:
        out["jacobian_gap"] = [_jacobian_gap(setup, r) for r in range(setup.replicas.size)]
    return out


def _jacobian_gap(setup: Setup, replica: int) -> float:
    model = setup.replicas.model(replica).to(torch.float64).cpu()
    z = torch.as_tensor(setup.normalizer.of_replica(replica).normalize(setup.data.test.states[:CHECKED, 0]))
    u = torch.as_tensor(setup.data.test.inputs[:CHECKED, 0])
    h, worst = model.lift(z).detach(), 0.0
    for layer in model.layers_at(0):
        closed = analysis.delta_layer_jacobian(layer, h, u)
        with torch.no_grad():
            rows = torch.func.vmap(torch.func.jacrev(lambda a, b, layer=layer: layer(a[None], b[None])[0]))(h, u)
            h = layer(h, u)
        worst = max(worst, float((closed - rows).abs().max() / rows.abs().max()))
    return worst


def constants(setup: Setup) -> dict[str, Any]:
    """Physical constants of the task as the replicas hold them: name -> truth, values (R), mean, spread, error.

    Raises:
        Unsuitable: when the task has no constant that can be read off, or the map is not one of the observed state.
    """
    readers = {
        "kaczmarz": _kaczmarz,
        "bouncing_ball": _bouncing_ball,
        "bouncing_ball_family": _bouncing_ball,
        "mirror": _mirror,
        "rotation": _rotation,
        "rotoreflection": _rotation,
        "flip": _flip,
    }
    if setup.config.task not in readers:
        raise Unsuitable(f"{setup.config.task} has no constant that a map holds as such")
    if not setup.comparable:
        raise Unsuitable("constants are read from a map of the observed state")
    read = readers[setup.config.task](setup)
    return {
        name: vars(analysis.recovered(values, truth)) | {"truth": truth, "how": how}
        for name, (values, truth, how) in read.items()
    }


Read = dict[str, tuple[Array, float, str]]


def _kaczmarz(setup: Setup) -> Read:
    """ω = 1 − det J^(1/m): of all m relaxations only the product of 1 − ω is a property of the map."""
    task = setup.member
    if task.rows > task.d:
        raise Unsuitable(f"det J of {task.rows} rows in {task.d} dimensions says little of each; use rows ≤ d")
    values = 1 - _root(np.linalg.det(_jacobians(setup)).mean(axis=1), task)
    read: Read = {"relaxation, from det J": (values, task.omega, "1 − det J^(1/m)")}
    beta = _constant_gates(setup)
    if beta is not None and beta.shape[1] == task.rows:
        # m factors of rank one have one product, but not one choice of m gates: their geometric mean is what is fixed.
        each = 1 - _root(np.prod(1 - beta, axis=1), task)
        read["relaxation, from the gates"] = each, task.omega, "1 − (Π (1 − β))^(1/m)"
    return read


def _root(product: Array, task: Any) -> Array:
    """Real m-th root of Π (1 − ω); of the two for even m, that on the true side of ω = 1."""
    sign = np.sign(product) if task.rows % 2 else (-1.0 if task.omega >= 1 else 1.0)
    root: Array = sign * np.abs(product) ** (1 / task.rows)
    return root


def _mirror(setup: Setup) -> Read:
    """The direction that the symmetric part of J turns over, and its eigenvalue 1 − β."""
    values, vectors = np.linalg.eigh(_symmetric(_jacobians(setup).mean(axis=1)))
    gap = analysis.mirror_angle(vectors[..., 0], np.broadcast_to(setup.member.normal, vectors[..., 0].shape))
    return {
        "gate of the mirror, from J": (1 - values[..., 0], 2.0, "1 − smallest eigenvalue of J"),
        "tilt of the mirror, rad": (gap, 0.0, "angle of its eigenvector and the normal"),
    }


def _rotation(setup: Setup) -> Read:
    """Argument of the complex pair of J."""
    angles = np.abs(np.angle(np.linalg.eigvals(_jacobians(setup))))
    # Of a rotoreflection −1 is an eigenvalue too, at π; in more dimensions 1 is one, at 0.
    inside = (angles > 1e-6) & (angles < np.pi - 1e-6)
    turned = np.where(inside, angles, np.nan).reshape(len(angles), -1)
    return {"angle, rad": (turned, float(setup.member.theta), "argument of the eigenvalues of J")}


def _flip(setup: Setup) -> Read:
    """ρ = |det J|^(1/d)."""
    size = np.abs(np.linalg.det(_jacobians(setup))) ** (1 / setup.member.d)
    return {"ratio": (size, float(setup.member.rho), "|det J|^(1/d)")}


def _bouncing_ball(setup: Setup) -> Read:
    """e = √(E(Φ(x))/E(x)) over steps that hold one impact, E = g h + v²/2: on the true map this is e exactly."""
    task = setup.member
    x = _states_before_one_impact(setup)
    with torch.no_grad():
        after = setup.learned.step(setup.learned.states(x)).cpu().numpy()

    def energy(s: Array) -> Array:
        energies: Array = task.g * s[..., 0] + 0.5 * s[..., 1] ** 2
        return energies

    ratio = energy(after) / energy(x)
    values = np.sqrt(np.where(ratio > 0, ratio, np.nan))
    read: Read = {"restitution, from the energy": (values, float(task.e), "√(E⁺/E) over impacts")}
    trace = trace_at(setup, x)
    if trace is not None:
        # (R, L, B, r) and (…, r, d): the gate of the rewrite that lies closest to the velocity.
        beta, k = trace["beta"], np.abs(trace["k"][..., 1])
        across = np.moveaxis(beta, 2, 1).reshape(len(beta), len(x), -1)
        aligned = np.moveaxis(k, 2, 1).reshape(across.shape)
        best = np.take_along_axis(across, aligned.argmax(axis=-1)[..., None], axis=-1)[..., 0]
        read["restitution, from the gate"] = best - 1, float(task.e), "β − 1 of the direction nearest to the velocity"
    return read


def _states_before_one_impact(setup: Setup) -> Array:
    """Up to PLACES true states whose next step holds exactly one impact."""
    task = setup.member
    x0 = setup.data.test.states[:, 0]
    states = np.asarray(task.simulate(x0, setup.data.test.steps).states)
    before, after = states[:, :-1].reshape(-1, 2), states[:, 1:].reshape(-1, 2)
    energy = [task.g * s[:, 0] + 0.5 * s[:, 1] ** 2 for s in (before, after)]
    # Each impact takes the factor e²; without loss an impact shows in the jump of the velocity.
    flown = np.abs(after[:, 1] - (before[:, 1] - task.g * task.dt)) > 1e-9
    with np.errstate(divide="ignore", invalid="ignore"):
        one = flown & (np.abs(energy[1] / energy[0] - task.e**2) < 1e-9) & (energy[0] > 1e-3)
    found = before[one]
    if not len(found):
        raise Unsuitable("no step of the test trajectories holds exactly one impact; raise data.steps")
    spread: Array = found[np.linspace(0, len(found) - 1, min(_PLACES, len(found))).astype(int)]
    return spread


def _jacobians(setup: Setup) -> Array:
    """(R, B, D, D), of the learned map at test states in physical units."""
    x = setup.starts(32)
    with torch.no_grad():
        return setup.learned.jacobian(setup.learned.states(x)).cpu().numpy()


def _symmetric(j: Array) -> Array:
    return (j + np.swapaxes(j, -1, -2)) / 2


def trace_at(setup: Setup, x: Array) -> dict[str, Array] | None:
    """One step's traces at states x (B, D), where the model acts on the observed state itself; R leading, no T."""
    if setup.replicas.template.config.lift != "identity":
        return None
    inputs = np.broadcast_to(setup.held, (len(x), 1, len(setup.held))).copy()
    found = analysis.trace_orbit(setup.replicas, setup.normalizer.normalize(x), 1, inputs)
    return {name: values[:, 0] for name, values in found.items()} if "beta" in found else None


def _constant_gates(setup: Setup) -> Array | None:
    """(R, L·r), the gates of a stack whose k, β and v are constant; None for any other."""
    config = setup.replicas.template.config
    if getattr(config, "generator", "") != "constant" or getattr(config, "value", "") != "constant":
        return None
    if getattr(config, "gate", "") not in ("constant", "fixed"):
        return None
    trace = trace_at(setup, setup.starts(1))
    return None if trace is None else trace["beta"][:, :, 0].reshape(setup.replicas.size, -1)
