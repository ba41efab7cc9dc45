"""The learned map as a dynamical system beside the true one: exponents, cycles, the limit cycle, Jacobians.

Axes: R replicas, B initial states, T steps, D components of the map.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddl_dyn import analysis
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.metrics.oscillation import amplitude
from ddl_dyn.results.inspection.rebuild import Unsuitable

Array = NDArray[Any]
# Initial states of exponents, and of the orbits that are followed to a limit cycle.
ENSEMBLE, FOLLOWED = 8, 3
# States at which Jacobians are compared, and those of a box in which orientation is counted.
PLACES, BOX_PLACES = 64, 1024
LONGEST_CYCLE = 4
# Starts of a search for cycles; a found point within this share of σ of a true one counts as that one.
STARTS, NEAR = 64, 0.1
# Above this many dimensions a box cannot be filled with starts, and only states of the data are.
FILLED = 3
# Steps after which an orbit of a map that comes to rest at all is taken to have done so.
SETTLE = 1000
# Newton doubles its digits once it is near; what has not converged by then wanders.
ITERATIONS = 30
# Multipliers of an attracting cycle of a flow: one is 1 along it, the next this far inside the unit circle.
ALONG, INSIDE = 0.05, 0.95


def spectrum(subject: Setup, steps: int) -> dict[str, Any]:
    """Lyapunov exponents and Kaplan–Yorke dimension of every replica and of the true map.

    Args:
        steps: averaged steps, after a quarter as many of transient.
    Returns:
        `true` and `trained`, each exponents, standard_error, kaplan_yorke, sum, valid (share of the initial states
        whose orbits stayed finite); one entry per replica in `trained`.
    """
    x0, options = subject.starts(ENSEMBLE, late=True), {"transient": steps // 4}
    found = analysis.lyapunov_spectrum(subject.learned, subject.embedded(x0), steps, **options)
    out: dict[str, Any] = {"steps": steps, "trained": _exponents(found), "true": None}
    if subject.truth is not None:
        out["true"] = _exponents(analysis.lyapunov_spectrum(subject.truth, x0, steps, **options))
    return out


def _exponents(found: analysis.LyapunovSpectrum) -> dict[str, Any]:
    return {
        "exponents": found.exponents.tolist(),
        "standard_error": found.standard_error.tolist(),
        "kaplan_yorke": found.kaplan_yorke.tolist(),
        "sum": found.total.tolist(),
        "valid": found.valid.mean(axis=-1).tolist(),
    }


def cycles(subject: Setup) -> dict[str, Any]:
    """Fixed points and n-cycles, n ≤ 4, with their multipliers, held against the true ones.

    Returns:
        n -> true (list of cycles, or None where unknown), trained (list per replica), precision and recall (per
        replica), continuum (whether the truth has a curve of them).
    """
    if not subject.comparable:
        raise Unsuitable("cycles are those of a map of the observed state: " + _why_not(subject))
    # Near rest all states of a short flow step are nearly fixed; late states sit where the attractor is.
    starts = np.concatenate([subject.starts(STARTS // 2, late=True), subject.starts(STARTS // 2)])
    if not subject.is_flow:
        # Where a map is not smooth Newton may not get there, but an orbit that has come to rest is there.
        starts = np.concatenate([starts, subject.member.simulate(subject.starts(FOLLOWED), SETTLE).states[:, -1]])
    search: dict[str, Any] = {"count": STARTS, "iterations": ITERATIONS, "starts": starts}
    if subject.task.state_dim <= FILLED:
        search["box"] = subject.box
    tolerance = NEAR * float(np.sqrt(np.mean(subject.sigma**2)))
    out = {}
    for period in range(1, LONGEST_CYCLE + 1):
        ours = analysis.cycles(subject.learned, period, **search)
        theirs = _true_cycles(subject, period, search)
        isolated = [c for c in theirs if c.isolated]
        known = [c.points for c in isolated]
        each = [[c for c in ours if c.replica == r and c.isolated] for r in range(subject.replicas.size)]
        matches = [analysis.match_cycles(found, known, tolerance) for found in each]
        out[str(period)] = {
            "true": [_cycle(c) for c in isolated],
            "continuum": len(isolated) < len(theirs),
            "trained": [[_cycle(c) for c in found] for found in each],
            "precision": [m.precision for m in matches],
            "recall": [m.recall for m in matches],
        }
    return {"tolerance": tolerance, "periods": out}


def _true_cycles(subject: Setup, period: int, search: dict[str, Any]) -> list[analysis.Cycle]:
    if not subject.is_flow:
        return analysis.cycles(subject.truth, period, **search)
    if period > 1:
        # A point of an n-cycle of an autonomous flow map, n > 1, lies on a closed orbit of such points.
        return []
    return analysis.equilibria(subject.member, **{"box": subject.box, **search})


def _why_not(subject: Setup) -> str:
    if subject.obstacle:
        return subject.obstacle
    if subject.truth is None:
        return "the truth is a series, not a map"
    return f"a latent carry runs in {subject.learned.dim} dimensions of its own"


def _cycle(cycle: analysis.Cycle) -> dict[str, Any]:
    return {
        "points": cycle.points.tolist(),
        "multipliers": [[float(m.real), float(m.imag)] for m in cycle.multipliers],
        "stability": cycle.stability,
    }


def limit_cycle(subject: Setup, steps: int) -> dict[str, Any]:
    """Period, amplitudes and Floquet multipliers of the closed curve that orbits end on, where the truth has one.

    Returns:
        `true` and `trained`: period, amplitude (D), multipliers (D, moduli), per replica in `trained` (median over the
        followed orbits); closed: share of the followed orbits that end on a curve like a limit cycle's.
    Raises:
        Unsuitable: when the truth is not a flow with an attracting limit cycle.
    """
    if not (subject.comparable and subject.is_flow and subject.task.state_dim >= 2):
        raise Unsuitable("a limit cycle is looked for in flows of at least two components, on the observed state")
    x0 = subject.starts(FOLLOWED, late=True)
    dt = subject.learned.dt
    # A turn in fewer steps than this is not resolved; a run of fewer turns has no average.
    turns = max(steps, round(12 * subject.timescale / dt))
    options: dict[str, Any] = {"steps": turns, "transient": turns // 3}
    truth = analysis.limit_cycle(subject.truth, x0, **options)
    if not _closed(truth.multipliers, truth.period).all():
        raise Unsuitable("the truth has no attracting limit cycle: its orbits end elsewhere")
    learned = analysis.limit_cycle(subject.learned, x0, **options)
    return {
        "true": _around(truth.period, truth.multipliers, truth.orbit) | {"closed": 1.0},
        "trained": _around(learned.period, learned.multipliers, learned.orbit)
        | {"closed": _closed(learned.multipliers, learned.period).mean(axis=-1).tolist()},
    }


def _closed(multipliers: Array, period: Array) -> Array:
    """Whether (R?, B) orbits turn, neutrally along their curve and attracted from aside."""
    return np.isfinite(period) & (np.abs(multipliers[..., 0] - 1) < ALONG) & (multipliers[..., 1] < INSIDE)


def _around(period: Array, multipliers: Array, orbit: Array) -> dict[str, Any]:
    size = amplitude(np.moveaxis(orbit, 0, -1))
    return {
        "period": np.median(period, axis=-1).tolist(),
        "amplitude": np.median(size, axis=-2).tolist(),
        "multipliers": np.median(multipliers, axis=-2).tolist(),
    }


def local(subject: Setup) -> dict[str, Any]:
    """Orientation and Jacobian of the learned map beside the true one.

    Returns:
        orientation_agreement, reversed_share (of the states with det J < 0), jacobian_error at states along the test
        orbits; reversed_box, the same share of the box that holds the training states (where D ≤ 3). The shares have
        a twin `…_true`.
    """
    if not subject.comparable:
        raise Unsuitable("Jacobians are those of a map of the observed state: " + _why_not(subject))
    x = _places(subject)
    found = {
        "states": len(x),
        "orientation_agreement": analysis.map_orientation_agreement(subject.learned, subject.truth, x).tolist(),
        "reversed_share": analysis.orientation(subject.learned, x).reversed_share.tolist(),
        "reversed_share_true": float(analysis.orientation(subject.truth, x).reversed_share),
        "jacobian_error": analysis.map_jacobian_error(subject.learned, subject.truth, x).tolist(),
    }
    if subject.task.state_dim <= FILLED:
        low, high = subject.box.T
        everywhere = np.random.default_rng(0).uniform(low, high, (BOX_PLACES, len(low)))
        found["reversed_box"] = analysis.orientation(subject.learned, everywhere).reversed_share.tolist()
        found["reversed_box_true"] = float(analysis.orientation(subject.truth, everywhere).reversed_share)
    return found


def _places(subject: Setup) -> Array:
    """Up to PLACES states (B, D) along the test orbits, of the member for a family."""
    states = subject.data.test.states
    if subject.member is not subject.task:
        states = subject.member.simulate(states[:8, 0], states.shape[1] - 1).states
    flat = states.reshape(-1, states.shape[-1])
    return np.asarray(flat[np.linspace(0, len(flat) - 1, min(PLACES, len(flat))).astype(int)])


def symmetries(subject: Setup) -> dict[str, Any]:
    """Defect of each linear symmetry of the truth: name -> per replica, √⟨|Φ(Sx) − SΦ(x)|²/σ²⟩ over test states.

    Raises:
        Unsuitable: when no symmetry is known, or the map is not one of the observed state.
    """
    if not subject.comparable:
        raise Unsuitable("symmetries are those of a map of the observed state: " + _why_not(subject))
    known = subject.member.symmetries()
    if not known:
        raise Unsuitable("no linear symmetry of the task is known")
    x, sigma = _places(subject), subject.sigma
    return {
        name: analysis.map_symmetry_defect(subject.learned, matrix, x, sigma).tolist() for name, matrix in known.items()
    }


def invariants(subject: Setup) -> dict[str, Any]:
    """Drift of what the truth conserves along the stored free runs: name -> per replica, median over trajectories.

    Raises:
        Unsuitable: when the task conserves nothing that it knows of.
    """
    names = list(subject.task.invariants(subject.data.test.states[:1, 0]))
    if not names:
        raise Unsuitable("the task has no invariant")
    pred = np.asarray(subject.run.arrays["test_pred"], dtype=np.float64)
    drift = {}
    for name in names:
        each = analysis.orbit_invariant_drift(pred, lambda x, name=name: subject.task.invariants(x)[name])  # type: ignore[misc]
        drift[name] = np.quantile(each, 0.5, axis=-1, method="inverted_cdf").tolist()
    return drift
