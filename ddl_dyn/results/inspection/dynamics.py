"""The learned map as a dynamical system beside the true one: exponents, cycles, the limit cycle, Jacobians.

Axes: R replicas, B initial states, T steps, D components of the map.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ddl_dyn import analysis
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.experiments.unsuitable import Unsuitable
from ddl_dyn.metrics.arrays import Array, Mask
from ddl_dyn.metrics.oscillation import amplitude

# Steps averaged over: a hundred Lyapunov times of most tasks, and minutes at most.
STEPS = 2000
# Initial states of exponents, and of the orbits that are followed to a limit cycle.
ENSEMBLE, _FOLLOWED = 8, 3
# States at which Jacobians are compared, and those of a box in which orientation is counted.
_PLACES, BOX_PLACES = 64, 1024
LONGEST_CYCLE = 4
# Starts of a search for cycles; a found point within this share of σ of a true one counts as that one.
_STARTS, NEAR = 64, 0.1
# Above this many dimensions a box cannot be filled with starts, and only states of the data are.
FILLED = 3
# Steps after which an orbit of a map that comes to rest at all is taken to have done so.
_SETTLE = 1000
# Newton doubles its digits once it is near; what has not converged by then wanders.
ITERATIONS = 30
# Multipliers of an attracting cycle of a flow: one is 1 along it, the next this far inside the unit circle.
ALONG, INSIDE = 0.05, 0.95


def spectrum(setup: Setup, steps: int = STEPS) -> dict[str, Any]:
    """Lyapunov exponents and Kaplan–Yorke dimension of every replica and of the true map.

    Args:
        steps: averaged steps, after a quarter as many of transient.
    Returns:
        `true` and `trained`, each exponents, standard_error, kaplan_yorke, sum, valid (share of the initial states
        whose orbits stayed finite); one entry per replica in `trained`.
    """
    x0, options = setup.starts(ENSEMBLE, late=True), {"transient": steps // 4}
    found = analysis.lyapunov_spectrum(setup.learned, setup.embedded(x0), steps, **options)
    out: dict[str, object] = {"steps": steps, "trained": _exponents(found), "true": None}
    if setup.truth is not None:
        out["true"] = _exponents(analysis.lyapunov_spectrum(setup.truth, x0, steps, **options))
    return out


def _exponents(found: analysis.LyapunovSpectrum) -> dict[str, Any]:
    return {
        "exponents": found.exponents.tolist(),
        "standard_error": found.standard_error.tolist(),
        "kaplan_yorke": found.kaplan_yorke.tolist(),
        "sum": found.total.tolist(),
        "valid": found.valid.mean(axis=-1).tolist(),
    }


def compare_cycles(setup: Setup) -> dict[str, Any]:
    """Fixed points and n-cycles, n ≤ 4, with their multipliers, held against the true ones.

    Returns:
        n -> true (list of cycles, or None where unknown), trained (list per replica), precision and recall (per
        replica), continuum (whether the truth has a curve of them).
    """
    if not setup.comparable:
        raise Unsuitable("cycles are those of a map of the observed state: " + _why_not(setup))
    # Near rest all states of a short flow step are nearly fixed; late states sit where the attractor is.
    starts = np.concatenate([setup.starts(_STARTS // 2, late=True), setup.starts(_STARTS // 2)])
    if not setup.is_flow:
        # Where a map is not smooth Newton may not get there, but an orbit that has come to rest is there.
        starts = np.concatenate([starts, setup.member.simulate(setup.starts(_FOLLOWED), _SETTLE).states[:, -1]])
    search: dict[str, Any] = {"count": _STARTS, "iterations": ITERATIONS, "starts": starts}
    if setup.task.state_dim <= FILLED:
        search["box"] = setup.box
    tolerance = NEAR * float(np.sqrt(np.mean(setup.sigma**2)))
    out = {}
    for period in range(1, LONGEST_CYCLE + 1):
        ours = analysis.cycles(setup.learned, period, **search)
        theirs = _true_cycles(setup, period, search)
        isolated = [c for c in theirs if c.isolated]
        known = [c.points for c in isolated]
        each = [[c for c in ours if c.replica == r and c.isolated] for r in range(setup.replicas.size)]
        matches = [analysis.match_cycles(found, known, tolerance) for found in each]
        out[str(period)] = {
            "true": [_cycle(c) for c in isolated],
            "continuum": len(isolated) < len(theirs),
            "trained": [[_cycle(c) for c in found] for found in each],
            "precision": [m.precision for m in matches],
            "recall": [m.recall for m in matches],
        }
    return {"tolerance": tolerance, "periods": out}


def _true_cycles(setup: Setup, period: int, search: dict[str, Any]) -> list[analysis.Cycle]:
    if not setup.is_flow:
        return analysis.cycles(setup.truth, period, **search)
    if period > 1:
        # A point of an n-cycle of an autonomous flow map, n > 1, lies on a closed orbit of such points.
        return []
    return analysis.equilibria(setup.member, **{"box": setup.box, **search})


def _why_not(setup: Setup) -> str:
    if setup.obstacle:
        return setup.obstacle
    if setup.truth is None:
        return "the truth is a series, not a map"
    return f"a latent carry runs in {setup.learned.dim} dimensions of its own"


def _cycle(cycle: analysis.Cycle) -> dict[str, Any]:
    return {
        "points": cycle.points.tolist(),
        "multipliers": [[float(m.real), float(m.imag)] for m in cycle.multipliers],
        "stability": cycle.stability,
    }


def compare_limit_cycle(setup: Setup, steps: int) -> dict[str, Any]:
    """Period, amplitudes and Floquet multipliers of the closed curve that orbits end on, where the truth has one.

    Returns:
        `true` and `trained`: period, amplitude (D), multipliers (D, moduli), per replica in `trained` (median over the
        followed orbits); closed: share of the followed orbits that end on a curve like a limit cycle's.
    Raises:
        Unsuitable: when the truth is not a flow with an attracting limit cycle.
    """
    if not (setup.comparable and setup.is_flow and setup.task.state_dim >= 2):
        raise Unsuitable("a limit cycle is looked for in flows of at least two components, on the observed state")
    x0 = setup.starts(_FOLLOWED, late=True)
    dt = setup.learned.dt
    # A turn in fewer steps than this is not resolved; a run of fewer turns has no average.
    turns = max(steps, round(12 * setup.timescale / dt))
    options: dict[str, Any] = {"steps": turns, "transient": turns // 3}
    truth = analysis.limit_cycle(setup.truth, x0, **options)
    if not _closed(truth.multipliers, truth.period).all():
        raise Unsuitable("the truth has no attracting limit cycle: its orbits end elsewhere")
    learned = analysis.limit_cycle(setup.learned, x0, **options)
    return {
        "true": _around(truth.period, truth.multipliers, truth.orbit) | {"closed": 1.0},
        "trained": _around(learned.period, learned.multipliers, learned.orbit)
        | {"closed": _closed(learned.multipliers, learned.period).mean(axis=-1).tolist()},
    }


def _closed(multipliers: Array, period: Array) -> Mask:
    """True (R?, B) for orbits that turn, neutral along their curve and attracted from aside."""
    return np.isfinite(period) & (np.abs(multipliers[..., 0] - 1) < ALONG) & (multipliers[..., 1] < INSIDE)


def _around(period: Array, multipliers: Array, orbit: Array) -> dict[str, Any]:
    size = amplitude(np.moveaxis(orbit, 0, -1))
    return {
        "period": np.median(period, axis=-1).tolist(),
        "amplitude": np.median(size, axis=-2).tolist(),
        "multipliers": np.median(multipliers, axis=-2).tolist(),
    }


def local(setup: Setup) -> dict[str, Any]:
    """Orientation and Jacobian of the learned map beside the true one.

    Returns:
        orientation_agreement, reversed_share (of the states with det J < 0), jacobian_error at states along the test
        orbits; reversed_box, the same share of the box that holds the training states (where D ≤ 3). The shares have
        a twin `…_true`.
    """
    if not setup.comparable:
        raise Unsuitable("Jacobians are those of a map of the observed state: " + _why_not(setup))
    x = _places(setup)
    found = {
        "states": len(x),
        "orientation_agreement": analysis.map_orientation_agreement(setup.learned, setup.truth, x).tolist(),
        "reversed_share": analysis.orientation(setup.learned, x).reversed_share.tolist(),
        "reversed_share_true": float(analysis.orientation(setup.truth, x).reversed_share),
        "jacobian_error": analysis.map_jacobian_error(setup.learned, setup.truth, x).tolist(),
    }
    if setup.task.state_dim <= FILLED:
        low, high = setup.box.T
        everywhere = np.random.default_rng(0).uniform(low, high, (BOX_PLACES, len(low)))
        found["reversed_box"] = analysis.orientation(setup.learned, everywhere).reversed_share.tolist()
        found["reversed_box_true"] = float(analysis.orientation(setup.truth, everywhere).reversed_share)
    return found


def _places(setup: Setup) -> Array:
    """Up to PLACES states (B, D) along the test orbits, of the member for a family."""
    states = setup.data.test.states
    if setup.member is not setup.task:
        states = setup.member.simulate(states[:8, 0], states.shape[1] - 1).states
    flat = states.reshape(-1, states.shape[-1])
    return np.asarray(flat[np.linspace(0, len(flat) - 1, min(_PLACES, len(flat))).astype(int)])


def known_symmetries(setup: Setup) -> dict[str, Array]:
    """Linear symmetries of the truth (name -> (D, D)) that the learned map can be held against."""
    return setup.member.symmetries() if setup.comparable else {}


def known_invariants(setup: Setup) -> list[str]:
    """Names of what the truth conserves."""
    return list(setup.task.invariants(setup.data.test.states[:1, 0]))


def symmetries(setup: Setup) -> dict[str, Any]:
    """Defect of each linear symmetry of the truth: name -> per replica, √⟨|Φ(Sx) − SΦ(x)|²/σ²⟩ over test states.

    Raises:
        Unsuitable: when no symmetry is known, or the map is not one of the observed state.
    """
    if not setup.comparable:
        raise Unsuitable("symmetries are those of a map of the observed state: " + _why_not(setup))
    known = known_symmetries(setup)
    if not known:
        raise Unsuitable("no linear symmetry of the task is known")
    x, sigma = _places(setup), setup.sigma
    return {
        name: analysis.map_symmetry_defect(setup.learned, matrix, x, sigma).tolist() for name, matrix in known.items()
    }


def invariants(setup: Setup) -> dict[str, Any]:
    """Drift of what the truth conserves along the stored free runs: name -> per replica, median over trajectories.

    Raises:
        Unsuitable: when the task conserves nothing that it knows of.
    """
    names = known_invariants(setup)
    if not names:
        raise Unsuitable("the task has no invariant")
    pred = np.asarray(setup.run.arrays["test_pred"], dtype=np.float64)
    drift = {}
    for name in names:
        each = analysis.orbit_invariant_drift(pred, lambda x, name=name: setup.task.invariants(x)[name])  # type: ignore[misc]
        drift[name] = np.quantile(each, 0.5, axis=-1, method="inverted_cdf").tolist()
    return drift
