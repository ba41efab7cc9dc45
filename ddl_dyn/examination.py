"""What theory had said of a run, and what its gates do along the test set: plain numbers for the run's result.

Axes: R replicas, B states, T steps, L layers, r directions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddl_dyn.analysis import gates, theory
from ddl_dyn.normalizer import Normalizer
from ddl_dyn.replicas import Replicas

Array = NDArray[Any]
# A map counts as represented when the typical replica's short free runs are this good (training σ = 1).
REPRESENTED = 0.1
# Free runs whose gates are audited: steps and initial states.
AUDIT_STEPS, AUDIT_STATES = 20, 16


def theory_numbers(task: Any, replicas: Replicas, nrmse_short: list[float]) -> dict[str, Any]:
    """Prediction from the task's obstruction and the model's class and options, and whether the outcome refutes it.

    Args:
        nrmse_short: (R,), of the test set.
    Returns:
        verdict, reason, source, scope; represented (the median replica's error is below a tenth of σ); failed (what
        was called impossible was represented: either the label or the theorem's use is wrong).
    """
    found = theory.predict_for(task, replicas.template)
    represented = bool(np.quantile(nrmse_short, 0.5, method="inverted_cdf") < REPRESENTED)
    return {
        "verdict": found.verdict,
        "reason": found.reason,
        "source": found.source,
        "scope": found.scope,
        "represented": represented,
        "failed": found.verdict == "impossible" and represented,
    }


def gate_audit(replicas: Replicas, truth: Any, normalizer: Normalizer) -> tuple[dict[str, Any], dict[str, Array]]:
    """Delta audit along free runs from test states; empty for a model without gates, or one whose runs leave
    the finite range.

    Returns:
        numbers, each with an entry per replica: law_error (max |e_post − (1−β) e_pre|, only where k has unit length),
        occupancy (R, L, 3) of skip, overwrite and over-relaxed, effective_reflections, reversing; and the arrays
        audit_beta (R, T, L, B, r), audit_spent (R, N), audit_mirror_angle (R, N−1, B).
    """
    steps = min(AUDIT_STEPS, truth.steps, replicas.max_steps or truth.steps)
    x0 = normalizer.normalize(truth.states[:AUDIT_STATES, 0])
    inputs = truth.inputs[:AUDIT_STATES, :steps]
    traces = gates.trace_orbit(replicas, x0, steps, inputs)
    if "beta" not in traces or not all(np.isfinite(values).all() for values in traces.values()):
        return {}, {}
    found = gates.audit(traces)
    numbers = {
        "borders": list(found.borders),
        "law_error": found.law_error.tolist(),
        "length_error": found.length_error.tolist(),
        "occupancy": found.occupancy.mean(axis=(1, 3)).tolist(),
        "beta_low": found.beta_low.min(axis=(1, 3)).tolist(),
        "beta_high": found.beta_high.max(axis=(1, 3)).tolist(),
        "effective_reflections": found.effective_reflections.mean(axis=(1, 2)).tolist(),
        "reversing": found.reversing.mean(axis=(1, 2)).tolist(),
    }
    arrays: dict[str, Array] = {
        "audit_beta": np.asarray(traces["beta"], dtype=np.float32),
        "audit_k": np.asarray(traces["k"], dtype=np.float32),
        "audit_spent": found.spent,
        "audit_mirror_angle": found.mirror_angle,
    }
    return numbers, arrays
