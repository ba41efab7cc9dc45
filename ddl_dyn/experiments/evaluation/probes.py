"""Probes of a trained run: the theory's prediction, an audit of its gates, its state-tracking accuracy.

Axes: R replicas, B states, N words, T steps or tokens, L layers, r directions, C classes.
"""

from __future__ import annotations

import numpy as np
import torch

from ddl_dyn.analysis import gates, theory
from ddl_dyn.engine.rollout import rollout
from ddl_dyn.experiments.evaluation.free_runs import horizons
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.metrics.arrays import Array, Arrays, Mask
from ddl_dyn.metrics.tracking import longest_length, sequence_accuracy, token_accuracy, token_correct
from ddl_dyn.runs.stored_result import Gates, Theory, TokenErrors, Tracking

# A map counts as represented when the typical replica's short free runs err by less (in σ, or as a share of tokens).
REPRESENTED = 0.1
# Free runs whose gates are audited: steps and initial states.
AUDIT_STEPS, AUDIT_STATES = 20, 16
# Words behind an accuracy (standard error at most .03), and the numbers that one batch of them may hold.
WORDS, _BATCH = 256, 2**24


def theory_numbers(setup: Setup, short: list[float]) -> Theory:
    """Prediction from the task's obstruction and the model's class and options, and whether the outcome refutes it.

    Args:
        setup: of the run.   short: (R,), primary error of the test set over the short horizon.
    Returns:
        verdict, reason, source, scope; represented (the median replica's error is below a tenth); failed (what
        was called impossible was represented: either the label or the theorem's use is wrong).
    """
    found = theory.predict_for(setup.task, setup.replicas.template)
    represented = bool(np.quantile(short, 0.5, method="inverted_cdf") < REPRESENTED)
    return {
        "verdict": found.verdict,
        "reason": found.reason,
        "source": found.source,
        "scope": found.scope,
        "represented": represented,
        "failed": found.verdict == "impossible" and represented,
    }


def gate_audit(setup: Setup) -> tuple[Gates, Arrays]:
    """Delta audit along free runs from test states; empty for a model without gates, or one whose runs leave
    the finite range.

    Returns:
        numbers, each with an entry per replica: law_error (max |e_post − (1−β) e_pre|, only where k has unit length),
        occupancy (R, L, 3) of skip, overwrite and over-relaxed, effective_reflections, reversing, and (where there
        are two rewrites) mirror_angle and rotation_angle, medians over consecutive pairs in rad; and the arrays
        audit_beta (R, T, L, B, r), audit_spent (R, N), audit_mirror_angle (R, N−1, B).
    """
    truth = setup.data.test
    steps = min(AUDIT_STEPS, truth.steps, setup.replicas.max_steps or truth.steps)
    x0 = setup.normalizer.normalize(truth.states[:AUDIT_STATES, 0])
    inputs = truth.inputs[:AUDIT_STATES, :steps]
    traces = gates.trace_orbit(setup.replicas, x0, steps, inputs)
    if "beta" not in traces or not all(np.isfinite(values).all() for values in traces.values()):
        return {}, {}
    found = gates.audit(traces)
    numbers: Gates = {
        "borders": list(found.borders),
        "law_error": found.law_error.tolist(),
        "length_error": found.length_error.tolist(),
        "occupancy": found.occupancy.mean(axis=(1, 3)).tolist(),
        "beta_low": found.beta_low.min(axis=(1, 3)).tolist(),
        "beta_high": found.beta_high.max(axis=(1, 3)).tolist(),
        "effective_reflections": found.effective_reflections.mean(axis=(1, 2)).tolist(),
        "reversing": found.reversing.mean(axis=(1, 2)).tolist(),
    }
    if found.mirror_angle.shape[1]:
        numbers["mirror_angle"] = np.median(found.mirror_angle, axis=(1, 2)).tolist()
        numbers["rotation_angle"] = np.median(found.rotation_angle, axis=(1, 2)).tolist()
    arrays: Arrays = {
        "audit_beta": np.asarray(traces["beta"], dtype=np.float32),
        "audit_k": np.asarray(traces["k"], dtype=np.float32),
        "audit_spent": found.spent,
        "audit_mirror_angle": found.mirror_angle,
    }
    return numbers, arrays


def token_errors(setup: Setup, pred: Array, true: Array) -> TokenErrors:
    """Share of tokens after which the state is wrong, of each replica at both horizons.

    Args:
        setup: of a categorical task.   pred: (R, N, T+1, C).   true: (N, T+1, C), one-hot codes.
    Returns:
        token_error_short, token_error_long: R numbers in [0, 1]; what is not finite is wrong.
    """
    correct, shown = token_correct(pred, true), horizons(setup.config.eval, true.shape[1] - 1)
    return {
        "token_error_short": (1.0 - correct[..., : shown["short"]].mean(axis=(1, 2))).tolist(),
        "token_error_long": (1.0 - correct[..., : shown["long"]].mean(axis=(1, 2))).tolist(),
    }


def word_tracking(setup: Setup, trained: int) -> tuple[Tracking, Arrays]:
    """State-tracking accuracy at every length up to the task's longest, on words of their own.

    The seed of the test set gives every model the same words.

    Args:
        setup: of a categorical task (.inputs, .simulate and .longest).   trained: tokens of the longest window that
            training saw.
    Returns:
        numbers: words, chance = 1/C, trained_length, longest_tested, and per replica accuracy_trained, accuracy_longest
        (token accuracy at these two lengths), sequence_longest, and longest_length (up to which token accuracy stays at
        or above .99); arrays tracking_accuracy and tracking_sequence, (R, T) at lengths 1 … T.
    """
    task, replicas = setup.task, setup.replicas
    longest = int(getattr(task, "longest", setup.data.train.steps))
    steps = min(longest, replicas.max_steps or longest)
    # A key of its own keeps these words apart from the streams that the splits are drawn from.
    rng = np.random.default_rng([setup.config.data.test_seed, 0x776F7264])
    x0 = task.initial_states(WORDS, rng=rng, split="test")
    inputs = task.inputs(WORDS, steps, rng=rng, split="test")
    size = max(1, _BATCH // (replicas.size * (steps + 1) * task.state_dim))
    parts = [_words_correct(setup, x0[i : i + size], inputs[i : i + size]) for i in range(0, WORDS, size)]
    correct = np.concatenate(parts, axis=1)
    token, sequence = token_accuracy(correct), sequence_accuracy(correct)
    numbers: Tracking = {
        "words": WORDS,
        "chance": 1 / task.state_dim,
        "trained_length": trained,
        "longest_tested": steps,
        "accuracy_trained": token[:, min(trained, steps) - 1].tolist(),
        "accuracy_longest": token[:, -1].tolist(),
        "sequence_longest": sequence[:, -1].tolist(),
        "longest_length": longest_length(token).tolist(),
    }
    return numbers, {"tracking_accuracy": token, "tracking_sequence": sequence}


def _words_correct(setup: Setup, x0: Array, inputs: Array) -> Mask:
    """(R, N, T), True where the state after a token is right."""
    replicas, normalizer = setup.replicas, setup.normalizer
    true = setup.task.simulate(x0, inputs.shape[1], inputs).states
    drive = torch.as_tensor(inputs).to(device=replicas.device, dtype=replicas.dtype)
    run = rollout(replicas, torch.as_tensor(normalizer.normalize(x0)), inputs.shape[1], drive)
    return token_correct(normalizer.denormalize(run.states.double().cpu().numpy()), true)
